"""Controllers that come and go while a cluster serves: each is added and removed with kafka-metadata-quorum, one at a time (KIP-853)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from cluster.layout import NodeLayout
from cluster.ports import unused_ports
from cluster.processes import send_signal, start_process, wait_until_gone
from raftkafka.tools.run import run_tool
from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@contextmanager
def joining_node(cluster: RealCluster, directory: Path, node_id: int) -> Iterator[NodeLayout]:
    """A node that knows two controllers by their addresses alone, and observes."""
    port, controller_port = unused_ports(2)
    node = NodeLayout(node_id=node_id, port=port, controller_port=controller_port, directory=directory)
    directory.mkdir()
    contacts = ",".join(f"127.0.0.1:{cluster.node(known).controller_port}" for known in cluster.node_ids[:2])
    node.properties_path.write_text(
        f"node.id={node_id}\nprocess.roles=broker,controller\n"
        f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\ncontroller.listener.names=CONTROLLER\n"
        f"controller.quorum.bootstrap.servers={contacts}\nlog.dirs={node.data_dir}\n"
    )
    formatting = ["format", "-t", cluster.layout.cluster_id, "-c", str(node.properties_path), "--no-initial-controllers"]
    assert run_tool("storage", formatting) == 0
    start_process(node)
    try:
        yield node
    finally:
        send_signal(node, signal.SIGKILL)
        wait_until_gone(node, timeout_s=5)


class Quorum:
    """What kafka-metadata-quorum says of a cluster, asked at one of its brokers."""

    def __init__(self, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._bootstrap = bootstrap
        self._capsys = capsys

    def run(self, *arguments: str, settings: Path | None = None) -> tuple[int, str]:
        self._capsys.readouterr()
        before = ["--command-config", str(settings)] if settings is not None else []
        code = run_tool("metadata-quorum", ["--bootstrap-server", self._bootstrap, *before, *arguments])
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def replicas(self) -> dict[int, tuple[str, str]]:
        """By node id its directory id, and Leader, Follower or Observer."""
        code, text = self.run("describe", "--replication")
        rows = [line.split() for line in text.splitlines()] if code == 0 else []
        return {int(row[0]): (row[1], row[-1]) for row in rows if row and row[0].isdigit()}

    def voters(self) -> list[int]:
        return sorted(node_id for node_id, (_, role) in self.replicas().items() if role != "Observer")


def test_a_node_joins_the_quorum_and_its_leader_leaves_under_load(
    own_cluster: Callable[..., RealCluster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = own_cluster()
    cluster.create_topic("load", partitions=3, replicas=3)
    failed: list[object] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True})

    def produce() -> None:
        for _ in range(50):
            producer.produce("load", b"x", on_delivery=lambda error, message: failed.append(error) if error else None)
        assert producer.flush(10) == 0

    with joining_node(cluster, tmp_path / "joining", 4) as node:
        quorum = Quorum(f"127.0.0.1:{node.port}", capsys)
        eventually(lambda: quorum.replicas().get(4, ("", ""))[1] == "Observer", what="node 4 observes")
        produce()
        code, text = quorum.run("add-controller", settings=node.properties_path)
        assert (code, text.startswith("Added controller 4 with directory id ")) == (0, True), text
        assert quorum.voters() == [1, 2, 3, 4]
        code, text = quorum.run("add-controller", settings=node.properties_path)
        assert (code, "DuplicateVoterException" in text) == (1, True), text
        produce()

        leader, (directory, _) = next((node_id, row) for node_id, row in quorum.replicas().items() if row[1] == "Leader")
        code, text = quorum.run("remove-controller", "--controller-id", str(leader), "--controller-directory-id", directory)
        assert code == 0, text
        left = [node_id for node_id in (1, 2, 3, 4) if node_id != leader]
        eventually(lambda: quorum.voters() == left and quorum.replicas().get(leader, ("", ""))[1] == "Observer", what="the leader is gone")
        produce()

        # The three that are left are a quorum of their own: they lose one, and go on.
        victim = next(node_id for node_id in left if node_id != 4)
        cluster.kill(victim)
        eventually(lambda: quorum.run("describe", "--status")[0] == 0 and quorum.replicas().get(4), what="a quorum without one")
        cluster.create_topic("afterwards", partitions=1, replicas=1)
        produce()
    assert failed == []
