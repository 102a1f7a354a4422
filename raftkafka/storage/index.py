"""The sparse indexes of a segment: offset to position, timestamp to offset, and the aborted transactions.

Entries are kept in memory as packed arrays and written to their files in bulk (at a roll, a flush, a clean stop), because a recovery can
rebuild all of them from the batches: an append costs no second system call.

Invariants
- Offsets, positions and timestamps of the entries of one index strictly increase.
- The file holds a prefix of the entries in memory.
- An offset entry (o, p) says: the batch at position p ends with offset o. A time entry (t, o) says: no record up to offset o, the last of a
  batch, is later than t.

Sources: reference/disk-format.md (the entries' layout); KIP-33 (time index), KIP-98 (transaction index).
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from raftkafka.base.disk import Disk

OFFSET_ENTRY_BYTES = 8
_TIME_ENTRY = struct.Struct(">qI")
_ABORTED_ENTRY = struct.Struct(">hqqqq")
_ABORTED_VERSION = 0


class OffsetIndex:
    """Where in the segment's file an offset is found, to within `index.interval.bytes`."""

    __slots__ = ("_base_offset", "_disk", "_offsets", "_positions", "_written", "path")

    def __init__(self, disk: Disk, path: str, base_offset: int) -> None:
        self.path = path
        self._disk = disk
        self._base_offset = base_offset
        self._offsets = array("I")
        self._positions = array("I")
        self._written = 0

    def __len__(self) -> int:
        return len(self._offsets)

    def load(self) -> None:
        """Reads the entries from the file, up to the first that cannot be one (a preallocated tail, a torn write)."""
        self._offsets = array("I")
        self._positions = array("I")
        self._written = 0
        if not self._disk.exists(self.path):
            return
        data = self._disk.read_file(self.path)
        whole = len(data) // OFFSET_ENTRY_BYTES
        numbers = array("I", data[: whole * OFFSET_ENTRY_BYTES])
        if sys.byteorder == "little":
            numbers.byteswap()
        offsets, positions = numbers[::2], numbers[1::2]
        while whole and positions[whole - 1] == 0:
            whole -= 1
        self._offsets, self._positions = offsets[:whole], positions[:whole]
        self._written = whole
        if whole * OFFSET_ENTRY_BYTES != len(data):
            self._cut_file(whole)

    def append(self, last_offset: int, position: int) -> None:
        """Adds an entry for the batch at `position` that ends with `last_offset`."""
        self._offsets.append(last_offset - self._base_offset)
        self._positions.append(position)

    def floor(self, offset: int) -> int:
        """A position at or before the batch that contains `offset`, the nearest that is known."""
        index = bisect_right(self._offsets, offset - self._base_offset) if offset >= self._base_offset else 0
        return self._positions[index - 1] if index else 0

    def floor_position(self, position: int) -> int:
        """The start of a batch at or before `position`, the nearest that is known."""
        index = bisect_right(self._positions, position)
        return self._positions[index - 1] if index else 0

    def last_position(self) -> int:
        """The start of the last batch that has an entry; 0 when there is none."""
        return self._positions[-1] if self._positions else 0

    def truncate_to_position(self, size_bytes: int) -> None:
        """Forgets the entries of batches at or behind `size_bytes`."""
        keep = bisect_left(self._positions, size_bytes)
        if keep < len(self._offsets):
            del self._offsets[keep:]
            del self._positions[keep:]
            if self._written > keep:
                self._cut_file(keep)

    def clear(self) -> None:
        """Forgets all entries, also in the file."""
        self._offsets = array("I")
        self._positions = array("I")
        self._cut_file(0)

    def write(self) -> None:
        """Brings the file up to date."""
        count = len(self._offsets)
        if count == self._written and self._disk.exists(self.path):
            return
        numbers = array("I", bytes((count - self._written) * OFFSET_ENTRY_BYTES))
        numbers[::2] = self._offsets[self._written :]
        numbers[1::2] = self._positions[self._written :]
        if sys.byteorder == "little":
            numbers.byteswap()
        _append_to(self._disk, self.path, numbers.tobytes())
        self._written = count

    def _cut_file(self, entries: int) -> None:
        _cut(self._disk, self.path, entries * OFFSET_ENTRY_BYTES)
        self._written = entries


class TimeIndex:
    """From which offset on the records are later than a timestamp, to within `index.interval.bytes`."""

    __slots__ = ("_base_offset", "_disk", "_offsets", "_timestamps", "_written", "path")

    def __init__(self, disk: Disk, path: str, base_offset: int) -> None:
        self.path = path
        self._disk = disk
        self._base_offset = base_offset
        self._timestamps = array("q")
        self._offsets = array("I")
        self._written = 0

    def __len__(self) -> int:
        return len(self._timestamps)

    def load(self) -> None:
        """Reads the entries from the file, up to the first that cannot be one."""
        self._timestamps = array("q")
        self._offsets = array("I")
        self._written = 0
        if not self._disk.exists(self.path):
            return
        data = self._disk.read_file(self.path)
        for timestamp, offset in _TIME_ENTRY.iter_unpack(data[: len(data) - len(data) % _TIME_ENTRY.size]):
            if self._timestamps and timestamp <= self._timestamps[-1]:
                break
            self._timestamps.append(timestamp)
            self._offsets.append(offset)
        self._written = len(self._timestamps)
        if self._written * _TIME_ENTRY.size != len(data):
            self._cut_file(self._written)

    def append(self, timestamp: int, offset: int) -> None:
        """Adds an entry, unless `timestamp` is not later than the last one."""
        if not self._timestamps or timestamp > self._timestamps[-1]:
            self._timestamps.append(timestamp)
            self._offsets.append(offset - self._base_offset)

    def last(self) -> tuple[int, int] | None:
        """The (timestamp, offset) of the last entry."""
        return (self._timestamps[-1], self._base_offset + self._offsets[-1]) if self._timestamps else None

    def floor(self, timestamp: int) -> int:
        """An offset at or before the first record at or after `timestamp`."""
        index = bisect_left(self._timestamps, timestamp)
        return self._base_offset + self._offsets[index - 1] if index else self._base_offset

    def truncate_to(self, end_offset: int) -> None:
        """Forgets the entries that speak of `end_offset` or more."""
        keep = bisect_left(self._offsets, max(end_offset - self._base_offset, 0))
        if keep < len(self._timestamps):
            del self._timestamps[keep:]
            del self._offsets[keep:]
            if self._written > keep:
                self._cut_file(keep)

    def clear(self) -> None:
        """Forgets all entries, also in the file."""
        self._timestamps = array("q")
        self._offsets = array("I")
        self._cut_file(0)

    def write(self) -> None:
        """Brings the file up to date."""
        count = len(self._timestamps)
        if count == self._written and self._disk.exists(self.path):
            return
        pairs = zip(self._timestamps[self._written :], self._offsets[self._written :], strict=True)
        _append_to(self._disk, self.path, b"".join(_TIME_ENTRY.pack(*pair) for pair in pairs))
        self._written = count

    def _cut_file(self, entries: int) -> None:
        _cut(self._disk, self.path, entries * _TIME_ENTRY.size)
        self._written = entries


class AbortedTransaction(NamedTuple):
    """An aborted transaction: its records lie between the two offsets (both inclusive); `last_offset` is that of its marker."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """The aborted transactions whose markers lie in a segment, in the order of their markers. Aborts are rare: it is written at once."""

    __slots__ = ("_disk", "_entries", "path")

    def __init__(self, disk: Disk, path: str) -> None:
        self.path = path
        self._disk = disk
        self._entries: list[AbortedTransaction] = []

    @property
    def entries(self) -> list[AbortedTransaction]:
        return self._entries

    def load(self) -> None:
        """Reads the entries from the file; a torn last one is cut."""
        self._entries = []
        if not self._disk.exists(self.path):
            return
        data = self._disk.read_file(self.path)
        for version, *numbers in _ABORTED_ENTRY.iter_unpack(data[: len(data) - len(data) % _ABORTED_ENTRY.size]):
            if version != _ABORTED_VERSION:
                break
            self._entries.append(AbortedTransaction(*numbers))
        if len(self._entries) * _ABORTED_ENTRY.size != len(data):
            _cut(self._disk, self.path, len(self._entries) * _ABORTED_ENTRY.size)

    def create(self) -> None:
        """Creates the file, if need be without entries."""
        _append_to(self._disk, self.path, b"")

    def append(self, aborted: AbortedTransaction) -> None:
        self._entries.append(aborted)
        _append_to(self._disk, self.path, _ABORTED_ENTRY.pack(_ABORTED_VERSION, *aborted))

    def truncate_to(self, end_offset: int) -> None:
        """Forgets the transactions whose markers are at `end_offset` or behind."""
        keep = len(self._entries)
        while keep and self._entries[keep - 1].last_offset >= end_offset:
            keep -= 1
        if keep < len(self._entries):
            del self._entries[keep:]
            _cut(self._disk, self.path, keep * _ABORTED_ENTRY.size)

    def clear(self) -> None:
        """Forgets all entries, also in the file."""
        self._entries = []
        _cut(self._disk, self.path, 0)


def _append_to(disk: Disk, path: str, data: bytes) -> None:
    file = disk.open(path, create=True)
    try:
        if data:
            file.append([data])
    finally:
        file.close()


def _cut(disk: Disk, path: str, size_bytes: int) -> None:
    if disk.exists(path):
        file = disk.open(path)
        try:
            file.truncate(size_bytes)
        finally:
            file.close()
