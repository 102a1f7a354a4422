"""What nodes say to the active controller and what it answers, as values.

They travel as msgpack frames on the controller listener (`broker.control`); this module only says what they hold. Sources: the
BrokerRegistration, BrokerHeartbeat, AlterPartition and AllocateProducerIds APIs of KRaft (KIP-631, KIP-497, KIP-903, KIP-966).
"""

from __future__ import annotations

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId, TopicId


@attrs.frozen(kw_only=True)
class ListenerEndpoint:
    """One advertised listener of a broker."""

    name: str
    host: str
    port: int
    security_protocol: str = "PLAINTEXT"


@attrs.frozen(kw_only=True)
class RegisterBroker:
    """A broker process asks for a broker epoch. `previous_broker_epoch` is -1 when it did not stop cleanly (KIP-966)."""

    node_id: NodeId
    cluster_id: str
    incarnation_id: bytes
    listeners: tuple[ListenerEndpoint, ...]
    rack: str | None = None
    directories: tuple[DirectoryId, ...] = ()
    previous_broker_epoch: int = -1


@attrs.frozen(kw_only=True)
class RegisterBrokerReply:
    error: ErrorCode = ErrorCode.NONE
    broker_epoch: int = -1
    message: str = ""


@attrs.frozen(kw_only=True)
class PartitionTraffic:
    """What the leader of a partition has counted in the last `led_ms` before a heartbeat: not followers' fetches, but what producers and
    coordinators wrote and consumers were sent. `led_ms` is 0 when the broker does not lead it any more; then the counts say nothing."""

    topic_id: TopicId
    partition: int
    leader_epoch: int
    led_ms: int
    bytes_in: int
    bytes_out: int
    requests: int
    size: int
    """Bytes of the log now."""


@attrs.frozen(kw_only=True)
class BrokerHeartbeat:
    """Sent every `broker.heartbeat.interval.ms`, and at once when `applied_offset` (last metadata offset applied) matters.

    `traffic` was counted in the last `interval_ms`, which is since the last heartbeat that was answered: one that is sent again says all of
    it again, over a longer time. It holds the busiest partitions alone; `rest` sums the others up: bytes in, bytes out, requests. A sender
    that counts nothing, or has just begun, says an interval of 0.
    """

    node_id: NodeId
    broker_epoch: int
    applied_offset: int
    want_fence: bool = False
    want_shutdown: bool = False
    offline_directories: tuple[DirectoryId, ...] = ()
    interval_ms: int = 0
    traffic: tuple[PartitionTraffic, ...] = ()
    rest: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class BrokerHeartbeatReply:
    error: ErrorCode = ErrorCode.NONE
    is_caught_up: bool = False
    is_fenced: bool = True
    should_shutdown: bool = False


@attrs.frozen(kw_only=True)
class MetadataApplied:
    """A broker has applied the metadata log up to and including this offset; no reply."""

    node_id: NodeId
    broker_epoch: int
    applied_offset: int


@attrs.frozen(kw_only=True)
class IsrMember:
    """A proposed ISR member with the broker epoch of its last fetch (-1 for the leader's own unchecked entries; KIP-903)."""

    node_id: NodeId
    broker_epoch: int


@attrs.frozen(kw_only=True)
class AlterPartitionItem:
    topic_id: TopicId
    partition: int
    leader_epoch: int
    partition_epoch: int
    new_isr: tuple[IsrMember, ...]
    leader_recovery_state: int = 0


@attrs.frozen(kw_only=True)
class AlterPartition:
    """A leader proposes new ISRs for partitions it leads."""

    node_id: NodeId
    broker_epoch: int
    partitions: tuple[AlterPartitionItem, ...]


@attrs.frozen(kw_only=True)
class AlterPartitionResult:
    topic_id: TopicId
    partition: int
    error: ErrorCode = ErrorCode.NONE
    leader: NodeId = NodeId(-1)
    leader_epoch: int = -1
    isr: tuple[NodeId, ...] = ()
    leader_recovery_state: int = 0
    partition_epoch: int = -1


@attrs.frozen(kw_only=True)
class AlterPartitionReply:
    """`error` speaks of the whole request (STALE_BROKER_EPOCH, NOT_CONTROLLER); then `partitions` is empty."""

    error: ErrorCode = ErrorCode.NONE
    partitions: tuple[AlterPartitionResult, ...] = ()


@attrs.frozen(kw_only=True)
class AssignedReplica:
    """The directory that holds the log of a replica; `LOST_DIRECTORY_ID` when no directory that works does. `made_anew`: the replica is an
    old one, and its log was nowhere to be found and is empty."""

    topic_id: TopicId
    partition: int
    directory: DirectoryId
    made_anew: bool = False


@attrs.frozen(kw_only=True)
class AssignReplicas:
    """A broker says where its replicas are, as far as the metadata has it otherwise, and which of its directories are cordoned
    (AssignReplicasToDirs of KIP-858; the cordoned ones as KIP-1066 has them in heartbeats)."""

    node_id: NodeId
    broker_epoch: int
    cordoned: tuple[DirectoryId, ...] = ()
    replicas: tuple[AssignedReplica, ...] = ()


@attrs.frozen(kw_only=True)
class AssignReplicasReply:
    """What could not be assigned (a partition that is gone) is passed over: the broker sees in the metadata what came of it."""

    error: ErrorCode = ErrorCode.NONE


@attrs.frozen(kw_only=True)
class AllocateProducerIds:
    node_id: NodeId
    broker_epoch: int


@attrs.frozen(kw_only=True)
class AllocateProducerIdsReply:
    """A block of producer ids that no other broker was given: `count` ids from `first_producer_id`."""

    error: ErrorCode = ErrorCode.NONE
    first_producer_id: int = -1
    count: int = 0
