"""Settings through a whole node: described for every kind of resource, checked by the broker that is asked, in effect at once."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.log_levels import NODE, PEERS
from raftkafka.protocol.messages import alter_configs as legacy
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest, AlterClientQuotasResponse, EntryData, OpData
from raftkafka.protocol.messages.alter_client_quotas import EntityData as AlteredEntity
from raftkafka.protocol.messages.describe_client_quotas import ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse
from raftkafka.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse
from raftkafka.protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    UserName,
)
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from raftkafka.protocol.messages.list_config_resources import ListConfigResourcesRequest, ListConfigResourcesResponse
from tests.broker.one_node import OneNode

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


@pytest.fixture
def node() -> OneNode:
    node = OneNode()
    node.create_topic("t")
    return node


def describe(node: OneNode, kind: int, name: str, *keys: str) -> Any:
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=list(keys) or None)
    response = node.request(DescribeConfigsRequest(resources=[resource], include_synonyms=True), DescribeConfigsResponse, version=4)
    return response.results[0]


def shown(node: OneNode, kind: int, name: str, *keys: str) -> dict[str, str | None]:
    return {config.name: config.value for config in describe(node, kind, name, *keys).configs}


def alter(node: OneNode, kind: int, name: str, *changes: tuple[str, int, str | None], validate_only: bool = False) -> Any:
    configs = [AlterableConfig(name=key, config_operation=operation, value=value) for key, operation, value in changes]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
    return node.request(request, IncrementalAlterConfigsResponse, version=1).responses[0]


def test_what_topics_fall_back_to_acts_on_their_logs_at_once(node: OneNode) -> None:
    (partition,) = node.node.parts.replicas.hosted.values()
    for name, key, attribute, value in (
        ("1", "message.max.bytes", "max_message_bytes", 999),
        ("1", "log.retention.bytes", "retention_bytes", 12_345),
        ("", "log.segment.bytes", "segment_bytes", 2_000_000),
        ("", "log.cleaner.min.compaction.lag.ms", "min_compaction_lag_ms", 77),
    ):
        assert alter(node, BROKER, name, (key, SET, str(value))).error_code == 0
        assert getattr(partition.log.config, attribute) == value
    assert alter(node, TOPIC, "t", ("max.message.bytes", SET, "500")).error_code == 0
    assert partition.log.config.max_message_bytes == 500, "a topic's own setting comes first"
    alter(node, TOPIC, "t", ("max.message.bytes", DELETE, None))
    alter(node, BROKER, "1", ("message.max.bytes", DELETE, None))
    assert partition.log.config.max_message_bytes == 1_048_588


def test_no_limit_of_retention_in_any_words_leaves_the_node_alive(node: OneNode) -> None:
    assert alter(node, BROKER, "1", ("log.retention.ms", SET, "-2")).error_code == 0
    assert shown(node, BROKER, "1", "log.retention.ms") == {"log.retention.ms": "-2"}
    assert shown(node, TOPIC, "t", "retention.ms") == {"retention.ms": "-1"}
    assert alter(node, BROKER, "1", ("log.roll.ms", SET, "-5")).error_code == ErrorCode.INVALID_REQUEST


def test_a_broker_is_asked_about_itself_only(node: OneNode) -> None:
    assert describe(node, BROKER, "9").error_message == "Unexpected broker id, expected 1 or empty string, but received 9"
    assert describe(node, BROKER, "x").error_message == "Broker id must be an integer, but it is: x"
    assert describe(node, LOGGER, "9").error_message == "Unexpected broker id, expected 1 but received 9"
    assert alter(node, BROKER, "9", ("log.cleaner.threads", SET, "1")).error_message == "Unexpected broker id, expected 1, but received 9"
    assert alter(node, BROKER, "x", ("log.cleaner.threads", SET, "1")).error_message == "Node id must be an integer, but it is: x"


def test_a_broker_has_its_id_under_both_names(node: OneNode) -> None:
    assert shown(node, BROKER, "1", "node.id", "broker.id") == {"node.id": "1", "broker.id": "1"}


def test_what_nobody_knows_may_be_a_secret(node: OneNode) -> None:
    alter(node, BROKER, "1", ("no.such.key", SET, "5"), ("leader.replication.throttled.rate", SET, "1000"))
    assert shown(node, BROKER, "1", "no.such.key", "leader.replication.throttled.rate") == {
        "no.such.key": None,
        "leader.replication.throttled.rate": "1000",
    }
    alter(node, BROKER, "", ("follower.replication.throttled.rate", SET, "1000"))
    assert "follower.replication.throttled.rate" not in shown(node, BROKER, "1")
    assert shown(node, BROKER, "")["follower.replication.throttled.rate"] == "1000"


def test_listeners_cannot_be_changed_while_the_broker_runs(node: OneNode) -> None:
    own = "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    refused = alter(node, BROKER, "1", ("listeners", SET, own + ",MORE://127.0.0.1:9094"))
    assert refused.error_message == "listeners cannot be changed while this broker runs. Change its file, and start it again."
    assert alter(node, BROKER, "1", ("listeners", SET, own)).error_code == 0


def test_directories_that_are_cordoned_must_exist(node: OneNode) -> None:
    assert alter(node, BROKER, "1", ("cordoned.log.dirs", SET, "/none")).error_code == ErrorCode.INVALID_REQUEST
    assert alter(node, BROKER, "1", ("cordoned.log.dirs", SET, "data")).error_code == 0


def test_groups_and_client_metrics_have_settings_before_they_exist(node: OneNode) -> None:
    assert len(describe(node, GROUP, "g").configs) == 17
    assert alter(node, GROUP, "g", ("consumer.session.timeout.ms", SET, "100")).error_code == ErrorCode.INVALID_CONFIG
    assert alter(node, GROUP, "g", ("consumer.session.timeout.ms", SET, "50000")).error_code == 0
    (config,) = describe(node, GROUP, "g", "consumer.session.timeout.ms").configs
    assert [(each.name, each.value, each.source) for each in config.synonyms] == [
        ("consumer.session.timeout.ms", "50000", 8),
        ("group.consumer.session.timeout.ms", "45000", 5),
    ]
    assert alter(node, METRICS, "m", ("interval.ms", SET, "1000")).error_code == 0
    assert shown(node, METRICS, "m") == {"interval.ms": "1000", "match": "", "metrics": ""}


def test_resources_are_listed(node: OneNode) -> None:
    alter(node, GROUP, "g", ("consumer.session.timeout.ms", SET, "50000"))
    alter(node, METRICS, "m", ("interval.ms", SET, "1000"))

    def listed(*types: int, version: int = 1) -> list[tuple[str, int]]:
        request = ListConfigResourcesRequest(resource_types=list(types) if version else [])
        response = node.request(request, ListConfigResourcesResponse, version=version)
        return [(each.resource_name, each.resource_type) for each in response.config_resources]

    assert listed() == [("g", GROUP), ("m", METRICS), ("1", LOGGER), ("1", BROKER), ("t", TOPIC)]
    assert listed(TOPIC) == [("t", TOPIC)]
    assert listed(version=0) == [("m", METRICS)]
    refused = node.request(ListConfigResourcesRequest(resource_types=[7]), ListConfigResourcesResponse, version=1)
    assert refused.error_code == ErrorCode.UNSUPPORTED_VERSION


def test_levels_of_loggers_change_until_the_broker_stops(node: OneNode) -> None:
    levels = node.node.parts.services.log_levels
    assert alter(node, LOGGER, "1", (PEERS, SET, "ERROR"), validate_only=True).error_code == 0
    assert levels.passes(PEERS, "WARN")
    assert alter(node, LOGGER, "1", (PEERS, SET, "ERROR"), ("root", SET, "DEBUG")).error_code == 0
    assert not levels.passes(PEERS, "WARN") and levels.passes(NODE, "DEBUG")
    assert shown(node, LOGGER, "1", PEERS, "root") == {PEERS: "ERROR", "root": "DEBUG"}
    assert alter(node, LOGGER, "1", (PEERS, DELETE, None)).error_code == 0
    assert levels.level_of(PEERS) == "DEBUG"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("no.such", SET, "INFO"), "Logger no.such does not exist!"),
        (("root", DELETE, None), "Removing the log level of the root logger is not allowed"),
        (("root", APPEND, "INFO"), "APPEND operation is not allowed for the BROKER_LOGGER resource"),
        (
            ("root", SET, "warn"),
            "Cannot set the log level of root to warn as it is not a supported log level. Valid log levels are "
            "DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
    ],
)
def test_refusals_about_loggers(node: OneNode, change: tuple[str, int, str | None], message: str) -> None:
    assert alter(node, LOGGER, "1", change).error_message == message


def test_resources_named_twice_are_refused_and_the_others_decided(node: OneNode) -> None:
    def resource(kind: int, name: str, key: str, value: str | None) -> AlterConfigsResource:
        config = AlterableConfig(name=key, config_operation=SET, value=value)
        return AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])

    resources = [
        resource(TOPIC, "t", "retention.ms", "5"),
        resource(LOGGER, "1", "root", "INFO"),
        resource(TOPIC, "t", "retention.ms", "6"),
        resource(BROKER, "1", "log.retention.bytes", "7"),
        resource(TOPIC, "none", "retention.ms", "5"),
        resource(BROKER, "", "log.retention.bytes", None),
    ]
    request = IncrementalAlterConfigsRequest(resources=resources)
    responses = node.request(request, IncrementalAlterConfigsResponse, version=1).responses
    assert [(each.resource_type, each.resource_name, each.error_code, each.error_message) for each in responses] == [
        (TOPIC, "t", ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."),
        (LOGGER, "1", 0, None),
        (TOPIC, "t", ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."),
        (BROKER, "1", 0, None),
        (TOPIC, "none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "The topic 'none' does not exist."),
        (BROKER, "", ErrorCode.INVALID_REQUEST, "Null value not supported for : log.retention.bytes"),
    ]


def test_the_older_form_has_the_same_checks(node: OneNode) -> None:
    def refused(kind: int, name: str, key: str, value: str | None) -> str | None:
        config = legacy.AlterableConfig(name=key, value=value)
        resource = legacy.AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])
        response = node.request(legacy.AlterConfigsRequest(resources=[resource]), legacy.AlterConfigsResponse, version=2)
        message: str | None = response.responses[0].error_message
        return message

    assert refused(TOPIC, "t", "retention.ms", None) == "Null value not supported for : retention.ms"
    assert refused(LOGGER, "1", "root", "INFO") == "Unknown resource type 8"
    assert refused(BROKER, "9", "log.cleaner.threads", "1") == "Unexpected broker id, expected 1, but received 9"
    assert refused(BROKER, "1", "num.partitions", "1") == "Cannot update these configs dynamically: [num.partitions]"
    assert refused(TOPIC, "t", "retention.ms", "5") is None


Quotas = list[tuple[list[tuple[str, str | None]], dict[str, float]]]


def quotas(node: OneNode, *components: tuple[str, int, str | None], strict: bool = False) -> Quotas | tuple[int, str | None]:
    wanted = [ComponentData(entity_type=kind, match_type=match_type, match=match) for kind, match_type, match in components]
    response = node.request(DescribeClientQuotasRequest(components=wanted, strict=strict), DescribeClientQuotasResponse, version=1)
    if response.error_code:
        return response.error_code, response.error_message
    return [
        ([(part.entity_type, part.entity_name) for part in entry.entity], {value.key: value.value for value in entry.values})
        for entry in response.entries or ()
    ]


def test_quotas_are_found_by_exact_name_default_or_either(node: OneNode) -> None:
    for entity in ([("user", "a")], [("user", None)], [("user", "a"), ("client-id", "c")], [("client-id", None)], [("ip", "1.2.3.4")]):
        key = "connection_creation_rate" if entity[0][0] == "ip" else "producer_byte_rate"
        parts = [AlteredEntity(entity_type=kind, entity_name=name) for kind, name in entity]
        request = AlterClientQuotasRequest(entries=[EntryData(entity=parts, ops=[OpData(key=key, value=5.0)])])
        assert node.request(request, AlterClientQuotasResponse, version=1).entries[0].error_code == 0

    def entities(*components: tuple[str, int, str | None], strict: bool = False) -> list[list[tuple[str, str | None]]]:
        found = quotas(node, *components, strict=strict)
        assert isinstance(found, list)
        return [entity for entity, _ in found]

    assert len(entities()) == 5
    assert entities(("user", 0, "a")) == [[("client-id", "c"), ("user", "a")], [("user", "a")]]
    assert entities(("user", 0, "a"), strict=True) == [[("user", "a")]]
    assert entities(("user", 1, None)) == [[("user", None)]]
    assert entities(("client-id", 2, None)) == [[("client-id", None)], [("client-id", "c"), ("user", "a")]]
    assert entities(("ip", 2, None)) == [[("ip", "1.2.3.4")]]


@pytest.mark.parametrize(
    ("components", "refusal"),
    [
        ([("user", 0, None)], (ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null.")),
        (
            [("user", 1, "x")],
            (ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_DEFAULT, but also specified a match string."),
        ),
        ([("user", 3, None)], (ErrorCode.INVALID_REQUEST, "Unknown match type 3")),
        ([("foo", 2, None)], (ErrorCode.UNSUPPORTED_VERSION, "Unsupported entity type foo")),
        ([("", 2, None)], (ErrorCode.INVALID_REQUEST, "Invalid empty entity type.")),
        (
            [("user", 2, None), ("user", 0, "a")],
            (ErrorCode.INVALID_REQUEST, "Entity type user cannot appear more than once in the filter."),
        ),
    ],
)
def test_filters_of_quotas_that_are_refused(
    node: OneNode, components: list[tuple[str, int, str | None]], refusal: tuple[ErrorCode, str]
) -> None:
    assert quotas(node, *components) == refusal


def test_nobody_has_scram_credentials(node: OneNode) -> None:
    def ask(*names: str) -> list[tuple[str, int]]:
        users = [UserName(name=name) for name in names] or None
        request = DescribeUserScramCredentialsRequest(users=users)
        response = node.request(request, DescribeUserScramCredentialsResponse, version=0)
        return [(each.user, each.error_code) for each in response.results]

    assert ask() == []
    assert ask("a", "b", "b") == [("a", ErrorCode.RESOURCE_NOT_FOUND), ("b", ErrorCode.DUPLICATE_RESOURCE)]
