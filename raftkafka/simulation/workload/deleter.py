"""An administrator that deletes records: of some partition, everything before an offset that is committed (DeleteRecords, KIP-107).

In the history each of its operations is a `delete`: records before the offset may be gone from its beginning on, unless it failed.

Invariant: it never asks for more than a leader has said to be committed, so a refusal of the offset is worth telling.
"""

from __future__ import annotations

from collections.abc import Sequence

from jepsen_like.history import OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from raftkafka.simulation.client import DELETE_RECORDS_KEY, LIST_OFFSETS_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.fetcher import EARLIEST, LATEST
from raftkafka.simulation.workload.known_cluster import KnownCluster, Leader, Slot, key_of
from raftkafka.simulation.workload.recording import Recording, error_name

TIMEOUT_MS = 2_000
UNSURE = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR})
"""Codes after which the records may be gone all the same: the leader deletes first, and waits for its followers then."""
REFUSED = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_LEADER_EPOCH})


class Deleter:
    """Does one deletion after the other until `running` is false."""

    def __init__(self, *, client: SimClient, recording: Recording, slots: Sequence[Slot], interval_ms: int) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._recording = recording
        self._slots = slots
        self._interval_ms = interval_ms
        self._known = KnownCluster(client, dict.fromkeys(topic for topic, _ in slots))
        self._process = recording.next_process()

    async def run(self) -> None:
        rng = self._client.rng
        while self.running:
            await self._client.heap.sleep(1 + rng.randrange(2 * self._interval_ms))
            if self.running:
                await self._delete_some(rng.choice(self._slots))
        self.finished = True

    async def _delete_some(self, slot: Slot) -> None:
        leader = await self._known.find_leader(slot)
        if leader is None:
            return
        start_offset, end_offset = await self._bound(slot, leader, EARLIEST), await self._bound(slot, leader, LATEST)
        if start_offset is None or end_offset is None or end_offset <= start_offset:
            return
        rng = self._client.rng
        reach = end_offset - start_offset
        offset = start_offset + rng.choice((1, 1 + reach // 4, 1 + reach // 2, reach))
        await self._delete(slot, leader, min(offset, end_offset))

    async def _bound(self, slot: Slot, leader: Leader, which: int) -> int | None:
        """Where the leader says that the partition begins, or is committed to; none when it does not say."""
        topic, partition = slot
        what = ListOffsetsPartition(partition_index=partition, current_leader_epoch=leader.epoch, timestamp=which)
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[what])])
        try:
            response = await self._client.ask(leader.address, LIST_OFFSETS_KEY, request)
        except RequestLost:
            self._known.suspect(slot)
            return None
        found = response.topics[0].partitions[0]
        if found.error_code != ErrorCode.NONE:
            self._known.suspect(slot)
            return None
        return int(found.offset)

    async def _delete(self, slot: Slot, leader: Leader, offset: int) -> None:
        recording, (topic, partition) = self._recording, slot
        value = {key_of(slot): offset}
        recording.deletion_begins(slot, offset)
        index = recording.invoke(self._process, "delete", value)
        what = DeleteRecordsTopic(name=topic, partitions=[DeleteRecordsPartition(partition_index=partition, offset=offset)])
        error: str | None = None
        try:
            response = await self._client.ask(
                leader.address, DELETE_RECORDS_KEY, DeleteRecordsRequest(topics=[what], timeout_ms=TIMEOUT_MS)
            )
        except RequestLost as lost:
            self._known.suspect(slot)
            outcome, error = OpType.INFO if lost.sent else OpType.FAIL, "no answer"
        else:
            code = response.topics[0].partitions[0].error_code
            outcome = OpType.OK if code == ErrorCode.NONE else OpType.INFO if code in UNSURE else OpType.FAIL
            error = error_name(code) if code else None
            if code != ErrorCode.NONE:
                self._known.suspect(slot)
            if outcome is OpType.FAIL and code not in REFUSED:
                recording.problem(f"{self._client.name}: deleting {key_of(slot)} before {offset} ended in {error}")
        recording.complete(index, outcome, value, who=self._client.name, text=f"{key_of(slot)} before {offset}", error=error)
        if outcome is OpType.INFO:
            self._process = recording.next_process()
