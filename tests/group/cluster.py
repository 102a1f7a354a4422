"""A group coordinator on a log in memory, driven by hand: what the tests of this package talk to."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import attrs

from raftkafka.base.ids import TopicId
from raftkafka.group.coordinator import OFFSETS_TOPIC, GroupCoordinator
from raftkafka.group.settings import GroupSettings
from raftkafka.protocol.framing import read_message, write_message, write_versioned
from raftkafka.protocol.messages.consumer_protocol import ConsumerProtocolSubscription
from raftkafka.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from raftkafka.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from raftkafka.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from raftkafka.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from tests.coordinator.fake_log import FakeLog

WALL_OFFSET_MS = 1_700_000_000_000
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Context:
    client_id: str | None = "app"
    client_host: str = "/127.0.0.1"
    api_version: int = 9


class Topics:
    """Implements `TopicResolver`."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts
        self.ids = {name: TopicId(bytes([index + 1] * 16)) for index, name in enumerate(counts)}

    def name_of(self, topic_id: TopicId) -> str | None:
        return next((name for name, each in self.ids.items() if each == topic_id), None)

    def id_of(self, name: str) -> TopicId | None:
        return self.ids.get(name)

    def partition_count(self, name: str) -> int:
        return self.counts.get(name, 0)


class Answer(Generic[T]):
    """Where a `done` puts its response, as it looks after the wire; false until then."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._response: T | None = None

    def __bool__(self) -> bool:
        return self._response is not None

    def done(self, response: T) -> None:
        assert self._response is None, f"answered twice: {self._response} and {response}"
        written = write_message(response, self._version)
        self._response, _ = read_message(type(response), self._version, written)

    @property
    def value(self) -> T:
        assert self._response is not None, "there is no answer yet"
        return self._response


def subscription(*topics: str) -> bytes:
    """A consumer's metadata."""
    return write_versioned(ConsumerProtocolSubscription(topics=list(topics)), 0)


class World:
    """A coordinator of all partitions, and the clock."""

    def __init__(
        self, *, log: FakeLog | None = None, topics: Topics | None = None, seed: int = 7, partitions: int = 1, **settings: Any
    ) -> None:
        self.log = log or FakeLog()
        self.topics = topics or Topics({OFFSETS_TOPIC: partitions, "orders": 4, "clicks": 2})
        self.settings = GroupSettings(**{"initial_rebalance_delay_ms": 0, **settings})
        self.now_ms = 1_000
        self.seed = seed
        self.coordinator = self._new_coordinator()
        for partition in range(partitions):
            self.coordinator.elected(partition, 1, *self.time)
        self.coordinator.drain()

    @property
    def time(self) -> tuple[int, int]:
        return self.now_ms, self.now_ms + WALL_OFFSET_MS

    def _new_coordinator(self) -> GroupCoordinator:
        return GroupCoordinator(log=self.log, topics=self.topics, settings=self.settings, rng=random.Random(self.seed))

    def fail_over(self) -> None:
        """Another node becomes the coordinator of everything, from the log."""
        partitions = self.coordinator.partitions()
        for partition in partitions:
            self.coordinator.resigned(partition, *self.time)
        self.seed += 1
        self.coordinator = self._new_coordinator()
        for partition in partitions:
            self.coordinator.elected(partition, 2, *self.time)

    def commit(self, partition: int = 0) -> None:
        """What was appended becomes committed."""
        self.coordinator.high_watermark_advanced(partition, self.log.commit(partition), *self.time)

    def advance(self, duration_ms: int) -> None:
        """Time passes, and what is due in it runs at its time."""
        until_ms = self.now_ms + duration_ms
        while self.coordinator.next_deadline_ms() <= until_ms:
            self.now_ms = max(self.now_ms, self.coordinator.next_deadline_ms())
            self.coordinator.tick(*self.time)
        self.now_ms = until_ms

    def call(self, method: Callable[..., None], request: object, version: int, client_id: str | None = "app") -> Answer[Any]:
        """Calls an operation of the coordinator with the request as it looks after the wire."""
        read, _ = read_message(type(request), version, write_message(request, version))
        answer: Answer[Any] = Answer(version)
        method(read, Context(api_version=version, client_id=client_id), answer.done, *self.time)
        return answer

    def join(
        self,
        member_id: str = "",
        *,
        group: str = "g",
        instance: str | None = None,
        version: int = 9,
        protocol_type: str = "consumer",
        protocols: dict[str, bytes] | None = None,
        session_ms: int = 10_000,
        rebalance_ms: int = 60_000,
    ) -> Answer[JoinGroupResponse]:
        chosen = {"range": subscription("orders")} if protocols is None else protocols
        request = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=rebalance_ms,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[JoinGroupRequestProtocol(name=name, metadata=metadata) for name, metadata in chosen.items()],
        )
        return self.call(self.coordinator.join_group, request, version)

    def new_id(self, **options: Any) -> str:
        """A member id, as the first JoinGroup of a dynamic member gets it."""
        return self.join(**options).value.member_id

    def sync(
        self,
        member_id: str,
        generation: int,
        assignments: dict[str, bytes] | None = None,
        *,
        group: str = "g",
        instance: str | None = None,
        version: int = 5,
        protocol_type: str | None = "consumer",
        protocol: str | None = "range",
    ) -> Answer[SyncGroupResponse]:
        request = SyncGroupRequest(
            group_id=group,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocol_name=protocol,
            assignments=[SyncGroupRequestAssignment(member_id=key, assignment=value) for key, value in (assignments or {}).items()],
        )
        return self.call(self.coordinator.sync_group, request, version)

    def heartbeat(self, member_id: str, generation: int, *, group: str = "g", instance: str | None = None) -> int:
        request = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member_id, group_instance_id=instance)
        answer: Answer[HeartbeatResponse] = self.call(self.coordinator.heartbeat, request, 4)
        return answer.value.error_code

    def leave(self, *members: MemberIdentity, group: str = "g", version: int = 5) -> Answer[LeaveGroupResponse]:
        request = LeaveGroupRequest(group_id=group, members=list(members))
        if version < 3:
            request = LeaveGroupRequest(group_id=group, member_id=members[0].member_id)
        return self.call(self.coordinator.leave_group, request, version)

    def commit_offset(
        self,
        offset: int,
        *,
        group: str = "g",
        member_id: str = "",
        generation: int = -1,
        topic: str = "orders",
        partition: int = 0,
        metadata: str | None = "",
        version: int = 9,
        retention_ms: int = -1,
        instance: str | None = None,
    ) -> Answer[OffsetCommitResponse]:
        request = OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=generation,
            member_id=member_id,
            group_instance_id=instance,
            retention_time_ms=retention_ms,
            topics=[
                OffsetCommitRequestTopic(
                    name=topic,
                    topic_id=self.topics.id_of(topic) or bytes(16),
                    partitions=[
                        OffsetCommitRequestPartition(partition_index=partition, committed_offset=offset, committed_metadata=metadata)
                    ],
                )
            ],
        )
        return self.call(self.coordinator.offset_commit, request, version)

    def commit_code(self, offset: int, **options: Any) -> int:
        """The code of the only partition of an OffsetCommit."""
        return self.commit_offset(offset, **options).value.topics[0].partitions[0].error_code

    def fetch_offsets(
        self, topics: dict[str, list[int]] | None, *, group: str = "g", version: int = 9, require_stable: bool = False
    ) -> Answer[OffsetFetchResponse]:
        asked = None
        if topics is not None:
            asked = [
                OffsetFetchRequestTopics(name=name, topic_id=self.topics.id_of(name) or bytes(16), partition_indexes=partitions)
                for name, partitions in topics.items()
            ]
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=asked)], require_stable=require_stable)
        return self.call(self.coordinator.offset_fetch, request, version)

    def offset(self, topic: str = "orders", partition: int = 0, *, group: str = "g") -> int:
        """The committed offset that a client sees."""
        return self.fetch_offsets({topic: [partition]}, group=group).value.groups[0].topics[0].partitions[0].committed_offset

    def stable(self, count: int = 1, **options: Any) -> list[str]:
        """A Stable group of dynamic members; their ids, the leader's first. Each one's assignment is its own id."""
        members = [self.new_id(**options) for _ in range(count)]
        joins = [self.join(member_id, **options) for member_id in members]
        self.advance(0)
        generation = joins[0].value.generation_id
        leader = joins[0].value.leader
        members.sort(key=lambda member_id: member_id != leader)
        group = {"group": options["group"]} if "group" in options else {}
        self.sync(leader, generation, {member_id: member_id.encode() for member_id in members}, **group)
        for member_id in members[1:]:
            self.sync(member_id, generation, **group)
        return members
