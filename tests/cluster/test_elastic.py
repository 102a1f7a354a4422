"""A cluster that grows and shrinks under load: nodes come and go, one loses its disk, all are restarted, and clients lose nothing.

Each story runs under the load of `workload`: an idempotent producer with acks=all, and the only member of a group.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from cluster.layout import ClusterError, NodeState
from raftkafka.tools.run import run_tool
from tests.cluster.real_cluster import RealCluster, eventually
from tests.cluster.workload import Load

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BOTH = ("broker", "controller")
MOVED_WITHIN_S = 1.0
"""A leadership that is handed over is gone for less: well below what an election by time-out would take."""


def voters(cluster: RealCluster) -> list[int]:
    view = cluster.view()
    return sorted(view.quorum.end_offsets) if view is not None else []


def test_all_three_nodes_are_replaced_by_new_ones_under_load(
    own_cluster: Callable[..., RealCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = own_cluster()
    load = Load(cluster, topic="load", config={"min.insync.replicas": "2"})
    load.writer.wait_for_acks()

    # A node in place of each: the new one comes with its share and a vote, the old one goes with nothing left.
    for old in (1, 2, 3):
        new = cluster.scale_out(roles=BOTH)
        assert new == old + 3
        eventually(lambda new=new: new in voters(cluster), what=f"node {new} votes")  # type: ignore[misc]
        load.writer.wait_for_acks()
        cluster.scale_in(old)
        assert not cluster.layout.directory.joinpath(f"node{old}").exists()
        load.writer.wait_for_acks()

    assert cluster.node_ids == voters(cluster) == [4, 5, 6]
    view = cluster.view()
    assert view is not None
    assert sorted(view.fenced) == [4, 5, 6], "the old brokers are forgotten"
    assert all(set(each.replicas) <= {4, 5, 6} and each.healthy for each in view.partitions)
    for node_id in cluster.node_ids:
        assert "throttled" not in described(cluster, "brokers", str(node_id), capsys)
    assert "throttled" not in described(cluster, "topics", "load", capsys)

    load.finish_and_verify()
    assert load.writer.errors == []
    assert load.reader.errors == []

    # Without spare brokers nothing can be drained, and nothing has been begun.
    with pytest.raises(ClusterError, match=r"Broker 4 cannot be drained: .* has 3 replicas, and there would be only 2 other live brokers"):
        cluster.scale_in(4)
    assert cluster.layout.in_state(NodeState.LEAVING) == ()


def described(cluster: RealCluster, kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    arguments = ["--bootstrap-server", cluster.bootstrap, "--describe", "--entity-type", kind, "--entity-name", name]
    assert run_tool("configs", arguments) == 0
    return capsys.readouterr().out


def test_a_node_loses_its_disk_and_all_are_restarted_under_load(
    own_cluster: Callable[..., RealCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = own_cluster()
    load = Load(cluster, topic="load", config={"min.insync.replicas": "2"})
    load.writer.wait_for_acks()

    cluster.create_topic("single", partitions=3, replicas=1)
    with pytest.raises(ClusterError, match=r"only node 2 has all records of 1 partitions, such as single-\d: they would be lost"):
        cluster.wipe(2)
    assert run_tool("topics", ["--bootstrap-server", cluster.bootstrap, "--delete", "--topic", "single"]) == 0
    eventually(lambda: (view := cluster.view()) and all(each.topic != "single" for each in view.partitions), what="single is gone")

    before = directory_id(cluster, 2)
    cluster.wipe(2, kill=True)
    load.writer.wait_for_acks()
    cluster.start(2)
    assert directory_id(cluster, 2) != before
    cluster.wait_healed()
    eventually(lambda: voters(cluster) == [1, 2, 3], what="node 2 votes again")
    load.writer.wait_for_acks()

    pids = {node.node_id: node.pid_path.read_text() for node in cluster.layout.nodes}
    leader = cluster.controller_id()
    # An interrupted roll goes on: node 1, or 2, was done already.
    first = 1 if leader != 1 else 2
    (cluster.layout.directory / "roll.json").write_text(json.dumps({str(first): int(pids[first])}))
    capsys.readouterr()
    began = time.monotonic()
    cluster.roll()
    # On a machine with nothing else to do it is some 150 ms (docs/benchmarks.md); processes that start take the cores from others here.
    assert load.writer.longest_gap_of_a_partition_s(began) < MOVED_WITHIN_S
    text = capsys.readouterr().out
    assert f"going on: node {first} was restarted before" in text
    order = [int(line.split()[-1]) for line in text.splitlines() if "restarting node" in line]
    assert order[-1:] == [leader]
    changed = [node.node_id for node in cluster.layout.nodes if node.pid_path.read_text() != pids[node.node_id]]
    assert changed == [node_id for node_id in (1, 2, 3) if node_id != first]

    load.finish_and_verify()
    assert load.writer.errors == []
    assert load.reader.errors == []


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_command_goes_on_and_a_dead_node_can_be_removed(own_cluster: Callable[..., RealCluster]) -> None:
    cluster = own_cluster()
    cluster.create_topic("big", partitions=4, replicas=3)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    for number in range(400):
        producer.produce("big", bytes(10_000), partition=number % 4)
    assert producer.flush(30) == 0

    command = [sys.executable, "-m", "raftkafka.cli.main", "cluster", "scale-out", "--name", "test", "--throttle", "20000"]
    environment = os.environ | {"RAFTKAFKA_HOME": str(cluster.layout.directory.parent), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    lines = []
    while not lines or "sharing with node 4" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], f"it ended too early: {lines} {process.stderr and process.stderr.read()}"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, "interrupted" in errors) == (1, True), errors
    cluster.reload()
    assert [node.node_id for node in cluster.layout.in_state(NodeState.JOINING)] == [4]
    assert (cluster.layout.directory / "throttles.json").exists()

    assert cluster.scale_out() == 4
    assert cluster.layout.in_state(NodeState.JOINING) == ()
    assert not (cluster.layout.directory / "throttles.json").exists()
    view = cluster.view()
    assert view is not None
    assert sum(4 in each.replicas for each in view.partitions) == 3
    assert voters(cluster) == [1, 2, 3]

    cluster.kill(4)
    cluster.scale_in(4)
    cluster.wait_healed()
    view = cluster.view()
    assert view is not None
    assert sorted(view.fenced) == [1, 2, 3]


def directory_id(cluster: RealCluster, node_id: int) -> str:
    lines = (cluster.node(node_id).data_dir / "meta.properties").read_text().splitlines()
    return next(line for line in lines if line.startswith("directory.id="))
