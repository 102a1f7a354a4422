"""Retention: looks at all logs now and then, and takes out the segments that are too old, too many, or below the start of their log.

Invariants
- A look goes through the logs in slices: thousands of partitions, or of expired segments, never hold the node up.
- The files of a segment go after `file.delete.delay.ms`.

Sources: `log.retention.check.interval.ms`; `SegmentList.expired` for what may go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from raftkafka.base.errors import ApiError
from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.storage.config import LONG_MAX
from raftkafka.storage.log_removal import LogRemoval
from raftkafka.storage.partition_log import PartitionLog

LOGS_PER_SLICE = 200
SEGMENTS_PER_SLICE = 20
"""A slice ends after so many segments: for each, some files are renamed."""


class LogRetention:
    """The look at all logs that is due, or under way. `on_log_start_moved` is told the logs that start later now."""

    def __init__(
        self,
        logs: Mapping[PartitionKey, PartitionLog],
        removal: LogRemoval,
        *,
        interval_ms: int,
        high_watermark: Callable[[PartitionKey], int],
        observe: Callable[[Observed], None],
        report_offline: Callable[[PartitionLog, str], None],
    ) -> None:
        self.on_log_start_moved: Callable[[PartitionKey], None] | None = None
        self._logs = logs
        self._removal = removal
        self._interval_ms = interval_ms
        self._high_watermark = high_watermark
        self._observe = observe
        self._report_offline = report_offline
        self._due_ms = LONG_MAX
        self._left: deque[PartitionKey] = deque()

    def begin(self) -> None:
        """The logs are loaded: the first look is due."""
        self._due_ms = 0

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do; at once while a look is under way."""
        return 0 if self._left else self._due_ms

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Begins a look that is due, or goes on with it."""
        if not self._left:
            if now_ms < self._due_ms:
                return
            self._due_ms = now_ms + self._interval_ms
            self._left.extend(self._logs)
        segments = 0
        for _ in range(min(LOGS_PER_SLICE, len(self._left))):
            log = self._logs.get(self._left.popleft())
            if log is not None and log.offline_reason is None:
                segments += self._apply(log, now_ms, wall_ms)
                if segments >= SEGMENTS_PER_SLICE:
                    break

    def _apply(self, log: PartitionLog, now_ms: int, wall_ms: int) -> int:
        """How many segments were taken out of the log."""
        try:
            deleted = log.retention(wall_ms, self._high_watermark(log.key))
        except ApiError as error:
            self._report_offline(log, error.message)
            return 0
        if deleted:
            self._removal.schedule_files(log.retired_files, due_ms=now_ms + log.config.file_delete_delay_ms)
            log.retired_files.clear()
            if self.on_log_start_moved is not None:
                self.on_log_start_moved(log.key)
            self._observe(
                observed(
                    "segments-deleted",
                    topic=log.topic,
                    partition=log.partition,
                    segments=deleted,
                    log_start_offset=log.log_start_offset,
                )
            )
        return deleted
