"""What of the logs is being made stable: `Persist`s under way, and the logs that wait for one.

Invariants
- A flush of records is of one log directory: when it fails, nothing is in doubt elsewhere.
- A flush is begun when none is under way; it takes everything that is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from raftkafka.base.disk import FileWrite, Persist
from raftkafka.base.errors import ApiError
from raftkafka.base.ids import PartitionKey
from raftkafka.storage.config import LONG_MAX
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.partition_log import PartitionLog


def _nothing() -> None:
    return


@attrs.frozen(kw_only=True)
class Flush:
    """One `Persist`: the logs whose records below an offset it makes stable, and what is done then."""

    directory: LogDirectory | None = None
    logs: Sequence[tuple[PartitionLog, int]] = ()
    done: Callable[[], None] = _nothing


class LogFlushes:
    """`emit` carries out a `Persist`."""

    def __init__(self, emit: Callable[[Persist], None]) -> None:
        self.asked = False
        """Whether a log has asked for a flush since this was last set back: the deadline may be nearer."""
        self._emit = emit
        self._next_token = 1
        self._in_flight: dict[int, Flush] = {}
        self._wanted: dict[PartitionKey, PartitionLog] = {}

    @property
    def under_way(self) -> bool:
        """Whether something is being made stable."""
        return bool(self._in_flight)

    def want(self, log: PartitionLog) -> None:
        """The log has something to be made stable soon."""
        self._wanted[log.key] = log
        self.asked = True

    def forget(self, key: PartitionKey) -> None:
        """The log is no longer one of ours."""
        self._wanted.pop(key, None)

    def begin(self, flush: Flush, *, syncs: Sequence[str] = (), writes: Sequence[FileWrite] = ()) -> int:
        """Makes these writes and paths stable; returns the token by which it will be told of."""
        token = self._next_token
        self._next_token += 1
        self._in_flight[token] = flush
        self._emit(Persist(token, writes=tuple(writes), syncs=tuple(syncs)))
        return token

    def ended(self, token: int) -> Flush:
        """A `Persist` has succeeded or failed."""
        return self._in_flight.pop(token)

    def deadline_ms(self) -> int:
        """When `tick` has something to do."""
        if not self._wanted or self._in_flight:
            return LONG_MAX
        return min(log.flush_deadline_ms() for log in self._wanted.values())

    def tick(self, now_ms: int, directory_of: Callable[[PartitionKey], LogDirectory]) -> None:
        """Gathers what is due into one `Persist` a directory."""
        if not self._wanted or self._in_flight:
            return
        logs: dict[LogDirectory, list[tuple[PartitionLog, int]]] = {}
        syncs: dict[LogDirectory, list[str]] = {}
        for log in list(self._wanted.values()):
            try:
                plan = log.needs_flush(now_ms)
            except ApiError:
                del self._wanted[log.key]
                continue
            if plan is not None:
                directory = directory_of(log.key)
                logs.setdefault(directory, []).append((log, plan.end_offset))
                syncs.setdefault(directory, []).extend(plan.syncs)
            if log.flush_deadline_ms() == LONG_MAX:
                del self._wanted[log.key]
        for directory, paths in syncs.items():
            if paths:
                self.begin(Flush(directory=directory, logs=logs[directory]), syncs=paths)
