"""A producer: an identity, a queue for each partition, and lanes that write, each a process of the history with one batch at a time.

Several lanes to one partition are what makes several batches be in flight there.

Sources: KIP-98 (producer ids), KIP-360 (a producer that loses a batch raises its epoch), history-checker 4.2 (result classes).
"""

from __future__ import annotations

from collections.abc import Sequence

from jepsen_like.history import OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.init_producer_id import InitProducerIdRequest
from raftkafka.simulation.client import INIT_PRODUCER_ID_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.batch import Batch, Delivery
from raftkafka.simulation.workload.known_cluster import KnownCluster, Slot, key_of
from raftkafka.simulation.workload.partition_queue import Identity, PartitionQueue
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.workload.settings import ProducerStyle, WorkloadSettings
from raftkafka.simulation.workload.skew import Skew

LAST_EPOCH = 2**15 - 1


class Producer:
    """Writes until `running` is false; `finished` when every batch has ended after that."""

    def __init__(
        self,
        *,
        client: SimClient,
        recording: Recording,
        settings: WorkloadSettings,
        style: ProducerStyle,
        slots: Sequence[Slot],
        lanes: int,
        interval_ms: int,
        skew: Skew | None = None,
    ) -> None:
        self.running = True
        self._client = client
        self._recording = recording
        self._settings = settings
        self._style = style
        self._slots = slots
        self._lanes = self._unfinished = lanes
        self._interval_ms = interval_ms
        self._skew = skew
        self._known = KnownCluster(client, dict.fromkeys(topic for topic, _ in slots))
        self._identity = Identity()
        self._queues = {slot: self._make_queue(slot) for slot in slots}
        self._renewing = False

    @property
    def finished(self) -> bool:
        return self._unfinished == 0

    def start(self) -> None:
        """Its tasks begin."""
        heap = self._client.heap
        self._hold(True)
        self._renew(new_id=True)
        for queue in self._queues.values():
            heap.spawn(queue.run())
        for _ in range(self._lanes):
            heap.spawn(self._write())

    # Writing

    async def _write(self) -> None:
        """One lane."""
        rng, heap = self._client.rng, self._client.heap
        process = self._recording.next_process()
        await heap.sleep(rng.randrange(self._interval_ms))
        while self.running:
            if rng.random() < self._settings.crash_share:
                self._crash(process)
                process = self._recording.next_process()
            if not await self._write_batch(process):
                process = self._recording.next_process()
            await heap.sleep(1 + rng.randrange(2 * self._interval_ms))
        self._unfinished -= 1
        if self.finished:
            for queue in self._queues.values():
                queue.close()

    async def _write_batch(self, process: int) -> bool:
        """Writes a batch and waits for its end; whether the process may go on."""
        rng, recording = self._client.rng, self._recording
        slot = rng.choice(self._slots) if self._skew is None else self._skew.choose(rng)
        values = recording.next_values(rng.randint(1, self._settings.max_records_per_batch))
        key = key_of(slot)
        batch = Batch(slot=slot, values=values, begun_us=self._client.heap.now_us)
        index = recording.invoke(process, "send", [["send", key, value] for value in values])
        self._queues[slot].add(batch)
        delivery = await batch.done
        outcome = outcome_of(delivery)
        base = delivery.base_offset
        offsets: Sequence[int | None] = range(base, base + len(values)) if base >= 0 else [None] * len(values)
        result = [["send", key, [offset, value]] for offset, value in zip(offsets, values, strict=True)]
        text = f"{key} {values[0]}..{values[-1]} at {base if base >= 0 else '?'}"
        recording.complete(index, outcome, result, who=self._client.name, text=text, error=delivery.error)
        if outcome is OpType.OK:
            recording.acknowledged(slot, begun_us=batch.begun_us)
        return outcome is not OpType.INFO

    # Identity

    def _make_queue(self, slot: Slot) -> PartitionQueue:
        return PartitionQueue(
            slot=slot,
            client=self._client,
            known=self._known,
            recording=self._recording,
            identity=self._identity,
            style=self._style,
            delivery_timeout_ms=self._settings.delivery_timeout_ms,
            on_broken=lambda: self._restart("the producer began anew", new_id=False),
        )

    def _crash(self, process: int) -> None:
        """The program ends and starts again: all it had not finished is lost, and the new one gets a new id."""
        self._recording.instant(process, "crash", None, who=self._client.name, text=f"process {process}")
        self._client.crash()
        self._restart("the producer crashed", new_id=True)

    def _restart(self, error: str, *, new_id: bool) -> None:
        """A new incarnation: with the next epoch, as a client raises it by itself, or with a new id."""
        self._hold(True)
        for queue in self._queues.values():
            queue.restart(error)
        self._renew(new_id=new_id)

    def _renew(self, *, new_id: bool) -> None:
        """Queues are held until the incarnation has its id."""
        identity = self._identity
        identity.stream = self._recording.next_stream()
        if self._renewing:
            return
        if not self._style.idempotent:
            self._hold(False)
        elif not new_id and identity.producer_epoch < LAST_EPOCH:
            identity.producer_epoch += 1
            self._hold(False)
        else:
            self._renewing = True
            self._client.heap.spawn(self._get_id())

    async def _get_id(self) -> None:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        while self._renewing:
            try:
                response = await self._client.ask_any(INIT_PRODUCER_ID_KEY, request)
            except RequestLost:
                await self._client.retry_pause()
                continue
            if response.error_code == ErrorCode.NONE:
                self._identity.producer_id, self._identity.producer_epoch = response.producer_id, response.producer_epoch
                self._renewing = False
            else:
                await self._client.retry_pause()
        self._hold(False)

    def _hold(self, held: bool) -> None:
        for queue in self._queues.values():
            queue.held = held
            queue.wake()


def outcome_of(delivery: Delivery) -> OpType:
    """The class of a batch's end."""
    if delivery.error is None:
        return OpType.OK
    return OpType.FAIL if delivery.definite else OpType.INFO
