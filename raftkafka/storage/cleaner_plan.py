"""What of a compacted log may be cleaned, and whether it is worth it.

Invariants
- Nothing at or above the high watermark, no open transaction, and never the active segment: a record that replaces another may still be
  lost above the high watermark, and then the replaced one counts.
- A range to be cleaned ends at the end of a segment.

Sources: Kafka's topic configs min.cleanable.dirty.ratio, min.compaction.lag.ms, max.compaction.lag.ms (KIP-354); KIP-58.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.storage.config import LONG_MAX, LogConfig
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import NO_TIMESTAMP
from raftkafka.storage.segment import LogSegment

MAX_SEGMENT_OFFSETS = 2**31 - 1


@attrs.frozen(kw_only=True)
class CleaningPlan:
    """The dirty part of a log is [`first_dirty_offset`, `end_offset`); what is before was cleaned, and is cleaned again with its keys."""

    log: PartitionLog
    first_dirty_offset: int
    end_offset: int
    clean_bytes: int
    dirty_bytes: int
    is_overdue: bool
    """Whether the dirty part is older than max.compaction.lag.ms."""

    @property
    def dirty_ratio(self) -> float:
        return self.dirty_bytes / (self.clean_bytes + self.dirty_bytes) if self.dirty_bytes else 0.0

    @property
    def is_worth_it(self) -> bool:
        return self.dirty_bytes > 0 and (self.is_overdue or self.dirty_ratio > self.log.config.min_cleanable_dirty_ratio)


def plan_cleaning(log: PartitionLog, *, end_offset: int, wall_ms: int) -> CleaningPlan:
    """What could be cleaned below `end_offset` (exclusive), which lies at or below the high watermark and every open transaction."""
    first_dirty = log.clean_end_offset
    max_lag_ms = log.config.max_compaction_lag_ms
    clean_bytes = dirty_bytes = 0
    end = log.segments[0].base_offset
    oldest_ms = NO_TIMESTAMP
    for segment in log.segments:
        if segment is log.segments.active or segment.next_offset > end_offset or _is_too_young(segment, log.config, wall_ms):
            break
        end = segment.next_offset
        if segment.next_offset <= first_dirty:
            clean_bytes += segment.size_bytes
            continue
        dirty_bytes += segment.size_bytes
        if oldest_ms == NO_TIMESTAMP and max_lag_ms != LONG_MAX:
            oldest_ms = segment.first_batch_timestamp()
    return CleaningPlan(
        log=log,
        first_dirty_offset=max(first_dirty, log.log_start_offset),
        end_offset=end,
        clean_bytes=clean_bytes,
        dirty_bytes=dirty_bytes,
        is_overdue=oldest_ms != NO_TIMESTAMP and wall_ms - oldest_ms > max_lag_ms,
    )


def groups(segments: Sequence[LogSegment], config: LogConfig) -> list[list[LogSegment]]:
    """Neighbours that become one segment: together no larger than a segment may be, in bytes and in offsets."""
    grouped: list[list[LogSegment]] = []
    size_bytes = 0
    for segment in segments:
        fits = bool(grouped) and (
            size_bytes + segment.size_bytes <= config.segment_bytes
            and segment.next_offset - 1 - grouped[-1][0].base_offset <= MAX_SEGMENT_OFFSETS
        )
        if fits:
            grouped[-1].append(segment)
            size_bytes += segment.size_bytes
        else:
            grouped.append([segment])
            size_bytes = segment.size_bytes
    return grouped


def _is_too_young(segment: LogSegment, config: LogConfig, wall_ms: int) -> bool:
    return config.min_compaction_lag_ms > 0 and segment.max_timestamp > wall_ms - config.min_compaction_lag_ms
