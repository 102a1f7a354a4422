"""What the cluster commands print: aligned plain text on stdout, stable enough for a script, short enough to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cluster.health import NodeView, PartitionView, best_view
from cluster.layout import ClusterLayout, NodeLayout, NodeState
from cluster.processes import ProcessState

MAX_PARTITION_LINES = 40


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows with their columns aligned to the left, two blanks between; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def nodes_table(
    layout: ClusterLayout,
    *,
    states: Mapping[int, ProcessState],
    pids: Mapping[int, int | None],
    views: Mapping[int, NodeView | None],
) -> str:
    """One line for each node: what it is, how it is, where it listens."""
    view = best_view(views)
    rows = [["NODE", "ROLES", "STATE", "QUORUM", "ADDRESS", "CONTROLLER", "PID"]]
    for node in layout.nodes:
        pid = pids[node.node_id]
        rows.append(
            [
                str(node.node_id),
                "+".join(node.roles),
                _node_state(node, states[node.node_id], views.get(node.node_id), view),
                _quorum_role(node, states[node.node_id], view),
                node.address,
                node.controller_address if node.is_controller else "-",
                "-" if pid is None else str(pid),
            ]
        )
    return table(rows)


def welcome(layout: ClusterLayout, *, nodes: str, version: str, ready_s: float | None) -> str:
    """What `make cluster` says when the cluster is there."""
    down = _make(layout, "cluster-down")
    clean = _make(layout, "cluster-clean")
    ready = "it was running already" if ready_s is None else f"ready in {ready_s:.1f} s"
    return "\n".join(
        [
            f"raftkafka {version}   cluster {layout.name}   id {layout.cluster_id}",
            nodes,
            "",
            f"bootstrap  {layout.bootstrap}",
            f"data       {_short(layout.directory)}/node*/data   (kept by `{down}`, deleted by `{clean}`)",
            f"logs       {_short(layout.directory)}/node*/broker.log   settings in node*/server.properties",
            f"try        {_make(layout, 'kill', f'NODE={layout.nodes[0].node_id}')}; {_make(layout, 'cluster-status')}",
            ready,
        ]
    )


def partitions_report(partitions: Sequence[PartitionView]) -> str:
    """Leaders and ISR: every partition when they are few, else only those in trouble, and always the sums."""
    if not partitions:
        return "There are no topics yet."
    sick = [each for each in partitions if not each.healthy]
    shown = list(partitions) if len(partitions) <= MAX_PARTITION_LINES else sick[:MAX_PARTITION_LINES]
    lines = []
    if shown:
        rows = [["TOPIC", "PARTITION", "LEADER", "REPLICAS", "ISR", ""]]
        rows += [
            [each.topic, str(each.partition), _leader(each), _ids(each.replicas), _ids(each.isr), "" if each.healthy else _complaint(each)]
            for each in shown
        ]
        lines += [table(rows), ""]
    topics = len({each.topic for each in partitions})
    leaders = Counter(each.leader_id for each in partitions if each.leader_id >= 0)
    spread = ", ".join(f"node {node_id} leads {count}" for node_id, count in sorted(leaders.items()))
    lines.append(f"{_count(topics, 'topic')}, {_count(len(partitions), 'partition')}: {spread or 'nobody leads'}")
    verdict = f"{_count(len(sick), 'partition')} without all replicas in sync" if sick else "every replica is in sync"
    lines.append(verdict)
    return "\n".join(lines)


def quorum_line(view: NodeView) -> str:
    """The metadata quorum in one line."""
    quorum = view.quorum
    leader = f"leader {quorum.leader_id}" if quorum.leader_id >= 0 else "no leader"
    offsets = ", ".join(f"node {node_id} at {offset}" for node_id, offset in sorted(quorum.end_offsets.items()) if offset > 0)
    return f"quorum: {leader} in epoch {quorum.leader_epoch}, high watermark {quorum.high_watermark}{'; ' + offsets if offsets else ''}"


def _node_state(node: NodeLayout, process: ProcessState, own: NodeView | None, best: NodeView | None) -> str:
    """How it is, and that it is on its way in or out."""
    state = _process_state(node, process, own, best)
    return state if node.state is NodeState.MEMBER else f"{state}, {node.state.value}"


def _process_state(node: NodeLayout, process: ProcessState, own: NodeView | None, best: NodeView | None) -> str:
    if process is not ProcessState.RUNNING:
        return str(process.value)
    fenced = best.fenced.get(node.node_id) if best is not None else None
    if fenced is None:
        return "no answer" if own is None else "unregistered"
    return "fenced" if fenced else "unfenced"


def _quorum_role(node: NodeLayout, process: ProcessState, view: NodeView | None) -> str:
    if view is None or process is ProcessState.STOPPED:
        return "-"
    if view.quorum.leader_id == node.node_id:
        return "leader"
    return "follower" if node.node_id in view.quorum.end_offsets or not view.quorum.end_offsets else "observer"


def _leader(partition: PartitionView) -> str:
    return str(partition.leader_id) if partition.leader_id >= 0 else "none"


def _complaint(partition: PartitionView) -> str:
    if partition.leader_id < 0:
        return "offline"
    missing = [node_id for node_id in partition.replicas if node_id not in partition.isr]
    return f"{_ids(missing)} behind"


def _ids(node_ids: Iterable[int]) -> str:
    return ",".join(map(str, node_ids))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _make(layout: ClusterLayout, target: str, *variables: str) -> str:
    named = [] if layout.name == "dev" else [f"NAME={layout.name}"]
    return " ".join(["make", target, *variables, *named])


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
