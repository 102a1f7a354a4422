"""DeleteRecords: moving the start of a partition's log, and the requests that wait until every live replica has moved its own.

Invariants
- The leader moves its log start in the call; nothing at or above its high watermark is ever deleted.
- A request is answered when the *low watermark*, the lowest log start of the replicas whose broker is alive, has reached what it asked for:
  whatever replica leads next, the records stay deleted. A replica that is down is not waited for; it learns when it returns.
- A request whose time is up, or whose leader is deposed, may still have deleted the records.

Source: KIP-107.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.replication.deadlines import Deadlines
from raftkafka.replication.replicas import Replicas

if TYPE_CHECKING:
    from raftkafka.replication.leader import Leader
    from raftkafka.replication.partition import Partition

TO_HIGH_WATERMARK = -1
UNKNOWN_LOW_WATERMARK = -1


@attrs.define
class DeletedRecords:
    """The answer for one partition."""

    low_watermark: int = UNKNOWN_LOW_WATERMARK
    error_code: int = 0


DeleteDone = Callable[[list[DeletedRecords]], None]


@attrs.define(eq=False)
class _Waiter:
    """One partition of a pending request; `request` is None when it is over."""

    leader: Leader
    offset: int
    result: DeletedRecords
    request: _Pending | None


@attrs.define(eq=False)
class _Pending:
    results: list[DeletedRecords]
    done: DeleteDone
    waiters: list[_Waiter] = attrs.field(factory=list)
    remaining: int = 0


class DeleteRecordsService:
    """Moves log starts as leader and keeps the requests that wait for the followers."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self.waiting: dict[Partition, list[_Waiter]] = {}
        """What waits for followers, by partition."""
        self.deadlines: Deadlines[_Pending] = Deadlines(granularity_ms=16)

    def delete(self, entries: Sequence[tuple[PartitionKey, int]], *, timeout_ms: int, now_ms: int, done: DeleteDone) -> None:
        """Deletes, in each partition, what is before the offset (-1: before the high watermark); `done` gets one result an entry."""
        pending = _Pending([], done)
        for key, offset in entries:
            result = DeletedRecords()
            pending.results.append(result)
            try:
                leader = self._replicas.find(key).require_leader()
                offset = self._move_start(leader, offset)
            except ApiError as error:
                result.error_code = int(error.code)
                continue
            result.low_watermark = leader.low_watermark()
            if result.low_watermark < offset:
                waiter = _Waiter(leader, offset, result, pending)
                pending.waiters.append(waiter)
                self.waiting.setdefault(leader.partition, []).append(waiter)
        if not pending.waiters:
            done(pending.results)
            return
        pending.remaining = len(pending.waiters)
        self.deadlines.set(pending, now_ms + timeout_ms)

    def _move_start(self, leader: Leader, offset: int) -> int:
        """Moves the leader's log start; returns the offset that was meant."""
        partition = leader.partition
        config = partition.log.config
        if config.compact and not config.delete:
            raise ApiError(ErrorCode.POLICY_VIOLATION, f"the records of {partition} are compacted, not deleted")
        if offset == TO_HIGH_WATERMARK:
            offset = partition.high_watermark
        if not 0 <= offset <= partition.high_watermark:
            raise ApiError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"{partition} is committed up to {partition.high_watermark}, it cannot begin at {offset}"
            )
        if partition.log.advance_log_start(offset):
            self._replicas.log_starts_moved = True
            partition.state_changed = True  # the followers' fetches are answered with it
            self._replicas.touched[partition] = None
        return offset

    def low_watermark_moved(self, leader: Leader) -> None:
        """A follower told where its log starts, or one that was waited for is gone: answers what that completes."""
        waiters = self.waiting.get(leader.partition)
        if waiters is None:
            return
        low_watermark = leader.low_watermark()
        for waiter in waiters:
            waiter.result.low_watermark = low_watermark
        still = [waiter for waiter in waiters if waiter.request is not None and waiter.offset > low_watermark]
        self._keep(leader.partition, still)
        for waiter in waiters:
            if waiter.offset <= low_watermark:
                self._complete(waiter)

    def brokers_changed(self) -> None:
        """Who is alive may have changed, and with it who is waited for."""
        for partition in list(self.waiting):
            if partition.leader is not None:
                self.low_watermark_moved(partition.leader)

    def leadership_lost(self, partition: Partition) -> None:
        """Nobody tells this broker any more where the followers' logs start."""
        for waiter in self.waiting.pop(partition, ()):
            waiter.result.error_code = int(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            self._complete(waiter)

    def tick(self, now_ms: int) -> None:
        """Answers the requests whose time is up."""
        for request in self.deadlines.expire(now_ms):
            for waiter in request.waiters:
                if waiter.request is not None:
                    waiter.request = None
                    waiter.result.error_code = int(ErrorCode.REQUEST_TIMED_OUT)
                    partition = waiter.leader.partition
                    self._keep(partition, [each for each in self.waiting.get(partition, ()) if each.request is not None])
            request.done(request.results)

    def _keep(self, partition: Partition, waiters: list[_Waiter]) -> None:
        if waiters:
            self.waiting[partition] = waiters
        else:
            self.waiting.pop(partition, None)

    def _complete(self, waiter: _Waiter) -> None:
        request = waiter.request
        if request is None:
            return
        waiter.request = None
        request.remaining -= 1
        if request.remaining == 0:
            self.deadlines.discard(request)
            request.done(request.results)
