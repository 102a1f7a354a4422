"""What the clients of a world do: idempotent producers that retry until acknowledged, and readers that follow what is committed.

Invariants
- A producer has one batch in flight per partition and sends it again, the same bytes, until it is acknowledged or the world ends.
- `History` is what clients saw, nothing else; `simulation.checks` judges by it.
"""

from __future__ import annotations

import attrs

from raftkafka.base.errors import RETRIABLE, ErrorCode
from raftkafka.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from raftkafka.protocol.messages.init_producer_id import InitProducerIdRequest
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from raftkafka.simulation.client import RequestLost, SimClient
from raftkafka.simulation.clock import EPOCH_MS
from raftkafka.simulation.trace import Trace
from raftkafka.storage.record_batch import Record, batches, build_batch, decode_records

PRODUCE_KEY, FETCH_KEY, LIST_OFFSETS_KEY, INIT_PRODUCER_ID_KEY = 0, 1, 2, 22
LATEST_TIMESTAMP = -1
UNKNOWN_OFFSET = -1
MAX_RECORDS_PER_BATCH = 4

Slot = tuple[str, int]
"""A topic's name and a partition."""


@attrs.define(eq=False)
class History:
    """What was sent, what was acknowledged (with its offset, -1 when the broker only said that it has it), what was read."""

    sent: dict[Slot, list[bytes]] = attrs.field(factory=dict)
    acknowledged: dict[Slot, dict[bytes, int]] = attrs.field(factory=dict)
    read: dict[Slot, dict[int, bytes]] = attrs.field(factory=dict)
    problems: list[str] = attrs.field(factory=list)

    @property
    def acknowledged_count(self) -> int:
        return sum(map(len, self.acknowledged.values()))


class Producer:
    """Writes to one partition."""

    def __init__(self, client: SimClient, trace: Trace, history: History, slot: Slot, *, interval_ms: int) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._trace = trace
        self._history = history
        self._slot = slot
        self._interval_ms = interval_ms
        self._producer_id = -1
        self._producer_epoch = -1
        self._sequence = 0
        history.sent[slot] = []
        history.acknowledged[slot] = {}

    async def run(self) -> None:
        """Produces until `running` is false and the last batch is acknowledged."""
        await self._initialise()
        while self.running:
            await self._produce_batch()
            await self._client.heap.sleep(self._client.rng.randrange(2 * self._interval_ms) + 1)
        self.finished = True

    async def _initialise(self) -> None:
        while True:
            try:
                response = await self._client.ask_any(
                    INIT_PRODUCER_ID_KEY, InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
                )
            except RequestLost:
                continue
            if response.error_code == ErrorCode.NONE:
                self._producer_id, self._producer_epoch = response.producer_id, response.producer_epoch
                return
            await self._client.retry_pause()

    async def _produce_batch(self) -> None:
        sent = self._history.sent[self._slot]
        count = self._client.rng.randint(1, MAX_RECORDS_PER_BATCH)
        values = [f"{self._client.name}-{number}".encode() for number in range(len(sent), len(sent) + count)]
        sent.extend(values)
        timestamp = EPOCH_MS + self._client.heap.now_us // 1000
        batch = build_batch(
            [Record(offset, timestamp, None, value, ()) for offset, value in enumerate(values)],
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            base_sequence=self._sequence,
        )
        base_offset = await self._acknowledged_offset(batch)
        for index, value in enumerate(values):
            offset = base_offset + index if base_offset >= 0 else UNKNOWN_OFFSET
            self._history.acknowledged[self._slot][value] = offset
        self._sequence += count

    async def _acknowledged_offset(self, batch: bytes) -> int:
        """Sends a batch until it is acknowledged; its base offset."""
        topic, partition = self._slot
        data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=partition, records=batch)])
        request = ProduceRequest(acks=-1, timeout_ms=2_000, topic_data=[data])
        while True:
            try:
                response = await self._client.ask_leader(topic, partition, PRODUCE_KEY, request)
            except RequestLost:
                await self._client.retry_pause()
                continue
            outcome = response.responses[0].partition_responses[0]
            error = ErrorCode(outcome.error_code)
            self._trace.line(self._client.name, f"produce {topic}-{partition} {error.name} offset {outcome.base_offset}")
            if error in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
                return int(outcome.base_offset)
            if error not in RETRIABLE:
                self._history.problems.append(f"{self._client.name}: produce to {topic}-{partition} ended in {error.name}")
            self._client.forget_leader(topic, partition)
            await self._client.retry_pause()


class Reader:
    """Reads one partition from its beginning and follows it."""

    def __init__(self, client: SimClient, history: History, slot: Slot) -> None:
        self.running = True
        self.next_offset = 0
        self._client = client
        self._history = history
        self._slot = slot
        history.read.setdefault(slot, {})

    async def run(self) -> None:
        while self.running:
            await self.read_once(max_wait_ms=200)

    async def read_to_the_end(self) -> None:
        """Reads everything that is committed when this is called."""
        end_offset = -1
        while end_offset < 0:
            end_offset = await self._end_offset()
        while self.next_offset < end_offset:
            await self.read_once(max_wait_ms=0)

    async def read_once(self, *, max_wait_ms: int) -> None:
        topic, partition = self._slot
        where = FetchPartition(partition=partition, fetch_offset=self.next_offset, partition_max_bytes=4096)
        request = FetchRequest(max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=65536, topics=[FetchTopic(topic=topic, partitions=[where])])
        try:
            response = await self._client.ask_leader(topic, partition, FETCH_KEY, request)
        except RequestLost:
            await self._client.retry_pause()
            return
        outcome = response.responses[0].partitions[0] if response.responses else None
        if outcome is None or outcome.error_code != ErrorCode.NONE:
            self._failed(outcome.error_code if outcome is not None else response.error_code)
            await self._client.retry_pause()
        elif outcome.records:
            self._take(bytes(outcome.records))

    def _failed(self, error_code: int) -> None:
        topic, partition = self._slot
        if error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
            self._history.problems.append(f"{self._client.name}: {topic}-{partition} no longer has offset {self.next_offset}")
        self._client.forget_leader(topic, partition)

    def _take(self, records: bytes) -> None:
        seen = self._history.read[self._slot]
        for position, _ in batches(records):
            for record in decode_records(records, position):
                if record.offset < self.next_offset:
                    continue
                if record.offset != self.next_offset:
                    self._history.problems.append(f"{self._client.name}: offset {record.offset} follows {self.next_offset - 1}")
                value = record.value or b""
                before = seen.setdefault(record.offset, value)
                if before != value:
                    self._history.problems.append(f"{self._client.name}: offset {record.offset} held {before!r}, now {value!r}")
                self.next_offset = record.offset + 1

    async def _end_offset(self) -> int:
        topic, partition = self._slot
        where = ListOffsetsPartition(partition_index=partition, timestamp=LATEST_TIMESTAMP)
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[where])])
        try:
            response = await self._client.ask_leader(topic, partition, LIST_OFFSETS_KEY, request)
        except RequestLost:
            await self._client.retry_pause()
            return -1
        outcome = response.topics[0].partitions[0]
        if outcome.error_code != ErrorCode.NONE:
            self._client.forget_leader(topic, partition)
            await self._client.retry_pause()
            return -1
        return int(outcome.offset)
