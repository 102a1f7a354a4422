"""The records of __consumer_offsets: keys carry their type and values their version as an int16 before the fields."""

from __future__ import annotations

from raftkafka.protocol.schema import BYTES, INT32, INT64, STRING, UUID, array, field, message, struct


@message("0", flexible="none")
class LegacyOffsetCommitKey:
    group: str = field(STRING, "0")
    topic: str = field(STRING, "0")
    partition: int = field(INT32, "0")


@message("0", flexible="none")
class LegacyOffsetCommitValue:
    offset: int = field(INT64, "0")
    metadata: str = field(STRING, "0")
    commit_timestamp: int = field(INT64, "0")


@message("0", flexible="none")
class OffsetCommitKey:
    group: str = field(STRING, "0")
    topic: str = field(STRING, "0")
    partition: int = field(INT32, "0")


@message("0-4", flexible="4+")
class OffsetCommitValue:
    offset: int = field(INT64, "0+")
    leader_epoch: int = field(INT32, "3+", default=-1)
    metadata: str = field(STRING, "0+")
    commit_timestamp: int = field(INT64, "0+")
    expire_timestamp: int = field(INT64, "1", default=-1)
    topic_id: bytes = field(UUID, "4+", tag=0)


@message("0", flexible="none")
class GroupMetadataKey:
    group: str = field(STRING, "0")


@struct
class MemberMetadata:
    member_id: str = field(STRING, "0+")
    group_instance_id: str | None = field(STRING, "3+", nullable="3+", default=None)
    client_id: str = field(STRING, "0+")
    client_host: str = field(STRING, "0+")
    rebalance_timeout: int = field(INT32, "1+", default=-1)
    session_timeout: int = field(INT32, "0+")
    subscription: bytes = field(BYTES, "0+")
    assignment: bytes = field(BYTES, "0+")


@message("0-4", flexible="4+")
class GroupMetadataValue:
    protocol_type: str = field(STRING, "0+")
    generation: int = field(INT32, "0+")
    protocol: str | None = field(STRING, "0+", nullable="0+")
    leader: str | None = field(STRING, "0+", nullable="0+")
    current_state_timestamp: int = field(INT64, "2+", default=-1)
    members: list[MemberMetadata] = field(array(MemberMetadata), "0+")
