"""Serving fetches of consumers and followers, and keeping those that wait for data.

Invariants
- A fetch is answered when it has `min_bytes`, an error, a diverging epoch, a preferred replica or (to a follower) a later log start to
  tell, or when its time is up. News of a high watermark alone answers a follower after a short linger, so that it usually travels with
  data (KIP-1166).
- A follower's progress is taken from the request before anything is read for it, so the answer carries the newest high watermark.
- The cost of a request in a session is that of its changed partitions and of those with news, never of the idle ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from raftkafka.base.errors import ApiError
from raftkafka.base.ids import NodeId
from raftkafka.protocol.fetch_codec import UNKNOWN_HIGH_WATERMARK, FetchPartitionResult, FetchRequestData
from raftkafka.replication.deadlines import Deadlines
from raftkafka.replication.fetch_context import FINAL_EPOCH, INITIAL_EPOCH, FetchContext, FetchedPartition, FetchSessions
from raftkafka.replication.fetch_reader import acknowledge, has_all, is_throttled, read
from raftkafka.replication.leader import Leader
from raftkafka.replication.partition import Partition
from raftkafka.replication.replicas import Replicas
from raftkafka.replication.values import FAR_FUTURE_MS, FetchDone, FetchReply, ReplicaSettings

MIN_BYTES_RECHECK_MS = 5
"""A consumer that wants more than one byte is looked at again at most this often, however often the high watermark moves."""

Collected = list[tuple[FetchedPartition, FetchPartitionResult]]


class FetchService:
    """Answers fetches; `acknowledged` is called with a leader whose follower told what it has."""

    def __init__(
        self, replicas: Replicas, settings: ReplicaSettings, rng: random.Random, *, acknowledged: Callable[[Leader, NodeId, int], None]
    ) -> None:
        self._replicas = replicas
        self._settings = settings
        self._acknowledged = acknowledged
        self._ready: dict[FetchContext, None] = {}
        self.sessions = FetchSessions(slots=settings.fetch_session_slots, rng=rng)
        self.deadlines: Deadlines[FetchContext] = Deadlines(granularity_ms=1)

    def fetch(self, request: FetchRequestData, *, version: int, now_ms: int, done: FetchDone) -> None:
        """Answers the request now or when it has something to say; sessions are opened and checked here (KIP-227)."""
        try:
            context = self._context(request, version, now_ms)
        except ApiError as error:
            done(FetchReply(error_code=int(error.code)))
            return
        context.last_used_ms = now_ms
        named = context.update(request)
        idle_count = 0
        if context.replica_id >= 0:
            for fetched in named:
                leader = acknowledge(self._replicas, fetched, now_ms)
                if leader is not None:
                    self._acknowledged(leader, NodeId(context.replica_id), now_ms)
                    idle_count += leader.partition is fetched.partition and has_all(fetched)
        context.done = done
        context.deadline_ms = now_ms + request.max_wait_ms
        if (
            idle_count == len(context.dirty)
            and context.partitions
            and not context.full
            and context.min_bytes > 0
            and request.max_wait_ms > 0
        ):
            self._park(context, now_ms)  # the usual fetch of a follower that keeps up: nothing need be read
            return
        collected, is_enough = self._collect(context)
        if is_enough or request.max_wait_ms <= 0 or not context.partitions:
            self._answer(context, collected)
        else:
            self._park(context, now_ms)

    def _context(self, request: FetchRequestData, version: int, now_ms: int) -> FetchContext:
        if request.session_epoch not in (INITIAL_EPOCH, FINAL_EPOCH):
            context = self.sessions.find(request, version=version)
            self._answer_early(context)
            return context
        old = self.sessions.remove(request.session_id)
        for context in (*self.sessions.of_follower(request.replica_id), *([] if old is None else [old])):
            self.sessions.remove(context.session_id)
            self._answer_early(context)
            context.close()
        return self.sessions.create(request, version=version, now_ms=now_ms)

    def _answer_early(self, context: FetchContext) -> None:
        """The client does not want to wait any longer: it has sent another request."""
        if context.done is not None:
            self._answer(context, self._collect(context)[0])

    def _collect(self, context: FetchContext) -> tuple[Collected, bool]:
        """Reads what may have news, and whether that is enough to answer at once."""
        collected: Collected = []
        size = 0
        is_enough = False
        left = context.max_bytes
        self._replicas.throttle.read_bytes = 0
        if context.replica_id < 0:
            left = min(left, self._settings.client_fetch_max_bytes)
        wanted = list(context.partitions.values()) if context.full else list(context.dirty)
        for fetched in wanted:
            result = read(self._replicas, fetched, max_bytes=left - size, at_least_one_batch=size == 0)
            size += result.records_size
            collected.append((fetched, result))
            if result.error_code or result.diverging_epoch is not None or result.preferred_read_replica != -1:
                is_enough = True
            elif context.replica_id >= 0 and 0 <= fetched.told_log_start_offset < result.log_start_offset:
                is_enough = True  # somebody may wait for the followers to delete records
        return collected, is_enough or (size > 0 and size >= context.min_bytes) or context.min_bytes <= 0

    def _answer(self, context: FetchContext, collected: Collected) -> None:
        done = context.done
        assert done is not None
        context.done = None
        self.deadlines.discard(context)
        self._ready.pop(context, None)
        if context.replica_id < 0:
            self._replicas.traffic.sent(collected)
        elif self._replicas.throttle.limits_leader:
            self._spend(context, collected)
        if context.session_id:
            results = self._tell(context, collected)
        else:
            results = [result for _, result in collected]
            context.close()
        done(FetchReply(session_id=context.session_id, results=results))

    def _spend(self, context: FetchContext, collected: Collected) -> None:
        """What a throttled follower gets is spent when it is sent: it may have been read before, and not been enough to answer."""
        throttle = self._replicas.throttle
        for fetched, result in collected:
            if (
                result.records_size
                and fetched.partition is not None
                and is_throttled(self._replicas, fetched.partition, context.replica_id)
            ):
                throttle.leader.spend(result.records_size, throttle.now_ms)

    def _tell(self, context: FetchContext, collected: Collected) -> list[FetchPartitionResult]:
        """The results with news, or all in a full response; what returned records goes behind the others, what was told is clean."""
        results: list[FetchPartitionResult] = []
        dirty = context.dirty
        for fetched, result in collected:
            if context.full or fetched.has_news(result):
                results.append(result)
                fetched.told(result)
            if result.records_size:
                dirty.pop(fetched, None)
                dirty[fetched] = None
                context.partitions.move_to_end(fetched.identity)
            elif not result.error_code and not self._has_unread_data(context, fetched):
                dirty.pop(fetched, None)
        return results

    def _has_unread_data(self, context: FetchContext, fetched: FetchedPartition) -> bool:
        """There was data, but the response had no room for it."""
        partition = fetched.partition
        if partition is None:
            return True
        end_offset = partition.log.log_end_offset if context.replica_id >= 0 else partition.high_watermark
        return fetched.request.fetch_offset < end_offset

    def _park(self, context: FetchContext, now_ms: int) -> None:
        """Waits: for the deadline, or shorter when a follower is owed news of a high watermark."""
        deadline_ms = context.deadline_ms
        if context.replica_id >= 0 and any(map(_owes_high_watermark, context.dirty)):
            deadline_ms = min(deadline_ms, now_ms + self._settings.high_watermark_linger_ms)
        if context.replica_id >= 0 and self._replicas.throttle.limits_leader:
            deadline_ms = min(deadline_ms, self._throttled_until_ms(context, now_ms))
        self.deadlines.set(context, deadline_ms)

    def _throttled_until_ms(self, context: FetchContext, now_ms: int) -> int:
        """When a follower that the throttle keeps from its data may get more; far in the future when it is not kept from any."""
        for fetched in context.dirty:
            partition = fetched.partition
            if partition is not None and not has_all(fetched) and is_throttled(self._replicas, partition, context.replica_id):
                return max(now_ms + 1, self._replicas.throttle.leader.ready_ms(now_ms))
        return FAR_FUTURE_MS

    def partition_changed(
        self, partition: Partition, *, end_moved: bool, high_watermark_moved: bool, state_changed: bool, now_ms: int
    ) -> None:
        """Marks the fetches that want to hear of it; `settle` answers them."""
        for fetched in partition.fetches:
            context = fetched.context
            context.dirty[fetched] = None
            if context.done is None:
                continue
            if state_changed or (end_moved and context.replica_id >= 0):
                self._ready[context] = None
            elif high_watermark_moved and context.replica_id >= 0:
                self._wake_by(context, now_ms + self._settings.high_watermark_linger_ms)
            elif high_watermark_moved and context.min_bytes > 1:
                self._wake_by(context, now_ms + MIN_BYTES_RECHECK_MS)
            elif high_watermark_moved:
                self._ready[context] = None

    def _wake_by(self, context: FetchContext, wake_ms: int) -> None:
        if wake_ms < self.deadlines.due_ms(context):
            self.deadlines.set(context, wake_ms)

    def settle(self) -> None:
        """Answers the waiting fetches that now have enough."""
        while self._ready:
            context = next(iter(self._ready))
            del self._ready[context]
            collected, is_enough = self._collect(context)
            if is_enough:
                self._answer(context, collected)

    def tick(self, now_ms: int) -> None:
        """Answers the fetches whose time is up, with what there is; looks again at those that lingered."""
        for context in self.deadlines.expire(now_ms):
            collected, is_enough = self._collect(context)
            if is_enough or context.replica_id >= 0 or now_ms >= context.deadline_ms:
                self._answer(context, collected)
            else:
                self.deadlines.set(context, context.deadline_ms)


def _owes_high_watermark(fetched: FetchedPartition) -> bool:
    """Whether the leader's high watermark is above what the follower knows; one that does not say (before version 18) is not owed."""
    partition = fetched.partition
    if partition is None or fetched.request.high_watermark == UNKNOWN_HIGH_WATERMARK:
        return False
    return fetched.told_high_watermark < partition.high_watermark
