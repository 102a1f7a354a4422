"""The positions of a consumer and how it fetches from them: one fetch in flight to each leader, as Kafka's consumers do.

A consumer that learns of a new leader first asks it where the epoch of the last record that it read ends there (KIP-320): a smaller
offset than its position means that records it has read are gone.

Invariants
- Records are handed over once, in the order of their offsets, without a gap, from the position on.
- What an answer says of a partition counts only if the partition has not been taken away or moved since it was asked for.

Sources: KIP-320, KIP-227 (sessions: `fetch_session`), KIP-951 (leader hints).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from raftkafka.base.errors import RETRIABLE, ErrorCode
from raftkafka.protocol.fetch_codec import FetchPartition, FetchPartitionResult, FetchRequestData, FetchResponseData
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from raftkafka.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from raftkafka.simulation.client import FETCH_KEY, LIST_OFFSETS_KEY, OFFSET_FOR_LEADER_EPOCH_KEY, Address, RequestLost, SimClient
from raftkafka.simulation.events import US_PER_MS, Promise
from raftkafka.simulation.workload.batch import identity_of, values_in
from raftkafka.simulation.workload.fetch_session import FetchSession
from raftkafka.simulation.workload.known_cluster import KnownCluster, Leader, Slot, key_of
from raftkafka.simulation.workload.recording import Recording, error_name
from raftkafka.storage.record_batch import batches

EARLIEST, LATEST = -2, -1
NO_EPOCH = -1
FIRST_TOPIC_ID_VERSION = 13
MAX_WAIT_MS = 500
PARTITION_MAX_BYTES = 65_536
MAX_BYTES = 1 << 20


@attrs.define(eq=False, kw_only=True)
class Position:
    """Where a consumer is in a partition. `offset` is the next to read; `EARLIEST` or `LATEST` until the leader has said where that is."""

    slot: Slot
    offset: int
    consumed: int = -1
    """The offset after the last record that a poll handed over; -1 until one did."""
    epoch: int = NO_EPOCH
    """The leader epoch of the last record fetched."""
    leader_epoch: int = NO_EPOCH
    """Of the leader that the position was checked with, or that was asked last."""
    busy: bool = False
    """Something is asked about it."""
    not_before_us: int = 0


@attrs.frozen(kw_only=True)
class _Fetched:
    position: Position
    records: list[list[int]]


class Fetcher:
    """Fetches what `positions` name while somebody polls."""

    def __init__(
        self, *, client: SimClient, known: KnownCluster, recording: Recording, sends_last_epoch: bool = False, uses_sessions: bool = False
    ) -> None:
        self.positions: dict[Slot, Position] = {}
        self._client = client
        self._known = known
        self._recording = recording
        self._sends_last_epoch = sends_last_epoch
        self._uses_sessions = uses_sessions
        self._sessions: dict[int, FetchSession] = {}
        self._buffered: list[_Fetched] = []
        self._asked: dict[int, None] = {}
        self._learning = False
        self._woken: Promise[None] | None = None

    def assign(self, positions: Sequence[Position]) -> None:
        """These and no others are read from now on. What was fetched from a position that stays is kept: the position is behind it."""
        self.positions = {position.slot: position for position in positions}
        self._buffered = [fetched for fetched in self._buffered if self._is_current(fetched.position)]

    def restart(self) -> None:
        """The program that fetches ends: what it held is gone."""
        self.assign(())
        self._sessions.clear()

    @property
    def has_records(self) -> bool:
        """Whether the next poll has something to hand over at once."""
        return bool(self._buffered)

    async def poll(self, timeout_ms: int) -> dict[str, list[list[int]]]:
        """What has come of the partitions: (offset, value) pairs by key; empty when nothing comes in time."""
        self._ask()
        if not self._buffered:
            woken: Promise[None] = Promise()
            self._woken = woken
            timer = self._client.heap.after(timeout_ms * US_PER_MS, lambda: woken.resolve(None))
            await woken
            timer.cancel()
            self._woken = None
        fetched, self._buffered = self._buffered, []
        found: dict[str, list[list[int]]] = {}
        for each in fetched:
            each.position.consumed = each.records[-1][0] + 1
            found.setdefault(key_of(each.position.slot), []).extend(each.records)
        return found

    # Asking

    def _ask(self) -> None:
        """Asks each leader that has nothing to answer now for all that is wanted of it."""
        now_us = self._client.heap.now_us
        wanted: dict[int, tuple[Leader, list[Position]]] = {}
        for position in self.positions.values():
            if position.busy or position.not_before_us > now_us:
                continue
            leader = self._known.leader(position.slot)
            if leader is None:
                self._learn()
            elif position.offset < 0:
                self._look_up(position, leader)
            elif position.epoch >= 0 and position.leader_epoch < leader.epoch:
                self._validate(position, leader)
            elif leader.node_id not in self._asked:
                position.leader_epoch = leader.epoch
                wanted.setdefault(leader.node_id, (leader, []))[1].append(position)
        for leader, positions in wanted.values():
            self._fetch(leader, positions)

    def _learn(self) -> None:
        if self._learning:
            return
        self._learning = True

        async def learn() -> None:
            await self._known.learn()
            await self._client.retry_pause()
            self._learning = False
            self._ask()

        self._client.heap.spawn(learn())

    def _again(self, position: Position) -> None:
        """The position is asked about again after a pause."""
        pause_us = (25 + self._client.rng.randrange(50)) * US_PER_MS
        position.not_before_us = self._client.heap.now_us + pause_us
        self._client.heap.after(pause_us, self._ask)

    def _fetch(self, leader: Leader, positions: list[Position]) -> None:
        self._asked[leader.node_id] = None
        parts = []
        for position in positions:
            position.busy = True
            topic, partition = position.slot
            parts.append(
                FetchPartition(
                    topic,
                    self._known.topic_id(topic),
                    partition,
                    position.offset,
                    PARTITION_MAX_BYTES,
                    current_leader_epoch=position.leader_epoch,
                    last_fetched_epoch=position.epoch if self._sends_last_epoch else NO_EPOCH,
                )
            )
        request = FetchRequestData(partitions=parts, max_wait_ms=MAX_WAIT_MS, min_bytes=1, max_bytes=MAX_BYTES)
        self._session(leader.node_id).fill(request, parts)
        promise = self._client.request(leader.address, FETCH_KEY, request)
        promise.then(lambda: self._fetched(leader, positions, promise))

    # Answers

    def _fetched(self, leader: Leader, positions: list[Position], promise: Promise[Any]) -> None:
        self._asked.pop(leader.node_id, None)
        for position in positions:
            position.busy = False
        session = self._session(leader.node_id)
        try:
            response: FetchResponseData = promise.result()
        except RequestLost:
            session.begin_anew()
            self._failed(positions)
        else:
            if response.error_code == ErrorCode.NONE:
                session.answered(response.session_id)
            else:
                session.begin_anew()
                self._failed(positions)
            self._take(response, positions)
        if self._buffered and self._woken is not None:
            self._woken.resolve(None)
        elif self._woken is not None:
            self._ask()

    def _session(self, node_id: int) -> FetchSession:
        session = self._sessions.get(node_id)
        if session is None:
            session = self._sessions[node_id] = FetchSession(enabled=self._uses_sessions)
        return session

    def _failed(self, positions: list[Position]) -> None:
        for position in positions:
            self._known.suspect(position.slot)
            self._again(position)

    def _take(self, response: FetchResponseData, positions: list[Position]) -> None:
        endpoints = [(each.node_id, Address(each.host, each.port)) for each in response.node_endpoints]
        by_id = self._client.versions[FETCH_KEY] >= FIRST_TOPIC_ID_VERSION
        asked: dict[tuple[str | bytes | None, int], Position] = {}
        for position in positions:
            topic, partition = position.slot
            asked[self._known.topic_id(topic) if by_id else topic, partition] = position
        for result in response.partitions:
            found = asked.get((result.topic_id if by_id else result.topic, result.partition))
            if found is not None and self._is_current(found):
                self._take_partition(found, result, endpoints)

    def _take_partition(self, position: Position, result: FetchPartitionResult, endpoints: Sequence[tuple[int, Address]]) -> None:
        if result.error_code != ErrorCode.NONE:
            self._known.suspect(position.slot)
            self._known.hint(position.slot, result.current_leader, endpoints)
            self._error(position, result.error_code)
        elif result.diverging_epoch is not None:
            self._truncated(position, result.diverging_epoch[1])
        elif result.records_size:
            self._take_records(position, result)

    def _is_current(self, position: Position) -> bool:
        return self.positions.get(position.slot) is position

    def _error(self, position: Position, code: int) -> None:
        if code == ErrorCode.OFFSET_OUT_OF_RANGE:
            if position.offset >= self._recording.deleted.get(position.slot, 0):
                self._problem(f"{key_of(position.slot)} no longer has offset {position.offset}, up to which it was read")
            position.offset, position.epoch = EARLIEST, NO_EPOCH
        elif code not in RETRIABLE:
            self._problem(f"a fetch of {key_of(position.slot)} ended in {error_name(code)}")
        self._again(position)

    def _take_records(self, position: Position, result: FetchPartitionResult) -> None:
        data = memoryview(result.records[0])
        records: list[list[int]] = []
        for at, header in batches(data):
            values: Sequence[int] | None = self._recording.values_of_bytes.get(identity_of(data, at, header.size_bytes))
            if values is None:
                values = values_in(data, at)
                if values is None:
                    self._problem(f"{key_of(position.slot)} has a batch at offset {header.base_offset} that nobody sent")
                    values = ()  # a real consumer would stop here; this one goes on, since there may be more to find
            if header.base_offset > position.offset:
                self._problem(f"{key_of(position.slot)}: offset {header.base_offset} follows {position.offset - 1}")
            elif header.next_offset <= position.offset:
                continue
            records += [[offset, value] for offset, value in enumerate(values, header.base_offset) if offset >= position.offset]
            position.offset = header.next_offset
            position.epoch = header.partition_leader_epoch
        if records:
            self._buffered.append(_Fetched(position=position, records=records))

    def _problem(self, text: str) -> None:
        self._recording.problem(f"{self._client.name}: {text}")

    # Where a position is

    def _validate(self, position: Position, leader: Leader) -> None:
        """There is a new leader: does it have what was read?"""
        topic, partition = position.slot
        what = OffsetForLeaderPartition(partition=partition, current_leader_epoch=leader.epoch, leader_epoch=position.epoch)
        request = OffsetForLeaderEpochRequest(replica_id=-1, topics=[OffsetForLeaderTopic(topic=topic, partitions=[what])])
        position.busy = True
        promise = self._client.request(leader.address, OFFSET_FOR_LEADER_EPOCH_KEY, request)

        def answered() -> None:
            outcome = self._outcome(position, promise)
            if outcome is not None:
                position.leader_epoch = leader.epoch
                if outcome.end_offset < position.offset:
                    self._truncated(position, outcome.end_offset)
                self._ask()

        promise.then(answered)

    def _look_up(self, position: Position, leader: Leader) -> None:
        """The leader says where the partition begins or ends."""
        topic, partition = position.slot
        what = ListOffsetsPartition(partition_index=partition, current_leader_epoch=leader.epoch, timestamp=position.offset)
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[what])])
        position.busy = True
        asks_for_end = position.offset == LATEST
        ends_known = self._recording.ends_known
        told_before = ends_known(position.slot) if asks_for_end and ends_known is not None else {}
        promise = self._client.request(leader.address, LIST_OFFSETS_KEY, request)

        def answered() -> None:
            outcome = self._outcome(position, promise)
            if outcome is not None:
                position.offset = outcome.offset
                position.leader_epoch = leader.epoch
                if asks_for_end and self._recording.end_told is not None:
                    self._recording.end_told(position.slot, outcome.leader_epoch, outcome.offset, told_before)
                self._ask()

        promise.then(answered)

    def _outcome(self, position: Position, promise: Promise[Any]) -> Any:
        """What was answered about a position's partition; none, and asking again later, when that was an error."""
        position.busy = False
        if not self._is_current(position):
            return None
        try:
            outcome = promise.result().topics[0].partitions[0]
        except RequestLost:
            self._failed([position])
            return None
        if outcome.error_code != ErrorCode.NONE:
            self._known.suspect(position.slot)
            self._error(position, outcome.error_code)
            return None
        return outcome

    def _truncated(self, position: Position, end_offset: int) -> None:
        """The leader has less than was read: what consumers saw is gone."""
        self._problem(f"{key_of(position.slot)} was read up to {position.offset} and ends at {end_offset} for epoch {position.epoch}")
        position.offset = max(0, end_offset)
