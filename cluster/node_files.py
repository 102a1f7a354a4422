"""The files a node needs before its first start: `server.properties`, and `meta.properties` in its data directory (formatting).

The settings are Kafka's quickstart ones for a development cluster: replicas as far as there are brokers, and no waiting for the first
consumer of a group. `min.insync.replicas` keeps Kafka's default of 1, so that a cluster with one node left still takes writes.
"""

from __future__ import annotations

import random

from cluster.layout import HOST, ClusterLayout, NodeLayout
from raftkafka.base.ids import DirectoryId, NodeId, random_id
from raftkafka.storage.meta_properties import META_PROPERTIES_FILE, MetaProperties, encode_meta_properties


def server_properties(layout: ClusterLayout, node: NodeLayout) -> str:
    """The text of a node's `server.properties`."""
    replicas = min(3, layout.node_count)
    controller_listener = f",CONTROLLER://{HOST}:{node.controller_port}" if node.is_controller else ""
    return f"""\
# Node {node.node_id} of cluster {layout.name}, written by `make cluster`. Edit it as you like: it is not written again.

node.id={node.node_id}
process.roles={",".join(node.roles)}

listeners=PLAINTEXT://{HOST}:{node.port}{controller_listener}
advertised.listeners=PLAINTEXT://{HOST}:{node.port}
controller.listener.names=CONTROLLER
{_quorum_keys(layout, node)}

log.dirs={node.data_dir}

# As many replicas as there are brokers, three at most.
default.replication.factor={replicas}
offsets.topic.replication.factor={replicas}

# Kafka waits three seconds for more consumers of a new group: good in production, a nuisance on a desk.
group.initial.rebalance.delay.ms=0
"""


def _quorum_keys(layout: ClusterLayout, node: NodeLayout) -> str:
    """How it finds the controllers: the first nodes vote from the start, who comes later asks those that are there."""
    others = [each for each in layout.controllers if each.node_id != node.node_id]
    if node.node_id in layout.first_voters or not others:
        return "controller.quorum.voters=" + ",".join(f"{each.node_id}@{each.controller_address}" for each in layout.controllers)
    return "controller.quorum.bootstrap.servers=" + ",".join(each.controller_address for each in others)


def write_node_files(layout: ClusterLayout, node: NodeLayout) -> None:
    """Writes what is missing of a node's files; existing ones are left as they are."""
    node.data_dir.mkdir(parents=True, exist_ok=True)
    if not node.properties_path.exists():
        node.properties_path.write_text(server_properties(layout, node))
    identity_path = node.data_dir / META_PROPERTIES_FILE
    if not identity_path.exists():
        directory_id = DirectoryId(random_id(random.SystemRandom()))
        meta = MetaProperties(node_id=NodeId(node.node_id), directory_id=directory_id, cluster_id=layout.cluster_id)
        identity_path.write_bytes(encode_meta_properties(meta))
