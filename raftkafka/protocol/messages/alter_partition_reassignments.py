"""AlterPartitionReassignments (key 45), versions 0 to 1."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, STRING, array, field, message, struct


@struct
class ReassignablePartition:
    partition_index: int = field(INT32, "0+")
    replicas: list[int] | None = field(array(INT32), "0+", nullable="0+", default=None)


@struct
class ReassignableTopic:
    name: str = field(STRING, "0+")
    partitions: list[ReassignablePartition] = field(array(ReassignablePartition), "0+")


@message("0-1", flexible="0+")
class AlterPartitionReassignmentsRequest:
    timeout_ms: int = field(INT32, "0+", default=60000)
    allow_replication_factor_change: bool = field(BOOL, "1+", default=True)
    topics: list[ReassignableTopic] = field(array(ReassignableTopic), "0+")


@struct
class ReassignablePartitionResponse:
    partition_index: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")


@struct
class ReassignableTopicResponse:
    name: str = field(STRING, "0+")
    partitions: list[ReassignablePartitionResponse] = field(array(ReassignablePartitionResponse), "0+")


@message("0-1", flexible="0+")
class AlterPartitionReassignmentsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    allow_replication_factor_change: bool = field(BOOL, "1+", default=True)
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
    responses: list[ReassignableTopicResponse] = field(array(ReassignableTopicResponse), "0+")
