"""Placement of new replicas: the invariants of `controller.placement`."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.controller.placement import UsableBroker, place


def broker(node_id: int, rack: str | None = None, *, live: bool = True) -> UsableBroker:
    return UsableBroker(node_id=NodeId(node_id), rack=rack, is_live=live)


CLUSTERS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.booleans()), min_size=1, max_size=9)


@given(cluster=CLUSTERS, factor=st.integers(1, 9), count=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_placement_invariants(cluster: list[tuple[str | None, bool]], factor: int, count: int, seed: int) -> None:
    brokers = [broker(index, rack, live=live) for index, (rack, live) in enumerate(cluster)]
    live = {b.node_id for b in brokers if b.is_live}
    if not live or factor > len(brokers):
        with pytest.raises(ApiError) as refusal:
            place(brokers, partition_count=count, replication_factor=factor, rng=random.Random(seed))
        assert refusal.value.code == ErrorCode.INVALID_REPLICATION_FACTOR
        return
    placed = place(brokers, partition_count=count, replication_factor=factor, rng=random.Random(seed))
    assert len(placed) == count
    racks = {b.node_id: b.rack for b in brokers}
    live_racks = {racks[node] for node in live}
    for replicas in placed:
        assert len(replicas) == len(set(replicas)) == factor
        assert replicas[0] in live
        used_live = [node for node in replicas if node in live]
        assert len(used_live) == min(factor, len(live))
        assert len({racks[node] for node in used_live}) == min(len(used_live), len(live_racks))
    leaders = Counter(replicas[0] for replicas in placed)
    assert max(leaders.values()) - min(leaders.get(node, 0) for node in live) <= 1


def test_three_brokers_are_striped() -> None:
    placed = place([broker(1), broker(2), broker(3)], partition_count=3, replication_factor=3, rng=random.Random(1))
    first = placed[0]
    assert placed == [first, (*first[1:], first[0]), (first[2], *first[:2])]


def test_same_seed_gives_the_same_placement() -> None:
    brokers = [broker(node, "ab"[node % 2]) for node in range(6)]
    one, two = (place(list(order), partition_count=20, replication_factor=3, rng=random.Random(5)) for order in (brokers, brokers[::-1]))
    assert one == two


def test_followers_of_a_leader_vary_from_turn_to_turn() -> None:
    placed = place([broker(node) for node in range(6)], partition_count=120, replication_factor=2, rng=random.Random(3))
    assert len({replicas[1] for replicas in placed if replicas[0] == 0}) > 2


def test_all_brokers_fenced_is_refused_in_kafkas_words() -> None:
    with pytest.raises(ApiError) as refusal:
        place([broker(1, live=False)], partition_count=1, replication_factor=1, rng=random.Random(0))
    assert refusal.value.message == (
        "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log directories cordoned."
    )
