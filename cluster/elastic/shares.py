"""Who has how much of a cluster, before and after, as a table."""

from __future__ import annotations

from cluster.elastic.progress import bytes_text
from cluster.elastic.view import ClusterView
from cluster.screen import table


def shares_table(before: ClusterView, after: ClusterView) -> str:
    """One line for each broker of either moment: replicas, leaderships and bytes, with an arrow where they have changed."""
    rows = [["NODE", "REPLICAS", "LEADERS", "SIZE", "VOTES"]]
    for node_id in sorted({broker.node_id for view in (before, after) for broker in view.brokers}):
        was, now = _share(before, node_id), _share(after, node_id)
        rows.append([str(node_id), *(old if old == new else f"{old} -> {new}" for old, new in zip(was, now, strict=True))])
    return table(rows)


def _share(view: ClusterView, node_id: int) -> tuple[str, ...]:
    if node_id not in [broker.node_id for broker in view.brokers]:
        return ("-", "-", "-", "-")
    held = view.on(node_id)
    led = [partition for partition in held if partition.leader == node_id]
    votes = "yes" if view.voter(node_id) is not None else "no"
    return str(len(held)), str(len(led)), bytes_text(sum(partition.size for partition in held)), votes
