"""The log in memory: the entries since the last snapshot, and which epoch begins where.

Invariants
- Offsets are dense from `start_offset` to `end_offset`; epochs never decrease.
- `start_epoch` is the epoch of the entry just before `start_offset` (the snapshot's), 0 when there is none.
- Appends, cuts and trims happen at the ends of batches.

Sources: Raft paper 5.3 (log matching); KIP-101 and KIP-279 for the end offset of an epoch, by which a conflict is found in one step per
epoch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from raftkafka.raft.messages import Entry


class RaftLog:
    """The part of the log that is after the snapshot."""

    __slots__ = ("_entries", "_epoch_starts", "_epochs", "start_epoch", "start_offset")

    def __init__(self, *, start_offset: int = 0, start_epoch: int = 0, entries: Sequence[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        self._epochs: list[int] = []
        self._epoch_starts: list[int] = []
        self.start_offset = start_offset
        self.start_epoch = start_epoch
        self.append(entries)

    @property
    def end_offset(self) -> int:
        return self.start_offset + len(self._entries)

    @property
    def last_epoch(self) -> int:
        return self._entries[-1].epoch if self._entries else self.start_epoch

    def epoch_at(self, offset: int) -> int:
        """The epoch of the entry at this offset, which may also be the last one that the snapshot holds; 0 before the first entry."""
        assert self.start_offset - 1 <= offset < self.end_offset, f"offset {offset} is not in the log"
        return self.start_epoch if offset < self.start_offset else self._entries[offset - self.start_offset].epoch

    def entries(self, start_offset: int, end_offset: int) -> tuple[Entry, ...]:
        """The entries in `[start_offset, end_offset)`."""
        assert self.start_offset <= start_offset <= end_offset <= self.end_offset
        return tuple(self._entries[start_offset - self.start_offset : end_offset - self.start_offset])

    def whole_batches(self, start_offset: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from `start_offset` on, at least one batch, then whole batches while they stay within about `max_bytes`."""
        assert self.start_offset <= start_offset <= self.end_offset
        taken_end = position = start_offset - self.start_offset
        size_bytes = 0
        while position < len(self._entries):
            entry = self._entries[position]
            size_bytes += len(entry.data) + 16
            position += 1
            if entry.ends_batch:
                if taken_end > start_offset - self.start_offset and size_bytes > max_bytes:
                    break
                taken_end = position
        return tuple(self._entries[start_offset - self.start_offset : taken_end])

    def append(self, entries: Sequence[Entry]) -> None:
        """Adds entries at the end."""
        for entry in entries:
            assert entry.offset == self.end_offset, f"entry {entry.offset} does not follow {self.end_offset}"
            assert entry.epoch >= self.last_epoch, f"epoch {entry.epoch} follows {self.last_epoch}"
            if not self._epochs or self._epochs[-1] != entry.epoch:
                self._epochs.append(entry.epoch)
                self._epoch_starts.append(entry.offset)
            self._entries.append(entry)

    def truncate(self, end_offset: int) -> None:
        """Drops the entries at and after this offset."""
        assert self.start_offset <= end_offset <= self.end_offset
        del self._entries[end_offset - self.start_offset :]
        while self._epoch_starts and self._epoch_starts[-1] >= end_offset:
            self._epoch_starts.pop()
            self._epochs.pop()

    def trim(self, start_offset: int) -> None:
        """Drops the entries below this offset, which a snapshot now holds."""
        assert self.start_offset <= start_offset <= self.end_offset
        self.start_epoch = self.epoch_at(start_offset - 1) if start_offset > self.start_offset else self.start_epoch
        del self._entries[: start_offset - self.start_offset]
        self.start_offset = start_offset
        kept = bisect_right(self._epoch_starts, start_offset) - 1
        if kept > 0:
            del self._epochs[:kept], self._epoch_starts[:kept]
        if not self._entries:
            self._epochs.clear()
            self._epoch_starts.clear()
        elif self._epoch_starts[0] < start_offset:
            self._epoch_starts[0] = start_offset

    def reset(self, start_offset: int, start_epoch: int) -> None:
        """Drops everything; the log goes on after a snapshot that ends here."""
        self.truncate(self.start_offset)
        self.start_offset = start_offset
        self.start_epoch = start_epoch

    def end_offset_for(self, epoch: int) -> tuple[int, int]:
        """The largest epoch up to this one that the log knows, and where it ends (exclusive). (KIP-279)

        All epochs of the part below `start_offset` count as `start_epoch`: that part is committed, so it needs no finer answer.
        """
        found = bisect_right(self._epochs, epoch) - 1
        if found < 0:
            return min(self.start_epoch, epoch), self.start_offset
        ends_at = self._epoch_starts[found + 1] if found + 1 < len(self._epochs) else self.end_offset
        return self._epochs[found], ends_at
