"""ListPartitionReassignments (key 46), version 0."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, array, field, message, struct


@struct
class ListPartitionReassignmentsTopics:
    name: str = field(STRING, "0+")
    partition_indexes: list[int] = field(array(INT32), "0+")


@message("0", flexible="0+")
class ListPartitionReassignmentsRequest:
    timeout_ms: int = field(INT32, "0+", default=60000)
    topics: list[ListPartitionReassignmentsTopics] | None = field(
        array(ListPartitionReassignmentsTopics), "0+", nullable="0+", default=None
    )


@struct
class OngoingPartitionReassignment:
    partition_index: int = field(INT32, "0+")
    replicas: list[int] = field(array(INT32), "0+")
    adding_replicas: list[int] = field(array(INT32), "0+")
    removing_replicas: list[int] = field(array(INT32), "0+")


@struct
class OngoingTopicReassignment:
    name: str = field(STRING, "0+")
    partitions: list[OngoingPartitionReassignment] = field(array(OngoingPartitionReassignment), "0+")


@message("0", flexible="0+")
class ListPartitionReassignmentsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+")
    topics: list[OngoingTopicReassignment] = field(array(OngoingTopicReassignment), "0+")
