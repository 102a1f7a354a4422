"""CreatePartitions (key 37), versions 0 to 3."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, STRING, array, field, message, struct


@struct
class CreatePartitionsAssignment:
    broker_ids: list[int] = field(array(INT32), "0+")


@struct
class CreatePartitionsTopic:
    name: str = field(STRING, "0+")
    count: int = field(INT32, "0+")
    assignments: list[CreatePartitionsAssignment] | None = field(array(CreatePartitionsAssignment), "0+", nullable="0+")


@message("0-3", flexible="2+")
class CreatePartitionsRequest:
    topics: list[CreatePartitionsTopic] = field(array(CreatePartitionsTopic), "0+")
    timeout_ms: int = field(INT32, "0+")
    validate_only: bool = field(BOOL, "0+")


@struct
class CreatePartitionsTopicResult:
    name: str = field(STRING, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+", default=None)


@message("0-3", flexible="2+")
class CreatePartitionsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    results: list[CreatePartitionsTopicResult] = field(array(CreatePartitionsTopicResult), "0+")
