"""The balancer in the controller, in virtual time: brokers report loads, and leaders move, or go home, or stay."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.controller.settings import BalanceStrategy
from raftkafka.metadata.control_messages import AssignReplicas
from tests.controller.balance_world import MB, BalanceWorld, Traffic, wavering
from tests.controller.test_directories import directory, register

ON_ONE = [[1, 2, 3]] * 24
SPREAD = [[1, 2, 3], [2, 3, 1], [3, 1, 2]] * 8


def zipf(index: int) -> float:
    return 8 * MB / (1 + index)


@pytest.fixture
def world() -> BalanceWorld:
    return BalanceWorld()


def skewed(world: BalanceWorld) -> None:
    """24 partitions, all of them led by broker 1, with a skewed load."""
    world.create("t", ON_ONE)
    for index in range(24):
        world.write("t", index, zipf(index))


def test_leaders_that_are_all_on_one_broker_are_spread_by_load_within_seconds(world: BalanceWorld) -> None:
    skewed(world)
    assert world.excess() > 1.5
    said = world.moves(world.pass_time(5_000))
    assert world.excess() <= 1.1
    assert all(line.fields["source"] == 1 for line in said)
    assert "above the mean; then it carries" in said[0].fields["why"]
    assert world.moves(world.pass_time(60_000)) == [], "a steady load has come to rest"


def test_a_load_that_shifts_is_followed(world: BalanceWorld) -> None:
    skewed(world)
    world.pass_time(30_000)
    for index in range(24):
        world.write("t", index, zipf(23 - index))
    world.pass_time(10_000)
    assert world.excess() <= 1.3
    world.pass_time(10_000)
    assert world.excess() <= 1.1
    assert world.moves(world.pass_time(60_000)) == []


def test_a_load_that_wavers_by_a_tenth_moves_nothing(world: BalanceWorld) -> None:
    world.create("t", SPREAD)
    for index in range(24):
        world.write("t", index, wavering(MB, index))
    assert world.moves(world.pass_time(60_000)) == []


# Two of five brokers have all replicas: both are far above the mean, whoever of them leads.
UNEVEN = [0.4, 0.17, 0.14, 0.08, 0.07, 0.07]


def on_two_of_five(leaders: list[int]) -> BalanceWorld:
    world = BalanceWorld(brokers=5, balance={"moves_replicas": False, "cooldown_ms": 2_000}, min_insync_replicas=1)
    world.create("t", [[leader, 3 - leader] for leader in leaders])
    return world


@pytest.mark.parametrize("phase", [1, 2, 3, 4])
def test_brokers_that_stay_hot_whatever_moves_do_not_trade_what_their_loads_waver_by(phase: int) -> None:
    world = on_two_of_five([1, 2, 2, 1, 2, 2])
    for index, rate in enumerate(UNEVEN):
        world.write("t", index, drifting(rate * MB, phase * index))
    assert world.moves(world.pass_time(120_000)) == []


def test_many_small_partitions_do_not_go_to_and_fro_between_brokers_that_stay_hot() -> None:
    world = on_two_of_five([1, 2] * 20)
    for index in range(40):
        world.write("t", index, drifting(0.05 * MB, index % 2))
    assert world.moves(world.pass_time(120_000)) == []


def test_a_broker_that_stays_hot_whatever_moves_gives_all_the_same_what_cools_it_notably() -> None:
    world = on_two_of_five([1] * 12)
    for index in range(12):
        world.write("t", index, 0.2 * MB)
    world.pass_time(30_000)
    loads = world.loads()
    assert abs(loads[1] - loads[2]) <= 0.2 * max(loads[1], loads[2])
    assert world.moves(world.pass_time(60_000)) == []


def drifting(rate: float, phase: int) -> Traffic:
    """A rate that is a tenth too high for nine seconds, then as much too low: the smoothed one follows it."""
    return lambda now_ms: rate * (1.1 if (now_ms // 9_000 + phase) % 2 else 0.9)


def test_partitions_that_moved_rest(world: BalanceWorld) -> None:
    skewed(world)
    world.pass_time(4_000)
    moved = {(move.topic, move.partition) for move in world.balance().recent}
    resting = {(each.topic, each.partition) for each in world.balance().partitions if each.resting_ms}
    assert moved == resting != set()
    world.pass_time(11_000)
    assert not any(each.resting_ms for each in world.balance().partitions)


def test_a_new_controller_moves_nothing_by_load_before_the_brokers_have_reported(world: BalanceWorld) -> None:
    skewed(world)
    world.silent = {3}
    assert world.moves(world.pass_time(2_500)) == []
    assert not world.balance().settled
    world.silent = set()
    assert world.moves(world.pass_time(4_000)) != []


def test_nothing_moves_by_itself_when_it_is_switched_off_but_a_round_may_be_asked_for() -> None:
    world = BalanceWorld(auto_leader_rebalance_enable=False)
    skewed(world)
    assert world.moves(world.pass_time(20_000)) == []
    planned = world.balance()
    made = world.balance(execute=True)
    assert [attributes(move) for move in made.moves] == [attributes(move) for move in planned.moves] != []
    assert world.excess() <= 1.1
    assert (made.recent, world.balance().moves) == ([], [])


def attributes(move: object) -> tuple[object, ...]:
    return tuple(getattr(move, name) for name in ("topic", "partition", "kind", "source", "target", "reason"))


def test_answer_shows_brokers_with_their_loads_and_partitions_hottest_first(world: BalanceWorld) -> None:
    skewed(world)
    world.pass_time(2_000)
    shown = world.balance()
    assert (shown.error_code, shown.strategy, shown.settled) == (ErrorCode.NONE, "load", True)
    first, second, third = shown.brokers
    assert (first.leaders, first.replicas, second.leaders, first.state) == (24, 24, 0, "active")
    assert first.bytes_in == pytest.approx(sum(zipf(index) for index in range(24)), rel=0.02)
    assert first.load > 2 * second.load == 2 * third.load
    assert first.load_after == pytest.approx(second.load_after, rel=0.15)
    assert [each.partition for each in shown.partitions] == list(range(24))
    assert shown.partitions[0].isr == [1, 2, 3]


def test_without_load_worth_mentioning_a_broker_that_returns_leads_again_at_once(world: BalanceWorld) -> None:
    world.create("t", [[1, 2, 3], [2, 3, 1], [1, 3, 2]])
    world.pass_time(2_000)
    world.kill(1)
    world.pass_time(1_000)
    world.register(1)
    world.pass_time(2_000)
    world.join_isr("t", 0, [2, 3, 1])
    world.join_isr("t", 2, [3, 2, 1])
    said = world.moves(world.pass_time(500))
    assert [(line.fields["partition"], line.fields["target"]) for line in said] == [("t-0", 1), ("t-2", 1)]
    assert said[0].fields["why"] == "broker 1 is its first replica and in sync"


def test_a_broker_that_returns_is_waited_for_a_second_so_that_its_leaders_move_together(world: BalanceWorld) -> None:
    world.create("t", [[1, 2, 3], [2, 3, 1], [1, 3, 2]])
    world.pass_time(2_000)
    world.kill(1)
    world.register(1)
    world.pass_time(2_000)
    world.join_isr("t", 0, [2, 3, 1])
    assert world.moves(world.pass_time(500)) == []
    said = world.moves(world.pass_time(1_000))
    assert [line.fields["partition"] for line in said] == ["t-0"]


def test_under_load_a_partition_goes_home_only_where_that_makes_no_broker_hot(world: BalanceWorld) -> None:
    # Both busy partitions prefer broker 1; together there they would be the only load.
    world.create("t", [[1, 2, 3], [1, 2, 3], [1, 2, 3]])
    world.write("t", 0, 4 * MB)
    world.write("t", 1, 4 * MB)
    world.pass_time(5_000)
    assert sorted(world.partition("t", index).leader for index in (0, 1)) == [1, 2]
    assert world.moves(world.pass_time(60_000)) == []
    world.write("t", 0, 0)
    world.write("t", 1, 0)
    world.pass_time(40_000)
    assert [world.partition("t", index).leader for index in (0, 1, 2)] == [1, 1, 1]


def test_with_strategy_preferred_load_moves_nothing() -> None:
    world = BalanceWorld(balance={"strategy": BalanceStrategy.PREFERRED})
    skewed(world)
    assert world.moves(world.pass_time(30_000)) == []
    assert world.balance().strategy == "preferred"


def test_one_hot_partition_is_said_once_to_be_the_reason(world: BalanceWorld) -> None:
    world.create("t", SPREAD)
    world.write("t", 0, 40 * MB)
    for index in range(1, 24):
        world.write("t", index, MB / 100)
    said = [line for line in world.pass_time(30_000) if line.kind == "balance-stuck"]
    assert len(said) == 1
    assert said[0].fields["why"].startswith("t-0 alone is ")
    assert world.balance().verdict == said[0].fields["why"]


def test_partitions_of_the_offsets_topic_go_home_but_do_not_move_because_of_load(world: BalanceWorld) -> None:
    world.create("__consumer_offsets", [[1, 2, 3]] * 4)
    for index in range(4):
        world.write("__consumer_offsets", index, 2 * MB)
    said = world.pass_time(20_000)
    assert world.moves(said) == []
    assert world.balance().verdict.startswith("no partition of broker 1 has another replica in sync that could lead it")
    world.kill(1)
    world.register(1)
    world.pass_time(2_000)
    for index in range(4):
        world.join_isr("__consumer_offsets", index, [2, 3, 1])
    world.pass_time(2_000)
    leaders = [world.partition("__consumer_offsets", index).leader for index in range(4)]
    assert sorted(leaders) == [1, 1, 2, 2], "they go home until that would make broker 1 the hotter one"


def test_no_leadership_is_moved_to_a_broker_that_is_being_emptied() -> None:
    world = BalanceWorld(brokers=2)
    register(world, 3, directories=1)
    world.heartbeat(3)
    world.ask(AssignReplicas(node_id=NodeId(3), broker_epoch=world.epoch(3), cordoned=(directory(3, 1),)))
    skewed(world)
    said = world.moves(world.pass_time(10_000))
    assert {line.fields["target"] for line in said} == {2}
