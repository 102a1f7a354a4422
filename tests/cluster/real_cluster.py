"""A cluster of real broker processes in a temporary directory, on ports of its own, for one test or for all.

Invariants
- Only processes that this object started are ever signalled, and none is left behind by `close`.
- Before a test may write, every broker has answered with this cluster's id: a foreign cluster on the same ports is never touched.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs
import trio
from confluent_kafka.admin import AdminClient, NewTopic

from cluster import commands
from cluster.elastic import commands as elastic
from cluster.health import NodeView, PartitionView, all_views, best_view, wait_until_ready
from cluster.layout import ClusterLayout, NodeLayout, controller_port_of, existing_layout, new_layout, save_layout
from cluster.node_files import write_node_files
from cluster.ports import is_free
from cluster.processes import ProcessState, process_state, send_signal, start_process, wait_until_gone
from raftkafka.client.connection import connect
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest

READY_TIMEOUT_S = 30.0
_POLL_S = 0.05

T = TypeVar("T")


def eventually(probe: Callable[[], T | None], *, timeout_s: float = 20.0, what: str) -> T:
    """The first answer of `probe` that is true; fails the test, saying what did not happen and the last answer, when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s, the last answer was {answer!r}"
        time.sleep(_POLL_S)


class RealCluster:
    """`node_count` brokers that are controllers too, with `settings` added to what `make cluster` writes."""

    def __init__(self, directory: Path, *, node_count: int = 3, settings: Mapping[str, str] | None = None) -> None:
        self._home = directory
        with self._as_home():
            self.layout: ClusterLayout = new_layout(name="test", node_count=node_count, first_port=_free_ports(node_count))
            save_layout(self.layout)
        for node in self.layout.nodes:
            write_node_files(self.layout, node)
            with node.properties_path.open("a") as file:
                file.writelines(f"{key}={value}\n" for key, value in (settings or {}).items())

    @property
    def bootstrap(self) -> str:
        return self.layout.bootstrap

    @property
    def node_ids(self) -> list[int]:
        return [node.node_id for node in self.layout.nodes]

    def node(self, node_id: int) -> NodeLayout:
        return self.layout.node(node_id)

    # --- life and death

    def up(self) -> None:
        """Starts all nodes at once and returns when every broker is unfenced and says that it belongs to this cluster."""
        for node in self.layout.nodes:
            start_process(node)
        self.wait_ready()
        trio.run(self._require_own_cluster)
        self.layout = attrs.evolve(self.layout, formed=True)
        with self._as_home():
            save_layout(self.layout)

    def start(self, *node_ids: int) -> None:
        """Starts nodes again; returns when they are unfenced, or at once while there is no majority to unfence them."""
        for node_id in node_ids:
            write_node_files(self.layout, self.node(node_id))
            start_process(self.node(node_id))
        if len(self.running()) > self.layout.node_count // 2:
            self.wait_ready()

    def kill(self, *node_ids: int) -> None:
        """SIGKILL, to all of them before waiting for any."""
        for node_id in node_ids:
            send_signal(self.node(node_id), signal.SIGKILL)
        for node_id in node_ids:
            assert wait_until_gone(self.node(node_id), timeout_s=5)

    def stop(self, node_id: int) -> None:
        """SIGTERM, and the exit."""
        send_signal(self.node(node_id), signal.SIGTERM)
        assert wait_until_gone(self.node(node_id), timeout_s=20), f"node {node_id} did not stop:\n{self.log_of(node_id)[-2000:]}"

    def pause(self, node_id: int) -> None:
        send_signal(self.node(node_id), signal.SIGSTOP)

    def resume(self, node_id: int) -> None:
        send_signal(self.node(node_id), signal.SIGCONT)

    def partition(self, *node_ids: int, one_way: bool = False) -> None:
        """Cuts these nodes off from the others."""
        with self._as_home():
            commands.partition(name="test", from_ids=node_ids, to_ids=[], one_way=one_way)

    # --- other nodes

    def scale_out(self, *, roles: Sequence[str] = ("broker",)) -> int:
        """Adds a node, which gets its share; its id."""
        with self._as_home(), self._changing():
            elastic.scale_out(name="test", roles=roles)
        return self.node_ids[-1]

    def scale_in(self, node_id: int) -> None:
        """Drains and removes a node."""
        with self._as_home(), self._changing():
            elastic.scale_in(name="test", node_id=node_id)

    def reload(self) -> None:
        """Takes over what a command that this object did not call has made of the nodes."""
        with self._as_home(), self._changing():
            pass

    def wipe(self, node_id: int, *, kill: bool = False) -> None:
        """Stops a node and deletes its data."""
        with self._as_home():
            elastic.wipe(name="test", node_id=node_id, kill=kill)

    def roll(self) -> None:
        """Restarts the nodes one by one."""
        with self._as_home():
            elastic.roll(name="test")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """What starts is this object's to end, also when the command fails."""
        try:
            yield
        finally:
            self.layout = existing_layout("test")

    def heal(self) -> None:
        with self._as_home():
            commands.heal(name="test")

    def running(self) -> list[NodeLayout]:
        return [node for node in self.layout.nodes if process_state(node) is ProcessState.RUNNING]

    def close(self) -> None:
        """Ends what is left of the cluster."""
        left = [node for node in self.layout.nodes if process_state(node) is not ProcessState.STOPPED]
        for node in left:
            send_signal(node, signal.SIGKILL)
        for node in left:
            wait_until_gone(node, timeout_s=5)

    def create_topic(self, name: str, *, partitions: int = 1, replicas: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Creates a topic; it can be used at once."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=dict(config or {}))
        admin.create_topics([wanted])[name].result(15)

    # --- what it says about itself

    def wait_ready(self) -> None:
        """Until every running broker sees every running broker unfenced."""
        running = self.running()
        ready = trio.run(lambda: wait_until_ready(self.layout, running, timeout_s=READY_TIMEOUT_S))
        assert ready, f"not ready in {READY_TIMEOUT_S:.0f} s:\n" + "\n".join(
            self.log_of(node.node_id)[-1500:] for node in self.layout.nodes
        )

    def view(self) -> NodeView | None:
        """What the cluster says, taken from the node that knows best; None when nobody answers."""
        running = self.running()
        return best_view(trio.run(lambda: all_views(running)))

    def controller_id(self) -> int:
        """The node that is the active controller."""
        return eventually(lambda: (view := self.view()) and view.quorum.leader_id > 0 and view.quorum.leader_id, what="a controller")

    def partition_view(self, topic: str, partition: int = 0) -> PartitionView | None:
        view = self.view()
        found = [each for each in view.partitions if (each.topic, each.partition) == (topic, partition)] if view else []
        return found[0] if found else None

    def leader_of(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition, once there is one."""
        return eventually(
            lambda: (found := self.partition_view(topic, partition)) and found.leader_id > 0 and found.leader_id,
            what=f"a leader of {topic}-{partition}",
        )

    def wait_healed(self, *, timeout_s: float = 40.0) -> None:
        """Until every node is unfenced, and every partition has a leader and all its replicas in sync."""

        def healed() -> bool:
            view = self.view()
            return view is not None and view.all_unfenced(self.node_ids) and all(each.healthy for each in view.partitions)

        try:
            eventually(healed, timeout_s=timeout_s, what="the cluster is whole again")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.view()}") from None

    def log_of(self, node_id: int) -> str:
        """What a node has logged so far."""
        return self.node(node_id).log_path.read_text(errors="replace")

    async def _require_own_cluster(self) -> None:
        for node in self.layout.nodes:
            async with connect("127.0.0.1", node.port, client_id="test") as connection:
                response = await connection.request(DescribeClusterRequest())
                assert response.cluster_id == self.layout.cluster_id, (
                    f"port {node.port} belongs to the foreign cluster {response.cluster_id}"
                )

    @contextlib.contextmanager
    def _as_home(self) -> Iterator[None]:
        """The cluster commands look for clusters in $RAFTKAFKA_HOME."""
        before = os.environ.get("RAFTKAFKA_HOME")
        os.environ["RAFTKAFKA_HOME"] = str(self._home)
        try:
            yield
        finally:
            if before is None:
                del os.environ["RAFTKAFKA_HOME"]
            else:
                os.environ["RAFTKAFKA_HOME"] = before


def _free_ports(node_count: int) -> int:
    """A first port with room for a cluster; where to look first is drawn, so that suites that run at the same time do not meet."""
    choices = list(range(13_000, 22_000, 10))
    random.SystemRandom().shuffle(choices)
    for first in choices:
        ports = range(first, first + node_count)
        if all(is_free(port) and is_free(controller_port_of(port)) for port in ports):
            return first
    raise AssertionError("no free ports for a cluster")
