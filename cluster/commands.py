"""The cluster commands that `make` and `raftkafka cluster` call; each prints what it did and raises `ClusterError` when it cannot.

Invariant: starting spawns every process before anything else is imported or asked, so that they start while this command does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

import attrs

from cluster.layout import (
    DEFAULT_NODES,
    DEFAULT_PORT,
    ClusterError,
    ClusterLayout,
    NodeLayout,
    clusters_home,
    existing_layout,
    load_layout,
    new_layout,
    save_layout,
)
from cluster.node_files import write_node_files
from cluster.ports import require_free
from cluster.processes import ProcessState, pid_of, process_state, send_signal, start_process, wait_until_gone

if TYPE_CHECKING:
    from cluster.health import NodeView

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
KILL_TIMEOUT_S = 5.0
_LOG_LINES_SHOWN = 15


def up(*, name: str, node_count: int | None, first_port: int | None) -> None:
    """Starts every node that is not running, waits until all brokers are unfenced, and shows the cluster."""
    layout = _layout_for_start(name, node_count, first_port)
    stopped = [node for node in layout.nodes if process_state(node) is ProcessState.STOPPED]
    started_at = time.monotonic()
    if stopped:
        require_free(stopped, node_count=layout.node_count)
        save_layout(layout)
        for node in stopped:
            write_node_files(layout, node)
            start_process(node)
        _wait_ready(layout, stopped)
        if not layout.formed:
            layout = attrs.evolve(layout, formed=True)
            save_layout(layout)
    _show_welcome(layout, ready_s=time.monotonic() - started_at if stopped else None)


def start(*, name: str, node_id: int) -> None:
    """Starts one node again and waits until it is unfenced (or, without a quorum, until it answers)."""
    layout = existing_layout(name)
    node = layout.node(node_id)
    if process_state(node) is not ProcessState.STOPPED:
        raise ClusterError(f"node {node_id} is {process_state(node).value} already.")
    require_free([node], node_count=layout.node_count)
    write_node_files(layout, node)
    pid = start_process(node)
    began = time.monotonic()
    _wait_ready(layout, [node])
    print(f"node {node_id} runs (pid {pid}), unfenced after {time.monotonic() - began:.1f} s")


def status(*, name: str, as_json: bool) -> bool:
    """Shows nodes, quorum, leaders and ISR; whether anybody answered."""
    import trio

    from cluster.health import all_views, best_view
    from cluster.screen import partitions_report, quorum_line

    layout = existing_layout(name)
    answering = [node for node in layout.nodes if process_state(node) is ProcessState.RUNNING]
    views = trio.run(lambda: all_views(answering))
    view = best_view(views)
    if as_json:
        well = view is not None and view.all_unfenced([node.node_id for node in layout.nodes]) and all(p.healthy for p in view.partitions)
        print(json.dumps({"cluster": layout.name, "well": well, "view": attrs.asdict(view) if view else None}))
        return view is not None
    print(_nodes_table(layout, views=views))
    if view is None:
        print(f"\nNo node answers. Start the cluster with `make cluster`; the logs are in {layout.directory}.")
    else:
        print(f"\n{quorum_line(view)}\n\n{partitions_report(view.partitions)}")
    return view is not None


def down(*, name: str) -> None:
    """Stops every node cleanly; data stays."""
    layout = existing_layout(name)
    running = [node for node in layout.nodes if process_state(node) is not ProcessState.STOPPED]
    for node in running:
        _ask_to_stop(node)
    slow = [node for node in running if not wait_until_gone(node, timeout_s=STOP_TIMEOUT_S)]
    for node in slow:
        _force(node)
        print(f"node {node.node_id} did not stop within {STOP_TIMEOUT_S:.0f} s and was killed")
    print(f"cluster {name} is down; its data is kept. `make cluster` starts it again, `make cluster-clean` deletes it.")


def clean(*, name: str) -> None:
    """Stops the cluster and deletes its data."""
    directory = (clusters_home() / name).absolute()
    try:
        layout = load_layout(name)
    except ClusterError:
        layout = None
    if layout is None and not directory.exists():
        print(f"there is no cluster {name}: nothing to delete.")
        return
    for node in layout.nodes if layout else ():
        if process_state(node) is not ProcessState.STOPPED:
            _force(node)
    shutil.rmtree(directory)
    print(f"cluster {name} is gone, with its data.")


def kill(*, name: str, node_id: int) -> None:
    """SIGKILL: the process ends at once, without a word to anyone."""
    node = existing_layout(name).node(node_id)
    pid = send_signal(node, signal.SIGKILL)
    wait_until_gone(node, timeout_s=KILL_TIMEOUT_S)
    print(f"node {node_id} (pid {pid}) was killed. `make start NODE={node_id}` brings it back.")


def pause(*, name: str, node_id: int) -> None:
    """SIGSTOP: the process freezes with its connections open, as in a very long pause."""
    pid = send_signal(existing_layout(name).node(node_id), signal.SIGSTOP)
    print(f"node {node_id} (pid {pid}) is frozen. `make resume NODE={node_id}` lets it go on.")


def resume(*, name: str, node_id: int) -> None:
    """SIGCONT: a frozen process goes on where it was."""
    pid = send_signal(existing_layout(name).node(node_id), signal.SIGCONT)
    print(f"node {node_id} (pid {pid}) goes on.")


def stop(*, name: str, node_id: int) -> None:
    """SIGTERM: the node hands its leaderships over and stops."""
    node = existing_layout(name).node(node_id)
    began = time.monotonic()
    pid = _ask_to_stop(node)
    if not wait_until_gone(node, timeout_s=STOP_TIMEOUT_S):
        raise ClusterError(f"node {node_id} (pid {pid}) does not stop. Its log is {node.log_path}; `make kill NODE={node_id}` ends it.")
    print(f"node {node_id} stopped cleanly in {time.monotonic() - began:.1f} s. `make start NODE={node_id}` brings it back.")


def partition(*, name: str, from_ids: Sequence[int], to_ids: Sequence[int], one_way: bool) -> None:
    """Cuts the network between two sets of nodes, both ways or only from the first to the second; clients are never cut."""
    layout = existing_layout(name)
    others = [node.node_id for node in layout.nodes if node.node_id not in from_ids]
    targets = list(to_ids) or others
    for node_id in (*from_ids, *targets):
        layout.node(node_id)
    both = sorted(set(from_ids) & set(targets))
    if both:
        raise ClusterError(f"node {both[0]} is on both sides. Write for example: make partition A=1 B=2,3")
    for node in layout.nodes:
        if node.node_id in from_ids:
            _add_cuts(node, cut_to=targets, cut_from=[] if one_way else targets)
        elif node.node_id in targets:
            _add_cuts(node, cut_to=[] if one_way else from_ids, cut_from=from_ids)
    arrow = "->" if one_way else "<->"
    print(f"cut: {_joined(from_ids)} {arrow} {_joined(targets)}. `make heal` restores it.")


def heal(*, name: str) -> None:
    """Undoes every cut."""
    for node in existing_layout(name).nodes:
        node.faults_path.unlink(missing_ok=True)
        _reread_faults(node)
    print("every cut is undone.")


def _layout_for_start(name: str, node_count: int | None, first_port: int | None) -> ClusterLayout:
    """The existing cluster of this name, which keeps its size and ports, or a new one."""
    layout = load_layout(name)
    if layout is None:
        return new_layout(name=name, node_count=node_count or DEFAULT_NODES, first_port=first_port or DEFAULT_PORT)
    wanted = (node_count or layout.node_count, first_port or layout.first_port)
    if wanted != (layout.node_count, layout.first_port):
        raise ClusterError(
            f"cluster {name} exists with NODES={layout.node_count} PORT={layout.first_port}, and keeps them with its data. "
            "`make scale-out` adds a node and `make scale-in` removes one; `make cluster-clean` deletes the cluster; "
            f"or start another beside it: make cluster NODES={wanted[0]} PORT=<port> NAME=other"
        )
    return layout


def _wait_ready(layout: ClusterLayout, nodes: Sequence[NodeLayout]) -> None:
    """Waits until these nodes, and all that run, are unfenced; `ClusterError` with the log's end when one of them ended instead."""
    import trio

    from cluster.health import wait_until_ready

    running = [node for node in layout.nodes if process_state(node) is ProcessState.RUNNING]
    voters = [node for node in running if node.is_controller]
    majority = len(voters) > len(layout.controllers) // 2
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        for node in nodes:
            if pid_of(node) is None:
                raise ClusterError(f"node {node.node_id} ended while starting. The end of {node.log_path}:\n{_log_tail(node)}")
        if not majority:
            print(f"Only {len(voters)} of {len(layout.controllers)} controllers run: without a majority no broker can be unfenced.")
            return
        if trio.run(lambda: wait_until_ready(layout, running, timeout_s=0.5)):
            return
    raise ClusterError(f"the cluster is not ready after {START_TIMEOUT_S:.0f} s. `make cluster-status` shows it; logs: {layout.directory}")


def _show_welcome(layout: ClusterLayout, *, ready_s: float | None) -> None:
    import trio

    from cluster.health import all_views
    from cluster.screen import welcome

    answering = [node for node in layout.nodes if process_state(node) is ProcessState.RUNNING]
    views = trio.run(lambda: all_views(answering, with_partitions=False))
    nodes = _nodes_table(layout, views=views)
    print(welcome(layout, nodes=nodes, version=metadata.version("raftkafka"), ready_s=ready_s))


def _nodes_table(layout: ClusterLayout, *, views: Mapping[int, NodeView | None]) -> str:
    from cluster.screen import nodes_table

    states = {node.node_id: process_state(node) for node in layout.nodes}
    pids = {node.node_id: pid_of(node) for node in layout.nodes}
    return nodes_table(layout, states=states, pids=pids, views=views)


def _ask_to_stop(node: NodeLayout) -> int:
    pid = send_signal(node, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)  # A frozen process acts on nothing else; one that runs does not mind.
    return pid


def _force(node: NodeLayout) -> None:
    send_signal(node, signal.SIGKILL)
    wait_until_gone(node, timeout_s=KILL_TIMEOUT_S)


def _add_cuts(node: NodeLayout, *, cut_to: Sequence[int], cut_from: Sequence[int]) -> None:
    """Adds cuts to those already in a node's file, and tells the node."""
    try:
        cuts = json.loads(node.faults_path.read_text())
    except (FileNotFoundError, ValueError):
        cuts = {}
    merged = {
        "cut_to": sorted({*cuts.get("cut_to", ()), *cut_to}),
        "cut_from": sorted({*cuts.get("cut_from", ()), *cut_from}),
    }
    node.faults_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = node.faults_path.with_suffix(".tmp")
    temporary.write_text(json.dumps(merged) + "\n")
    temporary.replace(node.faults_path)
    _reread_faults(node)


def _reread_faults(node: NodeLayout) -> None:
    if process_state(node) is not ProcessState.STOPPED:
        send_signal(node, signal.SIGUSR1)


def _log_tail(node: NodeLayout) -> str:
    lines = node.log_path.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES_SHOWN:]) or "  (it is empty)"


def _joined(node_ids: Sequence[int]) -> str:
    return ",".join(map(str, node_ids))
