"""The planners of replicas over generated clusters: fair shares by the fewest moves, brokers that are emptied, hot ones that cool."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.controller.load_balance import BalanceLimits, PartitionLoad
from raftkafka.controller.replica_balance import drain, fair_share
from raftkafka.controller.replica_cooling import cool
from raftkafka.controller.replica_plan import PlacedBroker, PlacedPartition, Racks, ReplicaPlan, moved, shares_of, takers

MB = 1_000_000


def broker(node_id: int, rack: str | None = None, *, live: bool = True, takes: bool = True) -> PlacedBroker:
    return PlacedBroker(node_id=NodeId(node_id), rack=rack, is_live=live, takes_replicas=takes)


def partition(
    index: int, replicas: Sequence[int], *, topic: int = 0, leader: int | None = None, size: int = MB, bytes_in: float = 0.0
) -> PlacedPartition:
    return PlacedPartition(
        key=PartitionKey(TopicId(bytes(15) + bytes([topic])), index),
        name=f"t{topic}-{index}",
        replicas=tuple(NodeId(each) for each in replicas),
        leader=NodeId(replicas[0] if leader is None else leader),
        size=size,
        load=PartitionLoad(bytes_in=bytes_in),
    )


Cluster = tuple[list[PlacedBroker], list[PlacedPartition]]


@st.composite
def clusters(draw: st.DrawFn, *, racks: bool = True, dead: bool = True) -> Cluster:
    names = ["a", "b", "c", None] if racks else [None]
    count = draw(st.integers(1, 7))
    brokers = [
        broker(node_id, draw(st.sampled_from(names)), live=not dead or draw(st.integers(0, 5)) > 0, takes=draw(st.integers(0, 7)) > 0)
        for node_id in range(1, count + 1)
    ]
    ids = [each.node_id for each in brokers]
    partitions = []
    for index in range(draw(st.integers(0, 25))):
        replicas = draw(st.permutations(ids))[: draw(st.integers(1, min(3, count)))]
        partitions.append(
            partition(
                index,
                replicas,
                topic=draw(st.integers(0, 2)),
                leader=draw(st.sampled_from(replicas)),
                size=draw(st.integers(0, 100)) * MB,
                bytes_in=draw(st.floats(0, 20 * MB)),
            )
        )
    return brokers, partitions


def require_valid(cluster: Cluster, plan: ReplicaPlan, *, drained: int | None = None) -> list[PlacedPartition]:
    """Holds a plan to what every plan must keep; the partitions afterwards."""
    brokers, partitions = cluster
    racks = Racks(brokers)
    may_take = [each for each in takers(brokers) if each != drained]
    by_key = {each.key: each for each in partitions}
    assert len({move.key for move in plan.moves}) == len(plan.moves)
    for move in plan.moves:
        assert move.old_replicas == by_key[move.key].replicas != move.new_replicas
        assert len(set(move.new_replicas)) == len(move.new_replicas) == len(move.old_replicas)
        assert all(added in may_take for added in move.added)
        if drained is None:
            assert racks.count(move.new_replicas) >= racks.count(move.old_replicas)
        assert move.why
    after = moved(partitions, plan.moves)
    assert plan.before == shares_of(brokers, partitions)
    assert plan.after == shares_of(brokers, after)
    assert plan.verdict
    return after


def copies(plan: ReplicaPlan) -> int:
    return sum(len(move.added) for move in plan.moves)


@given(clusters())
def test_a_fair_share_is_valid_and_planned_again_moves_nothing(cluster: Cluster) -> None:
    after = require_valid(cluster, fair_share(*cluster))
    assert fair_share(cluster[0], after).moves == ()


@given(clusters(racks=False))
def test_without_racks_brokers_end_within_one_of_each_other_by_the_fewest_moves(cluster: Cluster) -> None:
    brokers, _ = cluster
    plan = fair_share(*cluster)
    counts = [plan.before[each].replicas for each in takers(brokers)]
    if not counts:
        assert plan.moves == ()
        return
    after = [plan.after[each].replicas for each in takers(brokers)]
    assert max(after) - min(after) <= 1
    share, one_more = divmod(sum(counts), len(counts))
    wanted = [share + 1] * one_more + [share] * (len(counts) - one_more)
    assert copies(plan) == sum(max(0, had - gets) for had, gets in zip(sorted(counts, reverse=True), wanted, strict=True))


@given(clusters(dead=False))
def test_preferred_leaderships_are_as_level_as_any_order_of_the_replicas_allows(cluster: Cluster) -> None:
    brokers, partitions = cluster
    plan = fair_share(*cluster)
    after = moved(partitions, plan.moves)
    may_lead = takers(brokers)
    if not may_lead or len(after) > 5:
        return
    ours = [each.replicas[0] for each in after if each.replicas[0] in may_lead]
    highest = max((ours.count(each) for each in may_lead), default=0)
    movable = [[each for each in one.replicas if each in may_lead] for one in after if one.replicas[0] in may_lead]
    best = min(max((order.count(each) for each in may_lead), default=0) for order in itertools.product(*movable))
    assert highest <= best


@given(clusters(), st.data())
def test_a_drained_broker_has_nothing_left_and_only_its_replicas_move(cluster: Cluster, data: st.DataObject) -> None:
    brokers, partitions = cluster
    node_id = data.draw(st.sampled_from([each.node_id for each in brokers]))
    others = [each for each in takers(brokers) if each != node_id]
    stuck = any(node_id in each.replicas and all(other in each.replicas for other in others) for each in partitions)
    if stuck:
        with pytest.raises(ApiError) as refusal:
            drain(node_id, brokers, partitions)
        assert refusal.value.code == ErrorCode.INVALID_REPLICATION_FACTOR
        return
    plan = drain(node_id, brokers, partitions)
    after = require_valid(cluster, plan, drained=node_id)
    assert all(node_id not in each.replicas for each in after)
    assert all(move.removed == (node_id,) and len(move.added) == 1 for move in plan.moves)
    racks = Racks(brokers)
    for move in plan.moves:
        reachable = [tuple(other if each == node_id else each for each in move.old_replicas) for other in others]
        best = max(racks.count(each) for each in reachable if len(set(each)) == len(each))
        assert racks.count(move.new_replicas) == best


def test_a_new_broker_gets_its_share_of_each_topic_and_of_the_leaderships() -> None:
    old = [partition(index, [1 + (index + step) % 3 for step in range(3)], topic=topic) for topic in (0, 1) for index in range(12)]
    plan = fair_share([broker(1), broker(2), broker(3), broker(4)], old)
    assert [(share.replicas, share.preferred) for share in plan.after.values()] == [(18, 6)] * 4
    assert copies(plan) == 18
    moved_to_4 = [move.name[:2] for move in plan.moves if 4 in move.added]
    assert (moved_to_4.count("t0"), moved_to_4.count("t1")) == (9, 9)
    assert plan.moves[0].why.startswith("the share of each broker is 18 replicas: one less on broker ")


def test_bytes_are_shared_as_well_as_replicas() -> None:
    old = [partition(index, [1 + index % 2], size=100 * MB if index < 4 else MB) for index in range(12)]
    plan = fair_share([broker(1), broker(2), broker(3)], old)
    sizes = [share.size for share in plan.after.values()]
    assert max(sizes) - min(sizes) <= 100 * MB
    assert sorted(share.replicas for share in plan.after.values()) == [4, 4, 4]


def test_a_new_broker_in_a_full_rack_gets_only_what_keeps_partitions_in_two_racks() -> None:
    # Broker 4 is in rack a, where 1 and 2 are; each partition has one replica in a and one in b.
    old = [partition(index, [1 + index % 2, 3]) for index in range(12)]
    plan = fair_share([broker(1, "a"), broker(2, "a"), broker(3, "b"), broker(4, "a")], old)
    assert {node_id: share.replicas for node_id, share in plan.after.items()} == {1: 4, 2: 4, 3: 12, 4: 4}
    assert "because of racks" in plan.verdict


def test_a_chain_of_moves_is_found_where_racks_forbid_the_direct_one() -> None:
    # 1 has too many and may give to 2 (same rack) only; 2 may give t1-0 to 3, since that partition is in one rack anyway.
    old = [partition(index, [1, 9]) for index in range(4)] + [partition(0, [2], topic=1), partition(1, [2], topic=1)]
    plan = fair_share([broker(1, "a"), broker(2, "a"), broker(3, "b"), broker(9, "b", takes=False)], old)
    assert [plan.after[NodeId(each)].replicas for each in (1, 2, 3)] == [2, 2, 2]


def test_too_few_brokers_are_said_to_be_the_reason() -> None:
    with pytest.raises(ApiError, match=r"Broker 3 cannot be drained: t0-0 has 3 replicas, and there would be only 2 other live brokers"):
        drain(NodeId(3), [broker(1), broker(2), broker(3)], [partition(0, [1, 2, 3])])


def test_a_fair_share_of_thousands_of_replicas_takes_a_moment() -> None:
    old = [partition(index, [1 + (index + step) % 3 for step in range(3)], topic=index % 20) for index in range(1_000)]
    plan = fair_share([broker(1), broker(2), broker(3), broker(4)], old)
    assert copies(plan) == 750


# --- cooling

LIMITS = BalanceLimits()


@given(clusters())
def test_cooling_lowers_the_highest_load_or_moves_nothing(cluster: Cluster) -> None:
    brokers, _ = cluster
    plan = cool(*cluster, LIMITS, max_moves=3)
    require_valid(cluster, plan)
    live = [each.node_id for each in brokers if each.is_live]
    if plan.moves:
        assert max(plan.after[each].load for each in live) < max(plan.before[each].load for each in live)
        assert len(plan.moves) <= 3


@given(clusters())
def test_cooling_comes_to_rest(cluster: Cluster) -> None:
    brokers, partitions = cluster
    for _ in range(4 * len(partitions) + 1):
        plan = cool(brokers, partitions, LIMITS)
        if not plan.moves:
            return
        partitions = moved(partitions, plan.moves)
    raise AssertionError("still moving")


def test_partitions_without_another_replica_are_spread_over_idle_brokers() -> None:
    busy = [partition(index, [1], bytes_in=5.0 * MB) for index in range(4)]
    plan = cool([broker(1), broker(2)], busy, LIMITS, max_moves=4)
    assert [share.load for share in plan.after.values()] == [10.0 * MB, 10.0 * MB]
    assert plan.moves[0].why == (
        "broker 1 carries 20.0 MB/s and broker 2 0.0 MB/s; leading t0-0 is 5.0 MB/s of it; afterwards 15.0 MB/s and 5.0 MB/s"
    )


def test_of_targets_that_cool_equally_the_coolest_is_taken() -> None:
    busy = [partition(index, [1], bytes_in=MB) for index in range(6)] + [partition(9, [2], bytes_in=MB)]
    plan = cool([broker(1), broker(2), broker(3)], busy, LIMITS, max_moves=2)
    assert [move.added for move in plan.moves] == [(3,), (2,)]


def test_of_what_cools_equally_the_smallest_is_copied() -> None:
    busy = [partition(index, [1], bytes_in=5.0 * MB, size=(9 - index) * MB) for index in range(4)]
    assert [move.name for move in cool([broker(1), broker(2)], busy, LIMITS).moves] == ["t0-3"]


@pytest.mark.parametrize(
    ("partitions", "verdict"),
    [
        ([partition(0, [1], bytes_in=9.0 * MB), partition(1, [1], bytes_in=1.0 * MB)], "t0-0 alone is 90 % of the load of broker 1"),
        ([partition(index, [1, 2], bytes_in=9.0 * MB) for index in range(4)], "every other live broker has a replica"),
        ([partition(0, [1], bytes_in=9.0)], "the load is too small to matter"),
    ],
)
def test_the_reason_why_nothing_can_be_cooled_is_given(partitions: list[PlacedPartition], verdict: str) -> None:
    plan = cool([broker(1), broker(2)], partitions, BalanceLimits(min_gain=0.3))
    assert plan.moves == ()
    assert plan.verdict.startswith(verdict)
