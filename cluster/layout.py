"""Where a cluster lives on disk and which nodes it has: `.raftkafka/<name>/`, one directory per node.

    .raftkafka/dev/cluster.json                 name, cluster id, first port, and each node's id, ports, roles and state
    .raftkafka/dev/node1/server.properties      written once, then yours to edit
    .raftkafka/dev/node1/data/  broker.log  pid

Invariants
- Node i listens for clients on `first_port + i - 1` (if that is taken when it is added, on the next free port); its controller listener is
  10000 above that, or below where that is no port.
- The id of a node that has gone is not given again: what still speaks of it means nobody else.
- A node that is being added or removed says so in its state, so that a command that was interrupted can go on.
- Only before a cluster is `formed` a node is formatted as one of its first voters; who comes later, or comes back empty, is none until the
  quorum takes it.
"""

from __future__ import annotations

import enum
import json
import os
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from raftkafka.base.ids import id_to_text, random_id

DEFAULT_NODES = 3
DEFAULT_PORT = 9092
MAX_NODES = 25
HOST = "127.0.0.1"

_CONTROLLER_PORT_DISTANCE = 10_000


class ClusterError(Exception):
    """What was asked cannot be done; the text says why and what to do next."""


class NodeState(enum.Enum):
    """Whether a node is there for good, or on its way in or out."""

    MEMBER = "member"
    JOINING = "joining"
    LEAVING = "leaving"


BROKER, CONTROLLER = "broker", "controller"
BOTH_ROLES = (BROKER, CONTROLLER)


@attrs.frozen(kw_only=True)
class NodeLayout:
    """One node's id, ports, roles and files."""

    node_id: int
    port: int
    controller_port: int
    directory: Path
    roles: tuple[str, ...] = BOTH_ROLES
    state: NodeState = NodeState.MEMBER

    @property
    def is_controller(self) -> bool:
        return CONTROLLER in self.roles

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
    """A cluster's name, id and nodes, in the order of their ids."""

    name: str
    cluster_id: str
    first_port: int
    directory: Path
    nodes: tuple[NodeLayout, ...]
    next_id: int
    """The id of the next node that is added."""
    formed: bool = True
    """Whether the cluster has been up once: from then on the quorum alone says who votes."""
    first_voters: Mapping[int, str] = attrs.field(factory=dict)
    """The directory ids of the controllers that began, by node id; empty in clusters of before that were formatted with fixed voters."""

    @property
    def node_count(self) -> int:
        return len(self.nodes)

    @property
    def controllers(self) -> tuple[NodeLayout, ...]:
        return tuple(node for node in self.nodes if node.is_controller)

    @property
    def bootstrap(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def node(self, node_id: int) -> NodeLayout:
        """The node with this id; `ClusterError` names the ones there are."""
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        raise ClusterError(f"cluster {self.name} has no node {node_id}. Its nodes are {_listed([each.node_id for each in self.nodes])}.")

    def with_node(self, node: NodeLayout) -> ClusterLayout:
        """The layout with this node, or with it instead of the one of the same id."""
        others = [each for each in self.nodes if each.node_id != node.node_id]
        nodes = sorted([*others, node], key=lambda each: each.node_id)
        return attrs.evolve(self, nodes=tuple(nodes), next_id=max(self.next_id, node.node_id + 1))

    def without_node(self, node_id: int) -> ClusterLayout:
        """The layout without a node; its id is not given again."""
        return attrs.evolve(self, nodes=tuple(each for each in self.nodes if each.node_id != node_id))

    def in_state(self, state: NodeState) -> tuple[NodeLayout, ...]:
        """The nodes on their way in, or out."""
        return tuple(node for node in self.nodes if node.state is state)


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
        return _layout_from(json.loads((directory / "cluster.json").read_text()), name, directory)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ClusterError(f"{directory}/cluster.json is damaged. `make cluster-clean` deletes the cluster, data included.") from None


def _layout_from(stored: dict[str, Any], name: str, directory: Path) -> ClusterLayout:
    """What the file says; files of before have the number of the nodes instead of the nodes."""
    first_port = int(stored["port"])
    if isinstance(stored["nodes"], int):
        nodes = _first_nodes(stored["nodes"], first_port, directory)
    else:
        nodes = tuple(_node_from(each, directory) for each in stored["nodes"])
    return ClusterLayout(
        name=name,
        cluster_id=str(stored["cluster_id"]),
        first_port=first_port,
        directory=directory,
        nodes=nodes,
        next_id=int(stored.get("next_id", len(nodes) + 1)),
        formed=bool(stored.get("formed", True)),
        first_voters={int(node_id): str(text) for node_id, text in stored.get("first_voters", {}).items()},
    )


def _node_from(stored: dict[str, Any], directory: Path) -> NodeLayout:
    return NodeLayout(
        node_id=int(stored["id"]),
        port=int(stored["port"]),
        controller_port=int(stored["controller_port"]),
        directory=_node_directory(directory, int(stored["id"])),
        roles=tuple(str(role) for role in stored["roles"]),
        state=NodeState(stored["state"]),
    )


def _first_nodes(count: int, first_port: int, directory: Path) -> tuple[NodeLayout, ...]:
    return tuple(
        NodeLayout(
            node_id=node_id,
            port=first_port + node_id - 1,
            controller_port=controller_port_of(first_port + node_id - 1),
            directory=_node_directory(directory, node_id),
        )
        for node_id in range(1, count + 1)
    )


def _node_directory(directory: Path, node_id: int) -> Path:
    return directory / f"node{node_id}"


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
    rng = random.SystemRandom()
    directory = _directory(name)
    return ClusterLayout(
        name=name,
        cluster_id=id_to_text(random_id(rng)),
        first_port=first_port,
        directory=directory,
        nodes=_first_nodes(node_count, first_port, directory),
        next_id=node_count + 1,
        formed=False,
        first_voters={node_id: id_to_text(random_id(rng)) for node_id in range(1, node_count + 1)},
    )


def added_node(layout: ClusterLayout, *, port: int, roles: Sequence[str]) -> NodeLayout:
    """The next node of a cluster, on its way in."""
    if layout.node_count >= MAX_NODES:
        raise ClusterError(f"cluster {layout.name} has {layout.node_count} nodes; on one machine there are {MAX_NODES} at most.")
    node_id = layout.next_id
    return NodeLayout(
        node_id=node_id,
        port=port,
        controller_port=controller_port_of(port),
        directory=_node_directory(layout.directory, node_id),
        roles=tuple(roles),
        state=NodeState.JOINING,
    )


def save_layout(layout: ClusterLayout) -> None:
    """Writes what `load_layout` reads, all of it or nothing."""
    layout.directory.mkdir(parents=True, exist_ok=True)
    stored = {
        "name": layout.name,
        "cluster_id": layout.cluster_id,
        "port": layout.first_port,
        "formed": layout.formed,
        "first_voters": layout.first_voters,
        "next_id": layout.next_id,
        "nodes": [
            {
                "id": node.node_id,
                "port": node.port,
                "controller_port": node.controller_port,
                "roles": node.roles,
                "state": node.state.value,
            }
            for node in layout.nodes
        ],
    }
    temporary = layout.directory / "cluster.json.tmp"
    temporary.write_text(json.dumps(stored, indent=2) + "\n")
    temporary.replace(layout.directory / "cluster.json")


def _listed(node_ids: Sequence[int]) -> str:
    return ", ".join(map(str, node_ids)) or "none"


def _directory(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
        raise ClusterError(f"{name!r} is not a cluster name: use letters, digits, - and _.")
    return (clusters_home() / name).absolute()
