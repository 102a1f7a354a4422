"""One round of the cleaner on one log: the keys of its dirty part, then every segment up to there, written again without what is outdated.

A round is a generator, so that its work is done in small parts between which the node serves others: it yields what each part has cost, or
what has to be made stable before it may go on.

Invariants
- The segments of a group are replaced when the cleaned one is stable; the next group is begun when that is stable, too; and the log counts
  as clean when all are. A crash anywhere leaves a log of which every key has its last value, to be cleaned again.
- A segment of which nothing goes is not replaced.

Sources: Kafka's `Cleaner`; KIP-534. What is left of a batch: `cleaner_retention`. How segments are replaced: `cleaner_swap`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.rules import Rule, Rules
from raftkafka.storage.cleaned_transactions import CleanedTransactions
from raftkafka.storage.cleaner_plan import CleaningPlan, groups
from raftkafka.storage.cleaner_retention import KeyOffsets, Retention, Worked, gather_keys
from raftkafka.storage.cleaner_swap import finish_cleaned_segment, new_cleaned_segment
from raftkafka.storage.record_batch import BatchHeader, batches, read_header, validate
from raftkafka.storage.segment import Extent, LogSegment

READ_CHUNK_BYTES = 64 << 10
WRITE_CHUNK_BYTES = 128 << 10
WRITE_COST_US = 100
SYNC_EVERY_BYTES = 16 << 20
"""So much is written before it is made stable: no other flush has to wait for all of a large segment."""


class Sync(NamedTuple):
    """Go on when these files, and the names in their directories, are stable."""

    paths: tuple[str, ...]


Step = Worked | Sync


@attrs.define
class RoundResult:
    """What a round has done so far."""

    end_offset: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    records_before: int = 0
    records_after: int = 0
    segments_before: int = 0
    segments_after: int = 0


class CleaningRound:
    """Cleans one log as planned. `steps` may go on only while `is_valid`; `close` in the end, whatever it was."""

    def __init__(self, plan: CleaningPlan, disk: Disk, *, wall_ms: int, map_limit_bytes: int, disabled_rules: Rules) -> None:
        self.plan = plan
        self.log = plan.log
        self.result = RoundResult()
        self._disk = disk
        self._wall_ms = wall_ms
        self._map_limit_bytes = map_limit_bytes
        self._disabled_rules = disabled_rules
        self._segments_version = self.log.segments.version
        self._writing: LogSegment | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the log still has the segments that the round knows: no truncation, no retention, no failure came in between."""
        return self.log.offline_reason is None and self.log.segments.version == self._segments_version

    @property
    def is_writing(self) -> bool:
        """Whether there is a segment that is not in the log yet."""
        return self._writing is not None

    def close(self) -> None:
        """Removes the files of a segment that was not finished."""
        if self._writing is not None:
            self._writing.delete()
            self._writing = None

    def steps(self) -> Iterator[Step]:
        """The whole round. Raises `CorruptRecord` for a damaged log, `DiskError`, and `ApiError` when a swap has taken the log offline."""
        log = self.log
        segments = [segment for segment in log.segments if segment.next_offset <= self.plan.end_offset]
        aborted = [each for segment in segments for each in segment.transaction_index.entries]
        keys = KeyOffsets(self.plan.first_dirty_offset, self._map_limit_bytes)
        dirty_aborted = [each for each in aborted if each.last_offset >= keys.end_offset]
        yield from self._gather(segments, keys, CleanedTransactions(dirty_aborted))
        self.result.end_offset = keys.end_offset
        retention = Retention(log, keys, wall_ms=self._wall_ms, disabled_rules=self._disabled_rules)
        transactions = CleanedTransactions(aborted)
        for group in groups([segment for segment in segments if segment.base_offset < keys.end_offset], log.config):
            yield from self._clean(group, retention, transactions)
        log.clean_end_offset = keys.end_offset

    def _gather(self, segments: Sequence[LogSegment], keys: KeyOffsets, transactions: CleanedTransactions) -> Iterator[Step]:
        """The keys of the dirty part, or of as much of it as fits into memory; of one batch at least."""
        for segment in segments:
            if segment.next_offset <= keys.end_offset:
                continue
            for batch, header in _batches(segment):
                if header.next_offset <= keys.end_offset:
                    continue
                if keys.is_full:
                    return
                yield from gather_keys(batch, header, keys, transactions)
            keys.end_offset = segment.next_offset

    def _clean(self, group: Sequence[LogSegment], retention: Retention, transactions: CleanedTransactions) -> Iterator[Step]:
        transactions.kept = []
        self._writing = new_cleaned_segment(self._disk, self.log.directory, group[0].base_offset)
        output = _Output(self._writing, self.log.config.index_interval_bytes)
        left_bytes = sum(segment.size_bytes for segment in group)
        for segment in group:
            for batch, header in _batches(segment):
                left_bytes -= len(batch)
                output.add(batch, (yield from retention.clean(batch, header, transactions, is_last=left_bytes == 0)))
                if output.waiting_bytes >= WRITE_CHUNK_BYTES:
                    yield output.write()
                if output.unsynced_bytes >= SYNC_EVERY_BYTES:
                    output.unsynced_bytes = 0
                    yield Sync((self._writing.log_path,))
        yield output.write()
        self._count(group, output)
        if len(group) == 1 and not output.is_changed:
            self.close()
            return
        yield from self._replace(group, transactions)

    def _replace(self, group: Sequence[LogSegment], transactions: CleanedTransactions) -> Iterator[Step]:
        assert self._writing is not None
        for aborted in transactions.kept:
            self._writing.transaction_index.append(aborted)
        paths = finish_cleaned_segment(self._writing)
        atomically = Rule.SWAP_ATOMICALLY not in self._disabled_rules
        if atomically:
            yield Sync(paths)
        self._writing = None
        cleaned = self.log.swap_in(group, atomically=atomically)
        self._segments_version = self.log.segments.version
        if atomically:
            yield Sync((cleaned.log_path,))

    def _count(self, group: Sequence[LogSegment], output: _Output) -> None:
        result = self.result
        result.segments_before += len(group)
        result.segments_after += 1
        result.bytes_before += sum(segment.size_bytes for segment in group)
        result.bytes_after += output.segment.size_bytes
        result.records_before += output.records_before
        result.records_after += output.records_after


class _Output:
    """What is written to the cleaned segment, gathered to larger writes."""

    def __init__(self, segment: LogSegment, index_interval_bytes: int) -> None:
        self.segment = segment
        self.is_changed = False
        self.waiting_bytes = 0
        self.unsynced_bytes = 0
        self.records_before = 0
        self.records_after = 0
        self._index_interval_bytes = index_interval_bytes
        self._waiting: list[bytes] = []
        self._extents: list[Extent] = []

    def add(self, before: bytes, after: bytes) -> None:
        """What was left of a batch."""
        self.records_before += read_header(before).record_count
        self.is_changed = self.is_changed or after is not before
        if after:
            header = read_header(after)
            self.records_after += header.record_count
            self._waiting.append(after)
            self._extents.append(Extent(header.base_offset, header.last_offset, len(after), header.max_timestamp))
            self.waiting_bytes += len(after)

    def write(self) -> Worked:
        size_bytes, self.waiting_bytes = self.waiting_bytes, 0
        if size_bytes:
            self.segment.append(b"".join(self._waiting), self._extents, self._index_interval_bytes)
            self._waiting, self._extents = [], []
            self.unsynced_bytes += size_bytes
        return Worked(WRITE_COST_US, size_bytes)


def _batches(segment: LogSegment) -> Iterator[tuple[bytes, BatchHeader]]:
    """All batches of a segment, whole and intact, each in bytes of its own."""
    position = 0
    wanted_bytes = READ_CHUNK_BYTES
    while position < segment.size_bytes:
        chunk = segment.read_bytes(position, wanted_bytes)
        inside = 0
        for start, header in batches(chunk):
            validate(chunk, start)
            inside = start + header.size_bytes
            yield chunk[start:inside], header
        if inside == 0 and len(chunk) < wanted_bytes:
            raise CorruptRecord(f"{segment.log_path}: no whole batch at position {position}")
        wanted_bytes = READ_CHUNK_BYTES if inside else max(read_header(chunk).size_bytes, READ_CHUNK_BYTES + 1)
        position += inside
