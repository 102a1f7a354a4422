"""The log of one partition: segments of record batches, with the leader epochs and the producer states that follow from them.

Invariants
- Offsets are dense but for compaction, leader epochs never decrease from batch to batch (rule D12); what violates this is not appended.
- `log_start_offset <= log_end_offset`; the last segment is the one that is written.
- Everything below `recovery_point` is stable; it is what a recovery need not look at.
- After a failed disk operation the state of the files is unknown: the log is offline, and every later operation is refused.

Sources: reference/disk-format.md; KIP-101 (epochs), KIP-98 (producers), KIP-107 (log start offset); reference/replication-rules.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import attrs

from raftkafka.base.disk import Buffer, Disk
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError, ErrorCode
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.storage import cleaner_swap, producer_snapshots
from raftkafka.storage.checkpoints import LEADER_EPOCH_FILE, OFFSET_GAPS_FILE, PARTITION_METADATA_FILE
from raftkafka.storage.config import LONG_MAX, LogConfig, TimestampType
from raftkafka.storage.flushing import FlushPlan, FlushState
from raftkafka.storage.index import OFFSET_ENTRY_BYTES, AbortedTransaction
from raftkafka.storage.leader_epochs import LeaderEpochCache
from raftkafka.storage.producers import AppendedBatch, AppendOrigin, ProducerStates
from raftkafka.storage.record_batch import (
    CONTROL_FLAG,
    NO_EPOCH,
    NO_TIMESTAMP,
    BatchHeader,
    EndTransactionMarker,
    patch_log_append_time,
    patch_offset_and_epoch,
    read_end_transaction_marker,
    read_header,
)
from raftkafka.storage.replicated import Portion, portions
from raftkafka.storage.segment import Extent, LogSegment
from raftkafka.storage.segments import SegmentList
from raftkafka.storage.validation import check_timestamps, must_decode, read_produced_batch, rewrite

MAX_SEGMENT_OFFSETS = 2**31 - 1
RECALLED_BYTES = 8 << 20
"""How much of the log before a producer snapshot is searched for the batches that the snapshot does not tell of."""
"""The indexes hold offsets relative to the segment's first one, as int32."""

NO_TIME = -1


@attrs.define
class AppendResult:
    """Where a batch is now. `log_append_time_ms` is -1 unless the topic's records bear the broker's time."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    duplicate: bool
    size_bytes: int
    log_start_offset: int


@attrs.define
class LogRead:
    """Whole batches. The first may begin before the offset asked for; `next_offset` is where to read on."""

    records: Sequence[Buffer]
    size_bytes: int
    next_offset: int


class PartitionLog:
    """A partition's log in one directory. Create or open it with `LogManager`, or with `open_log` of `recovery`."""

    def __init__(
        self,
        *,
        disk: Disk,
        directory: str,
        topic: str,
        partition: int,
        topic_id: TopicId,
        config: LogConfig,
        segments: Sequence[LogSegment] = (),
        log_start_offset: int = 0,
        recovery_point: int = 0,
        disabled_rules: Rules = NO_RULES,
    ) -> None:
        self.directory = directory
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.key = PartitionKey(topic_id, partition)
        self.config = config
        self.is_configured = False
        """Whether `config` is the topic's own; until the metadata is known it is the broker's, which may say less of what must be kept."""
        self.producers = ProducerStates()
        self.epochs = LeaderEpochCache(self._end_offset)
        self.offline_reason: str | None = None
        self.has_gaps = disk.exists(f"{directory}/{OFFSET_GAPS_FILE}")
        """Whether offsets may be left out, by compaction here or at a leader."""
        self.on_flush_wanted: Callable[[PartitionLog], None] | None = None
        """Called when something is to be made stable soon: a segment was rolled, `flush.messages` or `flush.ms` applies."""
        self.on_recovery_point_lowered: Callable[[PartitionLog], None] | None = None
        """Called before a truncation below it: the checkpoint of it must not promise more."""
        self.retired_files: list[str] = []
        """Files of segments that retention has taken out; whoever calls `retention` deletes them after `file.delete.delay.ms`."""
        self.on_disk_failure: Callable[[PartitionLog], None] | None = None
        """Called when a failed disk operation has taken the log offline."""
        self._checks_sequences = Rule.CHECK_SEQUENCE not in disabled_rules
        self._derives_producers = Rule.REPLICATE_PRODUCER_STATE not in disabled_rules
        self._disk = disk
        self._recall_before: int | None = None
        """Where the producers' snapshot ends whose forgotten batches have not been looked up; none are to be when this is None."""
        self._segments = SegmentList(segments or [LogSegment(disk, directory, log_start_offset)])
        self.log_start_offset = log_start_offset
        """The first offset that may be read; only this log changes it."""
        self.log_end_offset = max(self._segments.active.next_offset, log_start_offset)
        """The offset of the next record; only this log changes it."""
        self.clean_end_offset = 0
        """Everything below was compacted; 0 when nothing was, or when it is not known."""
        self._flush = FlushState(min(recovery_point, self.log_end_offset))

    def configure(self, config: LogConfig) -> None:
        """Takes the configuration of its topic."""
        is_cleanable = config.compact and not (self.is_configured and self.config.compact)
        self.config = config
        self.is_configured = True
        if is_cleanable and len(self._segments) > 1:
            self._want_flush()

    def take_over(self, other: PartitionLog) -> None:
        """Goes on in the place of a log that has the same records: what these alone do not tell is taken from it."""
        self.config, self.is_configured = other.config, other.is_configured
        self.epochs.clear()
        self.epochs.extend(other.epochs.entries)
        self.producers = other.producers
        self._recall_before = other._recall_before

    def failed(self, error: DiskError | CorruptRecord) -> None:
        """Goes offline: after this nobody knows what its files hold."""
        self.offline_reason = str(error)
        if isinstance(error, DiskError) and self.on_disk_failure is not None:
            self.on_disk_failure(self)

    # What it holds.

    @property
    def recovery_point(self) -> int:
        """Everything below is stable."""
        return self._flush.recovery_point

    @property
    def size_bytes(self) -> int:
        return self._segments.size_bytes

    @property
    def segments(self) -> SegmentList:
        """Oldest first; the last is the active one."""
        return self._segments

    @property
    def needs_close(self) -> bool:
        """Whether a clean stop has anything to write or to make stable: an empty log without epochs costs nothing."""
        return self.log_end_offset > 0 or self.epochs.dirty or self._flush.recovery_point < self.log_end_offset

    def first_batch_offset(self) -> int:
        """Where the batch begins that the log starts with, or in."""
        segment = self._segments.at(self.log_start_offset)
        if segment.next_offset <= self.log_start_offset:
            return self.log_start_offset
        with _OfflineOnFailure(self):
            return min(segment.find(self.log_start_offset)[1], self.log_start_offset)

    def latest_epoch(self) -> int:
        """The last leader epoch that was assigned, or -1."""
        return self.epochs.latest_epoch

    # Appending.

    def append_as_leader(
        self, records: Buffer, *, leader_epoch: int, wall_ms: int, origin: AppendOrigin = AppendOrigin.CLIENT
    ) -> AppendResult:
        """Appends the one batch in `records` with the next offsets; they are patched in place when `records` is writable.

        Refuses (`ApiError`) what is damaged, too large, untimely or out of sequence. A batch that was appended before is answered with its
        offsets then, and `duplicate`.
        """
        self._check_online()
        config = self.config
        header = read_produced_batch(records, config, origin)
        log_append_time = config.timestamp_type is TimestampType.LOG_APPEND_TIME
        if not log_append_time and origin is AppendOrigin.CLIENT:
            check_timestamps(records, header, config, wall_ms)
        marker: EndTransactionMarker | None = None
        if header.producer_id >= 0:
            if origin is AppendOrigin.CLIENT:
                known = self._checked(header) if self._checks_sequences else None
                if known is not None:
                    return self._duplicate(known, len(records))
            elif header.attributes & CONTROL_FLAG:
                marker = self._check_marker(records, header)
        if must_decode(header, config):
            rewritten = rewrite(records, header, config, origin, partition_name=f"{self.topic}-{self.partition}")
            if rewritten is not None:
                records = bytearray(rewritten)
                header = read_produced_batch(records, config, origin)
        if isinstance(records, bytes) or (isinstance(records, memoryview) and records.readonly):
            records = bytearray(records)
        if log_append_time:
            patch_log_append_time(records, 0, wall_ms=wall_ms)
            header = read_header(records)
        base_offset = self.log_end_offset
        last_offset = base_offset + header.last_offset_delta
        patch_offset_and_epoch(records, 0, base_offset=base_offset, leader_epoch=leader_epoch)
        extent = Extent(base_offset, last_offset, len(records), header.max_timestamp)
        self._write(records, (extent,))
        if leader_epoch != self.epochs.latest_epoch:
            self.epochs.assign(leader_epoch, base_offset)
        if header.producer_id >= 0:
            self._note_producer(header, extent, marker)
        return AppendResult(
            base_offset, last_offset, wall_ms if log_append_time else NO_TIME, False, extent.size_bytes, self.log_start_offset
        )

    def append_as_follower(self, records: Buffer) -> AppendResult:
        """Appends batches as the leader has them, offsets and epochs included; a partial last one is left out.

        `CorruptRecord` when a batch is damaged, overlaps the log, or has an epoch before the last one; the batches before it are appended.
        """
        self._check_online()
        first_offset = self.log_end_offset
        segment_bytes = self.config.segment_bytes
        size_bytes = 0
        for portion in portions(
            memoryview(records),
            next_offset=first_offset,
            epoch=self.epochs.latest_epoch,
            room_bytes=segment_bytes - self._segments.active.size_bytes,
            segment_bytes=segment_bytes,
        ):
            self._write_replicated(portion)
            size_bytes += len(portion.data)
        return AppendResult(first_offset, self.log_end_offset - 1, NO_TIME, False, size_bytes, self.log_start_offset)

    def roll(self) -> None:
        """Begins a new segment; nothing when the active one is empty."""
        if self._segments.active.size_bytes == 0:
            return
        with _OfflineOnFailure(self):
            self._segments.active.write_indexes(closing=True)
            self._write_epochs()
            producer_snapshots.write(self._disk, self.directory, self.producers, self.log_end_offset)
            self._segments.add(LogSegment(self._disk, self.directory, self.log_end_offset))
        self._flush.boundary_moved = True
        self._want_flush()

    # Reading.

    def read(self, start_offset: int, *, max_bytes: int, end_offset: int | None = None, at_least_one_batch: bool = True) -> LogRead:
        """Whole batches from the one that contains `start_offset` to before the one that contains `end_offset`.

        At most `max_bytes` of them, or one larger one when `at_least_one_batch`. They come from one segment: a reader goes on at
        `next_offset`. Refuses (OFFSET_OUT_OF_RANGE) what is outside of the log.
        """
        if not self.log_start_offset <= start_offset <= self.log_end_offset:
            raise ApiError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"Offset {start_offset} of {self.topic}-{self.partition} is not in [{self.log_start_offset}, {self.log_end_offset}]",
            )
        end = self.log_end_offset if end_offset is None or end_offset > self.log_end_offset else end_offset
        if start_offset >= end:
            return LogRead((), 0, start_offset)
        self._check_online()
        segment = self._segments.active
        if start_offset < segment.base_offset:
            segment = self._segments.at(start_offset)
        with _OfflineOnFailure(self):
            data, next_offset = segment.read(start_offset, end_offset=end, max_bytes=max_bytes, at_least_one_batch=at_least_one_batch)
        if not data:
            return LogRead((), 0, start_offset)
        return LogRead((data,), len(data), next_offset)

    def offset_for_timestamp(self, timestamp: int) -> tuple[int, int] | None:
        """The (timestamp, offset) of the first record that is not before `timestamp`; `None` when there is none."""
        self._check_online()
        with _OfflineOnFailure(self):
            for segment in self._segments:
                if segment.next_offset > self.log_start_offset:
                    found = segment.offset_for_timestamp(timestamp, self.log_start_offset)
                    if found is not None:
                        return found
        return None

    def offset_of_max_timestamp(self) -> tuple[int, int] | None:
        """The (timestamp, offset) of the first record with the latest time; `None` for an empty log."""
        self._check_online()
        latest = max((s for s in self._segments if s.next_offset > self.log_start_offset), key=lambda s: s.max_timestamp, default=None)
        with _OfflineOnFailure(self):
            return latest.offset_of_max_timestamp() if latest is not None else None

    def first_unstable_offset(self, high_watermark: int) -> int | None:
        """Where the oldest transaction begins whose end is not below the high watermark; `None` when there is none."""
        unstable = self.producers.first_unstable_offset(high_watermark)
        return None if unstable is None else max(unstable, self.log_start_offset)

    def last_stable_offset(self, high_watermark: int) -> int:
        """Up to where (exclusive) a `read_committed` consumer may read (rule D17)."""
        unstable = self.first_unstable_offset(high_watermark)
        return high_watermark if unstable is None or unstable > high_watermark else unstable

    def aborted_transactions(self, start_offset: int, end_offset: int) -> list[AbortedTransaction]:
        """The aborted transactions that have records in [start_offset, end_offset)."""
        found: list[AbortedTransaction] = []
        for segment in self._segments.from_offset(start_offset):
            for aborted in segment.transaction_index.entries:
                if aborted.last_offset >= start_offset and aborted.first_offset < end_offset:
                    found.append(aborted)
                if aborted.last_stable_offset >= end_offset:
                    return found
        return found

    # Shortening.

    def truncate_to(self, offset: int) -> bool:
        """Removes everything at `offset` and behind; a batch that contains it goes as a whole. Whether anything was removed."""
        self._check_online()
        if offset >= self.log_end_offset:
            with _OfflineOnFailure(self):
                self._forget_epochs_from(offset)
            return False
        if offset <= self.log_start_offset:
            self.truncate_fully_and_start_at(offset)
            return True
        self._lower_recovery_point(max(segment.base_offset for segment in self._segments if segment.base_offset <= offset))
        with _OfflineOnFailure(self):
            while self._segments.active.base_offset > offset:
                self._segments.drop_last()
            end_offset = self._segments.active.truncate_to(offset)
            if end_offset <= self.log_start_offset:  # a batch that the log start lies in went as a whole
                self.truncate_fully_and_start_at(self.log_start_offset)
                return True
            self.log_end_offset = end_offset
            self._forget_epochs_from(self.log_end_offset)
            self.clean_end_offset = min(self.clean_end_offset, self.log_end_offset)
            producer_snapshots.delete_after(self._disk, self.directory, self.log_end_offset)
            if self.producers.last_change_offset >= self.log_end_offset:
                self.reload_producers()
        self._flush.truncated(self._segments.active.base_offset)
        self._want_flush()
        return True

    def truncate_fully_and_start_at(self, offset: int) -> None:
        """Removes all records; the log is empty and its next offset is `offset`."""
        self._check_online()
        self._lower_recovery_point(0)
        with _OfflineOnFailure(self):
            self.log_start_offset = self.log_end_offset = offset
            self.clean_end_offset = 0
            self._segments.replace_all(LogSegment(self._disk, self.directory, offset))
            self._segments.active.create_file()  # its name is what tells the next start where the log begins
            self.epochs.clear()
            self._write_epochs()
            self.producers.clear()
            producer_snapshots.delete_all(self._disk, self.directory)
        self._flush.truncated(offset)
        self._want_flush()

    def advance_log_start(self, offset: int) -> bool:
        """Makes `offset` the first one to be read (DeleteRecords, or a leader that deleted). Refuses one behind the end."""
        if offset > self.log_end_offset:
            raise ApiError(ErrorCode.OFFSET_OUT_OF_RANGE, f"Cannot start the log at {offset}: it ends at {self.log_end_offset}")
        if offset <= self.log_start_offset:
            return False
        self.log_start_offset = offset
        self.epochs.truncate_from_start(offset)
        return True

    def retention(self, wall_ms: int, high_watermark: int) -> int:
        """Deletes the oldest segments that are no longer wanted and lie below the high watermark; returns how many.

        Nothing before the topic's own configuration is known: it may ask for a longer retention, or for none, as compacted topics do.
        """
        self._check_online()
        if not self.is_configured:
            return 0
        self.producers.expire(wall_ms, self.config.producer_id_expiration_ms)
        count = self._segments.expired(self.config, wall_ms=wall_ms, high_watermark=high_watermark, log_start_offset=self.log_start_offset)
        if count == 0:
            return 0
        with _OfflineOnFailure(self):
            self._recall_batches()  # while they can be looked up
            if count == len(self._segments):
                self.roll()
                self._segments.active.create_file()  # nothing else tells the next start where the log goes on
            self.advance_log_start(max(self._segments[count].base_offset, self.log_start_offset))
            for index in range(count):
                producer_snapshots.delete(self._disk, self.directory, self._segments[index].base_offset)
            self.retired_files += self._segments.retire_first(count)
            self._write_epochs()
        return count

    def _lower_recovery_point(self, offset: int) -> None:
        """Before a truncation: what is cut and written anew is not stable, and a start that takes it for stable would not look at it.

        The checkpoint is replaced before the files are changed. A journal keeps the order: a crash that keeps the change keeps that, too.
        """
        if self.recovery_point > offset:
            self._flush.truncated(offset)
            if self.on_recovery_point_lowered is not None:
                self.on_recovery_point_lowered(self)

    def note_gaps(self) -> None:
        """From now on offsets may be left out here: recovery must not take a gap for damage."""
        if not self.has_gaps:
            with _OfflineOnFailure(self):
                self._disk.replace_file(f"{self.directory}/{OFFSET_GAPS_FILE}", b"")
            self.has_gaps = True

    def swap_in(self, old: Sequence[LogSegment], *, atomically: bool = True) -> LogSegment:
        """Puts the segment that was made from these neighbours in their place. Its files are complete, and stable (for the atomic way)."""
        self._check_online()
        self.note_gaps()
        with _OfflineOnFailure(self):
            cleaned = cleaner_swap.swap_in(self._disk, self.directory, old, atomically=atomically)
            self._segments.replace(old, cleaned)
            for segment in old[1:]:
                producer_snapshots.delete(self._disk, self.directory, segment.base_offset)
        return cleaned

    # Stability.

    def needs_flush(self, now_ms: int) -> FlushPlan | None:
        """What to make stable now; `None` when nothing is due. Report it back with `flushed`."""
        if self.offline_reason is not None:
            return None
        if self._flush.limit_reached(self.config, now_ms, self.log_end_offset):
            return self.plan_flush(self.log_end_offset)
        return self.plan_flush(self._segments.active.base_offset) if self._flush.boundary_moved else None

    def plan_flush(self, end_offset: int) -> FlushPlan:
        """What must be synced so that everything below `end_offset` is stable; the index files are brought up to date."""
        syncs = [f"{self.directory}/{PARTITION_METADATA_FILE}"]  # records that nobody knows the topic of are lost
        if self.has_gaps:
            syncs.append(f"{self.directory}/{OFFSET_GAPS_FILE}")
        with _OfflineOnFailure(self):
            self._write_epochs()
            for segment in self._segments.from_offset(self.recovery_point):
                if segment.base_offset < end_offset or segment is self._segments.active:
                    segment.write_indexes(closing=False)
                    syncs += [path for path in segment.paths if self._disk.exists(path)]
            if self._disk.exists(self._epochs_path):
                syncs.append(self._epochs_path)
            syncs += producer_snapshots.paths_after(self._disk, self.directory, self.recovery_point)
        self._flush.planned(end_offset)
        return FlushPlan(end_offset=end_offset, syncs=tuple(syncs))

    def flushed(self, end_offset: int) -> None:
        """Everything below `end_offset` is stable (unless it was truncated meanwhile)."""
        self._flush.flushed(end_offset)

    def flush_deadline_ms(self) -> int:
        """When `needs_flush` will have something; far in the future when nothing waits."""
        return self._flush.deadline_ms(self.config, self.log_end_offset) if self.offline_reason is None else LONG_MAX

    def write_checkpoints(self) -> None:
        """Brings the leader-epoch checkpoint up to date."""
        with _OfflineOnFailure(self):
            self._write_epochs()

    def close(self) -> None:
        """Writes indexes, epochs and a producer snapshot, so that the next start need not scan, and closes the files."""
        if self.offline_reason is None:
            with _OfflineOnFailure(self):
                for segment in self._segments:
                    if segment.size_bytes:
                        segment.write_indexes(closing=True)
                self._write_epochs()
                if self.log_end_offset > 0:
                    producer_snapshots.write(self._disk, self.directory, self.producers, self.log_end_offset)
        for segment in self._segments:
            segment.close()

    def reload_producers(self, *, rebuild_index_from: int | None = None) -> None:
        """Derives the producer states anew: from the newest snapshot, and the batches behind it, also those that were deleted and are
        still there: their producers may send them again (KIP-360).

        With `rebuild_index_from`, the transaction index of the segments from this offset on (empty before) is derived as well.
        """
        self.producers.clear()
        if not self._derives_producers:
            return
        first_offset = min(self._segments[0].base_offset, self.log_start_offset)
        start_offset = producer_snapshots.load_newest(self._disk, self.directory, self.producers, first_offset, self.log_end_offset)
        self._recall_before = start_offset if len(self.producers) else None
        for segment in self._segments:
            if segment.next_offset <= start_offset:
                continue
            for position, header in segment.walk(segment.find(start_offset)[0]):
                if header.producer_id < 0:
                    continue
                if not header.attributes & CONTROL_FLAG:
                    self.producers.appended(header, header.base_offset, header.last_offset)
                    continue
                marker = read_end_transaction_marker(segment.read_batch(position, header))
                if marker is None:
                    continue
                aborted = self.producers.marker_appended(header, header.last_offset, marker)
                if aborted is not None and rebuild_index_from is not None and segment.base_offset >= rebuild_index_from:
                    segment.transaction_index.append(aborted)

    def _checked(self, header: BatchHeader) -> AppendedBatch | None:
        """`ProducerStates.check`, with what the snapshot kept of each producer and, before anything is refused, what the log has of it."""
        try:
            return self.producers.check(header)
        except ApiError as error:
            if self._recall_before is None or error.code is not ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
                raise
        self._recall_batches()
        return self.producers.check(header)

    def _recall_batches(self) -> None:
        """Puts back what the snapshot does not tell: a producer may send again any of the batches that it has in flight."""
        end_offset, self._recall_before = self._recall_before, None
        if end_offset is None:
            return
        headers: list[BatchHeader] = []
        wanted_bytes = RECALLED_BYTES
        for segment in reversed(list(self._segments)):
            if segment.base_offset >= end_offset or not segment.size_bytes:
                continue
            end = segment.size_bytes if segment.next_offset <= end_offset else segment.find(end_offset)[0]
            begin = segment.offset_index.floor_position(max(end - wanted_bytes, 0))
            found = [header for position, header in segment.walk(begin) if position < end]
            headers[:0] = [header for header in found if header.producer_id >= 0 and not header.attributes & CONTROL_FLAG]
            wanted_bytes -= end - begin
            if wanted_bytes <= 0:
                break
        self.producers.recall(headers)

    # Within.

    @property
    def _epochs_path(self) -> str:
        return f"{self.directory}/{LEADER_EPOCH_FILE}"

    def _end_offset(self) -> int:
        return self.log_end_offset

    def _check_online(self) -> None:
        if self.offline_reason is not None:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.topic}-{self.partition} is offline: {self.offline_reason}")

    def _write(self, buffer: Buffer, extents: Sequence[Extent]) -> None:
        """Writes batches to the active segment, or to a new one when they do not fit or it is too old."""
        active = self._segments.active
        config = self.config
        if active.size_bytes and (
            active.size_bytes + len(buffer) > config.segment_bytes
            or extents[-1].last_offset - active.base_offset > MAX_SEGMENT_OFFSETS
            or (
                extents[-1].max_timestamp - active.first_timestamp > config.roll_ms - self._roll_jitter_ms(config)
                and active.first_timestamp != NO_TIMESTAMP
            )
            or len(active.offset_index) >= config.segment_index_bytes // OFFSET_ENTRY_BYTES
        ):
            self.roll()
            active = self._segments.active
        try:
            active.append(buffer, extents, config.index_interval_bytes)
        except DiskError as error:
            self.failed(error)
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        self.log_end_offset = active.next_offset
        if self._flush.appended(config):
            self._want_flush()

    def _roll_jitter_ms(self, config: LogConfig) -> int:
        """How much earlier than others the active segment is rolled, so that not all do so at once; the same for all replicas."""
        if config.segment_jitter_ms == 0:
            return 0
        seed = f"{self.topic}-{self.partition}-{self._segments.active.base_offset}"
        return zlib.crc32(seed.encode()) % min(config.segment_jitter_ms, config.roll_ms)

    def _write_replicated(self, portion: Portion) -> None:
        if not portion.is_dense:
            self.note_gaps()
        extents = [Extent(header.base_offset, header.last_offset, header.size_bytes, header.max_timestamp) for _, header in portion.found]
        self._write(portion.data, extents)
        for (position, header), extent in zip(portion.found, extents, strict=True):
            if header.partition_leader_epoch != self.epochs.latest_epoch and header.partition_leader_epoch != NO_EPOCH:
                self.epochs.assign(header.partition_leader_epoch, header.base_offset)
            if header.producer_id >= 0 and self._derives_producers:
                marker = read_end_transaction_marker(portion.data, position) if header.attributes & CONTROL_FLAG else None
                self._note_producer(header, extent, marker)

    def _note_producer(self, header: BatchHeader, extent: Extent, marker: EndTransactionMarker | None) -> None:
        if not header.attributes & CONTROL_FLAG:
            self.producers.appended(header, extent.base_offset, extent.last_offset)
        elif marker is not None:
            aborted = self.producers.marker_appended(header, extent.last_offset, marker)
            if aborted is not None:
                with _OfflineOnFailure(self):
                    self._segments.active.transaction_index.append(aborted)

    def _duplicate(self, known: AppendedBatch, size_bytes: int) -> AppendResult:
        time = known.timestamp if self.config.timestamp_type is TimestampType.LOG_APPEND_TIME else NO_TIME
        return AppendResult(known.base_offset, known.last_offset, time, True, size_bytes, self.log_start_offset)

    def _check_marker(self, records: Buffer, header: BatchHeader) -> EndTransactionMarker | None:
        marker = read_end_transaction_marker(records)
        if marker is not None:
            self.producers.check_marker(header, marker)
        return marker

    def _want_flush(self) -> None:
        if self.on_flush_wanted is not None:
            self.on_flush_wanted(self)

    def _forget_epochs_from(self, end_offset: int) -> None:
        """Also an epoch in which nothing was written: its leader began it, and another one did not go on from there."""
        self.epochs.truncate_from_end(end_offset)
        self._write_epochs()

    def _write_epochs(self) -> None:
        if self.epochs.dirty:
            self._disk.replace_file(self._epochs_path, self.epochs.encode())
            self.epochs.dirty = False


class _OfflineOnFailure:
    """Turns what the disk or damaged bytes do to an operation into a refusal, and takes the log offline."""

    __slots__ = ("_log",)

    def __init__(self, log: PartitionLog) -> None:
        self._log = log

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DiskError | CorruptRecord):
            self._log.failed(error)
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
