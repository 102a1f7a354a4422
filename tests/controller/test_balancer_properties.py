"""The balancer over generated clusters and loads, from heartbeats to records: it cools or stays still, is bounded, and comes to rest."""

from __future__ import annotations

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raftkafka.base.observed import Observed
from tests.controller.balance_world import MB, BalanceWorld, wavering

COOLDOWN_MS = 4_000
MAX_MOVES = 5

EXAMPLES = settings(max_examples=12, deadline=None)


@attrs.frozen(kw_only=True)
class Drawn:
    """A cluster and what is written to its partitions, before and after a shift."""

    brokers: int
    assignments: list[list[int]]
    first: list[float]
    then: list[float]
    dead: int | None


@st.composite
def drawn_clusters(draw: st.DrawFn) -> Drawn:
    brokers = draw(st.integers(2, 5))
    count = draw(st.integers(1, 16))
    factor = draw(st.integers(1, min(3, brokers)))
    assignments = [draw(st.permutations(range(1, brokers + 1)))[:factor] for _ in range(count)]
    rates = st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0, 2.0, 5.0]), min_size=count, max_size=count)
    return Drawn(
        brokers=brokers,
        assignments=assignments,
        first=draw(rates),
        then=draw(rates),
        dead=draw(st.none() | st.integers(1, brokers)),
    )


def world_of(drawn: Drawn, *, moves_replicas: bool = False) -> BalanceWorld:
    world = BalanceWorld(
        brokers=drawn.brokers,
        balance={"cooldown_ms": COOLDOWN_MS, "max_moves": MAX_MOVES, "moves_replicas": moves_replicas},
        leader_imbalance_check_interval_ms=5_000,
        min_insync_replicas=1,
    )
    world.create("t", drawn.assignments)
    write(world, drawn.first)
    return world


def write(world: BalanceWorld, rates: list[float]) -> None:
    for index, rate in enumerate(rates):
        world.write("t", index, rate * MB)


FADED_MS = 60_000
"""What was written before has faded from the smoothed loads by then."""


def settle(world: BalanceWorld, *, at_most_ms: int = 90_000, quiet_for_ms: int = 3 * COOLDOWN_MS) -> list[Observed]:
    """Until nothing has moved for so long."""
    moves: list[Observed] = []
    quiet_ms = 0
    while quiet_ms < quiet_for_ms:
        new = [line for line in world.pass_time(1_000) if line.kind in ("leader-moved", "replica-moving")]
        moves += new
        quiet_ms = 0 if new else quiet_ms + 1_000
        at_most_ms -= 1_000
        assert at_most_ms > 0, f"still moving: {moves[-3:]}"
    return moves


@EXAMPLES
@given(drawn_clusters())
def test_a_steady_load_comes_to_rest_with_a_bounded_number_of_moves(drawn: Drawn) -> None:
    world = world_of(drawn)
    hottest_before = max(world.loads().values())
    moves = settle(world)
    assert len(moves) <= 3 * len(drawn.assignments)
    assert max(world.loads().values()) <= hottest_before + 1.0, "the highest load falls, or nothing moves"
    assert world.moves(world.pass_time(30_000)) == []


@EXAMPLES
@given(drawn_clusters())
def test_a_load_that_shifts_or_a_broker_that_goes_and_comes_is_followed_and_comes_to_rest_too(drawn: Drawn) -> None:
    world = world_of(drawn)
    settle(world)
    write(world, drawn.then)
    if drawn.dead is not None:
        world.kill(drawn.dead)
        settle(world)
        world.register(drawn.dead)
        world.pass_time(1_000)
        for index in range(len(drawn.assignments)):
            partition = world.partition("t", index)
            if drawn.dead in partition.replicas and drawn.dead not in partition.isr and partition.leader != -1:
                world.join_isr("t", index, [*partition.isr, drawn.dead])
    settle(world, quiet_for_ms=FADED_MS, at_most_ms=180_000)
    assert world.moves(world.pass_time(30_000)) == []


@EXAMPLES
@given(drawn_clusters())
def test_a_move_goes_to_a_live_member_of_the_isr_and_a_round_is_bounded_and_nothing_moves_twice_within_its_cooldown(drawn: Drawn) -> None:
    world = world_of(drawn)
    if drawn.dead is not None:
        world.kill(drawn.dead)
    last_ms: dict[str, int] = {}
    for _ in range(20):
        before = world.image
        moves = world.moves(world.pass_time(1_000))
        assert len(moves) <= MAX_MOVES
        for move in moves:
            topic, _, index = move.fields["partition"].rpartition("-")
            partition = before.topics.by_name[topic].partitions[int(index)]
            assert move.fields["target"] in partition.isr
            assert before.brokers[move.fields["target"]].is_active
            assert partition.leader == move.fields["source"]
            assert world.now_ms - last_ms.get(move.fields["partition"], -COOLDOWN_MS) > COOLDOWN_MS - 1_000
            last_ms[move.fields["partition"]] = world.now_ms


@EXAMPLES
@example(
    # A partition went home to a broker that was then as hot as its leader had been, and was called back, again and again.
    Drawn(
        brokers=4,
        assignments=[[1, 2], [4, 2], [1, 2], [1, 3], [1, 3], [4, 2]],
        first=[0.3, 1.0, 0.0, 1.0, 1.0, 1.0],
        then=[0.0] * 6,
        dead=None,
    ),
    1,
)
@example(
    # Two partitions of the same size changed places for three percent, and back.
    Drawn(
        brokers=3,
        assignments=[[1, 2], [1, 2], [1, 2], [1, 2], [1, 2], [2, 3]],
        first=[0.0, 0.0, 0.3, 0.05, 0.3, 0.05],
        then=[0.0] * 6,
        dead=None,
    ),
    1,
)
@given(drawn_clusters(), st.integers(1, 97))
def test_a_load_that_wavers_by_a_tenth_ends_in_no_moves(drawn: Drawn, phase: int) -> None:
    world = world_of(drawn)
    settle(world)
    for index, rate in enumerate(drawn.first):
        world.write("t", index, wavering(rate * MB, phase * index))
    settle(world)


@EXAMPLES
@given(drawn_clusters())
def test_leaders_and_replicas_that_move_come_to_rest_together_and_leave_no_throttle(drawn: Drawn) -> None:
    world = world_of(drawn, moves_replicas=True)
    world.copy_ms = 1_000
    hottest_before = max(world.loads().values())
    moves = settle(world, quiet_for_ms=20_000, at_most_ms=600_000)
    assert len(moves) <= 6 * len(drawn.assignments)
    assert max(world.loads().values()) <= hottest_before + 1.0
    for index, assigned in enumerate(drawn.assignments):
        partition = world.partition("t", index)
        assert len(set(partition.replicas)) == len(assigned), "no partition has more replicas, fewer, or two on one broker"
        assert not (partition.adding_replicas or partition.removing_replicas)
    assert not [configs for configs in world.image.configs.by_resource.values() if any("throttled" in name for name in configs)]
    assert settle(world, quiet_for_ms=60_000) == []
