"""The thread that carries a plan out, on processes that are no brokers."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.bench.systems import Node, System
from jepsen_like.chaos.nemesis import Nemesis, Planned
from jepsen_like.chaos.recording import Recording
from jepsen_like.chaos.systems import Cluster
from jepsen_like.history import read_history
from tests.chaos.test_faults import FakeNetwork


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three processes that only sleep."""
    nodes = [Node(number, 1, tmp_path / f"node{number}") for number in (1, 2, 3)]
    for node in nodes:
        node.directory.mkdir()
    cluster = Cluster("fake", "fake 1", System("fake", nodes, lambda _path: ["sleep", "60"]), FakeNetwork(), {})
    cluster.start([1, 2, 3])
    yield cluster
    cluster.kill([1, 2, 3])


def nemesis_of(cluster: Cluster, directory: Path, *plan: Planned) -> tuple[Nemesis, Recording]:
    recording = Recording(directory / "history.jsonl", {})
    return Nemesis(cluster=cluster, plan=plan, recording=recording, stop=threading.Event()), recording


def test_a_fault_is_done_undone_and_written_down(cluster: Cluster, tmp_path: Path) -> None:
    before = cluster.pids()
    nemesis, recording = nemesis_of(cluster, tmp_path, Planned(at_s=0.0, duration_s=0.05, fault="kill-all", seed=1))
    nemesis.run()
    recording.close()
    assert nemesis.error is None
    assert set(cluster.pids()) == {1, 2, 3}
    assert not set(cluster.pids().values()) & set(before.values())
    values = [op.value for op in read_history(tmp_path / "history.jsonl").operations]
    assert [(value["fault"], value["phase"]) for value in values] == [("kill-all", "begin"), ("kill-all", "end")]
    assert nemesis.crashes == []


def test_a_node_that_ended_by_itself_is_reported_and_started_again(cluster: Cluster, tmp_path: Path) -> None:
    process = cluster.system.node(2).process
    assert process is not None
    process.kill()
    process.wait()
    nemesis, recording = nemesis_of(cluster, tmp_path)
    nemesis.heal()
    recording.close()
    assert [crash.partition(" by ")[0] for crash in nemesis.crashes] == ["Node 2 ended"]
    assert set(cluster.pids()) == {1, 2, 3}


def test_healing_undoes_what_is_in_force(cluster: Cluster, tmp_path: Path) -> None:
    cluster.shape(cuts={(1, 2)})
    cluster.pause([3])
    nemesis, recording = nemesis_of(cluster, tmp_path)
    nemesis.heal()
    recording.close()
    assert cluster.cuts == frozenset()
    state = subprocess.run(["ps", "-o", "state=", "-p", str(cluster.pids()[3])], capture_output=True, text=True, check=True).stdout
    assert not state.strip().startswith("T")
