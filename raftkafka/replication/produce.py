"""Appending what producers send, and the acks=all requests that wait for the high watermark.

Invariants
- The append happens in the call. acks=0 and acks=1 are answered in it; acks=all when every partition's high watermark has passed what was
  appended, when leadership is lost, or when the time is up.
- acks=all is refused before the append with NOT_ENOUGH_REPLICAS when the ISR is under its minimum. Records that were appended and were not
  committed in time get NOT_ENOUGH_REPLICAS_AFTER_APPEND or REQUEST_TIMED_OUT: they may still be committed later.
Sources: KIP-679 and the Produce API; KIP-951 (the leader's name with an error).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode
from raftkafka.base.rules import Rule
from raftkafka.protocol.produce_codec import ProducePartitionResult
from raftkafka.replication.deadlines import Deadlines
from raftkafka.replication.replicas import LEADER_HINT_ERRORS, Replicas
from raftkafka.replication.values import ProduceDone, ProduceEntry
from raftkafka.storage.partition_log import AppendResult
from raftkafka.storage.producers import AppendOrigin

if TYPE_CHECKING:
    from raftkafka.replication.leader import Leader
    from raftkafka.replication.partition import Partition

ACKS_ALL = -1


class PendingProduce:
    """An acks=all request and how many of its partitions are not yet committed."""

    __slots__ = ("done", "remaining", "results", "waiters")

    def __init__(self, results: list[ProducePartitionResult], done: ProduceDone) -> None:
        self.results = results
        self.done = done
        self.waiters: list[AckWaiter] = []
        self.remaining = 0


class AckWaiter:
    """One partition of a pending request: complete when the high watermark reaches `required_offset`. `request` is None when it is over."""

    __slots__ = ("leader", "request", "required_offset", "result")

    def __init__(self, leader: Leader, required_offset: int, result: ProducePartitionResult, request: PendingProduce) -> None:
        self.leader = leader
        self.required_offset = required_offset
        self.result = result
        self.request: PendingProduce | None = request


class ProduceService:
    """Appends as leader and keeps the requests that wait for acknowledgement."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._waits = replicas.applies(Rule.ACKS_ALL_WAITS)
        self.deadlines: Deadlines[PendingProduce] = Deadlines(granularity_ms=16)

    def produce(self, entries: Sequence[ProduceEntry], *, acks: int, timeout_ms: int, wall_ms: int, now_ms: int, done: ProduceDone) -> None:
        """Appends each entry; `done` gets one result an entry, in their order, in this call or in a later `settle` or `tick`."""
        results: list[ProducePartitionResult] = []
        pending = PendingProduce(results, done)
        for entry in entries:
            key = entry.key
            result = ProducePartitionResult(topic=entry.topic, topic_id=key.topic_id, partition=key.partition)
            results.append(result)
            try:
                if acks not in (ACKS_ALL, 0, 1):
                    raise ApiError(ErrorCode.INVALID_REQUIRED_ACKS, f"acks is {acks}; it must be -1, 0 or 1")
                leader = self._replicas.find(key).require_leader()
                appended = self.append(leader, entry.records, needs_min_isr=acks == ACKS_ALL, wall_ms=wall_ms, now_ms=now_ms)
            except ApiError as error:
                self._refuse(result, entry, error)
                continue
            except CorruptRecord as error:
                self._refuse(result, entry, ApiError(ErrorCode.CORRUPT_MESSAGE, str(error)))
                continue
            result.base_offset = appended.base_offset
            result.log_append_time_ms = appended.log_append_time_ms
            result.log_start_offset = appended.log_start_offset
            if acks == ACKS_ALL and self._waits and leader.partition.high_watermark <= appended.last_offset:
                pending.waiters.append(AckWaiter(leader, appended.last_offset + 1, result, pending))
        if not pending.waiters:
            done(results)
            return
        self._wait(pending, now_ms + timeout_ms)

    def append(
        self,
        leader: Leader,
        records: Buffer,
        *,
        needs_min_isr: bool,
        wall_ms: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
    ) -> AppendResult:
        """Appends as leader and advances the high watermark if no follower has to be waited for."""
        partition = leader.partition
        if needs_min_isr and leader.short_of_replicas:
            live = sum(node_id not in self._replicas.gone for node_id in leader.isr)
            raise ApiError(
                ErrorCode.NOT_ENOUGH_REPLICAS, f"the ISR of {partition} has {live} live members, the minimum is {leader.min_isr}"
            )
        end_offset = partition.log.log_end_offset
        appended = partition.log.append_as_leader(records, leader_epoch=leader.epoch, wall_ms=wall_ms, origin=origin)
        if not partition.requests:
            self._replicas.traffic.busy[partition] = None
        partition.requests += 1
        partition.bytes_in += len(records)
        if not appended.duplicate:
            leader.appended(end_offset, now_ms)
            leader.advance_high_watermark(now_ms)
            self._replicas.touched[partition] = None
        return appended

    def _wait(self, pending: PendingProduce, deadline_ms: int) -> None:
        pending.remaining = len(pending.waiters)
        for waiter in pending.waiters:
            acks = waiter.leader.acks
            if acks and acks[-1].required_offset > waiter.required_offset:
                waiter.required_offset = acks[-1].required_offset  # a duplicate of earlier records: behind the others, which keeps order
            acks.append(waiter)
        self.deadlines.set(pending, deadline_ms)

    def _refuse(self, result: ProducePartitionResult, entry: ProduceEntry, error: ApiError) -> None:
        result.error_code = int(error.code)
        result.error_message = error.message or None
        result.record_errors = list(error.record_errors)
        if error.code in LEADER_HINT_ERRORS:
            result.current_leader = self._replicas.leader_hint(entry.key)

    def high_watermark_advanced(self, leader: Leader) -> None:
        """Answers the requests whose last partition this was."""
        acks = leader.acks
        high_watermark = leader.partition.high_watermark
        while acks and acks[0].required_offset <= high_watermark:
            self._complete(acks.popleft())

    def leadership_lost(self, partition: Partition, leader: Leader) -> None:
        """What waited for a leader that is no more fails with the new leader's name; it may still be committed there."""
        while leader.acks:
            waiter = leader.acks.popleft()
            if waiter.request is not None:
                waiter.result.error_code = int(ErrorCode.NOT_LEADER_OR_FOLLOWER)
                waiter.result.current_leader = self._replicas.leader_hint(partition.key)
                self._complete(waiter)

    def _complete(self, waiter: AckWaiter) -> None:
        request = waiter.request
        if request is None:
            return
        waiter.request = None
        request.remaining -= 1
        if request.remaining == 0:
            self.deadlines.discard(request)
            request.waiters.clear()
            request.done(request.results)

    def tick(self, now_ms: int) -> None:
        """Answers the requests whose time is up."""
        for request in self.deadlines.expire(now_ms):
            for waiter in request.waiters:
                if waiter.request is not None:
                    waiter.request = None
                    waiter.result.error_code = int(
                        ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND if waiter.leader.short_of_replicas else ErrorCode.REQUEST_TIMED_OUT
                    )
            request.waiters.clear()
            request.done(request.results)
