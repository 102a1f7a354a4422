"""`make wipe NODE=2`: a node loses its disk. It is stopped (or killed), its data deleted; started again it is refilled by the others.

Invariant: without FORCE no partition loses its only copy that has all records, and the quorum keeps its majority.
"""

from __future__ import annotations

import shutil
import signal

from cluster.elastic import nodes
from cluster.elastic.quorum import require_quorum_without
from cluster.elastic.view import ClusterView, client_of, look
from cluster.layout import ClusterError, ClusterLayout, NodeLayout


async def wipe(layout: ClusterLayout, *, node_id: int, kill: bool, force: bool) -> None:
    """Deletes what a node has on disk."""
    node = layout.node(node_id)
    if not force:
        others = layout.without_node(node_id)
        if not others.nodes:
            raise ClusterError(f"node {node_id} is the only one: its data is all there is. FORCE=1 deletes it all the same.")
        async with client_of(others) as client:
            _require_copies(await look(client), node)
    await nodes.stop(node, number=signal.SIGKILL if kill else signal.SIGTERM)
    shutil.rmtree(node.data_dir, ignore_errors=True)
    how = "was killed" if kill else "was stopped"
    print(f"node {node_id} {how}, and its data is deleted. `make start NODE={node_id}` brings it back empty, and the others refill it.")


def _require_copies(view: ClusterView, node: NodeLayout) -> None:
    """Refuses when somebody else does not have all that is on this node."""
    require_quorum_without(view, node.node_id, view.live)
    alone = [
        partition.id
        for partition in view.on(node.node_id)
        if not [replica for replica in partition.isr if replica != node.node_id and replica in view.live]
    ]
    if alone:
        raise ClusterError(
            f"only node {node.node_id} has all records of {len(alone)} partitions, such as {alone[0]}: they would be lost. "
            "Give these topics more replicas, or wait until others are in sync; FORCE=1 deletes them all the same."
        )
