"""The log cleaner: it compacts one log at a time, the one with most to gain first, in parts that are short enough not to hold anybody up.

Invariants
- A part takes some `PART_US`; between two parts the node serves others for `PAUSE_MS` at least, and for as long as
  log.cleaner.io.max.bytes.per.second asks. Without compacted logs of more than one segment there is nothing to do, and no deadline.
- A round goes on only while its log has the segments that it began with; after a truncation, retention or a failure it is given up, and
  nothing of it remains.
- What a disk refuses to the cleaner's own files takes no log offline: the log stays as it was, and is tried again later.

log.cleaner.threads, io.buffer.size and io.buffer.load.factor have no effect: there is one cleaner, reading and writing fixed portions.

Sources: Kafka's `LogCleaner` and `LogCleanerManager` (which log is next); the log.cleaner keys of reference/configs.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import ApiError, CorruptRecord, DiskError
from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import Rules
from raftkafka.storage.cleaner_plan import CleaningPlan, plan_cleaning
from raftkafka.storage.cleaner_round import CleaningRound, Step, Sync
from raftkafka.storage.config import LONG_MAX
from raftkafka.storage.partition_log import PartitionLog

PART_US = 2_500
PAUSE_MS = 2
RETRY_MS = 60_000
"""A log that could not be cleaned is left alone for so long."""

FAR_FUTURE_MS = LONG_MAX


@attrs.frozen(kw_only=True)
class CleanerSettings:
    """The log.cleaner keys that act, in the order of reference/configs.md."""

    enabled: bool = True
    backoff_ms: int = 15_000
    dedupe_buffer_bytes: int = 128 << 20
    """The memory for the keys of a round, as far as it can be told; a round ends early when it is used up."""
    io_max_bytes_per_second: float = float("inf")


class LogCleaner:
    """The cleaner of one node's logs. `persist` asks for files to be made stable and returns the token that `persisted` gets."""

    def __init__(
        self,
        *,
        disk: Disk,
        settings: CleanerSettings,
        disabled_rules: Rules,
        limit: Callable[[PartitionLog], int],
        hosts: Callable[[PartitionLog], bool],
        persist: Callable[[Sequence[str]], int],
        observe: Callable[[Observed], None],
    ) -> None:
        """`limit`: up to where (exclusive) a log is committed and decided. `hosts`: whether this log is still in service."""
        self._disk = disk
        self._settings = settings
        self._disabled_rules = disabled_rules
        self._limit = limit
        self._hosts = hosts
        self._persist = persist
        self._observe = observe
        self._candidates: dict[PartitionKey, PartitionLog] = {}
        self._not_before_ms: dict[PartitionKey, int] = {}
        self._round: CleaningRound | None = None
        self._steps: Iterator[Step] = iter(())
        self._waiting_for: int | None = None
        self._now_ms = 0
        self._due_ms = FAR_FUTURE_MS

    @property
    def cleaning(self) -> PartitionLog | None:
        """The log that is being cleaned."""
        return self._round.log if self._round is not None else None

    def configure(self, settings: CleanerSettings) -> None:
        """Takes other settings, from the next part on."""
        self._settings = settings
        if self._round is None and self._candidates:
            self._due_ms = min(self._due_ms, self._now_ms + settings.backoff_ms)

    def note(self, log: PartitionLog) -> None:
        """Something may be there to be cleaned: the log is a compacted one, and was rolled or configured."""
        if self._settings.enabled and len(log.segments) > 1:
            self._candidates[log.key] = log
            if self._round is None:
                self._due_ms = min(self._due_ms, self._now_ms + self._settings.backoff_ms)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        return self._due_ms if self._waiting_for is None else FAR_FUTURE_MS

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Does the next part of the work, if it is time for it."""
        self._now_ms = now_ms
        if self._waiting_for is not None or now_ms < self._due_ms:
            return
        if self._round is None:
            self._begin(wall_ms)
        else:
            self._work()

    def persisted(self, token: int) -> None:
        """A `Persist` is stable; perhaps the one that the round waits for."""
        if token == self._waiting_for:
            self._waiting_for = None
            self._due_ms = self._now_ms

    def persist_failed(self, token: int, error: DiskError) -> None:
        """A `Persist` failed. After a swap it is not known what the log's directory holds."""
        if token == self._waiting_for and self._round is not None:
            self._waiting_for = None
            if not self._round.is_writing:
                self._round.log.failed(error)
            self._give_up(str(error))

    def stop(self) -> None:
        """Ends for good."""
        self._settings = attrs.evolve(self._settings, enabled=False)
        self._candidates.clear()
        self._waiting_for = None
        if self._round is not None:
            self._end_round()
        self._due_ms = FAR_FUTURE_MS

    def _begin(self, wall_ms: int) -> None:
        plan = self._best_plan(wall_ms)
        if plan is None:
            self._due_ms = self._now_ms + self._settings.backoff_ms if self._candidates else FAR_FUTURE_MS
            return
        self._round = CleaningRound(
            plan, self._disk, wall_ms=wall_ms, map_limit_bytes=self._settings.dedupe_buffer_bytes, disabled_rules=self._disabled_rules
        )
        self._steps = self._round.steps()
        self._due_ms = self._now_ms

    def _best_plan(self, wall_ms: int) -> CleaningPlan | None:
        best: CleaningPlan | None = None
        for key, log in list(self._candidates.items()):
            if not self._hosts(log) or log.offline_reason is not None or not log.config.compact or len(log.segments) < 2:
                del self._candidates[key]
                self._not_before_ms.pop(key, None)
            elif log.is_configured and self._not_before_ms.get(key, self._now_ms) <= self._now_ms:
                plan = plan_cleaning(log, end_offset=self._limit(log), wall_ms=wall_ms)
                if plan.is_worth_it and (best is None or plan.dirty_ratio > best.dirty_ratio):
                    best = plan
        return best

    def _work(self) -> None:
        assert self._round is not None
        if not self._round.is_valid or not self._hosts(self._round.log):
            self._end_round()
            return
        cost_us = io_bytes = 0
        try:
            while cost_us < PART_US:
                step = next(self._steps, None)
                if step is None:
                    self._finish()
                    return
                if isinstance(step, Sync):
                    self._waiting_for = self._persist(step.paths)
                    break
                cost_us += step.cost_us
                io_bytes += step.io_bytes
        except (CorruptRecord, DiskError, ApiError) as error:
            self._give_up(str(error))
            return
        self._due_ms = self._now_ms + max(PAUSE_MS, int(1000 * io_bytes / max(self._settings.io_max_bytes_per_second, 1.0)))

    def _finish(self) -> None:
        assert self._round is not None
        log = self._round.log
        self._observe(observed("log-cleaned", topic=log.topic, partition=log.partition, **attrs.asdict(self._round.result)))
        self._end_round()

    def _give_up(self, reason: str) -> None:
        assert self._round is not None
        log = self._round.log
        self._not_before_ms[log.key] = self._now_ms + RETRY_MS
        self._observe(observed("log-not-cleaned", topic=log.topic, partition=log.partition, reason=reason))
        self._end_round()

    def _end_round(self) -> None:
        assert self._round is not None
        cleaning, self._round = self._round, None
        self._steps = iter(())
        self._due_ms = self._now_ms
        try:
            cleaning.close()
        except DiskError as error:  # the next start removes it
            self._observe(observed("files-not-deleted", directory=cleaning.log.directory, reason=str(error)))
