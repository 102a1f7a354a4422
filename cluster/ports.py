"""Whether ports are free, who holds one that is not, and where there is room for a whole cluster."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from cluster.layout import HOST, ClusterError, NodeLayout, controller_port_of

_LISTEN_STATE = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def unused_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different, as the kernel gives them."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def require_free(nodes: Sequence[NodeLayout], *, node_count: int) -> None:
    """Refuses (`ClusterError`) when a port of these nodes is taken, naming it, its owner if known, and a way out."""
    for node in nodes:
        for port in (node.port, node.controller_port):
            if not is_free(port):
                owner = owner_of(port)
                held = f" by {owner}" if owner else ""
                raise ClusterError(
                    f"port {port} is taken{held}, and node {node.node_id} needs it. Stop what holds it, "
                    f"or start the cluster elsewhere: make cluster PORT={free_range(node_count)} NAME=other"
                )


def free_range(node_count: int) -> int:
    """A first port with room for a cluster of this many nodes, all below the range the system hands out for outgoing connections."""
    for first in range(11_092, 22_000, 100):
        ports = range(first, first + node_count)
        if all(is_free(port) and is_free(controller_port_of(port)) for port in ports):
            return first
    return 11_092


def owner_of(port: int) -> str:
    """The program that listens on a port, as `name (pid 123)`; empty when it cannot be found out (another user's, or not Linux)."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            targets = [os.readlink(entry.path) for entry in os.scandir(process / "fd")]
        except OSError:
            continue
        if any(target in inodes for target in targets):
            name = (process / "comm").read_text().strip()
            return f"{name} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on a port, as their links in /proc/<pid>/fd read."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTEN_STATE and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{columns[9]}]")
    return found
