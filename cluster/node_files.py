"""The files a node needs before its first start: `server.properties`, and its data directory, formatted.

The settings are Kafka's quickstart ones for a development cluster: replicas as far as there are brokers, and no waiting for the first
consumer of a group. `min.insync.replicas` keeps Kafka's default of 1, so that a cluster with one node left still takes writes.

The controllers are a dynamic quorum (KIP-853): those of a new cluster are formatted as its first voters, each with its directory id; one
that comes later, or comes back empty, is formatted without a vote and joins by itself (`controller.quorum.auto.join.enable`).

Invariant: no directory id is given twice. An empty disk under an id that has voted would have forgotten its votes: the files of a node are
those of a first voter only before the cluster is `formed`, and only while the node has no `server.properties`, which is written last.
"""

from __future__ import annotations

import random
import re

from cluster.layout import HOST, ClusterLayout, NodeLayout
from raftkafka.base.ids import DirectoryId, NodeId, id_from_text, random_id
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.raft.voters import Voter, VoterSet
from raftkafka.storage.meta_properties import META_PROPERTIES_FILE, METADATA_DIRECTORY, MetaProperties, encode_meta_properties

CONTROLLER_LISTENER = "CONTROLLER"
_SERVERS_KEY = "controller.quorum.bootstrap.servers"


def server_properties(layout: ClusterLayout, node: NodeLayout) -> str:
    """The text of a node's `server.properties`."""
    replicas = min(3, layout.node_count)
    controller_listener = f",{CONTROLLER_LISTENER}://{HOST}:{node.controller_port}" if node.is_controller else ""
    return f"""\
# Node {node.node_id} of cluster {layout.name}, written by `make cluster`. Edit it as you like: it is not written again, but for
# the addresses in {_SERVERS_KEY}, which follow the controllers that there are.

node.id={node.node_id}
process.roles={",".join(node.roles)}

listeners=PLAINTEXT://{HOST}:{node.port}{controller_listener}
advertised.listeners=PLAINTEXT://{HOST}:{node.port}
controller.listener.names={CONTROLLER_LISTENER}
{_quorum_keys(layout, node)}

log.dirs={node.data_dir}

# As many replicas as there are brokers, three at most.
default.replication.factor={replicas}
offsets.topic.replication.factor={replicas}

# Kafka waits three seconds for more consumers of a new group: good in production, a nuisance on a desk.
group.initial.rebalance.delay.ms=0
"""


def _quorum_keys(layout: ClusterLayout, node: NodeLayout) -> str:
    """Where to ask for the controllers, and that a controller which has no vote gets one by itself."""
    joining = "\ncontroller.quorum.auto.join.enable=true" if node.is_controller else ""
    return f"{_SERVERS_KEY}={_servers(layout)}{joining}"


def _servers(layout: ClusterLayout) -> str:
    return ",".join(each.controller_address for each in layout.controllers)


def write_node_files(layout: ClusterLayout, node: NodeLayout) -> None:
    """Writes what is missing of a node's files; existing ones are left as they are, but for the addresses of the controllers."""
    node.data_dir.mkdir(parents=True, exist_ok=True)
    if not (node.data_dir / META_PROPERTIES_FILE).exists():
        _format(layout, node)
    if not node.properties_path.exists():
        node.properties_path.write_text(server_properties(layout, node))
        return
    text = node.properties_path.read_text()
    followed = re.sub(rf"(?m)^{re.escape(_SERVERS_KEY)}=.*$", f"{_SERVERS_KEY}={_servers(layout)}", text)
    if followed != text:
        node.properties_path.write_text(followed)


def _format(layout: ClusterLayout, node: NodeLayout) -> None:
    voters = _first_voters(layout) if not layout.formed and not node.properties_path.exists() else {}
    voter = voters.get(NodeId(node.node_id))
    directory_id = voter.directory_id if voter is not None else None
    if node.is_controller and not _names_voters(node):
        directory = node.data_dir / METADATA_DIRECTORY
        directory.mkdir(exist_ok=True)
        (directory / INITIAL_VOTERS_FILE).write_bytes(encode_initial_voters(voters))
    meta = MetaProperties(
        node_id=NodeId(node.node_id),
        directory_id=DirectoryId(directory_id if directory_id is not None else random_id(random.SystemRandom())),
        cluster_id=layout.cluster_id,
    )
    (node.data_dir / META_PROPERTIES_FILE).write_bytes(encode_meta_properties(meta))


def _first_voters(layout: ClusterLayout) -> VoterSet:
    return {
        NodeId(node.node_id): Voter(
            directory_id=id_from_text(layout.first_voters[node.node_id]), endpoints=((CONTROLLER_LISTENER, HOST, node.controller_port),)
        )
        for node in layout.controllers
        if node.node_id in layout.first_voters
    }


def _names_voters(node: NodeLayout) -> bool:
    """Whether its properties fix the voters, as those of clusters of before do."""
    return node.properties_path.exists() and re.search(r"(?m)^controller\.quorum\.voters=", node.properties_path.read_text()) is not None
