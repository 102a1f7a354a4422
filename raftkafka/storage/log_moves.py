"""Moving a log to another directory of the same broker: a copy grows beside it and takes its place.

    copying ──all copied──▶ syncing ──stable──▶ (copying what came meanwhile) ──▶ replaced

Invariants
- The log goes on being read and written where it is; the copy is never served before it has replaced the log, and then it has everything.
- The copy has the same batches at the same offsets: where the log was truncated, the copy is, by epochs, before anything is added to it.
- Nothing is copied for longer than a slice at a time, so that nobody waits, and not faster than the limit.
- What was stable of the log is stable of the copy before it replaces it.

Sources: KIP-113 (replicas move between directories), KIP-101 (truncation by epochs).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError, ErrorCode
from raftkafka.base.ids import PartitionKey, TopicPartition
from raftkafka.base.observed import Observed, observed
from raftkafka.storage.checkpoints import PARTITION_METADATA_FILE, encode_partition_metadata
from raftkafka.storage.config import LONG_MAX
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.log_loading import FUTURE_SUFFIX, Generation, read_generation, write_generation
from raftkafka.storage.log_removal import unique_name
from raftkafka.storage.partition_log import PartitionLog

SLICE_BYTES = 1 << 20
"""So much is copied at a time: one or two milliseconds."""


@attrs.define(eq=False, kw_only=True)
class LogMove:
    """A log on its way. `synced` says that the copy was made stable when it last had everything; `syncing`, that this is under way."""

    log: PartitionLog
    copy: PartitionLog
    target: LogDirectory
    generation: Generation
    generation_path: str
    syncing: bool = False
    synced: bool = False

    @property
    def lag(self) -> int:
        """How many offsets the copy is behind."""
        return self.log.log_end_offset - self.copy.log_end_offset

    def copy_is_stable(self) -> None:
        """What the copy had when this was asked for is stable."""
        self.syncing, self.synced = False, True

    @property
    def place(self) -> TopicPartition:
        """Which partition it is."""
        return TopicPartition(self.log.topic, self.log.partition)


class LogMoves:
    """The moves under way. `rate_bytes` is how much may be copied in a second (`replica.alter.log.dirs.io.max.bytes.per.second`)."""

    def __init__(self, disk: Disk, rng: random.Random, observe: Callable[[Observed], None]) -> None:
        self.rate_bytes = LONG_MAX
        self._disk = disk
        self._rng = rng
        self._observe = observe
        self._moves: dict[PartitionKey, LogMove] = {}
        self._next_ms = 0

    def __iter__(self) -> Iterator[LogMove]:
        return iter(self._moves.values())

    def get(self, key: PartitionKey) -> LogMove | None:
        """The move of a partition."""
        return self._moves.get(key)

    def begin(self, log: PartitionLog, target: LogDirectory) -> LogMove:
        """Begins to copy a log; raises `DiskError` when the other directory does not let us."""
        path = target.file(unique_name(f"{log.topic}-{log.partition}", FUTURE_SUFFIX, self._rng))
        self._disk.make_dir(path)
        self._disk.replace_file(f"{path}/{PARTITION_METADATA_FILE}", encode_partition_metadata(log.topic_id))
        before = read_generation(self._disk, log.directory)
        generation = before._replace(moves=before.moves + 1)
        generation_path = write_generation(self._disk, path, generation)
        copy = PartitionLog(
            disk=self._disk,
            directory=path,
            topic=log.topic,
            partition=log.partition,
            topic_id=log.topic_id,
            config=log.config,
            log_start_offset=log.first_batch_offset(),
        )
        move = self._moves[log.key] = LogMove(log=log, copy=copy, target=target, generation=generation, generation_path=generation_path)
        self._observe(observed("log-move-began", partition=f"{log.topic}-{log.partition}", source=log.directory, target=path))
        return move

    def end(self, move: LogMove) -> None:
        """The move is complete, or given up; its files are not touched."""
        self._moves.pop(move.log.key, None)

    def discard(self, move: LogMove, why: str) -> None:
        """Gives a move up and deletes the copy."""
        self.end(move)
        self._observe(observed("log-move-given-up", partition=str(move.place), target=move.copy.directory, why=why))
        for segment in move.copy.segments:
            segment.close()
        try:
            self._disk.delete(move.copy.directory)
        except DiskError as error:
            self._observe(observed("files-not-deleted", directory=move.copy.directory, reason=str(error)))

    def next_deadline_ms(self) -> int:
        """When `work` has something to do; 0 for at once."""
        active = [move for move in self._moves.values() if not self._rests(move)]
        if not active:
            return LONG_MAX
        return 0 if any(move.lag == 0 for move in active) else self._next_ms

    def work(self, now_ms: int) -> LogMove | None:
        """Copies a slice of one log; returns the move when its copy has everything: it is to be made stable, or to replace the log.

        A move that cannot go on is given up here. The limit of the rate holds back only those that have something to copy.
        """
        may_copy = now_ms >= self._next_ms
        move = next((each for each in self._moves.values() if not self._rests(each) and (may_copy or each.lag == 0)), None)
        if move is None:
            return None
        self._moves[move.log.key] = self._moves.pop(move.log.key)  # the others have their turn before it comes again
        try:
            copied = _copy_slice(move)
        except (ApiError, CorruptRecord, DiskError) as error:
            self.discard(move, str(error))
            return None
        if copied:
            self._next_ms = now_ms + copied * 1000 // self.rate_bytes
        return move if move.lag == 0 else None

    def _rests(self, move: LogMove) -> bool:
        return move.syncing and move.lag == 0


def _copy_slice(move: LogMove) -> int:
    """Brings the copy nearer to the log; returns how many bytes were copied."""
    log, copy = move.log, move.copy
    if log.offline_reason is not None:
        raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, log.offline_reason)
    if copy.log_end_offset < log.log_start_offset and copy.log_end_offset < (first_offset := log.first_batch_offset()):
        copy.truncate_fully_and_start_at(first_offset)
    copy.truncate_to(max(copy.log_start_offset, matching_end_offset(log, copy)))
    read = log.read(max(copy.log_end_offset, log.log_start_offset), max_bytes=SLICE_BYTES)
    for buffer in read.records:
        copy.append_as_follower(buffer)
    return read.size_bytes


def matching_end_offset(log: PartitionLog, copy: PartitionLog) -> int:
    """Up to where (exclusive) a copy has what its log has, by their epochs; the copy's end when it is a prefix of the log."""
    epoch = min(copy.latest_epoch(), log.latest_epoch())
    while epoch >= 0:
        (log_epoch, log_end), (copy_epoch, copy_end) = log.epochs.end_offset_for(epoch), copy.epochs.end_offset_for(epoch)
        if log_epoch == copy_epoch:
            return min(log_end, copy_end)
        epoch = min(log_epoch, copy_epoch)
    return min(log.log_end_offset, copy.log_end_offset)
