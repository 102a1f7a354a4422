"""What consumers put into JoinGroup and SyncGroup: opaque to the broker, with the version as an int16 before the fields."""

from __future__ import annotations

from raftkafka.protocol.schema import BYTES, INT32, STRING, array, field, message, struct


@struct
class OwnedTopicPartition:
    topic: str = field(STRING, "1+")
    partitions: list[int] = field(array(INT32), "1+")


@message("0-3", flexible="none")
class ConsumerProtocolSubscription:
    topics: list[str] = field(array(STRING), "0+")
    user_data: bytes | None = field(BYTES, "0+", nullable="0+", default=None)
    owned_partitions: list[OwnedTopicPartition] = field(array(OwnedTopicPartition), "1+")
    generation_id: int = field(INT32, "2+", default=-1)
    rack_id: str | None = field(STRING, "3+", nullable="3+", default=None)


@struct
class AssignedTopicPartition:
    topic: str = field(STRING, "0+")
    partitions: list[int] = field(array(INT32), "0+")


@message("0-3", flexible="none")
class ConsumerProtocolAssignment:
    assigned_partitions: list[AssignedTopicPartition] = field(array(AssignedTopicPartition), "0+")
    user_data: bytes | None = field(BYTES, "0+", nullable="0+", default=None)
