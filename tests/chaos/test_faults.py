"""Which faults there are, when they come and what they cut: without any process."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from cluster.bench.systems import Node, System
from jepsen_like.chaos.faults import DEFAULT_FAULTS, FAULTS, UnknownFault, faults_named
from jepsen_like.chaos.nemesis import plan_faults
from jepsen_like.chaos.run import BadWish, Wishes, run_chaos
from jepsen_like.chaos.systems import Cluster

Pair = tuple[int, int]


class FakeNetwork:
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        self.cuts: set[Pair] = set()
        self.delays_ms: dict[Pair, int] = {}

    def shape(self, *, cuts: Any, delays_ms: Any) -> None:
        self.cuts, self.delays_ms = set(cuts), dict(delays_ms)

    def close(self) -> None:
        pass


def cluster_of(node_count: int) -> tuple[Cluster, FakeNetwork]:
    """A cluster of nodes that were never started."""
    network = FakeNetwork()
    nodes = [Node(number, 0, Path("nowhere")) for number in range(1, node_count + 1)]
    return Cluster("fake", "fake 1", System("fake", nodes, lambda _path: []), network, {}), network


def test_a_seed_gives_one_plan_and_another_seed_another() -> None:
    names = faults_named(DEFAULT_FAULTS)
    plan = plan_faults(seed=7, faults=names, time_s=120)
    assert plan == plan_faults(seed=7, faults=names, time_s=120)
    assert plan != plan_faults(seed=8, faults=names, time_s=120)


@pytest.mark.parametrize("time_s", [4, 60, 600])
def test_faults_come_one_at_a_time_and_end_before_the_run_does(time_s: int) -> None:
    plan = plan_faults(seed=1, faults=faults_named(DEFAULT_FAULTS), time_s=time_s)
    assert plan
    ends = [planned.at_s + planned.duration_s for planned in plan]
    assert all(end < planned.at_s for end, planned in zip(ends, plan[1:], strict=False))
    assert ends[-1] <= time_s


def test_every_fault_comes_before_any_comes_again() -> None:
    names = faults_named("kill,pause,partition")
    plan = plan_faults(seed=3, faults=names, time_s=600)
    assert all({planned.fault for planned in plan[first : first + 3]} == set(names) for first in range(0, len(plan) - 2, 3))


def test_an_unknown_fault_names_the_nearest_one() -> None:
    with pytest.raises(UnknownFault, match=r"no fault 'puase'. Did you mean pause\?"):
        faults_named("kill,puase")
    with pytest.raises(UnknownFault, match="no fault is named"):
        faults_named(" , ")


@pytest.mark.parametrize(
    "wishes", [Wishes(system="redpanda"), Wishes(system="kafka", broken_rules="truncate-by-epoch"), Wishes(time_s=0), Wishes(node_count=0)]
)
def test_a_bad_wish_is_refused_before_anything_is_started(wishes: Wishes, tmp_path: Path) -> None:
    with pytest.raises(BadWish):
        run_chaos(wishes)


@pytest.mark.parametrize("name", ["isolate", "isolate-leader", "bridge", "one-way", "ring", "halves"])
@pytest.mark.parametrize("node_count", [3, 5])
def test_every_partition_leaves_somebody_who_reaches_a_majority_both_ways(name: str, node_count: int) -> None:
    for seed in range(20):
        cluster, network = cluster_of(node_count)
        begun = FAULTS[name].begin(cluster, Random(seed))
        assert network.cuts, begun.text
        reach = [
            sum((a, b) not in network.cuts and (b, a) not in network.cuts for b in cluster.node_ids if b != a) + 1 for a in cluster.node_ids
        ]
        assert max(reach) > node_count // 2, begun.text
        begun.undo()
        assert not network.cuts


def test_a_ring_of_five_lets_each_node_reach_its_two_neighbours() -> None:
    cluster, network = cluster_of(5)
    FAULTS["ring"].begin(cluster, Random(1))
    assert [sum((a, b) not in network.cuts for b in cluster.node_ids if b != a) for a in cluster.node_ids] == [2] * 5
    assert all((b, a) in network.cuts for a, b in network.cuts)


def test_a_delay_is_for_one_node_in_both_directions() -> None:
    cluster, network = cluster_of(3)
    begun = FAULTS["delay"].begin(cluster, Random(4))
    (node_id,) = begun.nodes
    assert set(network.delays_ms) == {
        pair for other in cluster.node_ids if other != node_id for pair in ((node_id, other), (other, node_id))
    }
    begun.undo()
    assert not network.delays_ms
