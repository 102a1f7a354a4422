"""Starting and stopping one node of a cluster that serves, and waiting until it is part of it again."""

from __future__ import annotations

import signal
import time

import trio

from cluster.elastic.view import ClusterView, look
from cluster.layout import ClusterError, ClusterLayout, NodeLayout
from cluster.node_files import write_node_files
from cluster.ports import require_free
from cluster.processes import ProcessState, pid_of, process_state, send_signal, start_process, wait_until_gone
from raftkafka.client.cluster import ClusterClient

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
FENCE_TIMEOUT_S = 30.0
WHOLE_TIMEOUT_S = 600.0
_POLL_S = 0.05
_LOG_LINES_SHOWN = 15


def start(layout: ClusterLayout, node: NodeLayout) -> None:
    """Starts a node that does not run, with the files that it lacks."""
    if process_state(node) is not ProcessState.STOPPED:
        return
    require_free([node], node_count=layout.node_count)
    write_node_files(layout, node)
    start_process(node)


async def wait_until_unfenced(client: ClusterClient, node: NodeLayout) -> None:
    """Until the cluster counts the node's broker among its live ones; `ClusterError` with the end of its log when it ended instead."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while node.node_id not in (await look(client)).live:
        if pid_of(node) is None:
            raise ClusterError(f"node {node.node_id} ended while starting. The end of {node.log_path}:\n{log_tail(node)}")
        if time.monotonic() >= deadline:
            raise ClusterError(f"node {node.node_id} is not unfenced after {START_TIMEOUT_S:.0f} s; its log is {node.log_path}.")
        await trio.sleep(_POLL_S)


async def wait_until_fenced(client: ClusterClient, node: NodeLayout) -> None:
    """Until the cluster counts on the broker of a process that is gone, or frozen, no more."""
    deadline = time.monotonic() + FENCE_TIMEOUT_S
    while node.node_id in (await look(client)).live:
        if time.monotonic() >= deadline:
            raise ClusterError(f"node {node.node_id} is down, but the cluster still counts on it after {FENCE_TIMEOUT_S:.0f} s.")
        await trio.sleep(_POLL_S)


async def stop(node: NodeLayout, *, number: signal.Signals = signal.SIGTERM) -> None:
    """Stops a node cleanly, or kills it; nothing when it does not run."""
    if process_state(node) is ProcessState.STOPPED:
        return
    send_signal(node, number)
    if process_state(node) is ProcessState.PAUSED:
        send_signal(node, signal.SIGCONT)  # A frozen process acts on nothing else.
    gone = await trio.to_thread.run_sync(lambda: wait_until_gone(node, timeout_s=STOP_TIMEOUT_S))
    if not gone:
        raise ClusterError(f"node {node.node_id} does not stop. Its log is {node.log_path}; `make kill NODE={node.node_id}` ends it.")


async def wait_until_whole(client: ClusterClient) -> ClusterView:
    """Until every replica of every partition is in sync."""
    deadline = time.monotonic() + WHOLE_TIMEOUT_S
    while True:
        view = await look(client)
        behind = [partition for partition in view.partitions if not partition.is_whole]
        if not behind:
            return view
        if time.monotonic() >= deadline:
            raise ClusterError(f"{len(behind)} partitions lack a replica in sync after {WHOLE_TIMEOUT_S:.0f} s, such as {behind[0].id}.")
        await trio.sleep(_POLL_S)


def log_tail(node: NodeLayout) -> str:
    """The end of a node's log, to be shown."""
    lines = node.log_path.read_text(errors="replace").splitlines() if node.log_path.exists() else []
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES_SHOWN:]) or "  (it is empty)"
