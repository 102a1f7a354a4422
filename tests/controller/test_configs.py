"""IncrementalAlterConfigs and AlterConfigs, and what a changed minimum does to partitions (KIP-966)."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.controller.config_control import Operation
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages import alter_configs as legacy
from raftkafka.protocol.messages import incremental_alter_configs as incremental
from tests.controller.world import World

TOPIC, BROKER = ResourceType.TOPIC, ResourceType.BROKER


@pytest.fixture
def world() -> World:
    world = World(min_insync_replicas=2).join(1, 2, 3)
    world.create("t")
    return world


def alter(world: World, kind: int, name: str, *changes: tuple[str, str | None, int], validate_only: bool = False) -> Any:
    configs = [incremental.AlterableConfig(name=key, value=value, config_operation=operation) for key, value, operation in changes]
    resource = incremental.AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    request = incremental.IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
    (result,) = world.ask(request).responses
    return result


def test_configs_are_set_deleted_appended_and_subtracted(world: World) -> None:
    assert alter(world, TOPIC, "t", ("cleanup.policy", "compact", Operation.APPEND)).error_code == 0
    assert world.image.configs.get(TOPIC, "t") == {"cleanup.policy": "delete,compact"}
    alter(world, TOPIC, "t", ("cleanup.policy", "delete", Operation.SUBTRACT), ("retention.ms", "5", Operation.SET))
    assert world.image.configs.get(TOPIC, "t") == {"cleanup.policy": "compact", "retention.ms": "5"}
    alter(world, TOPIC, "t", ("cleanup.policy", None, Operation.DELETE), ("retention.ms", None, Operation.DELETE))
    assert world.image.configs.get(TOPIC, "t") == {}


def test_setting_what_is_set_writes_nothing(world: World) -> None:
    alter(world, TOPIC, "t", ("retention.ms", "5", Operation.SET))
    before = len(world.log.entries)
    assert alter(world, TOPIC, "t", ("retention.ms", "5", Operation.SET)).error_code == 0
    assert len(world.log.entries) == before


def test_validate_only_writes_nothing(world: World) -> None:
    before = len(world.log.entries)
    assert alter(world, TOPIC, "t", ("retention.ms", "5", Operation.SET), validate_only=True).error_code == 0
    assert alter(world, TOPIC, "t", ("retention.ms", "x", Operation.SET), validate_only=True).error_code == ErrorCode.INVALID_CONFIG
    assert len(world.log.entries) == before


@pytest.mark.parametrize(
    ("kind", "name", "change", "code", "message"),
    [
        (
            TOPIC,
            "t",
            ("retention.ms", "abc", Operation.SET),
            ErrorCode.INVALID_CONFIG,
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        ),
        (TOPIC, "t", ("no.such", "1", Operation.SET), ErrorCode.INVALID_CONFIG, "Unknown topic config name: no.such"),
        (
            TOPIC,
            "t",
            ("retention.ms", "1", Operation.APPEND),
            ErrorCode.INVALID_CONFIG,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (TOPIC, "none", ("retention.ms", "1", Operation.SET), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "The topic 'none' does not exist."),
        (TOPIC, "", ("retention.ms", "1", Operation.SET), ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed."),
        (
            BROKER,
            "x",
            ("log.cleaner.threads", "1", Operation.SET),
            ErrorCode.INVALID_REQUEST,
            "Unable to parse broker name as a base 10 number.",
        ),
        (BROKER, "9", ("log.cleaner.threads", "1", Operation.SET), ErrorCode.BROKER_ID_NOT_REGISTERED, "No broker with id 9 found."),
        (
            BROKER,
            "1",
            ("min.insync.replicas", "1", Operation.SET),
            ErrorCode.INVALID_CONFIG,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
        (
            BROKER,
            "",
            ("min.insync.replicas", None, Operation.DELETE),
            ErrorCode.INVALID_CONFIG,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
        (0, "t", ("retention.ms", "1", Operation.SET), ErrorCode.INVALID_REQUEST, "Unexpected resource type 0."),
        (
            TOPIC,
            "t",
            ("retention.ms", None, Operation.SET),
            ErrorCode.INVALID_CONFIG,
            "Null value not supported for topic configs: retention.ms",
        ),
    ],
)
def test_refusals_are_in_kafkas_words(
    world: World, kind: int, name: str, change: tuple[str, str | None, int], code: ErrorCode, message: str
) -> None:
    before = len(world.log.entries)
    result = alter(world, kind, name, change)
    assert (result.error_code, result.error_message) == (code, message)
    assert len(world.log.entries) == before


def test_one_bad_config_refuses_its_whole_resource_and_no_other(world: World) -> None:
    def resource(kind: int, name: str, **configs: str) -> incremental.AlterConfigsResource:
        items = [incremental.AlterableConfig(name=k.replace("_", "."), value=v, config_operation=0) for k, v in configs.items()]
        return incremental.AlterConfigsResource(resource_type=kind, resource_name=name, configs=items)

    resources = [resource(TOPIC, "t", retention_ms="5", segment_ms="x"), resource(BROKER, "1", log_cleaner_threads="2")]
    responses = world.ask(incremental.IncrementalAlterConfigsRequest(resources=[*resources, resources[1]])).responses
    assert [r.error_code for r in responses] == [ErrorCode.INVALID_CONFIG, 0, ErrorCode.INVALID_REQUEST]
    assert world.image.configs.get(TOPIC, "t") == {}
    assert world.image.configs.get(BROKER, "1") == {"log.cleaner.threads": "2"}


def test_legacy_alter_replaces_all_configs_of_a_resource(world: World) -> None:
    alter(world, TOPIC, "t", ("retention.ms", "5", Operation.SET), ("segment.ms", "7", Operation.SET))
    configs = [legacy.AlterableConfig(name="retention.ms", value="6")]
    resource = legacy.AlterConfigsResource(resource_type=TOPIC, resource_name="t", configs=configs)
    (result,) = world.ask(legacy.AlterConfigsRequest(resources=[resource])).responses
    assert result.error_code == 0
    assert world.image.configs.get(TOPIC, "t") == {"retention.ms": "6"}


def test_first_controller_makes_the_minimum_a_cluster_default(world: World) -> None:
    assert world.image.configs.get(BROKER, "")["min.insync.replicas"] == "2"


@pytest.mark.parametrize("resource", [(TOPIC, "t"), (BROKER, "")])
def test_smaller_minimum_clears_eligible_replicas_in_the_same_entry(world: World, resource: tuple[int, str]) -> None:
    """With the smaller minimum the high watermark moves without them: they must not be electable any more."""
    world.propose_isr("t", [1])
    assert world.partition("t").elr == (2, 3)
    before = len(world.log.entries)
    alter(world, *resource, ("min.insync.replicas", "1", Operation.SET))
    assert len(world.log.entries) == before + 1
    assert world.partition("t").elr == ()


def test_larger_minimum_keeps_eligible_replicas(world: World) -> None:
    world.propose_isr("t", [1])
    alter(world, TOPIC, "t", ("min.insync.replicas", "3", Operation.SET))
    assert world.partition("t").elr == (2, 3)


@pytest.mark.parametrize(("kind", "name"), [(TOPIC, "t"), (BROKER, "")])
def test_allowing_unclean_elections_brings_offline_partitions_back(world: World, kind: int, name: str) -> None:
    alter(world, TOPIC, "t", ("min.insync.replicas", "1", Operation.SET))
    world.propose_isr("t", [1])
    world.kill(1)
    assert world.partition("t").leader == -1
    alter(world, kind, name, ("unclean.leader.election.enable", "true", Operation.SET))
    assert world.partition("t").leader == 2
