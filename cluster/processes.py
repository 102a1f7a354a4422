"""Broker processes: started in sessions of their own, found again by their pid file, signalled only when they are really ours.

Invariants
- A process is born with SIGUSR1 ignored: a cut of the network that comes while it starts must not end it. It reads the cuts by itself once
  it listens to the signal.
- A pid counts as a node's only while that process's command line names the node's configuration file; pids are reused.
"""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.layout import ClusterError, NodeLayout

_POLL_S = 0.01


class ProcessState(enum.Enum):
    """What the operating system says of a node's process."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


def broker_command(node: NodeLayout) -> list[str]:
    """The command that runs a node."""
    return [sys.executable, "-m", "raftkafka.cli.main", "broker", str(node.properties_path)]


def start_process(node: NodeLayout) -> int:
    """Starts a node's process, detached from this one, with its output appended to its log file; returns the pid."""
    with node.log_path.open("ab") as log, fault_signal_ignored():
        process = subprocess.Popen(
            broker_command(node), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    node.pid_path.write_text(f"{process.pid}\n")
    _wait_for_command_line(process)
    # The process outlives this one on purpose: it is not waited for, and not reported as forgotten.
    process.returncode = 0
    return process.pid


@contextmanager
def fault_signal_ignored() -> Iterator[None]:
    """What is started meanwhile ignores SIGUSR1 until it says otherwise. Only the main thread may change this; elsewhere it is as it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _wait_for_command_line(process: subprocess.Popen[bytes]) -> None:
    """The kernel shows a new program's command line a moment after it has begun; until then it would not be known as ours."""
    deadline = time.monotonic() + 1.0
    while not _command_line(process.pid) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)


def pid_of(node: NodeLayout) -> int | None:
    """The pid of a node's living process; None when there is none."""
    try:
        pid = int(node.pid_path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if str(node.properties_path) in _command_line(pid) else None


def process_state(node: NodeLayout) -> ProcessState:
    """Whether a node's process runs, is frozen, or is not there."""
    pid = pid_of(node)
    if pid is None:
        return ProcessState.STOPPED
    return ProcessState.PAUSED if _status_letter(pid) in ("T", "t") else ProcessState.RUNNING


def send_signal(node: NodeLayout, number: signal.Signals) -> int:
    """Signals a node's process and returns its pid; `ClusterError` when the node is not running."""
    pid = pid_of(node)
    if pid is None:
        raise ClusterError(f"node {node.node_id} is not running. Start it with `make start NODE={node.node_id}`.")
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise ClusterError(f"node {node.node_id} has just ended by itself; its log is {node.log_path}.") from None
    except PermissionError:
        raise ClusterError(f"node {node.node_id} (pid {pid}) belongs to another user.") from None
    return pid


def wait_until_gone(node: NodeLayout, *, timeout_s: float) -> bool:
    """Whether a node's process ends within the time given."""
    deadline = time.monotonic() + timeout_s
    while pid_of(node) is not None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    node.pid_path.unlink(missing_ok=True)
    return True


def _command_line(pid: int) -> str:
    """The command line of a process; empty for one that is gone or only waits to be reaped."""
    if os.path.isdir("/proc/self"):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return _ps(pid, "command=")


def _status_letter(pid: int) -> str:
    if os.path.isdir("/proc/self"):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[0].decode()
        except OSError:
            return ""
    return _ps(pid, "state=")[:1]


def _ps(pid: int, column: str) -> str:
    return subprocess.run(["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
