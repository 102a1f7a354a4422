"""The segments of one log, oldest first; the last is the active one, which is written.

Invariants
- There is always one; base offsets strictly increase.

Sources: reference/disk-format.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from raftkafka.storage.config import LogConfig
from raftkafka.storage.record_batch import NO_TIMESTAMP
from raftkafka.storage.segment import LogSegment


class SegmentList:
    """Finds, adds and removes segments."""

    __slots__ = ("_bases", "_segments", "active", "version")

    def __init__(self, segments: Sequence[LogSegment]) -> None:
        assert segments
        self._segments = list(segments)
        self._bases = [segment.base_offset for segment in segments]
        self.active = self._segments[-1]
        self.version = 0
        """Raised whenever segments are removed or replaced."""

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[LogSegment]:
        return iter(self._segments)

    def __getitem__(self, index: int) -> LogSegment:
        return self._segments[index]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self._segments)

    def at(self, offset: int) -> LogSegment:
        """The segment that contains `offset`, or the next one that has records (compaction leaves holes)."""
        for segment in self.from_offset(offset):
            if segment.next_offset > offset:
                return segment
        return self.active

    def from_offset(self, offset: int) -> Sequence[LogSegment]:
        """The segments from the one in whose range `offset` lies."""
        return self._segments[max(bisect_right(self._bases, offset) - 1, 0) :]

    def add(self, segment: LogSegment) -> None:
        """Adds a segment, which becomes the active one; the one before the last is not written any more and lets go of its memory."""
        if len(self._segments) > 1:
            self._segments[-2].release()
        self._segments.append(segment)
        self._bases.append(segment.base_offset)
        self.active = segment

    def replace_all(self, segment: LogSegment) -> None:
        """Deletes all segments, the newest first, and begins with this one."""
        self.version += 1
        while self._segments:
            self._segments.pop().delete()
        self._segments = [segment]
        self._bases = [segment.base_offset]
        self.active = segment

    def drop_last(self) -> None:
        """Deletes the active segment; the one before it becomes active."""
        self.version += 1
        self._segments.pop().delete()
        self._bases.pop()
        self.active = self._segments[-1]

    def replace(self, old: Sequence[LogSegment], cleaned: LogSegment) -> None:
        """Puts one segment in the place of neighbours, whose files are gone already."""
        self.version += 1
        first = self._segments.index(old[0])
        assert self._segments[first : first + len(old)] == list(old)
        assert old[-1] is not self.active
        self._segments[first : first + len(old)] = [cleaned]
        self._bases[first : first + len(old)] = [cleaned.base_offset]

    def retire_first(self, count: int) -> list[str]:
        """Takes out the oldest segments, the oldest first, so that what a crash leaves of them still leads to the rest.

        Returns the files that are left of them, to be deleted later.
        """
        self.version += 1
        retired = [path for segment in self._segments[:count] for path in segment.retire()]
        del self._segments[:count]
        del self._bases[:count]
        return retired

    def expired(self, config: LogConfig, *, wall_ms: int, high_watermark: int, log_start_offset: int) -> int:
        """How many of the oldest may go: by size, by age, or because the log starts behind them; none that reaches the high watermark."""
        excess = self.size_bytes - config.retention_bytes if config.delete and config.retention_bytes >= 0 else -1
        count = 0
        for index, segment in enumerate(self._segments):
            if segment.size_bytes == 0 or segment.next_offset > high_watermark:
                break
            below_start = segment is not self.active and segment.next_offset <= log_start_offset
            too_large = excess >= segment.size_bytes
            too_old = config.delete and config.retention_ms >= 0 and wall_ms - self._latest_time(index, wall_ms) > config.retention_ms
            if not (below_start or too_large or too_old):
                break
            excess -= segment.size_bytes
            count += 1
        return count

    def _latest_time(self, index: int, wall_ms: int) -> int:
        """The latest time of a segment's records; of records without a time, that of the next ones that have one, or now."""
        times = (segment.max_timestamp for segment in self._segments[index:] if segment.max_timestamp != NO_TIMESTAMP)
        return next(times, wall_ms)
