"""Writes values and deletions of its own keys to a compacted topic, one batch after the other, with the guarantees of acks=all."""

from __future__ import annotations

from collections.abc import Sequence

from jepsen_like.history import OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.init_producer_id import InitProducerIdRequest
from raftkafka.simulation.client import INIT_PRODUCER_ID_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.batch import Batch
from raftkafka.simulation.workload.known_cluster import KnownCluster, Slot, key_of
from raftkafka.simulation.workload.partition_queue import Identity, PartitionQueue
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.workload.settings import ProducerStyle, WorkloadSettings
from raftkafka.simulation.workload.table import TABLE_TOPIC, Table
from raftkafka.storage.compression import Compression


class TableWriter:
    """Writes its own keys until `running` is false; `finished` when its last batch has ended."""

    def __init__(
        self, *, client: SimClient, recording: Recording, settings: WorkloadSettings, table: Table, slots: Sequence[Slot], name: str
    ) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._recording = recording
        self._settings = settings
        self._table = table
        self._keys = {slot: [f"{name}-{key_of(slot)}-{index}" for index in range(settings.table_keys)] for slot in slots}
        self._known = KnownCluster(client, [TABLE_TOPIC])
        self._identity = Identity()
        self._broken = True
        style = ProducerStyle(
            acks=-1,
            idempotent=True,
            max_in_flight=1,
            compression=client.rng.choice((Compression.NONE, Compression.NONE, Compression.LZ4, Compression.ZSTD)),
            padding_bytes=client.rng.choice((1, 30, 200)),
        )
        self._queues = {
            slot: PartitionQueue(
                slot=slot,
                client=client,
                known=self._known,
                recording=recording,
                identity=self._identity,
                style=style,
                delivery_timeout_ms=settings.delivery_timeout_ms,
                on_broken=self._begin_anew,
                payload=table.payload,
            )
            for slot in slots
        }

    async def run(self) -> None:
        heap, rng = self._client.heap, self._client.rng
        for queue in self._queues.values():
            queue.held = True
            heap.spawn(queue.run())
        while self.running:
            if rng.random() < self._settings.table_restart_share:
                self._begin_anew()
            if self._broken:
                await self._get_id()
            await self._write_batch()
            await heap.sleep(1 + rng.randrange(2 * self._settings.table_interval_ms))
        for queue in self._queues.values():
            queue.close()
        self.finished = True

    async def _write_batch(self) -> None:
        rng, heap = self._client.rng, self._client.heap
        slot = rng.choice(list(self._keys))
        keys = rng.choices(self._keys[slot], k=rng.randint(1, self._settings.max_records_per_batch))
        writes = [
            self._table.begin(slot, key, deletes=rng.random() < self._settings.table_delete_share, now_us=heap.now_us) for key in keys
        ]
        batch = Batch(slot=slot, values=[write.number for write in writes], begun_us=heap.now_us)
        self._queues[slot].add(batch)
        delivery = await batch.done
        outcome = OpType.OK if delivery.error is None else OpType.FAIL if delivery.definite else OpType.INFO
        for index, write in enumerate(writes):
            write.outcome, write.ended_us = outcome, heap.now_us
            write.offset = delivery.base_offset + index if delivery.base_offset >= 0 else -1
        where = f"{key_of(slot)} {writes[0].number}..{writes[-1].number} at {delivery.base_offset}"
        self._recording.note(self._client.name, f"put {where} {outcome.value}{f' {delivery.error}' if delivery.error else ''}")
        if outcome is OpType.OK:
            self._recording.acknowledged(slot, begun_us=batch.begun_us)

    def _begin_anew(self) -> None:
        """A batch was given up: the next ones come from another producer."""
        self._broken = True
        for queue in self._queues.values():
            queue.held = True
            queue.restart("the writer began anew")

    async def _get_id(self) -> None:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        while True:
            try:
                response = await self._client.ask_any(INIT_PRODUCER_ID_KEY, request)
            except RequestLost:
                await self._client.retry_pause()
                continue
            if response.error_code == ErrorCode.NONE:
                break
            await self._client.retry_pause()
        self._identity.producer_id, self._identity.producer_epoch = response.producer_id, response.producer_epoch
        self._broken = False
        for queue in self._queues.values():
            queue.held = False
            queue.wake()
