"""One broker in memory that serves the simulator's clients, and does one thing wrong on purpose.

It leads every partition, appends at once, forgets nothing, and is the coordinator of a group with one member.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from typing import Any

from raftkafka.base.disk import Disk
from raftkafka.base.errors import DiskError, ErrorCode
from raftkafka.broker.connection import Connection
from raftkafka.broker.effects import Flush, LinkId, NodeEffect
from raftkafka.protocol.framing import RequestHeader, encode_response, read_request_body, read_request_header
from raftkafka.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse
from raftkafka.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from raftkafka.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from raftkafka.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from raftkafka.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from raftkafka.protocol.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from raftkafka.protocol.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from raftkafka.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from raftkafka.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from raftkafka.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)
from raftkafka.protocol.messages.produce import PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse
from raftkafka.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from raftkafka.simulation.world import CLIENT_PORT
from raftkafka.storage.record_batch import patch_offset_and_epoch, read_header

FAR_FUTURE_MS = 1 << 62
DAMAGE_AT_BATCH = 25
"""The batch of a partition that the damage is done to: late enough that there is something to damage."""

Slot = tuple[str, int]


class Damage(enum.Enum):
    """What the broker does wrong, once in each partition."""

    NOTHING = "nothing"
    LOSE = "a batch is acknowledged and not appended"
    DOUBLE = "a batch is appended twice"
    REORDER = "two batches are appended the other way round"
    ROLL_BACK = "the log loses its last batches"
    WRONG_OFFSET = "a batch is acknowledged at another offset than it has"
    FLIP_A_BIT = "a record is changed"
    FORGET_COMMITS = "the group's commits are answered and forgotten"


class FakeBroker:
    """Node 1 of a world of one node."""

    def __init__(self, damage: Damage, node_id: int, disk: Disk, rng: random.Random) -> None:
        self.wall_offset_ms = 0
        self.stopped = False
        self.damage = damage
        self.partition_counts: dict[str, int] = {}
        self.logs: dict[Slot, list[bytearray]] = {}
        self.appended: dict[Slot, int] = {}
        self.held: dict[Slot, bytes] = {}
        self.committed: dict[Slot, int] = {}
        self.generation = 0
        self.producer_ids = 0
        self.effects: list[NodeEffect] = []

    # The node's port

    def start(self, now_ms: int, wall_ms: int) -> None: ...

    def connection_opened(self, conn: Connection) -> None: ...

    def connection_closed(self, conn: Connection, now_ms: int) -> None: ...

    def link_opened(self, link_id: LinkId, now_ms: int) -> None: ...

    def link_closed(self, link_id: LinkId, *, refused: bool, now_ms: int) -> None: ...

    def link_frame(self, link_id: LinkId, frame: memoryview, now_ms: int) -> None: ...

    def persisted(self, token: int, now_ms: int) -> None: ...

    def persist_failed(self, token: int, error: DiskError, now_ms: int) -> None: ...

    def tick(self, now_ms: int) -> None: ...

    def next_deadline_ms(self) -> int:
        return FAR_FUTURE_MS

    def begin_shutdown(self, now_ms: int) -> None:
        self.stopped = True

    def settle(self, now_ms: int) -> Sequence[NodeEffect]:
        effects, self.effects = self.effects, []
        return effects

    def frame_received(self, conn: Connection, frame: memoryview, now_ms: int) -> None:
        header, offset = read_request_header(frame)
        request = read_request_body(header, frame, offset)
        conn.out.append(encode_response(header, self.answer(header, request)))
        self.effects.append(Flush(conn))

    # Answers

    def answer(self, header: RequestHeader, request: Any) -> Any:
        match request:
            case MetadataRequest():
                return self.metadata(request)
            case CreateTopicsRequest():
                return self.create_topics(request)
            case InitProducerIdRequest():
                self.producer_ids += 1
                return InitProducerIdResponse(producer_id=self.producer_ids)
            case ProduceRequest():
                return self.produce(request)
            case FetchRequest():
                return self.fetch(request)
            case ListOffsetsRequest():
                return self.list_offsets(request)
            case OffsetForLeaderEpochRequest():
                slot = (request.topics[0].topic, request.topics[0].partitions[0].partition)
                end = EpochEndOffset(partition=slot[1], leader_epoch=0, end_offset=self.end_offset(slot))
                return OffsetForLeaderEpochResponse(topics=[OffsetForLeaderTopicResult(topic=slot[0], partitions=[end])])
            case FindCoordinatorRequest():
                return FindCoordinatorResponse(
                    coordinators=[Coordinator(key=key, node_id=1, host="n1", port=CLIENT_PORT) for key in request.coordinator_keys]
                )
            case JoinGroupRequest():
                return self.join(request)
            case SyncGroupRequest():
                assignment = request.assignments[0].assignment if request.assignments else b""
                return SyncGroupResponse(protocol_type="consumer", protocol_name="range", assignment=assignment)
            case HeartbeatRequest():
                return HeartbeatResponse()
            case LeaveGroupRequest():
                return LeaveGroupResponse()
            case OffsetCommitRequest():
                return self.commit(request)
            case OffsetFetchRequest():
                return self.fetch_offsets(request)
            case _:
                raise AssertionError(f"nobody serves {request}")

    def metadata(self, request: MetadataRequest) -> MetadataResponse:
        topics = []
        for wanted in request.topics or ():
            assert wanted.name is not None
            count = self.partition_counts.get(wanted.name, 0)
            parts = [MetadataResponsePartition(partition_index=index, leader_id=1, leader_epoch=0) for index in range(count)]
            code = ErrorCode.NONE if count else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            topics.append(MetadataResponseTopic(name=wanted.name, topic_id=topic_id(wanted.name), partitions=parts, error_code=code))
        return MetadataResponse(brokers=[MetadataResponseBroker(node_id=1, host="n1", port=CLIENT_PORT)], topics=topics)

    def create_topics(self, request: CreateTopicsRequest) -> CreateTopicsResponse:
        for topic in request.topics:
            self.partition_counts[topic.name] = topic.num_partitions
        return CreateTopicsResponse(
            topics=[CreatableTopicResult(name=topic.name, topic_id=topic_id(topic.name)) for topic in request.topics]
        )

    def name_of(self, topic: Any) -> str:
        name = getattr(topic, "topic", "") or getattr(topic, "name", "")
        return name or next(each for each in self.partition_counts if topic_id(each) == topic.topic_id)

    def produce(self, request: ProduceRequest) -> ProduceResponse:
        topic = request.topic_data[0]
        data = topic.partition_data[0]
        slot = (self.name_of(topic), data.index)
        base_offset = self.take(slot, bytes(data.records or b""))
        result = PartitionProduceResponse(index=data.index, base_offset=base_offset)
        return ProduceResponse(responses=[TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=[result])])

    def fetch(self, request: FetchRequest) -> FetchResponse:
        responses = []
        for topic in request.topics:
            parts = []
            for wanted in topic.partitions:
                slot = (self.name_of(topic), wanted.partition)
                is_gone = wanted.fetch_offset > self.end_offset(slot)
                records = b"".join(batch for batch in self.logs.get(slot, ()) if read_header(batch).next_offset > wanted.fetch_offset)
                code = ErrorCode.OFFSET_OUT_OF_RANGE if is_gone else ErrorCode.NONE
                parts.append(PartitionData(partition_index=wanted.partition, error_code=code, high_watermark=0, records=records))
            responses.append(FetchableTopicResponse(topic=topic.topic, topic_id=topic.topic_id, partitions=parts))
        return FetchResponse(responses=responses)

    def list_offsets(self, request: ListOffsetsRequest) -> ListOffsetsResponse:
        topic = request.topics[0]
        wanted = topic.partitions[0]
        offset = self.end_offset((topic.name, wanted.partition_index)) if wanted.timestamp == -1 else 0
        part = ListOffsetsPartitionResponse(partition_index=wanted.partition_index, offset=offset)
        return ListOffsetsResponse(topics=[ListOffsetsTopicResponse(name=topic.name, partitions=[part])])

    def join(self, request: JoinGroupRequest) -> JoinGroupResponse:
        self.generation += 1
        member_id = request.member_id or "member"
        member = JoinGroupResponseMember(member_id=member_id, metadata=request.protocols[0].metadata)
        return JoinGroupResponse(
            generation_id=self.generation,
            protocol_type="consumer",
            protocol_name="range",
            leader=member_id,
            member_id=member_id,
            members=[member],
        )

    def commit(self, request: OffsetCommitRequest) -> OffsetCommitResponse:
        topics = []
        for topic in request.topics:
            for part in topic.partitions:
                if self.damage is not Damage.FORGET_COMMITS or part.committed_offset < 10:
                    self.committed[topic.name, part.partition_index] = part.committed_offset
            parts = [OffsetCommitResponsePartition(partition_index=part.partition_index) for part in topic.partitions]
            topics.append(OffsetCommitResponseTopic(name=topic.name, partitions=parts))
        return OffsetCommitResponse(topics=topics)

    def fetch_offsets(self, request: OffsetFetchRequest) -> OffsetFetchResponse:
        group = request.groups[0]
        topics = []
        for topic in group.topics or ():
            parts = [
                OffsetFetchResponsePartitions(
                    partition_index=index, committed_offset=self.committed.get((topic.name, index), -1), metadata=""
                )
                for index in topic.partition_indexes
            ]
            topics.append(OffsetFetchResponseTopics(name=topic.name, partitions=parts))
        return OffsetFetchResponse(groups=[OffsetFetchResponseGroup(group_id=group.group_id, topics=topics)])

    # The log

    def end_offset(self, slot: Slot) -> int:
        log = self.logs.get(slot)
        return read_header(log[-1]).next_offset if log else 0

    def append(self, slot: Slot, data: bytes) -> int:
        batch = bytearray(data)
        base_offset = self.end_offset(slot)
        patch_offset_and_epoch(batch, 0, base_offset=base_offset, leader_epoch=0)
        self.logs.setdefault(slot, []).append(batch)
        return base_offset

    def take(self, slot: Slot, data: bytes) -> int:
        """Appends a batch, or does what it should not; the offset to answer with."""
        number = self.appended[slot] = self.appended.get(slot, 0) + 1
        if number == DAMAGE_AT_BATCH + 1 and slot in self.held:
            base_offset = self.append(slot, data)
            self.append(slot, self.held.pop(slot))
            return base_offset
        if number != DAMAGE_AT_BATCH:
            return self.append(slot, data)
        match self.damage:
            case Damage.LOSE:
                return self.end_offset(slot)
            case Damage.DOUBLE:
                self.append(slot, data)
            case Damage.REORDER:
                self.held[slot] = data
                return -1
            case Damage.ROLL_BACK:
                del self.logs[slot][-5:]
            case Damage.WRONG_OFFSET:
                return self.append(slot, data) + 1
            case Damage.FLIP_A_BIT:
                damaged = bytearray(data)
                damaged[-2] ^= 1
                return self.append(slot, damaged)
            case Damage.NOTHING | Damage.FORGET_COMMITS:
                pass
        return self.append(slot, data)


def topic_id(name: str) -> bytes:
    return name.encode().ljust(16, b"_")[:16]
