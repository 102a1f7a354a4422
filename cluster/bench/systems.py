"""The two systems under test, as processes with the same small interface: start, kill, stop, and what the kernel says of them.

Both get the defaults that a user gets: ours from `make cluster`, Apache Kafka's with a 1 GiB heap as its own start script gives it. The
ports are free ones, the data is in a temporary directory, and only processes that were started here are signalled.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from cluster.apache_kafka import java_command
from cluster.ports import unused_ports
from raftkafka.base.ids import DirectoryId, NodeId, id_to_text, random_id
from raftkafka.storage.meta_properties import META_PROPERTIES_FILE, MetaProperties, encode_meta_properties

KAFKA_HEAP = (
    "-Xms1G",
    "-Xmx1G",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)
"""What Apache Kafka's own start script gives a broker."""
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_TIMEOUT_S = 60

Command = Callable[[Path], list[str]]
Settings = Callable[[int, int, int], Mapping[str, object]]
"""What is added to a node's settings, or takes their place: from its id, its port and its controller's port."""


@attrs.define(eq=False)
class Node:
    """One broker process."""

    node_id: int
    port: int
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def memory_mb(self) -> float:
        """Resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


@attrs.define(eq=False)
class System:
    """A cluster of one of the two systems."""

    name: str
    nodes: list[Node]
    command: Command

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self, nodes: Sequence[Node] | None = None) -> None:
        """Starts nodes, all by default, without waiting for them."""
        for node in self.nodes if nodes is None else nodes:
            with (node.directory / "log").open("ab") as log:
                node.process = subprocess.Popen(
                    self.command(node.directory / "server.properties"),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the one who measures, who then ends the nodes
                )

    def node(self, node_id: int) -> Node:
        return next(node for node in self.nodes if node.node_id == node_id)

    def signal(self, node: Node, number: signal.Signals) -> None:
        assert node.process is not None
        node.process.send_signal(number)

    def stop(self) -> None:
        """Ends every process, cleanly if it lets itself be ended so."""
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process is not None:
                try:
                    node.process.wait(_STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    node.process.kill()
                    node.process.wait()


def no_settings(_node_id: int, _port: int, _controller_port: int) -> Mapping[str, object]:
    """Nothing is added."""
    return {}


def raftkafka(directory: Path, node_count: int, settings: Settings = no_settings) -> System:
    """A cluster of ours, formatted."""
    cluster_id = id_to_text(random_id(random.SystemRandom()))
    nodes = _nodes(directory, node_count, settings)
    for node in nodes:
        data = node.directory / "data"
        data.mkdir()
        meta = MetaProperties(
            node_id=NodeId(node.node_id), directory_id=DirectoryId(random_id(random.SystemRandom())), cluster_id=cluster_id
        )
        (data / META_PROPERTIES_FILE).write_bytes(encode_meta_properties(meta))
    return System("raftkafka", nodes, lambda path: [sys.executable, "-m", "raftkafka.cli.main", "broker", str(path)])


def apache_kafka(directory: Path, node_count: int, settings: Settings = no_settings, *, jvm_flags: tuple[str, ...] = KAFKA_HEAP) -> System:
    """A KRaft cluster of Apache Kafka, formatted."""
    cluster_id = id_to_text(random_id(random.SystemRandom()))
    nodes = _nodes(directory, node_count, settings)
    for node in nodes:
        properties = str(node.directory / "server.properties")
        subprocess.run(java_command("kafka-storage", "format", "-t", cluster_id, "-c", properties), check=True, capture_output=True)
    return System("Apache Kafka", nodes, lambda path: java_command("kafka-server-start", str(path), jvm_flags=jvm_flags))


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> float:
    """Polls until the condition holds; how long it took in seconds. `TimeoutError` says what did not come."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > timeout_s:
            raise TimeoutError(f"{what} did not happen within {timeout_s} s")
        time.sleep(0.01)
    return time.monotonic() - begin


def _nodes(directory: Path, node_count: int, added: Settings) -> list[Node]:
    """Directories and properties; but for what is added the same settings for both systems."""
    ports = unused_ports(2 * node_count)
    voters = ",".join(f"{number}@127.0.0.1:{ports[node_count + number - 1]}" for number in range(1, node_count + 1))
    replicas = min(3, node_count)
    nodes = []
    for number in range(1, node_count + 1):
        home = directory / f"node{number}"
        home.mkdir(parents=True)
        port, controller_port = ports[number - 1], ports[node_count + number - 1]
        settings: dict[str, object] = {
            "node.id": number,
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": home / "data",
            "default.replication.factor": replicas,
            "offsets.topic.replication.factor": replicas,
            "group.initial.rebalance.delay.ms": 0,
        }
        settings.update(added(number, port, controller_port))
        (home / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        nodes.append(Node(number, port, home))
    return nodes
