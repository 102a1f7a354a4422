"""Where a cluster lives on disk and which ports its nodes have: `.raftkafka/<name>/`, one directory per node.

    .raftkafka/dev/cluster.json                 name, cluster id, number of nodes, first port
    .raftkafka/dev/node1/server.properties      written once, then yours to edit
    .raftkafka/dev/node1/data/  broker.log  pid

Invariant: node i listens for clients on `first_port + i - 1`; its controller listener is 10000 above that, or below where that is no port.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import attrs

from raftkafka.base.ids import id_to_text, random_id

DEFAULT_NODES = 3
DEFAULT_PORT = 9092
MAX_NODES = 25
HOST = "127.0.0.1"

_CONTROLLER_PORT_DISTANCE = 10_000


class ClusterError(Exception):
    """What was asked cannot be done; the text says why and what to do next."""


@attrs.frozen(kw_only=True)
class NodeLayout:
    """One node's id, ports and files."""

    node_id: int
    port: int
    controller_port: int
    directory: Path

    @property
    def properties_path(self) -> Path:
        return self.directory / "server.properties"

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def log_path(self) -> Path:
        return self.directory / "broker.log"

    @property
    def pid_path(self) -> Path:
        return self.directory / "pid"

    @property
    def faults_path(self) -> Path:
        """The cuts that the broker obeys; it re-reads them on SIGUSR1."""
        return self.data_dir / "faults.json"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def controller_address(self) -> str:
        return f"{HOST}:{self.controller_port}"


@attrs.frozen(kw_only=True)
class ClusterLayout:
    """A cluster's name, id and nodes."""

    name: str
    cluster_id: str
    node_count: int
    first_port: int
    directory: Path

    @property
    def nodes(self) -> tuple[NodeLayout, ...]:
        return tuple(
            NodeLayout(
                node_id=number,
                port=self.first_port + number - 1,
                controller_port=controller_port_of(self.first_port + number - 1),
                directory=self.directory / f"node{number}",
            )
            for number in range(1, self.node_count + 1)
        )

    @property
    def bootstrap(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def node(self, node_id: int) -> NodeLayout:
        """The node with this id; `ClusterError` names the ones there are."""
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        raise ClusterError(f"cluster {self.name} has no node {node_id}. Its nodes are 1 to {self.node_count}.")


def controller_port_of(port: int) -> int:
    """The controller port that belongs to a client port."""
    above = port + _CONTROLLER_PORT_DISTANCE
    return above if above <= 65_535 else port - _CONTROLLER_PORT_DISTANCE


def clusters_home() -> Path:
    """The directory of all clusters: $RAFTKAFKA_HOME, or `.raftkafka` here."""
    return Path(os.environ.get("RAFTKAFKA_HOME") or ".raftkafka")


def load_layout(name: str) -> ClusterLayout | None:
    """The layout of an existing cluster; None when there is none of this name."""
    directory = _directory(name)
    try:
        stored = json.loads((directory / "cluster.json").read_text())
        return ClusterLayout(
            name=name,
            cluster_id=str(stored["cluster_id"]),
            node_count=int(stored["nodes"]),
            first_port=int(stored["port"]),
            directory=directory,
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise ClusterError(f"{directory}/cluster.json is damaged. `make cluster-clean` deletes the cluster, data included.") from None


def existing_layout(name: str) -> ClusterLayout:
    """The layout of a cluster that must exist."""
    layout = load_layout(name)
    if layout is None:
        raise ClusterError(f"there is no cluster {name} here. Start one with `make cluster`.")
    return layout


def new_layout(*, name: str, node_count: int, first_port: int) -> ClusterLayout:
    """A layout for a cluster that does not exist yet, with a cluster id of its own; nothing is written."""
    if not 1 <= node_count <= MAX_NODES:
        raise ClusterError(f"a cluster on one machine has 1 to {MAX_NODES} nodes, not {node_count}.")
    if not 1024 <= first_port <= 65_535 - node_count + 1:
        raise ClusterError(f"PORT={first_port} leaves no room for {node_count} nodes. Choose one from 1024 to {65_535 - node_count + 1}.")
    cluster_id = id_to_text(random_id(random.SystemRandom()))
    return ClusterLayout(name=name, cluster_id=cluster_id, node_count=node_count, first_port=first_port, directory=_directory(name))


def save_layout(layout: ClusterLayout) -> None:
    """Writes what `load_layout` reads."""
    layout.directory.mkdir(parents=True, exist_ok=True)
    stored = {"name": layout.name, "cluster_id": layout.cluster_id, "nodes": layout.node_count, "port": layout.first_port}
    (layout.directory / "cluster.json").write_text(json.dumps(stored, indent=2) + "\n")


def _directory(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
        raise ClusterError(f"{name!r} is not a cluster name: use letters, digits, - and _.")
    return (clusters_home() / name).absolute()
