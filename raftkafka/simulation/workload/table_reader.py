"""Reads a compacted partition from its beginning to where it ends, as a program does that fills a map from it.

Invariants
- Offsets only increase; what is missing in between was compacted away.
- A reader that took long enough for a deletion to be forgotten has nothing to say: it may have read a value before it was deleted and come
  to the place of the deletion when that was gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.fetch_codec import FetchPartition, FetchPartitionResult, FetchRequestData
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from raftkafka.simulation.client import FETCH_KEY, LIST_OFFSETS_KEY, RequestLost, SimClient
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.workload.known_cluster import KnownCluster, Leader, Slot, key_of
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.workload.table import TABLE_TOPIC, Table
from raftkafka.storage.record_batch import batches, decode_records, validate

EARLIEST, LATEST = -2, -1
FIRST_TOPIC_ID_VERSION = 13
MAX_WAIT_MS = 300
MAX_BYTES = 4_096
"""Little at a time: others write, and the cleaner works, between two fetches."""


class TableReader:
    """Reads the partitions again and again until `running` is false."""

    def __init__(
        self, *, client: SimClient, recording: Recording, table: Table, slots: Sequence[Slot], patience_ms: int, pause_ms: int
    ) -> None:
        """`patience_ms`: after so long a read says nothing (see above)."""
        self.running = True
        self._client = client
        self._recording = recording
        self._table = table
        self._slots = slots
        self._patience_us = patience_ms * US_PER_MS
        self._pause_ms = pause_ms
        self._known = KnownCluster(client, [TABLE_TOPIC])

    async def run(self) -> None:
        while self.running:
            await self._client.heap.sleep(1 + self._client.rng.randrange(2 * self._pause_ms))
            await self.read(self._client.rng.choice(self._slots))

    async def read_all(self) -> None:
        """Each partition once."""
        for slot in self._slots:
            await self.read(slot)

    async def read(self, slot: Slot) -> None:
        """Reads one partition to its end and judges what was found."""
        heap = self._client.heap
        since_us = heap.now_us
        end_offset = await self._offset(slot, LATEST)
        position = await self._offset(slot, EARLIEST)
        found: dict[str, int] = {}
        while position < end_offset:
            result = await self._fetch(slot, position)
            if result is None:
                continue
            if result.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
                self._problem(f"{key_of(slot)} has no offset {position}, and ended at {end_offset} when it was asked")
                return
            position = self._take(slot, position, result, found)
        who = self._client.name
        self._recording.note(who, f"read {key_of(slot)} to {position}, {len(found)} keys")
        if heap.now_us - since_us < self._patience_us:
            self._table.judge(slot, found, since_us=since_us, now_us=heap.now_us, who=who)

    def _take(self, slot: Slot, position: int, result: FetchPartitionResult, found: dict[str, int]) -> int:
        for buffer in result.records:
            data = memoryview(buffer)
            for at, header in batches(data):
                validate(data, at)
                if header.next_offset <= position:
                    continue
                for record in decode_records(data, at):
                    if record.offset >= position:
                        found[(record.key or b"").decode()] = self._table.seen(slot, record, self._client.name)
                position = header.next_offset
        return position

    async def _offset(self, slot: Slot, timestamp: int) -> int:
        """Where the partition begins or ends, as its leader says."""
        while True:
            leader = await self._known.find_leader(slot)
            if leader is None:
                continue
            part = ListOffsetsPartition(partition_index=slot[1], current_leader_epoch=leader.epoch, timestamp=timestamp)
            request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=slot[0], partitions=[part])])
            response = await self._ask(slot, leader, LIST_OFFSETS_KEY, request)
            if response is not None and response.topics[0].partitions[0].error_code == ErrorCode.NONE:
                return int(response.topics[0].partitions[0].offset)
            await self._again(slot)

    async def _fetch(self, slot: Slot, position: int) -> FetchPartitionResult | None:
        leader = await self._known.find_leader(slot)
        if leader is None:
            return None
        part = FetchPartition(
            slot[0], self._known.topic_id(slot[0]), slot[1], position, MAX_BYTES, current_leader_epoch=leader.epoch, last_fetched_epoch=-1
        )
        request = FetchRequestData(partitions=[part], max_wait_ms=MAX_WAIT_MS, min_bytes=1, max_bytes=MAX_BYTES)
        response = await self._ask(slot, leader, FETCH_KEY, request)
        if response is None or response.error_code != ErrorCode.NONE or not response.partitions:
            await self._again(slot)
            return None
        result: FetchPartitionResult = response.partitions[0]
        if result.error_code not in (ErrorCode.NONE, ErrorCode.OFFSET_OUT_OF_RANGE):
            await self._again(slot)
            return None
        return result

    async def _ask(self, slot: Slot, leader: Leader, api_key: int, request: object) -> Any:
        try:
            return await self._client.ask(leader.address, api_key, request)
        except RequestLost:
            return None

    async def _again(self, slot: Slot) -> None:
        self._known.suspect(slot)
        await self._client.retry_pause()

    def _problem(self, text: str) -> None:
        self._recording.problem(f"{self._client.name}: {text}")
