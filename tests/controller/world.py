"""A controller on a log in memory: entries are committed when the test says so, and brokers apply what is committed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.controller.controller import QuorumController
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.control_messages import (
    AlterPartition,
    AlterPartitionItem,
    AlterPartitionReply,
    AlterPartitionResult,
    BrokerHeartbeat,
    BrokerHeartbeatReply,
    IsrMember,
    ListenerEndpoint,
    RegisterBroker,
    RegisterBrokerReply,
)
from raftkafka.metadata.image import ImageEntry, MetadataImage
from raftkafka.metadata.records import decode_batch
from raftkafka.metadata.topics import PartitionRegistration
from raftkafka.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

CLUSTER_ID = "test-cluster"


class MemoryLog:
    """Entries in order; `leading` False makes it refuse, as after a lost election."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.leading = True

    def append(self, records: Sequence[bytes], now_ms: int) -> int:
        if not self.leading:
            raise ApiError(ErrorCode.NOT_CONTROLLER)
        self.entries.extend(records)
        return len(self.entries) - 1


class World:
    """One active controller. `ask` decides, commits, lets all brokers apply, and returns the reply."""

    def __init__(self, **settings: Any) -> None:
        self.now_ms = 1_000_000
        self.log = MemoryLog()
        self.image = MetadataImage(cluster_id=CLUSTER_ID)
        self.incarnations = 0
        self.controller = QuorumController(
            node_id=NodeId(1),
            cluster_id=CLUSTER_ID,
            log=self.log,
            settings=ControllerSettings(**{"default_replication_factor": 3, **settings}),
            rng=random.Random(7),
        )
        self.controller.gained_leadership(1, self.image, self.now_ms)
        self.commit()

    def commit(self) -> None:
        """Commits all entries."""
        committed = self.image.offset + 1
        entries = [ImageEntry(o, 1, decode_batch(data)) for o, data in enumerate(self.log.entries) if o >= committed]
        if entries:
            self.image, _ = self.image.apply_entries(entries)
            self.controller.committed(self.image, self.image.offset, self.now_ms)

    def apply_everywhere(self, *, but: Sequence[int] = ()) -> None:
        """All brokers apply what is committed."""
        for node_id, broker in self.image.brokers.items():
            if node_id not in but:
                self.controller.metadata_applied(node_id, broker.broker_epoch, self.image.offset, self.now_ms)

    def start(self, request: Any) -> list[Any]:
        """Asks, without committing; the reply arrives in the list."""
        replies: list[Any] = []
        self.controller.handle(request, replies.append, self.now_ms)
        return replies

    def ask(self, request: Any) -> Any:
        replies = self.start(request)
        while len(self.log.entries) - 1 > self.image.offset:
            self.commit()
            self.apply_everywhere()
        assert len(replies) == 1
        return replies[0]

    def register(
        self, node_id: int, *, previous_epoch: int = -1, rack: str | None = None, incarnation: bytes | None = None
    ) -> RegisterBrokerReply:
        self.incarnations += 1
        reply: RegisterBrokerReply = self.ask(
            RegisterBroker(
                node_id=NodeId(node_id),
                cluster_id=CLUSTER_ID,
                incarnation_id=incarnation or self.incarnations.to_bytes(16, "big"),
                listeners=(ListenerEndpoint(name="PLAINTEXT", host="127.0.0.1", port=9091 + node_id),),
                rack=rack,
                previous_broker_epoch=previous_epoch,
            )
        )
        return reply

    def heartbeat(self, node_id: int, *, epoch: int | None = None, applied: int | None = None, **wants: Any) -> BrokerHeartbeatReply:
        reply: BrokerHeartbeatReply = self.ask(self.heartbeat_request(node_id, epoch=epoch, applied=applied, **wants))
        return reply

    def heartbeat_request(self, node_id: int, *, epoch: int | None = None, applied: int | None = None, **wants: Any) -> BrokerHeartbeat:
        return BrokerHeartbeat(
            node_id=NodeId(node_id),
            broker_epoch=self.epoch(node_id) if epoch is None else epoch,
            applied_offset=self.image.offset if applied is None else applied,
            **wants,
        )

    def epoch(self, node_id: int) -> int:
        return self.image.brokers[NodeId(node_id)].broker_epoch

    def join(self, *node_ids: int) -> World:
        """Registers and unfences brokers."""
        for node_id in node_ids:
            assert self.register(node_id).error == ErrorCode.NONE
            assert not self.heartbeat(node_id).is_fenced
        return self

    def kill(self, node_id: int) -> None:
        """The process is gone and the controller is told so."""
        self.lose(node_id)
        self.commit()

    def lose(self, node_id: int) -> None:
        """The controller is told that the process that is registered now has ended."""
        self.controller.broker_lost(NodeId(node_id), self.image.brokers[NodeId(node_id)].incarnation_id, self.now_ms)

    def create(
        self, name: str, assignments: Sequence[Sequence[int]] = ((1, 2, 3),), *, configs: dict[str, str] | None = None
    ) -> CreateTopicsResponse:
        topic = CreatableTopic(
            name=name,
            num_partitions=-1,
            replication_factor=-1,
            assignments=[CreatableReplicaAssignment(partition_index=i, broker_ids=list(a)) for i, a in enumerate(assignments)],
            configs=[CreatableTopicConfig(name=key, value=value) for key, value in (configs or {}).items()],
        )
        response: CreateTopicsResponse = self.ask(CreateTopicsRequest(topics=[topic]))
        return response

    def key(self, topic: str, partition: int = 0) -> PartitionKey:
        return PartitionKey(self.image.topics.by_name[topic].topic_id, partition)

    def partition(self, topic: str, partition: int = 0) -> PartitionRegistration:
        registration = self.image.partition(self.key(topic, partition))
        assert registration is not None
        return registration

    def propose_isr(self, topic: str, isr: Sequence[int], *, sender: int | None = None, **changes: Any) -> AlterPartitionResult:
        """AlterPartition for partition 0, in the name of its leader, with what is right unless `changes` says otherwise."""
        reply = self.alter_partition(topic, isr, sender=sender, **changes)
        assert reply.error == ErrorCode.NONE
        return reply.partitions[0]

    def alter_partition(
        self, topic: str, isr: Sequence[int], *, sender: int | None = None, broker_epoch: int | None = None, **changes: Any
    ) -> AlterPartitionReply:
        partition = self.partition(topic)
        leader = partition.leader if sender is None else sender
        members = tuple(
            IsrMember(node_id=NodeId(n), broker_epoch=self.image.brokers[NodeId(n)].broker_epoch if NodeId(n) in self.image.brokers else 0)
            for n in isr
        )
        fields: dict[str, Any] = {
            "topic_id": self.key(topic).topic_id,
            "partition": 0,
            "leader_epoch": partition.leader_epoch,
            "partition_epoch": partition.partition_epoch,
            "new_isr": members,
            **changes,
        }
        request = AlterPartition(
            node_id=NodeId(leader),
            broker_epoch=self.epoch(leader) if broker_epoch is None else broker_epoch,
            partitions=(AlterPartitionItem(**fields),),
        )
        reply: AlterPartitionReply = self.ask(request)
        return reply
