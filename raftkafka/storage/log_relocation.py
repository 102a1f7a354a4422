"""Logs that move to another directory, from the request to the end of the old one's files.

    begin ─▶ the copy grows (`log_moves`) ─▶ made stable ─▶ in place (`log_replacement`) ─▶ that is stable ─▶ the old log is deleted

Invariants
- The old log is deleted only when it is stable that the copy is in its place.
- A move that a crash interrupted begins anew at the next start, to the same directory.

Sources: KIP-113.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import ApiError, DiskError, ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import Rules
from raftkafka.storage.checkpoints import PARTITION_METADATA_FILE
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.log_flushes import Flush, LogFlushes
from raftkafka.storage.log_loading import FoundLog
from raftkafka.storage.log_moves import LogMove, LogMoves
from raftkafka.storage.log_placement import LogPlacement
from raftkafka.storage.log_removal import LogRemoval
from raftkafka.storage.log_replacement import replace_log
from raftkafka.storage.partition_log import PartitionLog

MOVED = "it was moved to another log directory"


@attrs.frozen(kw_only=True)
class Ports:
    """What is needed of the log manager: its logs, and what it does when one has another place or a directory fails."""

    logs_in: Callable[[LogDirectory], Iterable[PartitionLog]]
    log_of: Callable[[PartitionKey], PartitionLog | None]
    high_watermark: Callable[[PartitionLog], int]
    replaced: Callable[[LogDirectory, PartitionLog], None]
    directory_failed: Callable[[LogDirectory, str], None]
    observe: Callable[[Observed], None]


class LogRelocation:
    """The moves of one node's logs. Iterates over those under way."""

    def __init__(
        self,
        *,
        disk: Disk,
        rng: random.Random,
        placement: LogPlacement,
        flushes: LogFlushes,
        removal: LogRemoval,
        ports: Ports,
        disabled_rules: Rules,
    ) -> None:
        self._disk = disk
        self._placement = placement
        self._flushes = flushes
        self._removal = removal
        self._ports = ports
        self._disabled_rules = disabled_rules
        self._moves = LogMoves(disk, rng, ports.observe)
        self._replaced: list[FoundLog] = []

    def __iter__(self) -> Iterator[LogMove]:
        return iter(self._moves)

    def limit(self, rate_bytes: int) -> None:
        """How many bytes may be copied in a second."""
        self._moves.rate_bytes = rate_bytes

    def move(self, log: PartitionLog, target: LogDirectory) -> None:
        """Takes a log to another directory, or has it stay; one that is on its way to a third goes there no longer.

        Refuses (KAFKA_STORAGE_ERROR) when the log, or the other directory, does not work.
        """
        move = self._moves.get(log.key)
        if move is not None and move.target is target:
            return
        if move is not None:
            self._moves.discard(move, f"it is to go to {target.path}")
        if self._placement.of(log.key) is target:
            return
        if log.offline_reason is not None:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log of {log.topic}-{log.partition} is offline: {log.offline_reason}")
        try:
            begun = self._moves.begin(log, target)
        except DiskError as error:
            self._failed(error, target)
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        begun.copy.on_disk_failure = lambda copy: self._ports.directory_failed(target, copy.offline_reason or "")

    def begin_anew(self, copies: Sequence[FoundLog]) -> None:
        """At a start: the copies of moves that were under way are worth nothing, and the moves begin again. `DiskError` when one stays."""
        for copy in copies:
            self._disk.delete(copy.path)
            log = self._ports.log_of(PartitionKey(copy.topic_id, copy.place.partition))
            if log is not None and log.offline_reason is None:
                self.move(log, copy.directory)

    def has_been_replaced(self, old: Sequence[FoundLog]) -> None:
        """These logs are not needed any more."""
        self._replaced += old

    def give_up(self, directory: LogDirectory) -> None:
        """A directory has failed: nothing moves to it or away from it."""
        for move in list(self._moves):
            if move.target is directory or self._placement.get(move.log.key) is directory:
                self._moves.discard(move, f"{directory.path} has failed")

    def forget(self, key: PartitionKey) -> None:
        """The log is deleted."""
        move = self._moves.get(key)
        if move is not None:
            self._moves.discard(move, "the replica is deleted")

    def stop(self) -> None:
        """The node stops: the next start begins the moves anew."""
        for move in list(self._moves):
            self._moves.end(move)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        return 0 if self._replaced else self._moves.next_deadline_ms()

    def tick(self, now_ms: int, *, delete_delay_ms: int) -> bool:
        """Copies a slice, and deletes what was replaced; whether checkpoints should be written."""
        replaced, self._replaced = self._replaced, []
        for old in replaced:
            if old.directory.offline_reason is None:
                self._removal.schedule(old.directory, old.path, old.name, due_ms=now_ms + delete_delay_ms)
        move = self._moves.work(now_ms)
        if move is not None:
            self._copied(move)
        return bool(replaced)

    def _copied(self, move: LogMove) -> None:
        """A copy has everything: it is made stable first, and when it then has everything again it replaces the log."""
        try:
            if not move.synced or move.copy.recovery_point < move.log.recovery_point:
                plan = move.copy.plan_flush(move.copy.log_end_offset)
                move.syncing = True
                flush = Flush(directory=move.target, logs=[(move.copy, plan.end_offset)], done=move.copy_is_stable)
                self._flushes.begin(flush, syncs=[*plan.syncs, move.generation_path])
            elif not self._disk.exists(move.target.file(str(move.place))):  # what is there may be going away
                self._replace(move)
        except (ApiError, DiskError) as error:
            self._failed(error, move.target)

    def _failed(self, error: ApiError | DiskError, target: LogDirectory) -> None:
        """A move needs both directories: the one that the error names has failed, as a rule that of the copy."""
        named = self._placement.containing(error.path) if isinstance(error, DiskError) else None
        self._ports.directory_failed(named or target, str(error))

    def _replace(self, move: LogMove) -> None:
        """From here on the copy is the log."""
        log, target = move.log, move.target
        moved = replace_log(
            self._disk,
            move,
            others=self._ports.logs_in(target),
            high_watermark=self._ports.high_watermark,
            observe=self._ports.observe,
            disabled_rules=self._disabled_rules,
        )
        old = FoundLog(directory=self._placement.of(log.key), name=str(move.place), place=move.place, topic_id=log.topic_id)
        self._moves.end(move)
        log.offline_reason = MOVED
        for segment in log.segments:
            segment.close()
        self._ports.observe(observed("log-moved", partition=str(move.place), source=log.directory, target=moved.directory))
        self._ports.replaced(target, moved)
        flush = Flush(directory=target, done=lambda: self._replaced.append(old))
        self._flushes.begin(flush, syncs=[f"{moved.directory}/{PARTITION_METADATA_FILE}"])
