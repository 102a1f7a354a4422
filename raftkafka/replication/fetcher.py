"""Fetching from leaders: one link to each broker that leads something followed here, and an incremental fetch session on it.

Invariants
- A partition is in at most one fetcher (D13), that of its leader in the newest metadata.
- Usually one request is in flight on a link. A second one is sent when a partition joins while the first waits at the leader, who then
  answers the first at once: a failover does not wait for a long poll to end. (The request that opens a session does not wait at all.)
- An answer is used for a partition only if it is to the last request that named it, or to a later one, and the log still ends where that
  asked from: never the answer of an older leader epoch (KIP-320).
- After an answer the next request leaves in the same step: the leader learns at once what was appended.
"""

from __future__ import annotations

from collections import deque

from raftkafka.base.errors import ApiError, CorruptRecord
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.base.observed import observed
from raftkafka.base.rules import Rule
from raftkafka.protocol.fetch_codec import FetchPartition, FetchPartitionResult, FetchRequestData, FetchResponseData
from raftkafka.replication.follower import Verdict, apply_fetched
from raftkafka.replication.follower_throttle import FollowerThrottle
from raftkafka.replication.partition import Partition
from raftkafka.replication.replicas import Replicas
from raftkafka.replication.values import FAR_FUTURE_MS, CloseLeaderLink, OpenLeaderLink, ReplicaSettings, SendFetch

NO_SESSION = 0
NEVER_ASKED = 2**62
INITIAL_EPOCH = 0
FIRST_BACKOFF_MS = 5
"""The first pause after a failure, doubled up to `fetch_backoff_ms`: a leader that has not heard of its election is asked again soon."""
LAST_SESSION_EPOCH = 2**31 - 1


class FetchTarget:
    """A partition that is followed, and what the leader was last asked for."""

    __slots__ = ("asked_by", "asked_offset", "backoff_ms", "delayed_until_ms", "in_session", "partition")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.in_session = False
        self.asked_by = NEVER_ASKED
        self.asked_offset = -1
        self.backoff_ms = FIRST_BACKOFF_MS
        self.delayed_until_ms = 0  # FAR_FUTURE_MS: until the metadata changes


class LeaderFetcher:
    """The link to one leader and the session on it."""

    __slots__ = (
        "_backoff_ms",
        "_changed",
        "_delayed",
        "_forgotten",
        "_generation",
        "_in_flight",
        "_link_open",
        "_link_retry_ms",
        "_link_wanted",
        "_next_delay_end_ms",
        "_next_request",
        "_replicas",
        "_response_deadline_ms",
        "_session_epoch",
        "_session_id",
        "_sessions_refused",
        "_settings",
        "_tells_epoch",
        "_throttle",
        "_urgent",
        "leader_id",
        "targets",
    )

    def __init__(self, leader_id: NodeId, replicas: Replicas, settings: ReplicaSettings) -> None:
        self.leader_id = leader_id
        self.targets: dict[PartitionKey, FetchTarget] = {}
        self._replicas = replicas
        self._settings = settings
        self._changed: dict[PartitionKey, None] = {}
        self._forgotten: dict[PartitionKey, None] = {}
        self._delayed: dict[PartitionKey, None] = {}
        self._next_delay_end_ms = FAR_FUTURE_MS
        self._in_flight: deque[tuple[int, int]] = deque()  # generation of the session, number of the request
        self._next_request = 0
        self._generation = 0
        self._link_open = False
        self._link_wanted = False
        self._link_retry_ms = 0
        self._backoff_ms = FIRST_BACKOFF_MS
        self._response_deadline_ms = FAR_FUTURE_MS
        self._session_id = NO_SESSION
        self._session_epoch = INITIAL_EPOCH
        self._sessions_refused = False
        self._urgent = False
        self._throttle = FollowerThrottle(replicas)
        self._tells_epoch = replicas.applies(Rule.TRUNCATE_BY_EPOCH)

    def add(self, partition: Partition) -> None:
        """Follows the partition from here on, from its log end; also called when its leader epoch changes."""
        old = self.targets.get(partition.key)
        target = FetchTarget(partition)
        if old is not None:
            target.in_session = old.in_session
        self.targets[partition.key] = target
        self._forgotten.pop(partition.key, None)
        self._delayed.pop(partition.key, None)
        self._changed[partition.key] = None
        self._urgent = True

    def remove(self, key: PartitionKey) -> None:
        """Follows it no longer."""
        target = self.targets.pop(key, None)
        if target is not None:
            self._changed.pop(key, None)
            self._delayed.pop(key, None)
            if target.in_session:
                self._forgotten[key] = None

    def link_opened(self, now_ms: int) -> None:
        self._link_open = True
        self._link_wanted = True
        self._sessions_refused = False
        self._in_flight.clear()
        self._reset_session()
        self.send(now_ms)

    def failed(self, now_ms: int) -> None:
        """The link is closed or could not be opened: all that was in flight is lost. It is tried again after a pause."""
        self._link_open = self._link_wanted = False
        self._in_flight.clear()
        self._response_deadline_ms = FAR_FUTURE_MS
        self._reset_session()
        self._link_retry_ms = now_ms + self._backoff_ms
        self._backoff_ms = min(2 * self._backoff_ms, self._settings.fetch_backoff_ms)

    def _reset_session(self) -> None:
        self._generation += 1
        self._session_id = NO_SESSION
        self._session_epoch = INITIAL_EPOCH
        self._forgotten.clear()
        self._changed.clear()
        for key, target in self.targets.items():
            target.in_session = False
            if key not in self._delayed:
                self._changed[key] = None

    def send(self, now_ms: int) -> None:
        """Opens the link, or sends the next request, if it is time for it."""
        if not self.targets:
            self._close_unused()
            return
        if not self._link_open:
            if not self._link_wanted and now_ms >= self._link_retry_ms:
                self._link_wanted = True
                self._replicas.outputs.append(OpenLeaderLink(self.leader_id))
            return
        if self._throttle.is_exhausted(now_ms):
            self._delay_throttled(now_ms)
        waiting = len(self._in_flight)
        if waiting == 0:
            if len(self._delayed) == len(self.targets):
                return
        elif waiting > 1 or not self._urgent or self._session_id == NO_SESSION or self._in_flight[0][0] != self._generation:
            return
        self._send_request(now_ms)

    def _close_unused(self) -> None:
        if self._link_wanted:
            self._link_open = self._link_wanted = False
            self._in_flight.clear()
            self._response_deadline_ms = FAR_FUTURE_MS
            self._reset_session()
            self._replicas.outputs.append(CloseLeaderLink(self.leader_id))

    def _send_request(self, now_ms: int) -> None:
        settings = self._settings
        self._throttle.begin_request()
        partitions = [self._ask(key, now_ms) for key in self._changed]
        forgotten = [(None, bytes(key.topic_id), key.partition) for key in self._forgotten]
        request = FetchRequestData(
            partitions=partitions,
            forgotten=list(forgotten),
            max_wait_ms=0 if self._session_id == NO_SESSION and not self._sessions_refused else settings.fetch_wait_max_ms,
            min_bytes=settings.fetch_min_bytes,
            max_bytes=settings.fetch_response_max_bytes,
            replica_id=self._replicas.node_id,
            replica_epoch=self._replicas.broker_epoch,
            session_id=self._session_id,
            session_epoch=self._session_epoch,
        )
        self._changed.clear()
        self._forgotten.clear()
        self._urgent = False
        if self._session_id != NO_SESSION:
            self._session_epoch = self._session_epoch + 1 if self._session_epoch < LAST_SESSION_EPOCH else 1
        self._in_flight.append((self._generation, self._next_request))
        self._next_request += 1
        self._response_deadline_ms = now_ms + settings.fetch_wait_max_ms + settings.fetch_timeout_ms
        self._replicas.outputs.append(SendFetch(self.leader_id, request))

    def _ask(self, key: PartitionKey, now_ms: int) -> FetchPartition:
        target = self.targets[key]
        partition = target.partition
        log = partition.log
        target.asked_offset = log.log_end_offset
        target.asked_by = self._next_request
        target.in_session = True
        return FetchPartition(
            None,
            key.topic_id,
            key.partition,
            target.asked_offset,
            self._throttle.max_bytes(partition, self._settings.fetch_max_bytes, now_ms),
            current_leader_epoch=partition.leader_epoch,
            last_fetched_epoch=log.latest_epoch() if self._tells_epoch else -1,
            log_start_offset=log.log_start_offset,
            high_watermark=partition.high_watermark,
        )

    def response(self, response: FetchResponseData, now_ms: int) -> None:
        """Takes over an answer and sends the next request."""
        if not self._in_flight:
            return  # of a link that was given up
        generation, number = self._in_flight.popleft()
        self._backoff_ms = FIRST_BACKOFF_MS
        self._response_deadline_ms = (
            now_ms + self._settings.fetch_wait_max_ms + self._settings.fetch_timeout_ms if self._in_flight else FAR_FUTURE_MS
        )
        if generation == self._generation:
            if response.error_code:
                self._session_refused(response.error_code, now_ms)
            else:
                if self._session_id == NO_SESSION and response.session_id != NO_SESSION:
                    self._session_id = response.session_id
                    self._session_epoch = INITIAL_EPOCH + 1
                for result in response.partitions:
                    self._apply(result, number, now_ms)
                if self._session_id == NO_SESSION:
                    self._reset_session()  # the leader keeps no session for us: every request names all
                    self._sessions_refused = True
        self.send(now_ms)

    def _session_refused(self, error_code: int, now_ms: int) -> None:
        """The leader knows the session no more: start another. Refusing a full request is not expected; that waits."""
        if self._session_id == NO_SESSION:
            for key in self.targets:
                self._delay(key, now_ms + self._settings.fetch_backoff_ms)
        self._replicas.outputs.append(observed("fetch-session-refused", leader=self.leader_id, error_code=error_code))
        self._reset_session()

    def _apply(self, result: FetchPartitionResult, number: int, now_ms: int) -> None:
        key = PartitionKey(TopicId(result.topic_id or b""), result.partition)
        target = self.targets.get(key)
        if target is None or key in self._delayed or number < target.asked_by:
            return  # followed no longer, or asked anew since, perhaps in another leader epoch
        partition = target.partition
        if target.asked_offset != partition.log.log_end_offset:
            self._changed[key] = None  # sent twice, because a partition joined before we could say that we had it
            return
        try:
            verdict = apply_fetched(self._replicas, partition, result)
        except (CorruptRecord, ApiError) as error:
            self._replicas.outputs.append(observed("fetched-records-refused", partition=str(partition), error=str(error)))
            verdict = Verdict.RETRY if partition.log.offline_reason is None else Verdict.WAIT_FOR_METADATA
        match verdict:
            case Verdict.MOVED:
                target.backoff_ms = FIRST_BACKOFF_MS
                self._changed[key] = None
                self._throttle.spend(partition, result.records_size, now_ms)
            case Verdict.RETRY:
                self._delay(key, now_ms + target.backoff_ms)
                target.backoff_ms = min(2 * target.backoff_ms, self._settings.fetch_backoff_ms)
            case Verdict.WAIT_FOR_METADATA:
                self._delay(key, FAR_FUTURE_MS)
            case Verdict.IDLE:
                target.backoff_ms = FIRST_BACKOFF_MS

    def _delay(self, key: PartitionKey, until_ms: int) -> None:
        target = self.targets[key]
        target.delayed_until_ms = until_ms
        self._delayed[key] = None
        self._next_delay_end_ms = min(self._next_delay_end_ms, until_ms)
        self._changed.pop(key, None)
        if target.in_session:
            target.in_session = False
            self._forgotten[key] = None

    def _delay_throttled(self, now_ms: int) -> None:
        """What may have nothing now is taken out of the session: the leader would send a batch of it for every request."""
        for key, target in self.targets.items():
            if key not in self._delayed:
                until_ms = self._throttle.ready_ms(target.partition, now_ms)
                if until_ms > now_ms:
                    self._delay(key, until_ms)

    def next_deadline_ms(self) -> int:
        deadline_ms = self._response_deadline_ms
        if self.targets and not self._link_wanted:
            deadline_ms = min(deadline_ms, self._link_retry_ms)
        return min(deadline_ms, self._next_delay_end_ms)

    def tick(self, now_ms: int) -> None:
        """Gives up a leader that does not answer, asks again for what was delayed, opens the link again."""
        if now_ms >= self._response_deadline_ms:
            self._replicas.outputs.append(CloseLeaderLink(self.leader_id))
            self.failed(now_ms)
        if now_ms >= self._next_delay_end_ms:
            self._end_delays(now_ms)
        self.send(now_ms)

    def _end_delays(self, now_ms: int) -> None:
        self._next_delay_end_ms = FAR_FUTURE_MS
        for key in list(self._delayed):
            until_ms = self.targets[key].delayed_until_ms
            if until_ms <= now_ms:
                until_ms = self.targets[key].delayed_until_ms = self._throttle.ready_ms(self.targets[key].partition, now_ms)
            if until_ms <= now_ms:
                del self._delayed[key]
                self._forgotten.pop(key, None)
                self._changed[key] = None
                self._urgent = True
            else:
                self._next_delay_end_ms = min(self._next_delay_end_ms, until_ms)


class FetcherPool:
    """The fetchers by leader; `assign` and `unassign` keep each followed partition in exactly one."""

    def __init__(self, replicas: Replicas, settings: ReplicaSettings) -> None:
        self._replicas = replicas
        self._settings = settings
        self._fetchers: dict[NodeId, LeaderFetcher] = {}
        self._leader_of: dict[PartitionKey, NodeId] = {}
        self._deadline_ms: int | None = FAR_FUTURE_MS  # None: a fetcher was called since

    def assign(self, partition: Partition, leader_id: NodeId) -> None:
        """Fetches the partition from this leader."""
        if self._leader_of.get(partition.key, leader_id) != leader_id:
            self.unassign(partition.key)
        self._leader_of[partition.key] = leader_id
        self._fetcher(leader_id).add(partition)

    def unassign(self, key: PartitionKey) -> None:
        """Fetches it no longer."""
        leader_id = self._leader_of.pop(key, None)
        if leader_id is not None:
            self._fetcher(leader_id).remove(key)

    def _fetcher(self, leader_id: NodeId) -> LeaderFetcher:
        self._deadline_ms = None
        fetcher = self._fetchers.get(leader_id)
        if fetcher is None:
            fetcher = self._fetchers[leader_id] = LeaderFetcher(leader_id, self._replicas, self._settings)
        return fetcher

    def fetched_from(self, key: PartitionKey) -> list[NodeId]:
        """All leaders whose fetchers have it: one at most."""
        return [leader_id for leader_id, fetcher in self._fetchers.items() if key in fetcher.targets]

    def leader_of(self, key: PartitionKey) -> NodeId | None:
        """The broker that this partition is fetched from."""
        return self._leader_of.get(key)

    def send_all(self, now_ms: int) -> None:
        """After assignments: opens links and sends what can be sent."""
        self._deadline_ms = None
        for fetcher in self._fetchers.values():
            fetcher.send(now_ms)

    def link_opened(self, leader_id: NodeId, now_ms: int) -> None:
        if leader_id in self._fetchers:
            self._fetcher(leader_id).link_opened(now_ms)

    def failed(self, leader_id: NodeId, now_ms: int) -> None:
        if leader_id in self._fetchers:
            self._fetcher(leader_id).failed(now_ms)

    def response(self, leader_id: NodeId, response: FetchResponseData, now_ms: int) -> None:
        if leader_id in self._fetchers:
            self._fetcher(leader_id).response(response, now_ms)

    def next_deadline_ms(self) -> int:
        if self._deadline_ms is None:
            self._deadline_ms = min((fetcher.next_deadline_ms() for fetcher in self._fetchers.values()), default=FAR_FUTURE_MS)
        return self._deadline_ms

    def tick(self, now_ms: int) -> None:
        if now_ms >= self.next_deadline_ms():
            self._deadline_ms = None
            for fetcher in self._fetchers.values():
                fetcher.tick(now_ms)
