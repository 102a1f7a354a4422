"""Replicas move by themselves where moving leaders cannot help: throttled, one at a time, and nothing of an administrator's is touched."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from raftkafka.base.ids import NodeId
from raftkafka.base.observed import Observed
from raftkafka.controller.controller import QuorumController
from raftkafka.controller.own_moves import FOLLOWER_RATE, FOLLOWER_REPLICAS, MARK
from raftkafka.controller.settings import BalanceSettings, ControllerSettings
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from tests.controller.balance_world import MB, BalanceWorld
from tests.controller.world import CLUSTER_ID


@pytest.fixture
def world() -> BalanceWorld:
    """Brokers 1 and 2 have all replicas of a busy topic, 3 and 4 have none."""
    world = BalanceWorld(brokers=4)
    world.create("t", [[1, 2], [2, 1]] * 3)
    for index in range(6):
        world.write("t", index, 2 * MB)
    world.copy_ms = 2_000
    return world


def of_kind(said: list[Observed], kind: str) -> list[Observed]:
    return [line for line in said if line.kind == kind]


def configs(world: BalanceWorld, resource_type: ResourceType, name: str) -> Mapping[str, str]:
    return world.image.configs.get(resource_type, name)


def until_moving(world: BalanceWorld) -> Observed:
    for _ in range(40):
        moving = of_kind(world.pass_time(500), "replica-moving")
        if moving:
            return moving[0]
    raise AssertionError("no replica moves")


def set_config(world: BalanceWorld, resource_type: ResourceType, resource: str, name: str, value: str) -> None:
    config = AlterableConfig(name=name, config_operation=0, value=value)
    changed = AlterConfigsResource(resource_type=int(resource_type), resource_name=resource, configs=[config])
    assert world.ask(IncrementalAlterConfigsRequest(resources=[changed], validate_only=False)).responses[0].error_code == 0


def reassign(world: BalanceWorld, partition: int, replicas: list[int] | None) -> None:
    wanted = ReassignablePartition(partition_index=partition, replicas=replicas)
    request = AlterPartitionReassignmentsRequest(topics=[ReassignableTopic(name="t", partitions=[wanted])], timeout_ms=1_000)
    assert world.ask(request).responses[0].partitions[0].error_code == 0


def test_a_replica_moves_throttled_when_no_leader_can_and_the_throttle_goes_when_it_has_arrived(world: BalanceWorld) -> None:
    moving = until_moving(world)
    assert moving.fields["target"] in (3, 4)
    assert moving.fields["why"].startswith("no move of leaders makes broker 1 notably cooler; broker 1 carries 24.0 MB/s")
    topic, index = moving.fields["partition"].split("-")
    target = moving.fields["target"]
    assert world.partition(topic, int(index)).adding_replicas == (target,)
    assert configs(world, ResourceType.TOPIC, "t")[FOLLOWER_REPLICAS] == f"{index}:{target}"
    assert configs(world, ResourceType.BROKER, str(target))[FOLLOWER_RATE] == str(20 << 20)
    assert world.balance().verdict.endswith(f"{topic}-{index} is being copied to broker {target}")
    ended = of_kind(world.pass_time(4_000), "replica-move-ended")
    assert [line.fields["done"] for line in ended] == [True]
    assert target in world.partition(topic, int(index)).isr
    assert FOLLOWER_REPLICAS not in configs(world, ResourceType.TOPIC, "t")
    assert FOLLOWER_RATE not in configs(world, ResourceType.BROKER, str(target))
    assert MARK not in configs(world, ResourceType.BROKER, "")


def test_replicas_move_one_after_the_other_until_no_broker_is_hot_and_then_nothing_does(world: BalanceWorld) -> None:
    said = world.pass_time(240_000)
    assert world.excess() <= 1.35
    assert 2 <= len(of_kind(said, "replica-moving")) == len(of_kind(said, "replica-move-ended")) <= 8
    later = world.pass_time(60_000)
    assert of_kind(later, "replica-moving") == world.moves(later) == []


def test_the_throttle_never_keeps_the_copy_from_catching_up() -> None:
    world = BalanceWorld(brokers=3, balance={"replica_throttle_bytes_per_second": 1_000_000})
    world.create("t", [[1, 2], [2, 1]] * 2)
    for index in range(4):
        world.write("t", index, 5 * MB)
    assert until_moving(world).fields["rate"] == pytest.approx(10 * MB, rel=0.05)


def test_the_throttle_is_raised_when_more_is_written_than_the_copy_gets(world: BalanceWorld) -> None:
    world.copy_ms = None
    moving = until_moving(world)
    target, index = str(moving.fields["target"]), int(moving.fields["partition"].split("-")[1])
    world.write("t", index, 30 * MB)
    world.pass_time(20_000)
    rate = configs(world, ResourceType.BROKER, target)[FOLLOWER_RATE]
    assert 45 * MB <= int(rate) <= 60 * MB
    assert configs(world, ResourceType.BROKER, "")[MARK].endswith(f":{target}:{rate}")
    world.copy_ms = 0
    assert [line.fields["done"] for line in of_kind(world.pass_time(4_000), "replica-move-ended")] == [True]
    assert FOLLOWER_RATE not in configs(world, ResourceType.BROKER, target)


def test_nothing_moves_while_an_administrator_reassigns(world: BalanceWorld) -> None:
    world.copy_ms = None
    reassign(world, 0, [1, 3])
    assert of_kind(world.pass_time(30_000), "replica-moving") == []
    assert world.balance().verdict.endswith("no replica is moved while an administrator's reassignment is under way")


def test_a_throttle_of_an_administrator_is_not_touched(world: BalanceWorld) -> None:
    set_config(world, ResourceType.TOPIC, "t", FOLLOWER_REPLICAS, "*")
    assert of_kind(world.pass_time(30_000), "replica-moving") == []
    assert world.balance().verdict.endswith("t has throttled replicas, which are an administrator's")
    assert configs(world, ResourceType.TOPIC, "t")[FOLLOWER_REPLICAS] == "*"


def test_what_an_administrator_changed_meanwhile_stays(world: BalanceWorld) -> None:
    moving = until_moving(world)
    target = moving.fields["target"]
    set_config(world, ResourceType.BROKER, str(target), FOLLOWER_RATE, "12345")
    set_config(world, ResourceType.TOPIC, "t", FOLLOWER_REPLICAS, f"{moving.fields['partition'][2:]}:{target},5:3")
    world.pass_time(4_000)
    assert configs(world, ResourceType.BROKER, str(target))[FOLLOWER_RATE] == "12345"
    assert configs(world, ResourceType.TOPIC, "t")[FOLLOWER_REPLICAS] == "5:3"


def test_nothing_moves_while_a_broker_is_away(world: BalanceWorld) -> None:
    world.kill(4)
    world.silent.add(4)
    assert of_kind(world.pass_time(30_000), "replica-moving") == []
    assert world.balance().verdict.endswith("no replica is moved while broker 4 is away")


def test_a_move_to_a_broker_that_goes_away_is_cancelled(world: BalanceWorld) -> None:
    world.copy_ms = None
    moving = until_moving(world)
    world.kill(moving.fields["target"])
    world.silent.add(moving.fields["target"])
    said = world.pass_time(3_000)
    assert len(of_kind(said, "replica-move-cancelled")) == 1
    assert [line.fields["done"] for line in of_kind(said, "replica-move-ended")] == [False]
    index = int(moving.fields["partition"][2:])
    assert (sorted(world.partition("t", index).replicas), world.partition("t", index).adding_replicas) == ([1, 2], ())
    assert MARK not in configs(world, ResourceType.BROKER, "")


def test_the_next_controller_lifts_the_throttle_even_one_that_balances_nothing(world: BalanceWorld) -> None:
    until_moving(world)
    world.controller.lost_leadership(world.now_ms)
    world.controller = QuorumController(
        node_id=NodeId(2),
        cluster_id=CLUSTER_ID,
        log=world.log,
        settings=ControllerSettings(default_replication_factor=3, auto_leader_rebalance_enable=False),
        rng=random.Random(7),
    )
    world.controller.gained_leadership(2, world.image, world.now_ms)
    said = world.pass_time(5_000)
    assert [line.fields["done"] for line in of_kind(said, "replica-move-ended")] == [True]
    assert MARK not in configs(world, ResourceType.BROKER, "")


def test_replicas_stay_where_they_are_when_moving_them_is_switched_off() -> None:
    world = BalanceWorld(brokers=4, balance={"moves_replicas": False})
    world.create("t", [[1, 2], [2, 1]])
    world.write("t", 0, 4 * MB)
    world.write("t", 1, 4 * MB)
    assert of_kind(world.pass_time(30_000), "replica-moving") == []
    assert BalanceSettings().moves_replicas
