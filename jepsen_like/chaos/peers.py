"""Which of some processes holds the other end of a local TCP connection: as the kernel says in /proc, without root.

Source: proc(5), /proc/net/tcp: addresses are hexadecimal, the inode of a socket is what the links in /proc/<pid>/fd name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def node_behind(*, peer_port: int, local_port: int, pids: Mapping[int, int]) -> int | None:
    """The key of `pids` (node id to process id) whose process has a connection from `peer_port` to `local_port`; None for any other."""
    inode = _inode_of(peer_port=peer_port, local_port=local_port)
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    for node_id, pid in pids.items():
        if _holds(pid, wanted):
            return node_id
    return None


def _inode_of(*, peer_port: int, local_port: int) -> str | None:
    """The inode of the socket at the peer's side: there `peer_port` is the local port and ours the remote one."""
    from_port, to_port = f":{peer_port:04X}", f":{local_port:04X}"
    for table in _TABLES:
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[1].endswith(from_port) and columns[2].endswith(to_port):
                return columns[9]
    return None


def _holds(pid: int, target: str) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(_link(entry.path) == target for entry in entries)
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
