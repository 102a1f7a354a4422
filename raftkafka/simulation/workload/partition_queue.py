"""The batches of one producer on their way to one partition, as Kafka's idempotent producers send them.

Invariants
- Batches get their sequence numbers in the order in which they are first sent, one after the other. The newest is at most `max_in_flight`
  batches from the oldest unfinished one, wherever that was sent: a broker recognises no more than the last five of a producer.
- What is sent again is the same bytes. While one batch is to be sent again, no new one is sent, and only the first unfinished one is.
- A batch that an idempotent producer gives up ends that producer's incarnation (`on_broken`): a gap in its sequence numbers would stay.

Sources: KIP-98, KIP-360, KIP-951; the Java client's Sender and TransactionManager: OUT_OF_ORDER_SEQUENCE_NUMBER is worth a retry unless
the batch is the next one in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from raftkafka.base.errors import RETRIABLE, ErrorCode
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from raftkafka.simulation.client import PRODUCE_KEY, RETRY_MS, Address, RequestLost, SimClient
from raftkafka.simulation.clock import EPOCH_MS
from raftkafka.simulation.events import US_PER_MS, Promise
from raftkafka.simulation.workload.batch import Batch, BatchState, Delivery, build_payload
from raftkafka.simulation.workload.known_cluster import KnownCluster, Leader, Slot, key_of
from raftkafka.simulation.workload.recording import Recording, SentBatch, error_name
from raftkafka.simulation.workload.settings import ProducerStyle
from raftkafka.storage.record_batch import CRC_START

PRODUCE_TIMEOUT_MS = 2_000

REFUSED_BEFORE_APPEND = frozenset(
    {
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.INVALID_RECORD,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    }
)
"""After these nothing was appended. Any other code may come after the append, as far as a client can know."""


class Identity:
    """A producer's id, epoch and incarnation, as its queues share it."""

    def __init__(self) -> None:
        self.producer_id = -1
        self.producer_epoch = -1
        self.stream = 0


class PartitionQueue:
    """`run` sends; `add` gives it batches, whose `done` promises it keeps."""

    def __init__(
        self,
        *,
        slot: Slot,
        client: SimClient,
        known: KnownCluster,
        recording: Recording,
        identity: Identity,
        style: ProducerStyle,
        delivery_timeout_ms: int,
        on_broken: Callable[[], None],
        payload: Callable[..., bytes] = build_payload,
    ) -> None:
        """`payload` makes the bytes of a batch, see `batch.build_payload`."""
        self.held = False
        """Whether nothing may be sent now, since the producer is getting a new id."""
        self._slot = slot
        self._client = client
        self._known = known
        self._recording = recording
        self._identity = identity
        self._style = style
        self._delivery_timeout_us = delivery_timeout_ms * US_PER_MS
        self._on_broken = on_broken
        self._build_payload = payload
        self._new: deque[Batch] = deque()
        self._in_flight: list[Batch] = []
        self._sent_count = 0
        self._next_sequence = 0
        self._last_acknowledged = -1
        """The highest sequence of this incarnation that was acknowledged."""
        self._closed = False
        self._woken: Promise[None] | None = None

    def add(self, batch: Batch) -> None:
        self._new.append(batch)
        self.wake()

    def close(self) -> None:
        self._closed = True
        self.wake()

    def wake(self) -> None:
        """Something has changed: perhaps there is something to send now."""
        woken, self._woken = self._woken, None
        if woken is not None:
            woken.resolve(None)

    def restart(self, error: str) -> None:
        """The producer begins anew: what was sent and not acknowledged is given up, sequences start at 0."""
        given_up, self._in_flight = self._in_flight, []
        self._next_sequence = 0
        self._last_acknowledged = -1
        for batch in given_up:
            self._finish(batch, Delivery(error=error, definite=not batch.unsure and batch.state is not BatchState.SENT))

    async def run(self) -> None:
        """Sends until closed."""
        while not self._closed:
            if self._sendable() is None:
                self._woken = Promise()
                await self._woken
                continue
            leader = self._known.leader(self._slot) or await self._known.find_leader(self._slot)
            if leader is None:
                self._expire()
                continue
            batch = self._sendable()
            if batch is not None and not self._closed:
                self._send(batch, leader)

    # Sending

    def _sendable(self) -> Batch | None:
        if self.held:
            return None
        for batch in self._in_flight:
            if batch.state is not BatchState.SENT:
                first = self._in_flight[0]
                return first if first.state is BatchState.READY else None
        oldest = self._in_flight[0].number if self._in_flight else self._sent_count
        return self._new[0] if self._new and self._sent_count - oldest < self._style.max_in_flight else None

    def _send(self, batch: Batch, leader: Leader) -> None:
        if batch.state is BatchState.NEW:
            self._in_flight.append(self._new.popleft())
            self._give_sequence(batch)
        batch.state = BatchState.SENT
        topic, partition = self._slot
        data = TopicProduceData(
            name=topic,
            topic_id=self._known.topic_id(topic),
            partition_data=[PartitionProduceData(index=partition, records=batch.payload)],
        )
        request = ProduceRequest(acks=self._style.acks, timeout_ms=PRODUCE_TIMEOUT_MS, topic_data=[data])
        promise = self._client.request(leader.address, PRODUCE_KEY, request)
        promise.then(lambda: self._answered(batch, promise))

    def _give_sequence(self, batch: Batch) -> None:
        identity, style = self._identity, self._style
        batch.number = self._sent_count
        self._sent_count += 1
        if style.idempotent:
            batch.sequence = self._next_sequence
            self._next_sequence += len(batch.values)
        batch.payload = self._build_payload(
            batch.values,
            timestamp_ms=EPOCH_MS + self._client.heap.now_us // US_PER_MS,
            producer_id=identity.producer_id,
            producer_epoch=identity.producer_epoch,
            base_sequence=batch.sequence,
            compression=style.compression,
            padding_bytes=style.padding_bytes,
        )
        self._recording.values_of_bytes[batch.payload[CRC_START:]] = batch.values
        self._recording.sent.append(SentBatch(slot=self._slot, values=batch.values, stream=identity.stream, keeps_order=style.idempotent))

    # Answers

    def _answered(self, batch: Batch, promise: Promise[Any]) -> None:
        if batch.state is not BatchState.SENT:
            return  # it was given up
        try:
            response = promise.result()
        except RequestLost as lost:
            batch.unsure |= lost.sent
            self._known.suspect(self._slot)
            self._refused(batch, "no answer")
            return
        outcome = response.responses[0].partition_responses[0]
        code = outcome.error_code
        if code in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
            self._last_acknowledged = max(self._last_acknowledged, batch.sequence)
            self._finish(batch, Delivery(base_offset=outcome.base_offset))
            return
        batch.unsure |= code not in REFUSED_BEFORE_APPEND
        hint = outcome.current_leader
        self._known.suspect(self._slot)
        endpoints = [(endpoint.node_id, Address(endpoint.host, endpoint.port)) for endpoint in response.node_endpoints]
        self._known.hint(self._slot, (hint.leader_id, hint.leader_epoch), endpoints)
        is_early = code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER and batch is not self._in_flight[0]
        if code in RETRIABLE or is_early:
            self._refused(batch, error_name(code))
        else:
            self._give_up(batch, error_name(code), is_final=True)

    def _refused(self, batch: Batch, error: str) -> None:
        """Not acknowledged: it is sent again after a pause, unless its time is over or sending it again could append it twice."""
        expired = self._client.heap.now_us - batch.begun_us > self._delivery_timeout_us
        if expired or self._closed or (batch.unsure and not self._style.idempotent):
            self._give_up(batch, error)
            return
        batch.state = BatchState.REFUSED

        def ready() -> None:
            if batch.state is BatchState.REFUSED:
                batch.state = BatchState.READY
                self.wake()

        pause_ms = RETRY_MS // 2 + self._client.rng.randrange(RETRY_MS)
        self._client.heap.after(pause_ms * US_PER_MS, ready)

    def _give_up(self, batch: Batch, error: str, *, is_final: bool = False) -> None:
        # A leader that knows nothing of a producer takes any sequence for its first one (retention may have deleted what came before).
        # So when the very first batch went to a leader that was deposed, and the next one to its successor, the first is rightly refused;
        # Kafka does so, too.
        is_overtaken = batch.sequence == 0 <= self._last_acknowledged
        is_of_sequence = error in ("OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID")
        if is_final and batch.sequence >= 0 and is_of_sequence and not is_overtaken:
            who, key = self._client.name, key_of(self._slot)
            self._recording.problem(f"{who}: {key} refused sequence {batch.sequence}, the next one in order, with {error}")
        self._in_flight.remove(batch)
        if self._style.idempotent:
            self._on_broken()  # first: finishing a batch may send the next one, which must not leave a gap
        self._finish(batch, Delivery(error=error, definite=not batch.unsure))

    def _expire(self) -> None:
        """No leader is known: batches whose time is over are given up."""
        latest_us = self._client.heap.now_us - self._delivery_timeout_us
        while self._new and self._new[0].begun_us < latest_us:
            self._finish(self._new.popleft(), Delivery(error="expired before it was sent"))
        waiting = self._in_flight[0] if self._in_flight else None
        if waiting is not None and waiting.state is not BatchState.SENT and waiting.begun_us < latest_us:
            self._give_up(waiting, "expired")

    def _finish(self, batch: Batch, delivery: Delivery) -> None:
        batch.state = BatchState.DONE
        if batch in self._in_flight:
            self._in_flight.remove(batch)
        batch.done.resolve(delivery)
        self.wake()
