"""What of a log is stable, and when the rest is to become so: at a roll, and as `flush.messages` and `flush.ms` ask.

Invariants
- Everything below `recovery_point` is stable.

Sources: the topic configs `flush.messages` and `flush.ms`; reference/disk-format.md (recovery-point-offset-checkpoint).
"""

from __future__ import annotations

import attrs

from raftkafka.storage.config import LONG_MAX, LogConfig


@attrs.frozen(kw_only=True)
class FlushPlan:
    """What must be made stable so that everything below `end_offset` is."""

    end_offset: int
    syncs: tuple[str, ...]


class FlushState:
    """The recovery point of a log and what waits to be flushed."""

    __slots__ = ("_planned_end_offset", "_unflushed", "_unflushed_since_ms", "boundary_moved", "recovery_point")

    def __init__(self, recovery_point: int) -> None:
        self.recovery_point = recovery_point
        self.boundary_moved = False
        """Whether a segment was rolled or the log truncated since the last flush: both are made stable soon."""
        self._unflushed = False
        self._unflushed_since_ms: int | None = None
        self._planned_end_offset = recovery_point

    def appended(self, config: LogConfig) -> bool:
        """Takes note of an append; whether the settings will ask for a flush of it."""
        if config.flush_messages == LONG_MAX and config.flush_ms == LONG_MAX:
            return False
        self._unflushed = True
        return True

    def limit_reached(self, config: LogConfig, now_ms: int, log_end_offset: int) -> bool:
        """Whether the settings ask for a flush now. `flush.ms` counts from the first time this was asked after an append."""
        if not self._unflushed:
            return False
        if self._unflushed_since_ms is None:
            self._unflushed_since_ms = now_ms
        return log_end_offset - self.recovery_point >= config.flush_messages or now_ms - self._unflushed_since_ms >= config.flush_ms

    def deadline_ms(self, config: LogConfig, log_end_offset: int) -> int:
        """When a flush is due, or is to be asked for; 0 for at once, far in the future when nothing waits."""
        if self.boundary_moved:
            return 0
        if not self._unflushed:
            return LONG_MAX
        if self._unflushed_since_ms is None or log_end_offset - self.recovery_point >= config.flush_messages:
            return 0
        return min(self._unflushed_since_ms + config.flush_ms, LONG_MAX)

    def planned(self, end_offset: int) -> None:
        """A flush of everything so far is under way."""
        self.boundary_moved = False
        self._unflushed = False
        self._unflushed_since_ms = None
        self._planned_end_offset = end_offset

    def flushed(self, end_offset: int) -> None:
        """It is done. What was truncated and appended again meanwhile is not what was made stable."""
        self.recovery_point = max(self.recovery_point, min(end_offset, self._planned_end_offset))

    def truncated(self, stable_before: int) -> None:
        """What is gone is not stable any more, and that it is gone shall be.

        `stable_before` is where the file that was cut begins: the next flush names that file too, though a new one may have begun by then.
        """
        self.recovery_point = min(self.recovery_point, stable_before)
        self._planned_end_offset = min(self._planned_end_offset, stable_before)
        self.boundary_moved = True
