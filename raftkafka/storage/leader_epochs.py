"""Which leader epoch begins at which offset of a log: what followers and leaders compare to find where their logs part.

Invariants
- Epochs and start offsets strictly increase from entry to entry; no entry starts behind the end of the log.
- An epoch covers the offsets from its start to the start of the next entry, the last one to the end of the log.

Sources: KIP-101 (truncation by epoch), KIP-279 (the answer for an epoch the leader does not know), KIP-595; reference/replication-rules.md
K-101 and K-279.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from raftkafka.storage.checkpoints import decode_leader_epochs, encode_leader_epochs

UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class LeaderEpochCache:
    """The leader epochs of one log. `dirty` says that its checkpoint file is behind."""

    __slots__ = ("_epochs", "_log_end_offset", "_start_offsets", "dirty")

    def __init__(self, log_end_offset: Callable[[], int]) -> None:
        self._log_end_offset = log_end_offset
        self._epochs: list[int] = []
        self._start_offsets: list[int] = []
        self.dirty = False

    @property
    def entries(self) -> list[tuple[int, int]]:
        """(epoch, start offset), oldest first."""
        return list(zip(self._epochs, self._start_offsets, strict=True))

    @property
    def latest_epoch(self) -> int:
        """The last epoch, or `UNDEFINED_EPOCH`."""
        return self._epochs[-1] if self._epochs else UNDEFINED_EPOCH

    def start_offset_of(self, epoch: int) -> int | None:
        """Where exactly this epoch starts; `None` when the log has nothing of it."""
        index = bisect_left(self._epochs, epoch)
        return self._start_offsets[index] if index < len(self._epochs) and self._epochs[index] == epoch else None

    def epoch_at(self, offset: int) -> int:
        """The epoch of the record at `offset`, or `UNDEFINED_EPOCH` when it is before the first known one."""
        index = bisect_right(self._start_offsets, offset)
        return self._epochs[index - 1] if index else UNDEFINED_EPOCH

    def assign(self, epoch: int, start_offset: int) -> None:
        """Notes that `epoch` begins at `start_offset`; entries that contradict it were of a log that is gone, and go."""
        if self._epochs and self._epochs[-1] == epoch and self._start_offsets[-1] <= start_offset:
            return
        keep = min(bisect_left(self._epochs, epoch), bisect_left(self._start_offsets, start_offset))
        del self._epochs[keep:]
        del self._start_offsets[keep:]
        self._epochs.append(epoch)
        self._start_offsets.append(start_offset)
        self.dirty = True

    def end_offset_for(self, epoch: int) -> tuple[int, int]:
        """The largest known epoch that is not above `epoch`, and its exclusive end offset.

        Above all known epochs the answer is undefined (-1, -1); below all of them it is `epoch` itself with the first known start offset.
        """
        if not self._epochs or epoch > self._epochs[-1] or epoch == UNDEFINED_EPOCH:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if epoch == self._epochs[-1]:
            return epoch, self._log_end_offset()
        higher = bisect_right(self._epochs, epoch)
        if higher == 0:
            return epoch, self._start_offsets[0]
        return self._epochs[higher - 1], self._start_offsets[higher]

    def truncate_from_end(self, end_offset: int) -> None:
        """The log now ends at `end_offset`: forgets epochs that start there or behind."""
        keep = bisect_left(self._start_offsets, end_offset)
        if keep < len(self._epochs):
            del self._epochs[keep:]
            del self._start_offsets[keep:]
            self.dirty = True

    def truncate_from_start(self, start_offset: int) -> None:
        """The log now starts at `start_offset`: forgets epochs that end there or before, and shortens the one that covers it."""
        index = bisect_right(self._start_offsets, start_offset)
        if index == 0 or (index == 1 and self._start_offsets[0] == start_offset):
            return
        del self._epochs[: index - 1]
        del self._start_offsets[: index - 1]
        self._start_offsets[0] = start_offset
        self.dirty = True

    def clear(self) -> None:
        self._epochs.clear()
        self._start_offsets.clear()
        self.dirty = True

    def load(self, data: bytes) -> None:
        """Takes the entries of a checkpoint file; `CorruptRecord` when it is damaged."""
        self._epochs.clear()
        self._start_offsets.clear()
        self.extend(decode_leader_epochs(data))
        self.dirty = False

    def extend(self, entries: Iterable[tuple[int, int]]) -> None:
        """Assigns one entry after the other."""
        for epoch, start_offset in entries:
            self.assign(epoch, start_offset)

    def encode(self) -> bytes:
        """The content of the checkpoint file."""
        return encode_leader_epochs(self.entries)
