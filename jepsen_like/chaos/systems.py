"""The clusters that chaos is done to, ours and Apache Kafka's, behind one interface: processes, and the network between them.

Invariants
- Clients are never cut off: they reach every node that runs. (What a client sees of a cut is what the nodes make of it.)
- Only processes that were started here are signalled, and none is left by `close`.
- Cuts and delays outlive a restart of the node that they touch.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import attrs
import trio

from cluster.apache_kafka import KAFKA_VERSION, KafkaUnavailable, kafka_home
from cluster.bench import systems
from cluster.bench.systems import Node, System
from cluster.health import NodeView, all_views, best_view
from cluster.layout import NodeLayout
from cluster.ports import unused_ports
from jepsen_like.chaos.proxy import Pair, Proxies
from raftkafka.base.rules import BROKEN_RULES_KEY

STOP_TIMEOUT_S = 60.0
_KAFKA_HEAP = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.net.preferIPv4Stack=true")
"""Three of them beside the clients on a small machine: modest heaps, and no time for the better compiler."""


class Network(Protocol):
    """The network between nodes."""

    def shape(self, *, cuts: Iterable[Pair], delays_ms: Mapping[Pair, int]) -> None:
        """From now on nothing passes from `a` to `b` for each cut `(a, b)`, and frames of other pairs take so much longer."""

    def close(self) -> None: ...


@attrs.define(eq=False)
class Cluster:
    """A cluster under test. `versions` and `settings` are for the report."""

    name: str
    version: str
    system: System
    network: Network
    settings: Mapping[str, str]
    cuts: frozenset[Pair] = frozenset()
    delays_ms: Mapping[Pair, int] = attrs.field(factory=dict)

    @property
    def node_ids(self) -> list[int]:
        return [node.node_id for node in self.system.nodes]

    @property
    def bootstrap(self) -> str:
        return self.system.bootstrap

    # --- processes

    def start(self, node_ids: Sequence[int]) -> None:
        """Starts nodes that do not run."""
        self.system.start([node for node in self._nodes(node_ids) if not _runs(node)])

    def kill(self, node_ids: Sequence[int]) -> None:
        """SIGKILL, to all of them before waiting for any."""
        for node in self._nodes(node_ids):
            self._signal(node, signal.SIGKILL)
        for node in self._nodes(node_ids):
            if node.process is not None:
                node.process.wait()

    def pause(self, node_ids: Sequence[int]) -> None:
        """SIGSTOP."""
        for node in self._nodes(node_ids):
            self._signal(node, signal.SIGSTOP)

    def resume(self, node_ids: Sequence[int]) -> None:
        """SIGCONT."""
        for node in self._nodes(node_ids):
            self._signal(node, signal.SIGCONT)

    def stop(self, node_ids: Sequence[int]) -> None:
        """SIGTERM, and the exit; a node that does not come to its end is killed."""
        for node in self._nodes(node_ids):
            self._signal(node, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for node in self._nodes(node_ids):
            while _runs(node) and time.monotonic() < deadline:
                time.sleep(0.02)
            self._signal(node, signal.SIGKILL)
            if node.process is not None:
                node.process.wait()

    def dead(self) -> list[int]:
        """The nodes that were started and do not run."""
        return [node.node_id for node in self.system.nodes if node.process is not None and not _runs(node)]

    def pids(self) -> dict[int, int]:
        """The process ids of the nodes that run."""
        return {node.node_id: node.pid for node in self.system.nodes if _runs(node)}

    def close(self) -> None:
        """Ends every process; those that are frozen or cut off too."""
        self.resume(self.node_ids)
        self.stop(self.node_ids)
        self.network.close()

    # --- the network

    def shape(self, *, cuts: Iterable[Pair] = (), delays_ms: Mapping[Pair, int] | None = None) -> None:
        """Replaces what the network does to frames between nodes; without arguments it is whole again."""
        self.cuts, self.delays_ms = frozenset(cuts), dict(delays_ms or {})
        self.network.shape(cuts=self.cuts, delays_ms=self.delays_ms)

    # --- what it says about itself

    def view(self) -> NodeView | None:
        """What the cluster says, by the node that knows best; None when nobody answers."""
        layouts = [_layout(node) for node in self.system.nodes if _runs(node)]
        return best_view(trio.run(lambda: all_views(layouts)))

    def is_well(self) -> bool:
        """Whether every node is unfenced, and every partition has a leader and all its replicas in sync."""
        view = self.view()
        return view is not None and view.all_unfenced(self.node_ids) and all(each.healthy for each in view.partitions)

    def log_paths(self) -> dict[int, Path]:
        """Where each node's log is."""
        return {node.node_id: node.directory / "log" for node in self.system.nodes}

    def _nodes(self, node_ids: Sequence[int]) -> list[Node]:
        return [self.system.node(node_id) for node_id in node_ids]

    def _signal(self, node: Node, number: signal.Signals) -> None:
        if _runs(node):
            self.system.signal(node, number)


class OwnFaults:
    """Our nodes hold frames back themselves: each reads its part of the network from faults.json when SIGUSR1 says so."""

    def __init__(self, system: System) -> None:
        self._system = system

    def shape(self, *, cuts: Iterable[Pair], delays_ms: Mapping[Pair, int]) -> None:
        cuts = sorted(cuts)
        for node in self._system.nodes:
            mine = node.node_id
            faults = {
                "cut_to": [there for here, there in cuts if here == mine],
                "cut_from": [here for here, there in cuts if there == mine],
                "delay_to_ms": {str(there): delay for (here, there), delay in sorted(delays_ms.items()) if here == mine},
            }
            path = node.directory / "data" / "faults.json"
            path.with_suffix(".tmp").write_text(json.dumps(faults))
            path.with_suffix(".tmp").replace(path)
            if _runs(node):
                self._system.signal(node, signal.SIGUSR1)

    def close(self) -> None:
        pass


def raftkafka(directory: Path, node_count: int, *, broken_rules: str = "") -> Cluster:
    """A cluster of ours; `broken_rules` are names of rules that its nodes do without, separated by commas."""
    settings = _settings(node_count) | ({BROKEN_RULES_KEY: broken_rules} if broken_rules else {})
    system = systems.raftkafka(directory, node_count, lambda *_: settings)
    from importlib import metadata

    return Cluster("raftkafka", f"raftkafka {metadata.version('raftkafka')}", system, OwnFaults(system), settings)


def apache_kafka(directory: Path, node_count: int) -> Cluster:
    """A cluster of Apache Kafka, whose nodes reach each other through proxies of ours. Raises `KafkaUnavailable`."""
    kafka_home()
    cluster: list[Cluster] = []
    proxies = Proxies(pids=lambda: cluster[0].pids() if cluster else {})
    controller_proxies: dict[int, int] = {}
    internal_ports = unused_ports(node_count)
    settings = _settings(node_count)
    wiring: dict[int, Mapping[str, object]] = {}

    def wired(node_id: int, port: int, controller_port: int) -> Mapping[str, object]:
        """Called for each node in turn; the voters are all known only when the last one is."""
        controller_proxies[node_id] = proxies.add(node_id=node_id, target_port=controller_port)
        internal = internal_ports[node_id - 1]
        internal_proxy = proxies.add(node_id=node_id, target_port=internal)
        wiring[node_id] = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal_proxy}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
        }
        return {**settings, **wiring[node_id]}

    system = systems.apache_kafka(directory, node_count, wired, jvm_flags=_KAFKA_HEAP)
    voters = ",".join(f"{node_id}@127.0.0.1:{port}" for node_id, port in controller_proxies.items())
    for node in system.nodes:
        with (node.directory / "server.properties").open("a") as file:
            file.write(f"controller.quorum.voters={voters}\n")  # the later line counts
    cluster.append(Cluster("Apache Kafka", f"Apache Kafka {KAFKA_VERSION}", system, proxies, settings))
    return cluster[0]


SYSTEMS: Mapping[str, str] = {"raftkafka": "our own brokers", "kafka": f"Apache Kafka {KAFKA_VERSION}"}


def make_cluster(name: str, directory: Path, node_count: int, *, broken_rules: str = "") -> Cluster:
    """The system of that name of `SYSTEMS`, formatted, with nothing started."""
    if name == "kafka":
        return apache_kafka(directory, node_count)
    return raftkafka(directory, node_count, broken_rules=broken_rules)


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> bool:
    """Whether the condition comes to hold within the time given."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _settings(node_count: int) -> dict[str, str]:
    """What both systems are told beside their defaults: no record counts as written that a minority alone has."""
    return {
        "min.insync.replicas": str(min(3, node_count) // 2 + 1),
        "num.partitions": "1",
        "offsets.topic.num.partitions": "4",
        "auto.create.topics.enable": "false",
    }


def _runs(node: Node) -> bool:
    return node.process is not None and node.process.poll() is None


def _layout(node: Node) -> NodeLayout:
    return NodeLayout(node_id=node.node_id, port=node.port, controller_port=0, directory=node.directory)


__all__ = ["SYSTEMS", "Cluster", "KafkaUnavailable", "Network", "apache_kafka", "make_cluster", "raftkafka", "wait_until"]
