"""Opening a log: as it is after a clean stop, by a scan of what may not be stable after any other end.

Invariants
- What a scan accepts is whole batches with right checksums, increasing offsets and leader epochs that do not decrease.
- A torn tail is cut: damaged bytes with no intact batch behind them, in a part of the log that was not known to be stable. Anything else
  that is damaged is reported, takes the log offline, and is never served.
- Indexes, leader epochs and producer states of the scanned part come from its batches alone: the files about it may be of another history
  (a truncation that was undone by the crash).

Sources: reference/disk-format.md; Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018): a crash is told from
corruption by where the damage lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError
from raftkafka.base.ids import TopicId
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.storage import producer_snapshots
from raftkafka.storage.checkpoints import LEADER_EPOCH_FILE, OFFSET_GAPS_FILE
from raftkafka.storage.cleaner_swap import finish_swaps
from raftkafka.storage.config import LogConfig
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import HEADER_SIZE, LENGTH_OVERHEAD, MAGIC, NO_EPOCH, check_header, crc_matches, read_header
from raftkafka.storage.segment import DELETED_SUFFIX, LOG_SUFFIX, SUFFIXES, Extent, LogSegment

SCAN_CHUNK_BYTES = 1 << 20
_MAGIC_POSITION = 16


@attrs.define
class _Scan:
    """What a scan found in one segment: whole batches from its start to `end`, and why it stopped there before the end of the file."""

    extents: list[Extent] = attrs.field(factory=list)
    epochs: list[tuple[int, int]] = attrs.field(factory=list)
    end: int = 0
    problem: str | None = None
    base_offset_damaged: bool = False
    """Whether the last whole batch has a base offset that its neighbours contradict."""


def open_log(
    disk: Disk,
    directory: str,
    *,
    topic: str,
    partition: int,
    topic_id: TopicId,
    config: LogConfig,
    log_start_offset: int,
    recovery_point: int,
    clean: bool,
    observe: Callable[[Observed], None],
    disabled_rules: Rules = NO_RULES,
) -> PartitionLog:
    """Opens the log in a directory. One that is damaged comes back offline, with the reason."""
    problem: str | None = None
    scanned: _Recovery | None = None
    try:
        finish_swaps(disk, directory)
    except (CorruptRecord, DiskError) as error:
        problem = str(error)
    segments = [LogSegment(disk, directory, base_offset) for base_offset in _find_segments(disk, directory)]
    start_offset = max(log_start_offset, segments[0].base_offset if segments else 0)
    try:
        if clean:
            clean = _load_clean(segments) and (disk.exists(f"{directory}/{LEADER_EPOCH_FILE}") or _is_empty(segments))
        if not clean and segments and problem is None:
            scanned = _Recovery(disk, directory, segments, recovery_point, observe, config)
            scanned.checks_crc = Rule.SCAN_AFTER_CRASH not in disabled_rules
            scanned.run()
    except (CorruptRecord, DiskError) as error:
        problem = str(error)
    log = PartitionLog(
        disk=disk,
        directory=directory,
        topic=topic,
        partition=partition,
        topic_id=topic_id,
        config=config,
        segments=segments,
        log_start_offset=start_offset,
        recovery_point=recovery_point,
        disabled_rules=disabled_rules,
    )
    if problem is None:
        problem = _load_derived(disk, log, segments, scanned, start_offset)
    if problem is not None:
        log.offline_reason = problem
        observe(observed("log-offline", topic=topic, partition=partition, reason=problem))
    return log


def _load_derived(
    disk: Disk, log: PartitionLog, segments: Sequence[LogSegment], scanned: _Recovery | None, start_offset: int
) -> str | None:
    """Epochs and producers; returns what is wrong, if anything is."""
    try:
        epochs_path = f"{log.directory}/{LEADER_EPOCH_FILE}"
        if disk.exists(epochs_path):
            try:
                log.epochs.load(disk.read_file(epochs_path))
            except CorruptRecord:
                log.epochs.clear()
        if scanned is not None:
            log.epochs.truncate_from_end(scanned.start_offset)
            log.epochs.extend(scanned.epochs)
            producer_snapshots.delete_after(disk, log.directory, scanned.start_offset)
        log.epochs.truncate_from_end(log.log_end_offset)
        log.epochs.truncate_from_start(start_offset)
        if segments:
            log.reload_producers(rebuild_index_from=None if scanned is None else scanned.start_offset)
        if segments and segments[-1].next_offset < start_offset:
            log.truncate_fully_and_start_at(start_offset)
        log.write_checkpoints()
    except (CorruptRecord, DiskError, ApiError) as error:
        return str(error)
    return None


def _find_segments(disk: Disk, directory: str) -> list[int]:
    """The base offsets of the segments; files that belong to none (left by a deletion) are removed."""
    names = disk.list_dir(directory)
    stems = {name.removesuffix(LOG_SUFFIX) for name in names if name.endswith(LOG_SUFFIX)}
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if (dot + suffix in SUFFIXES and stem not in stems) or dot + suffix == DELETED_SUFFIX:
            disk.delete(f"{directory}/{name}")
    return sorted(int(stem) for stem in stems if stem.isdigit())


def _is_empty(segments: Sequence[LogSegment]) -> bool:
    return all(segment.size_bytes == 0 for segment in segments)


def _load_clean(segments: Sequence[LogSegment]) -> bool:
    """Takes the segments as they are; `False` when they are not what a clean stop leaves."""
    try:
        for segment, following in pairwise(segments):
            segment.load_sealed(following.base_offset)
        if segments:
            segments[-1].load_tail()
    except CorruptRecord:
        return False
    return True


class _Recovery:
    """The scan of one log after an end that was not clean. Removes from `segments` those that go."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        segments: list[LogSegment],
        recovery_point: int,
        observe: Callable[[Observed], None],
        config: LogConfig,
    ) -> None:
        self.epochs: list[tuple[int, int]] = []
        self.checks_crc = True
        self._has_gaps = disk.exists(f"{directory}/{OFFSET_GAPS_FILE}")
        self._directory = directory
        self._segments = segments
        self._recovery_point = recovery_point
        self._observe = observe
        self._index_interval_bytes = config.index_interval_bytes
        # The last segment is always scanned: a checkpointed recovery point may be of a history that was truncated since.
        first = len(segments) - 1
        if not disk.exists(f"{directory}/{LEADER_EPOCH_FILE}"):
            first = 0
        while first > 0 and (segments[first].base_offset > recovery_point or self._reaches_beyond(segments[first - 1], segments[first])):
            first -= 1
        self._first = first
        self.start_offset = segments[first].base_offset

    def run(self) -> None:
        """Scans; raises `CorruptRecord` when stable data is damaged."""
        for segment, following in zip(self._segments[: self._first], self._segments[1:], strict=False):
            segment.load_sealed(following.base_offset)
        index = self._first
        while index < len(self._segments):
            segment = self._segments[index]
            found = self._scan(segment)
            if found.problem is not None:
                self._judge(segment, found, is_last=index == len(self._segments) - 1)
            index += 1
            if index < len(self._segments) and found.problem is None:
                self._cut_overlap(segment, found, self._segments[index])
            segment.adopt(found.extents, self._index_interval_bytes)
            self.epochs += found.epochs
            if index < len(self._segments) and (found.problem is not None or not self._continues(index)):
                self._drop_from(index)
            if index < len(self._segments):
                segment.seal()

    def _judge(self, segment: LogSegment, found: _Scan, *, is_last: bool) -> None:
        """A torn tail is cut by whoever goes on; anything else raises."""
        where = f"{segment.log_path} at position {found.end}"
        end_offset = found.extents[-1].last_offset + 1 if found.extents else segment.base_offset
        if found.base_offset_damaged or _intact_batch_follows(segment, found.end + 1, end_offset):
            raise CorruptRecord(f"corrupt batch in the middle of {where}: {found.problem}")
        if not is_last and end_offset < self._recovery_point:
            raise CorruptRecord(f"stable records are damaged in {where}: {found.problem}")
        cut_bytes = segment.file_size_bytes() - found.end
        self._observe(
            observed("log-tail-cut", directory=self._directory, end_offset=end_offset, removed_bytes=cut_bytes, reason=found.problem)
        )

    def _gap_before(self, chunk: memoryview, inside: int, next_offset: int) -> str | None:
        """What is wrong with a batch that leaves offsets out before it: nothing in a log that may have gaps.

        In any other its base offset is damaged, or it is of a history that was truncated, and a crash brought its bytes back.
        """
        if self._has_gaps:
            return None
        base_offset = read_header(chunk, inside).base_offset
        return f"offset {base_offset} follows {next_offset - 1} in a log that is not compacted" if base_offset > next_offset else None

    def _reaches_beyond(self, segment: LogSegment, following: LogSegment) -> bool:
        """Whether a segment holds batches that belong behind the beginning of the next one."""
        last = self._scan(segment).extents[-1:]
        return bool(last) and last[0].last_offset >= following.base_offset

    def _cut_overlap(self, segment: LogSegment, found: _Scan, following: LogSegment) -> None:
        """Cuts what a truncation removed before the next segment began, and a crash brought back: the next one is then of a newer epoch."""
        if not found.extents or found.extents[-1].last_offset < following.base_offset:
            return
        newer = self._scan(following).epochs  # epochs that are newer than those before this segment
        if not newer or newer[-1][0] <= (found.epochs[-1][0] if found.epochs else NO_EPOCH):
            return
        while found.extents and found.extents[-1].last_offset >= following.base_offset:
            found.end -= found.extents.pop().size_bytes
        found.epochs = [each for each in found.epochs if each[1] < following.base_offset]
        self._observe(
            observed("log-tail-cut", directory=self._directory, end_offset=following.base_offset, reason="the next segment is newer")
        )

    def _continues(self, index: int) -> bool:
        """Whether a segment goes on where the one before ends; one that does not was truncated away, and the crash brought it back."""
        before, segment = self._segments[index - 1], self._segments[index]
        if segment.base_offset == before.next_offset:
            return True
        return self._has_gaps and before.next_offset < segment.base_offset <= self._recovery_point

    def _drop_from(self, index: int) -> None:
        for segment in reversed(self._segments[index:]):
            self._observe(observed("log-segment-dropped", directory=self._directory, base_offset=segment.base_offset))
            segment.delete()
        del self._segments[index:]

    def _scan(self, segment: LogSegment) -> _Scan:
        """Reads the file in chunks and checks batch after batch."""
        found = _Scan()
        size = segment.file_size_bytes()
        next_offset = segment.base_offset
        epoch = self.epochs[-1][0] if self.epochs else NO_EPOCH
        wanted = SCAN_CHUNK_BYTES
        while found.end < size and found.problem is None:
            chunk = memoryview(segment.read_bytes(found.end, min(wanted, size - found.end)))
            inside = 0
            while inside < len(chunk):
                problem, whole = _examine(chunk, inside, next_offset, epoch, remaining=size - found.end - inside, crc=self.checks_crc)
                if problem is None and whole <= len(chunk) - inside:
                    problem = self._gap_before(chunk, inside, next_offset)
                if problem is not None:
                    found.problem = problem
                    found.base_offset_damaged = _neighbours_contradict(segment.base_offset, found.extents, chunk[inside:])
                    break
                if whole > len(chunk) - inside:
                    wanted = max(whole, SCAN_CHUNK_BYTES)
                    break
                header = read_header(chunk, inside)
                found.extents.append(Extent(header.base_offset, header.last_offset, whole, header.max_timestamp))
                if header.partition_leader_epoch > epoch:
                    epoch = header.partition_leader_epoch
                    found.epochs.append((epoch, header.base_offset))
                next_offset = header.next_offset
                inside += whole
            found.end += inside
        return found


def _examine(chunk: memoryview, inside: int, next_offset: int, epoch: int, *, remaining: int, crc: bool) -> tuple[str | None, int]:
    """What is wrong with the bytes at `inside`, if anything is; and how many bytes must be there to tell more, or the batch's size."""
    if remaining < HEADER_SIZE:
        return f"{remaining} bytes are less than a batch header", 0
    if len(chunk) - inside < HEADER_SIZE:
        return None, HEADER_SIZE
    header = read_header(chunk, inside)
    try:
        check_header(header)
    except CorruptRecord as error:
        return str(error), 0
    if header.size_bytes > remaining:
        return f"a batch of {header.size_bytes} bytes is cut off after {remaining}", 0
    if header.base_offset < next_offset:
        return f"offset {header.base_offset} follows {next_offset - 1}", 0
    if header.size_bytes > len(chunk) - inside:
        return None, header.size_bytes
    if crc and not crc_matches(chunk, header, inside):
        return f"wrong checksum of the batch at offset {header.base_offset}", 0
    if header.partition_leader_epoch < epoch:
        return f"epoch {header.partition_leader_epoch} follows epoch {epoch} at offset {header.base_offset}", 0
    return None, header.size_bytes


def _neighbours_contradict(base_offset: int, extents: Sequence[Extent], following: memoryview) -> bool:
    """Whether the last of these batches lies between neighbours that leave exactly its place, which is not where its base offset says.

    The checksum does not cover the base offset: a damaged one makes what is right behind it look out of order.
    """
    if not extents or len(following) < HEADER_SIZE:
        return False
    doubtful = extents[-1]
    place = extents[-2].last_offset + 1 if len(extents) > 1 else base_offset
    behind = place + doubtful.last_offset - doubtful.base_offset + 1
    return doubtful.base_offset != place and read_header(following).base_offset == behind


def _intact_batch_follows(segment: LogSegment, position: int, next_offset: int) -> bool:
    """Whether an intact batch with an offset of `next_offset` or more begins at `position` or behind."""
    data = segment.read_bytes(position, max(segment.file_size_bytes() - position, 0))
    view = memoryview(data)
    candidate = data.find(MAGIC, _MAGIC_POSITION)
    while candidate >= 0:
        start = candidate - _MAGIC_POSITION
        if len(data) - start < HEADER_SIZE:
            return False
        header = read_header(view, start)
        fits = HEADER_SIZE - LENGTH_OVERHEAD <= header.batch_length <= len(data) - start - LENGTH_OVERHEAD
        if fits and next_offset <= header.base_offset < next_offset + 2**31 and crc_matches(view, header, start):
            return True
        candidate = data.find(MAGIC, candidate + 1)
    return False
