"""The records of __consumer_offsets that groups of the consumer protocol (KIP-848) add; keys and values as in `coordinator_records`."""

from __future__ import annotations

from raftkafka.protocol.schema import BYTES, INT8, INT32, INT64, STRING, UUID, array, field, message, struct


@message("0", flexible="none")
class ConsumerGroupMetadataKey:
    group_id: str = field(STRING, "0")


@message("0", flexible="0+")
class ConsumerGroupMetadataValue:
    epoch: int = field(INT32, "0+")
    metadata_hash: int = field(INT64, "0+", tag=0)


@message("0", flexible="none")
class ConsumerGroupPartitionMetadataKey:
    group_id: str = field(STRING, "0")


@struct
class PartitionMetadata:
    partition: int = field(INT32, "0+")
    racks: list[str] = field(array(STRING), "0+")


@struct
class TopicMetadata:
    topic_id: bytes = field(UUID, "0+")
    topic_name: str = field(STRING, "0+")
    num_partitions: int = field(INT32, "0+")
    partition_metadata: list[PartitionMetadata] = field(array(PartitionMetadata), "0+")


@message("0", flexible="0+")
class ConsumerGroupPartitionMetadataValue:
    topics: list[TopicMetadata] = field(array(TopicMetadata), "0+")


@message("0", flexible="none")
class ConsumerGroupMemberMetadataKey:
    group_id: str = field(STRING, "0")
    member_id: str = field(STRING, "0")


@struct
class ClassicProtocol:
    name: str = field(STRING, "0+")
    metadata: bytes = field(BYTES, "0+")


@struct
class ClassicMemberMetadata:
    session_timeout_ms: int = field(INT32, "0+")
    supported_protocols: list[ClassicProtocol] = field(array(ClassicProtocol), "0+")


@message("0", flexible="0+")
class ConsumerGroupMemberMetadataValue:
    instance_id: str | None = field(STRING, "0+", nullable="0+")
    rack_id: str | None = field(STRING, "0+", nullable="0+")
    client_id: str = field(STRING, "0+")
    client_host: str = field(STRING, "0+")
    subscribed_topic_names: list[str] = field(array(STRING), "0+")
    subscribed_topic_regex: str | None = field(STRING, "0+", nullable="0+")
    rebalance_timeout_ms: int = field(INT32, "0+", default=-1)
    server_assignor: str | None = field(STRING, "0+", nullable="0+")
    classic_member_metadata: ClassicMemberMetadata | None = field(ClassicMemberMetadata, "0+", nullable="0+", tag=0)


@message("0", flexible="none")
class ConsumerGroupTargetAssignmentMetadataKey:
    group_id: str = field(STRING, "0")


@message("0", flexible="0+")
class ConsumerGroupTargetAssignmentMetadataValue:
    assignment_epoch: int = field(INT32, "0+")
    assignment_timestamp: int = field(INT64, "0+", tag=0)


@message("0", flexible="none")
class ConsumerGroupTargetAssignmentMemberKey:
    group_id: str = field(STRING, "0")
    member_id: str = field(STRING, "0")


@struct
class TopicPartition:
    topic_id: bytes = field(UUID, "0+")
    partitions: list[int] = field(array(INT32), "0+")


@message("0", flexible="0+")
class ConsumerGroupTargetAssignmentMemberValue:
    topic_partitions: list[TopicPartition] = field(array(TopicPartition), "0+")


@message("0", flexible="none")
class ConsumerGroupCurrentMemberAssignmentKey:
    group_id: str = field(STRING, "0")
    member_id: str = field(STRING, "0")


@struct
class TopicPartitions:
    topic_id: bytes = field(UUID, "0+")
    partitions: list[int] = field(array(INT32), "0+")
    assignment_epochs: list[int] | None = field(array(INT32), "0+", nullable="0+", tag=0, default=None)


@message("0", flexible="0+")
class ConsumerGroupCurrentMemberAssignmentValue:
    member_epoch: int = field(INT32, "0+")
    previous_member_epoch: int = field(INT32, "0+")
    state: int = field(INT8, "0+")
    assigned_partitions: list[TopicPartitions] = field(array(TopicPartitions), "0+")
    partitions_pending_revocation: list[TopicPartitions] = field(array(TopicPartitions), "0+")


@message("0", flexible="none")
class ConsumerGroupRegularExpressionKey:
    group_id: str = field(STRING, "0")
    regular_expression: str = field(STRING, "0")


@message("0", flexible="0+")
class ConsumerGroupRegularExpressionValue:
    topics: list[str] = field(array(STRING), "0+")
    version: int = field(INT64, "0+")
    timestamp: int = field(INT64, "0+")
