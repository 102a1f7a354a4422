"""What a fetch wants, kept between its requests: incremental fetch sessions (KIP-227), and the one request of a client without a session.

A session costs nothing for partitions that are idle: a partition *touches* the sessions that watch it, and only what is `dirty` is looked
at.

Invariants
- A partition is dirty from the moment it may have something to say until a response said it; one that returned records stays dirty until
  the client moves on, so that what was lost on the way is sent again.
- A session's epoch goes 0 (creation), 1, 2 ... and wraps to 1; any other is INVALID_FETCH_SESSION_EPOCH.
- A context has at most one request that waits. A newer request of the same session answers the older one at once, which lets a follower
  add a partition without waiting for its long poll to end.
"""

from __future__ import annotations

import random
from collections import OrderedDict

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_TOPIC_ID, PartitionKey, TopicId
from raftkafka.protocol.fetch_codec import UNKNOWN_HIGH_WATERMARK, FetchPartition, FetchPartitionResult, FetchRequestData
from raftkafka.replication.partition import Partition
from raftkafka.replication.values import FetchDone

NO_SESSION = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1
EVICTION_AGE_MS = 120_000
LAST_EPOCH = 2**31 - 1

FetchedId = tuple[str | bytes | None, int]


class FetchedPartition:
    """A partition in a context: what is wanted, and what the client was told last. `partition` is where it is registered for news."""

    __slots__ = (
        "context",
        "identity",
        "key",
        "partition",
        "request",
        "told_high_watermark",
        "told_last_stable_offset",
        "told_log_start_offset",
    )

    def __init__(self, context: FetchContext, identity: FetchedId, request: FetchPartition) -> None:
        self.context = context
        self.identity = identity
        self.key = PartitionKey(TopicId(request.topic_id or NO_TOPIC_ID), request.partition)
        """Of a context that names topics by id."""
        self.request = request
        self.partition: Partition | None = None
        self.told_high_watermark = -1
        self.told_last_stable_offset = -1
        self.told_log_start_offset = -1

    def watch(self, partition: Partition | None) -> None:
        """Registers for the news of this hosted partition in place of the one before."""
        if partition is self.partition:
            return
        if self.partition is not None:
            self.partition.fetches.pop(self, None)
        if partition is not None:
            partition.fetches[self] = None
        self.partition = partition

    def has_news(self, result: FetchPartitionResult) -> bool:
        """Whether an incremental response must hold this result; else a consumer would stall, or a follower keep an old high watermark."""
        return (
            result.records_size > 0
            or result.error_code != 0
            or result.high_watermark != self.told_high_watermark
            or result.log_start_offset != self.told_log_start_offset
            or result.last_stable_offset != self.told_last_stable_offset
            or result.preferred_read_replica != -1
            or result.diverging_epoch is not None
        )

    def told(self, result: FetchPartitionResult) -> None:
        """Remembers what the client knows now; after an error it knows nothing."""
        failed = result.error_code != 0 or result.diverging_epoch is not None
        self.told_high_watermark = -1 if failed else result.high_watermark
        self.told_last_stable_offset = result.last_stable_offset
        self.told_log_start_offset = result.log_start_offset


class FetchContext:
    """The partitions of one client, and its waiting request if it has one (`done` is set)."""

    __slots__ = (
        "allow_follower",
        "deadline_ms",
        "dirty",
        "done",
        "epoch",
        "full",
        "isolation_level",
        "last_used_ms",
        "max_bytes",
        "min_bytes",
        "partitions",
        "rack_id",
        "replica_epoch",
        "replica_id",
        "session_id",
        "uses_topic_ids",
    )

    def __init__(self, session_id: int, request: FetchRequestData, *, version: int) -> None:
        self.session_id = session_id
        self.epoch = INITIAL_EPOCH + 1
        self.uses_topic_ids = version >= 13
        self.allow_follower = version >= 11 and request.replica_id < 0
        self.partitions: OrderedDict[FetchedId, FetchedPartition] = OrderedDict()
        self.dirty: dict[FetchedPartition, None] = {}
        self.full = True
        self.done: FetchDone | None = None
        self.deadline_ms = 0
        self.last_used_ms = 0
        self.replica_id = request.replica_id
        self.replica_epoch = request.replica_epoch
        self.isolation_level = request.isolation_level
        self.rack_id = request.rack_id
        self.min_bytes = request.min_bytes
        self.max_bytes = request.max_bytes

    @property
    def is_follower(self) -> bool:
        return self.replica_id >= 0

    def update(self, request: FetchRequestData) -> list[FetchedPartition]:
        """Takes over limits, added, changed and forgotten partitions; returns those that the request names."""
        self.replica_epoch = request.replica_epoch
        self.isolation_level = request.isolation_level
        self.rack_id = request.rack_id
        self.min_bytes = request.min_bytes
        self.max_bytes = request.max_bytes
        named: list[FetchedPartition] = []
        partitions = self.partitions
        by_id = self.uses_topic_ids
        for wanted in request.partitions:
            identity = (wanted.topic_id if by_id else wanted.topic, wanted.partition)
            fetched = partitions.get(identity)
            if fetched is None:
                fetched = partitions[identity] = FetchedPartition(self, identity, wanted)
            else:
                fetched.request = wanted
            if wanted.high_watermark != UNKNOWN_HIGH_WATERMARK:
                fetched.told_high_watermark = wanted.high_watermark  # what the follower made of it: it may have dropped our answer
            self.dirty[fetched] = None
            named.append(fetched)
        for topic, topic_id, index in request.forgotten:
            forgotten = partitions.pop((topic_id if by_id else topic, index), None)
            if forgotten is not None:
                forgotten.watch(None)
                self.dirty.pop(forgotten, None)
        return named

    def close(self) -> None:
        """Stops watching."""
        for fetched in self.partitions.values():
            fetched.watch(None)
        self.partitions.clear()
        self.dirty.clear()


class FetchSessions:
    """The sessions of a broker, at most `slots`; the longest unused of a client gives way when it is old enough, a follower's never."""

    def __init__(self, *, slots: int, rng: random.Random) -> None:
        self._slots = slots
        self._rng = rng
        self._sessions: OrderedDict[int, FetchContext] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, request: FetchRequestData, *, version: int) -> FetchContext:
        """The session of an incremental request, its epoch advanced; raises `ApiError` with one of the fetch session errors."""
        context = self._sessions.get(request.session_id)
        if context is None:
            raise ApiError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, f"no fetch session {request.session_id}")
        if context.epoch != request.session_epoch:
            raise ApiError(ErrorCode.INVALID_FETCH_SESSION_EPOCH, f"expected epoch {context.epoch}, got {request.session_epoch}")
        if context.uses_topic_ids != (version >= 13):
            raise ApiError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, "a session cannot change between topic names and topic ids")
        context.epoch = context.epoch + 1 if context.epoch < LAST_EPOCH else 1
        context.full = False
        self._sessions.move_to_end(context.session_id)
        return context

    def create(self, request: FetchRequestData, *, version: int, now_ms: int) -> FetchContext:
        """A context for a full request: of a new session when one is asked for and there is room, else of this request alone."""
        session_id = NO_SESSION
        if request.session_epoch == INITIAL_EPOCH and request.partitions and version >= 7 and self._make_room(now_ms):
            while session_id == NO_SESSION or session_id in self._sessions:
                session_id = self._rng.randrange(1, LAST_EPOCH)
        context = FetchContext(session_id, request, version=version)
        if session_id != NO_SESSION:
            self._sessions[session_id] = context
        return context

    def of_follower(self, replica_id: int) -> list[FetchContext]:
        """The sessions that a follower has here; it uses one at a time, so those of its earlier links are dead."""
        return [context for context in self._sessions.values() if context.replica_id == replica_id] if replica_id >= 0 else []

    def remove(self, session_id: int) -> FetchContext | None:
        """Takes a session out; its waiting request is the caller's to answer."""
        return self._sessions.pop(session_id, None)

    def expire(self, now_ms: int) -> None:
        """Ends the sessions of clients that are silent for long: each append to what they watch pays for them. They may open another."""
        for context in [context for context in self._sessions.values() if self._may_give_way(context, now_ms)]:
            self._end(context)

    def _make_room(self, now_ms: int) -> bool:
        if len(self._sessions) < self._slots:
            return True
        for context in self._sessions.values():
            if self._may_give_way(context, now_ms):
                self._end(context)
                return True
        return False

    @staticmethod
    def _may_give_way(context: FetchContext, now_ms: int) -> bool:
        return now_ms - context.last_used_ms >= EVICTION_AGE_MS and not context.is_follower and context.done is None

    def _end(self, context: FetchContext) -> None:
        del self._sessions[context.session_id]
        context.close()
