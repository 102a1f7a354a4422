"""Leaders go home to their preferred replicas, and only when those may lead (KIP-460): without loads that the brokers report."""

from __future__ import annotations

import pytest

from raftkafka.base.ids import NodeId
from raftkafka.controller import balance_round
from raftkafka.controller.leader_balance import away_leaders
from raftkafka.controller.settings import BalanceSettings, BalanceStrategy
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from tests.controller.balance_world import BalanceWorld
from tests.controller.world import World

INTERVAL_MS = 5_000


def returned_broker(world: World) -> None:
    """Broker 1 was killed, which moved its leaderships to 2, and is back; it is in no ISR yet."""
    world.create("t", [[1, 2, 3], [2, 3, 1]])
    world.kill(1)
    world.join(1)
    assert [world.partition("t", index).leader for index in (0, 1)] == [2, 2]


def wait(world: World) -> None:
    """One interval passes, in which all brokers are heard."""
    for _ in range(INTERVAL_MS // 1_000 + 1):
        world.now_ms += 1_000
        for node in (1, 2, 3):
            world.heartbeat(node)
        world.controller.tick(world.now_ms)
        world.commit()


@pytest.fixture
def world() -> World:
    world = World(leader_imbalance_check_interval_ms=INTERVAL_MS)
    world.join(1, 2, 3)
    return world


def test_a_leader_goes_home_when_its_preferred_replica_is_in_sync_again(world: World) -> None:
    returned_broker(world)
    assert world.propose_isr("t", [2, 3, 1]).error == 0
    wait(world)
    partition = world.partition("t", 0)
    assert (partition.leader, set(partition.isr)) == (1, {1, 2, 3})
    assert world.partition("t", 1).leader == 2


def test_a_leader_stays_while_its_preferred_replica_is_not_in_sync(world: World) -> None:
    returned_broker(world)
    wait(world)
    assert world.partition("t", 0).leader == 2


def test_a_balanced_cluster_writes_nothing(world: World) -> None:
    world.create("t", [[1, 2, 3], [2, 3, 1]])
    before = len(world.log.entries)
    wait(world)
    assert len(world.log.entries) == before


def test_nothing_moves_by_itself_when_it_is_switched_off() -> None:
    world = World(leader_imbalance_check_interval_ms=INTERVAL_MS, auto_leader_rebalance_enable=False)
    world.join(1, 2, 3)
    returned_broker(world)
    assert world.propose_isr("t", [2, 3, 1]).error == 0
    wait(world)
    assert world.partition("t", 0).leader == 2


@pytest.mark.parametrize(("percentage", "goes"), [(0, True), (24, True), (25, False), (100, False)])
def test_a_broker_goes_home_when_more_than_its_percentage_of_partitions_are_away(percentage: int, goes: bool) -> None:
    """One of the four partitions that prefer broker 1 is led by another: 25 %, as Kafka computed it."""
    balance = BalanceSettings(strategy=BalanceStrategy.PREFERRED, imbalance_percentage=percentage)
    world = World(leader_imbalance_check_interval_ms=INTERVAL_MS, balance=balance)
    world.join(1, 2, 3)
    world.create("t", [[1, 2, 3]])
    world.create("others", [[1, 2, 3], [1, 2, 3], [1, 2, 3], [2, 3, 1]])
    world.kill(1)
    world.join(1)
    for index in range(3):
        others = world.partition("others", index)
        epochs = {"leader_epoch": others.leader_epoch, "partition_epoch": others.partition_epoch}
        assert world.propose_isr("others", [2, 3, 1], sender=2, partition=index, **epochs).error == 0
    elect(world, "others", [0, 1, 2])
    assert world.propose_isr("t", [2, 3, 1]).error == 0
    assert bool(away_leaders(world.image, imbalance_percentage=percentage)) is goes
    wait(world)
    assert world.partition("t").leader == (1 if goes else 2)


def elect(world: World, topic: str, partitions: list[int]) -> None:
    asked = TopicPartitions(topic=topic, partitions=partitions)
    reply = world.ask(ElectLeadersRequest(election_type=0, topic_partitions=[asked], timeout_ms=1_000))
    assert [each.error_code for each in reply.replica_election_results[0].partition_result] == [0] * len(partitions)


def test_with_strategy_preferred_too_a_broker_that_returns_leads_again_at_once() -> None:
    world = World(leader_imbalance_check_interval_ms=60_000, balance=BalanceSettings(strategy=BalanceStrategy.PREFERRED))
    world.join(1, 2, 3)
    returned_broker(world)
    assert world.propose_isr("t", [2, 3, 1]).error == 0
    assert world.controller.next_deadline_ms() == world.now_ms
    world.controller.tick(world.now_ms)
    world.commit()
    assert world.partition("t", 0).leader == 1


@pytest.mark.parametrize("strategy", BalanceStrategy)
def test_many_leaders_go_home_in_several_decisions_one_after_the_other(strategy: BalanceStrategy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance_round, "MAX_HOME", 2)
    world = BalanceWorld(leader_imbalance_check_interval_ms=60_000, balance={"strategy": strategy})
    world.create("t", [[1, 2, 3]] * 5)
    world.kill(1)
    world.register(1)
    world.pass_time(2_000)
    for index in range(5):
        world.join_isr("t", index, [2, 3, 1])
    at_home = []
    for _ in range(4):
        world.pass_time(1_000)
        at_home.append([world.partition("t", index).leader for index in range(5)].count(NodeId(1)))
    assert at_home[-1] == 5
    assert at_home[0] in (2, 4)


def test_every_move_of_a_large_decision_is_told_with_its_reason() -> None:
    world = BalanceWorld(leader_imbalance_check_interval_ms=60_000)
    world.create("t", [[1, 2, 3]] * 60)
    world.kill(1)
    world.register(1)
    world.pass_time(2_000)
    for index in range(60):
        world.join_isr("t", index, [2, 3, 1])
    said = world.moves(world.pass_time(2_000))
    assert sorted(str(line.fields["partition"]) for line in said) == sorted(f"t-{index}" for index in range(60))
    assert all("first replica" in str(line.fields["why"]) for line in said)
