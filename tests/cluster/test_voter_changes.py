"""Controllers that come and go while a cluster serves, one at a time: with kafka-metadata-quorum, and by themselves (KIP-853)."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from cluster.layout import NodeLayout
from cluster.ports import unused_ports
from cluster.processes import send_signal, start_process, wait_until_gone
from raftkafka.tools.run import run_tool
from tests.cluster.real_cluster import RealCluster, eventually
from tests.cluster.workload import load_on
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool as apache_run_tool

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@contextmanager
def joining_node(cluster: RealCluster, directory: Path, node_id: int, *, joins: bool = False) -> Iterator[NodeLayout]:
    """A node that knows two controllers by their addresses alone, and observes, or joins by itself."""
    port, controller_port = unused_ports(2)
    node = NodeLayout(node_id=node_id, port=port, controller_port=controller_port, directory=directory)
    directory.mkdir()
    contacts = ",".join(f"127.0.0.1:{cluster.node(known).controller_port}" for known in cluster.node_ids[:2])
    node.properties_path.write_text(
        f"node.id={node_id}\nprocess.roles=broker,controller\n"
        f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\ncontroller.listener.names=CONTROLLER\n"
        f"controller.quorum.bootstrap.servers={contacts}\nlog.dirs={node.data_dir}\n"
        f"controller.quorum.auto.join.enable={str(joins).lower()}\n"
    )
    formatting = ["format", "-t", cluster.layout.cluster_id, "-c", str(node.properties_path), "--no-initial-controllers"]
    assert run_tool("storage", formatting) == 0
    start_process(node)
    try:
        yield node
    finally:
        send_signal(node, signal.SIGKILL)
        wait_until_gone(node, timeout_s=5)


@contextmanager
def changing_settings(cluster: RealCluster, *, at: int) -> Iterator[list[Exception | None]]:
    """Changes a setting of the topic again and again, at one broker; what became of each change."""
    admin = AdminClient({"bootstrap.servers": cluster.node(at).address})
    outcomes: list[Exception | None] = []
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            entry = ConfigEntry("retention.ms", str(10**9 + len(outcomes)), incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource(ConfigResource.Type.TOPIC, "load", incremental_configs=[entry])
            outcomes.append(admin.incremental_alter_configs([resource], broker=at)[resource].exception(20))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        eventually(lambda: len(outcomes) > 20, what="changes")
        yield outcomes
    finally:
        ended.set()
        thread.join()


class Quorum:
    """What kafka-metadata-quorum says of a cluster, asked at one of its brokers."""

    def __init__(self, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.bootstrap = bootstrap
        self._capsys = capsys

    def run(self, *arguments: str, settings: Path | None = None) -> tuple[int, str]:
        self._capsys.readouterr()
        before = ["--command-config", str(settings)] if settings is not None else []
        code = run_tool("metadata-quorum", ["--bootstrap-server", self.bootstrap, *before, *arguments])
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def endpoints(self) -> str:
        return next(line for line in self.run("describe", "--status")[1].splitlines() if line.startswith("CurrentVoters:"))

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


@requires_java
def test_a_leader_loses_its_disk_and_a_node_joins_and_moves_by_itself_under_load(
    own_cluster: Callable[..., RealCluster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = own_cluster()
    with load_on(cluster) as load:
        # A leader that stops cleanly hands over: whoever changes something meanwhile waits a moment, and sees no error.
        stopped = cluster.controller_id()
        with changing_settings(cluster, at=next(node_id for node_id in cluster.node_ids if node_id != stopped)) as changes:
            cluster.stop(stopped)
            done = len(changes)
            eventually(lambda: len(changes) > done + 20, what="changes after the leader has stopped")
        assert set(changes) == {None}
        cluster.start(stopped)

        leader = cluster.controller_id()
        quorum = Quorum(",".join(cluster.node(node_id).address for node_id in cluster.node_ids if node_id != leader), capsys)
        lost, _ = quorum.replicas()[leader]
        cluster.wipe(leader, kill=True)
        load.writer.wait_for_acks()
        assert quorum.replicas()[leader][0] == lost, "who is away stays a voter"
        cluster.start(leader)
        eventually(lambda: quorum.voters() == [1, 2, 3] and quorum.replicas()[leader][0] != lost, what="a vote for the new directory")
        load.writer.wait_for_acks()

        # Apache's tools see what ours see.
        described = apache_run_tool("kafka-metadata-quorum", "--bootstrap-server", quorum.bootstrap, "describe", "--replication")
        rows = [line.split() for line in described.stdout.splitlines() if line[:1].isdigit()]
        assert {int(row[0]): (row[1], row[-1]) for row in rows} == quorum.replicas()
        features = apache_run_tool("kafka-features", "--bootstrap-server", quorum.bootstrap, "describe").stdout
        assert [line.split()[7] for line in features.splitlines() if "kraft.version" in line] == ["1"], features

        with joining_node(cluster, tmp_path / "joining", 4, joins=True) as node:
            eventually(lambda: quorum.voters() == [1, 2, 3, 4], what="node 4 has a vote")
            moved = unused_ports(1)[0]
            send_signal(node, signal.SIGTERM)
            assert wait_until_gone(node, timeout_s=20)
            text = node.properties_path.read_text()
            node.properties_path.write_text(
                text.replace(f"CONTROLLER://127.0.0.1:{node.controller_port}", f"CONTROLLER://127.0.0.1:{moved}")
            )
            start_process(node)
            eventually(lambda: f"CONTROLLER://127.0.0.1:{moved}" in quorum.endpoints(), what="the voters say where node 4 listens now")

            # Whom an administrator removes while it runs stays out.
            directory, _ = quorum.replicas()[4]
            code, text = quorum.run("remove-controller", "--controller-id", "4", "--controller-directory-id", directory)
            assert code == 0, text
            time.sleep(2)
            assert quorum.replicas()[4] == (directory, "Observer")
        load.finish_and_verify()
        assert load.writer.errors == []
