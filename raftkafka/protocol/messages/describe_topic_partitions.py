"""DescribeTopicPartitions (key 75), version 0."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, STRING, UUID, array, field, message, struct


@struct
class TopicRequest:
    name: str = field(STRING, "0+")


@struct
class Cursor:
    topic_name: str = field(STRING, "0+")
    partition_index: int = field(INT32, "0+")


@message("0", flexible="0+")
class DescribeTopicPartitionsRequest:
    topics: list[TopicRequest] = field(array(TopicRequest), "0+")
    response_partition_limit: int = field(INT32, "0+", default=2000)
    cursor: Cursor | None = field(Cursor, "0+", nullable="0+", default=None)


@struct
class DescribeTopicPartitionsResponsePartition:
    error_code: int = field(INT16, "0+")
    partition_index: int = field(INT32, "0+")
    leader_id: int = field(INT32, "0+")
    leader_epoch: int = field(INT32, "0+", default=-1)
    replica_nodes: list[int] = field(array(INT32), "0+")
    isr_nodes: list[int] = field(array(INT32), "0+")
    eligible_leader_replicas: list[int] | None = field(array(INT32), "0+", nullable="0+", default=None)
    last_known_elr: list[int] | None = field(array(INT32), "0+", nullable="0+", default=None)
    offline_replicas: list[int] = field(array(INT32), "0+")


@struct
class DescribeTopicPartitionsResponseTopic:
    error_code: int = field(INT16, "0+")
    name: str | None = field(STRING, "0+", nullable="0+")
    topic_id: bytes = field(UUID, "0+")
    is_internal: bool = field(BOOL, "0+")
    partitions: list[DescribeTopicPartitionsResponsePartition] = field(array(DescribeTopicPartitionsResponsePartition), "0+")
    topic_authorized_operations: int = field(INT32, "0+", default=-(2**31))


@message("0", flexible="0+")
class DescribeTopicPartitionsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    topics: list[DescribeTopicPartitionsResponseTopic] = field(array(DescribeTopicPartitionsResponseTopic), "0+")
    next_cursor: Cursor | None = field(Cursor, "0+", nullable="0+", default=None)
