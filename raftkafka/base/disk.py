"""The disk port that a node is given: reads and buffered appends are synchronous, stability (fsync) is an effect.

Invariants
- What `append`, `truncate`, `rename` and `delete` do is visible to every later read at once, and is stable only after a `Persist`
  that names the path has completed. A process kill loses nothing of it; a power failure may.
- Paths are relative to the node's data root, with `/` between parts.

Implementations: `server.disk` (the machine's file system) and `simulation.disk` (with loss of unsynced bytes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

Buffer = bytes | bytearray | memoryview


@attrs.frozen
class FileWrite:
    """A whole small file replaced atomically: after a crash its content is the old or the new one, never a mixture."""

    path: str
    data: bytes


@attrs.frozen
class Persist:
    """Effect: make these writes and everything so far appended to these paths stable, then report the token back to the machine.

    The next effect of the same machine starts only after that: this is the whole "persist before send" rule.
    """

    token: int
    writes: tuple[FileWrite, ...] = ()
    syncs: tuple[str, ...] = ()


class DiskFile(Protocol):
    """An open file. Every method raises `DiskError`; after one the file's state is unknown and its owner goes offline."""

    @property
    def path(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Writes the buffers one after the other at the end; the buffers may be reused by the caller when it returns."""

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes from `position`; shorter only at the end of the file."""

    def truncate(self, size_bytes: int) -> None: ...

    def close(self) -> None: ...


class Disk(Protocol):
    """A node's file system. Every method raises `DiskError`."""

    def open(self, path: str, *, create: bool = False) -> DiskFile: ...

    def exists(self, path: str) -> bool: ...

    def list_dir(self, path: str) -> list[str]:
        """The names in a directory, sorted; empty when there is no such directory."""

    def make_dir(self, path: str) -> None:
        """Creates a directory and its parents; no error when it exists."""

    def read_file(self, path: str) -> bytes: ...

    def replace_file(self, path: str, data: bytes) -> None:
        """Atomically replaces a small file, without making it stable (`Persist.writes` does both)."""

    def rename(self, path: str, new_path: str) -> None:
        """Files that are open follow it, also those that lie directly in a directory that is renamed."""

    def delete(self, path: str) -> None:
        """Deletes a file, or a directory with all it holds; no error when there is none."""

    def space(self, path: str) -> tuple[int, int]:
        """How many bytes the file system of this path has in all, and how many can still be used; -1 for what is not known."""

    def persist(self, persist: Persist) -> None:
        """Carries out a `Persist`; called by the shell (in a thread on a real machine), never by a machine."""
