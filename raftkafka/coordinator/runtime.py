"""Runs one replicated state machine (a *shard*) per partition of a coordinator's topic.

The life of a shard: `elected` opens it, replays the log and waits until the high watermark has reached the end of what was replayed (a
client is told COORDINATOR_LOAD_IN_PROGRESS meanwhile), then it is active, `resigned` ends it and answers everything that still waits with
NOT_COORDINATOR. Its next term begins again from the log.

Invariants
- A shard's replicated state is changed only by `replay`, in the order of the log, once for each record; while active at the moment of
  the append. So the live state is the replay of the log up to its end, always (rule T11).
- What waits for a commit is completed in the order of the log, exactly once: with None when the high watermark has passed its last
  record, or with an `ApiError` when the shard resigns or the commit takes longer than `commit_timeout_ms` (the record may then still
  become committed: the client's answer is indefinite, as in Kafka).
- An append that the log refuses has changed nothing.
- An active shard knows everything that an earlier leader has acknowledged, as committed: a new leader's high watermark may lag behind what
  clients have been told, so it answers nobody before it has caught up.
- The topic is compacted: a state depends on the last record of each key only.

Sources: KIP-848 (the coordinator runtime), Kafka's `CoordinatorRuntime`. Differences: a shard decides against its pending state; a failed
commit never rolls back in place, because a log is only ever cut after its leader has resigned; Kafka serves while its high watermark lags.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from raftkafka.base.errors import ApiError, CorruptRecord, DiskError, ErrorCode
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.coordinator.records import CoordinatorRecord, LogRecord, decode_batches, encode_batches
from raftkafka.coordinator.timers import NEVER_MS, Instant, Timers

LOAD_CHUNK_BYTES = 1 << 20
"""How much of a log is replayed in one call; the rest follows in `tick`, so that loading never holds the node up for long."""

SLOW_CHUNK_BYTES, SLOW_PAUSE_MS = 1_024, 20
"""How slowly a log is read in the background where the rule is broken that nobody is answered meanwhile."""

Committed = Callable[[ApiError | None, Instant], None]


class CoordinatorLog(Protocol):
    """The partitions of a coordinator's topic that this node leads."""

    def append(self, partition: int, batch: bytes, now_ms: int) -> int:
        """Appends a record batch with the guarantees of acks=all and returns the new end offset; raises `ApiError`, having done nothing."""

    def start_offset(self, partition: int) -> int: ...

    def high_watermark(self, partition: int) -> int: ...

    def read(self, partition: int, start_offset: int, max_bytes: int) -> bytes:
        """Whole batches from the one that holds `start_offset` on, also above the high watermark; empty at the end of the log.

        Raises `ApiError`, `CorruptRecord` or `DiskError`; the shard then fails and is closed to clients.
        """


class Shard(Protocol):
    """A replicated state machine."""

    def replay(self, record: LogRecord) -> None:
        """Changes the replicated state; never refuses."""

    def committed(self, high_watermark: int) -> None:
        """Everything below this offset is committed."""

    def loaded(self, instant: Instant) -> None:
        """The log has been replayed: start what the state calls for (timers)."""

    def unloaded(self, instant: Instant) -> None:
        """The term is over: answer what is parked with NOT_COORDINATOR and forget everything."""


S = TypeVar("S", bound=Shard)


class ShardHandle:
    """What a shard is given: its timers and its way to the log."""

    def __init__(self, runtime: CoordinatorRuntime[S], partition: int, leader_epoch: int) -> None:
        self.partition = partition
        self.leader_epoch = leader_epoch
        self.timers = Timers(runtime.wake_at)
        self.waiting: deque[_Waiting] = deque()
        self.end_offset = 0
        self._runtime = runtime

    def append(self, records: Iterable[CoordinatorRecord], committed: Committed, instant: Instant) -> None:
        """Appends and replays the records; `committed` is called later, or before this returns. Raises `ApiError` when the log refuses.

        Many records are cut into several batches, and a refusal of a later one leaves the earlier ones in place.
        """
        self._runtime.append(self, records, committed, instant)

    def after_commit(self, committed: Committed, instant: Instant) -> None:
        """Calls `committed` when everything appended so far is committed: at once when nothing is pending."""
        if not self.waiting:
            committed(None, instant)
        else:
            self._runtime.wait(self, committed, instant)

    def observe(self, kind: str, /, **fields: object) -> None:
        """Reports something that a person may want to know."""
        self._runtime.report(observed(kind, partition=self.partition, **fields))


class _Waiting:
    __slots__ = ("committed", "deadline_ms", "done", "end_offset")

    def __init__(self, end_offset: int, deadline_ms: int, committed: Committed) -> None:
        self.end_offset = end_offset
        self.deadline_ms = deadline_ms
        self.committed = committed
        self.done = False

    def complete(self, error: ApiError | None, instant: Instant) -> None:
        if not self.done:
            self.done = True
            self.committed(error, instant)


class _Phase(enum.Enum):
    LOADING = "loading"
    REPLAYED = "replayed"
    ACTIVE = "active"
    FAILED = "failed"


class _Term(Generic[S]):
    """One term of leadership over one partition."""

    def __init__(self, handle: ShardHandle, shard: S) -> None:
        self.handle = handle
        self.shard = shard
        self.phase = _Phase.LOADING
        self.next_offset = 0
        self.record_count = 0


class CoordinatorRuntime(Generic[S]):
    """The shards of the partitions that this node leads."""

    def __init__(
        self,
        *,
        log: CoordinatorLog,
        open_shard: Callable[[ShardHandle], S],
        commit_timeout_ms: int,
        disabled_rules: Rules = NO_RULES,
    ) -> None:
        self._answers_early = Rule.ANSWER_COMMIT_WHEN_REPLICATED in disabled_rules
        self._serves_while_loading = Rule.LOAD_BEFORE_ANSWERING in disabled_rules
        self._log = log
        self._open_shard = open_shard
        self._commit_timeout_ms = commit_timeout_ms
        self._terms: dict[int, _Term[S]] = {}
        self._deadlines: deque[_Waiting] = deque()
        self._wake_ms = NEVER_MS
        self._observed: list[Observed] = []

    def elected(self, partition: int, leader_epoch: int, instant: Instant) -> None:
        """This node leads the partition. A small log is replayed before this returns; a new epoch of a term under way changes nothing."""
        term = self._terms.get(partition)
        if term is not None and term.phase is not _Phase.FAILED:
            term.handle.leader_epoch = leader_epoch
            return
        handle = ShardHandle(self, partition, leader_epoch)
        term = self._terms[partition] = _Term(handle, self._open_shard(handle))
        try:
            term.next_offset = self._log.start_offset(partition)
        except (ApiError, DiskError) as error:
            self._fail(term, error)
            return
        if self._serves_while_loading:
            self.wake_at(instant.now_ms + SLOW_PAUSE_MS)
            return
        self._load_chunk(term, instant)

    def resigned(self, partition: int, instant: Instant) -> None:
        """This node no longer leads the partition: its waiting clients get NOT_COORDINATOR."""
        term = self._terms.pop(partition, None)
        if term is None:
            return
        error = ApiError(ErrorCode.NOT_COORDINATOR)
        while term.handle.waiting:
            term.handle.waiting.popleft().complete(error, instant)
        term.shard.unloaded(instant)
        term.handle.timers.clear()
        self.report(observed("coordinator-resigned", partition=partition, leader_epoch=term.handle.leader_epoch))

    def shard(self, partition: int) -> S:
        """The active shard; raises NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS."""
        term = self._terms.get(partition)
        if term is None or term.phase is _Phase.FAILED:
            raise ApiError(ErrorCode.NOT_COORDINATOR)
        if term.phase is not _Phase.ACTIVE and not self._serves_while_loading:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return term.shard

    def active(self, partition: int, leader_epoch: int) -> S | None:
        """The shard, if it is active in this leader epoch."""
        term = self._terms.get(partition)
        is_active = term is not None and term.phase is _Phase.ACTIVE and term.handle.leader_epoch == leader_epoch
        return term.shard if term is not None and is_active else None

    def partitions(self) -> list[int]:
        """The partitions with a term under way, in order."""
        return sorted(self._terms)

    def high_watermark_advanced(self, partition: int, high_watermark: int, instant: Instant) -> None:
        """Completes what waited for it."""
        term = self._terms.get(partition)
        if term is None:
            return
        if term.phase is _Phase.ACTIVE:
            self._advance(term, high_watermark, instant)
        elif term.phase is _Phase.REPLAYED:
            self._activate_if_committed(term, high_watermark, instant)

    def tick(self, instant: Instant) -> None:
        """Goes on loading, gives up commits that take too long, and runs the shards' timers."""
        if instant.now_ms < self._wake_ms:
            return
        self._wake_ms = NEVER_MS
        while self._deadlines and (self._deadlines[0].done or self._deadlines[0].deadline_ms <= instant.now_ms):
            self._deadlines.popleft().complete(ApiError(ErrorCode.REQUEST_TIMED_OUT, "not committed in time"), instant)
        for partition in self.partitions():
            term = self._terms.get(partition)
            if term is None:
                continue
            if term.phase is _Phase.LOADING:
                self._load_chunk(term, instant)
            term.handle.timers.run_due(instant)
            self.wake_at(term.handle.timers.next_deadline_ms())
        if self._deadlines:
            self.wake_at(self._deadlines[0].deadline_ms)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do at the earliest; `NEVER_MS` when never."""
        return self._wake_ms

    def drain(self) -> list[Observed]:
        """What happened since the last call."""
        drained, self._observed = self._observed, []
        return drained

    def report(self, event: Observed) -> None:
        """Adds to what `drain` returns."""
        self._observed.append(event)

    def wake_at(self, deadline_ms: int) -> None:
        """Makes `next_deadline_ms` no later than this."""
        if deadline_ms < self._wake_ms:
            self._wake_ms = deadline_ms

    def append(self, handle: ShardHandle, records: Iterable[CoordinatorRecord], committed: Committed, instant: Instant) -> None:
        """See `ShardHandle.append`."""
        term = self._terms.get(handle.partition)
        if term is None or term.handle is not handle:
            raise ApiError(ErrorCode.NOT_COORDINATOR)
        for batch, written in encode_batches(records, wall_ms=instant.wall_ms):
            end_offset = self._log.append(handle.partition, batch, instant.now_ms)
            self._replay(term, written, end_offset)
        if self._answers_early:
            committed(None, instant)
            return
        self.wait(handle, committed, instant)
        self._advance(term, self._log.high_watermark(handle.partition), instant)

    def wait(self, handle: ShardHandle, committed: Committed, instant: Instant) -> None:
        """Queues `committed` behind the end of the log as it is now."""
        waiting = _Waiting(handle.end_offset, instant.now_ms + self._commit_timeout_ms, committed)
        handle.waiting.append(waiting)
        self._deadlines.append(waiting)
        self.wake_at(waiting.deadline_ms)

    def _replay(self, term: _Term[S], written: Sequence[CoordinatorRecord], end_offset: int) -> None:
        offset = end_offset - len(written)
        for record in written:
            term.shard.replay(LogRecord(offset, record.key, record.value))
            offset += 1
        term.handle.end_offset = end_offset

    def _advance(self, term: _Term[S], high_watermark: int, instant: Instant) -> None:
        term.shard.committed(high_watermark)
        waiting = term.handle.waiting
        while waiting and waiting[0].end_offset <= high_watermark:
            waiting.popleft().complete(None, instant)
        while self._deadlines and self._deadlines[0].done:
            self._deadlines.popleft()

    def _load_chunk(self, term: _Term[S], instant: Instant) -> None:
        """Replays the next part of the log."""
        partition = term.handle.partition
        budget_bytes = LOAD_CHUNK_BYTES if not self._serves_while_loading else SLOW_CHUNK_BYTES
        try:
            while budget_bytes > 0:
                data = self._log.read(partition, term.next_offset, budget_bytes)
                if not data:
                    self._replayed(term, instant)
                    return
                budget_bytes -= len(data)
                records, end_offset = decode_batches(data)
                for record in _latest(records):
                    term.shard.replay(record)
                term.shard.committed(self._log.high_watermark(partition))
                term.record_count += len(records)
                term.next_offset = end_offset
        except (ApiError, CorruptRecord, DiskError) as error:
            self._fail(term, error)
            return
        self.wake_at(instant.now_ms + (SLOW_PAUSE_MS if self._serves_while_loading else 0))

    def _replayed(self, term: _Term[S], instant: Instant) -> None:
        """The whole log is replayed: the shard becomes active now, or when the high watermark has got as far."""
        term.handle.end_offset = term.next_offset
        term.phase = _Phase.REPLAYED
        self._activate_if_committed(term, self._log.high_watermark(term.handle.partition), instant)

    def _fail(self, term: _Term[S], error: Exception) -> None:
        term.phase = _Phase.FAILED
        self.report(observed("coordinator-load-failed", partition=term.handle.partition, offset=term.next_offset, error=str(error)))

    def _activate_if_committed(self, term: _Term[S], high_watermark: int, instant: Instant) -> None:
        handle = term.handle
        if high_watermark < handle.end_offset:
            return
        term.phase = _Phase.ACTIVE
        term.shard.committed(high_watermark)
        term.shard.loaded(instant)
        self.wake_at(handle.timers.next_deadline_ms())
        self.report(observed("coordinator-loaded", partition=handle.partition, leader_epoch=handle.leader_epoch, records=term.record_count))


def _latest(records: Sequence[LogRecord]) -> Iterable[LogRecord]:
    """The last record of each key, in order: the topic is a compacted one, where the earlier ones mean nothing."""
    latest: dict[bytes, LogRecord] = {}
    for record in records:
        latest.pop(record.key, None)
        latest[record.key] = record
    return latest.values()
