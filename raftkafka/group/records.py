"""The records of `__consumer_offsets` that classic groups use, as values and as Kafka's bytes.

A key is its type (int16) and its fields, a value is its version (int16) and its fields; a value of None is a tombstone. Written are the
versions that Apache Kafka 4.3 writes: group metadata 3, offsets 4 (with the topic id), or 1 when the client set a retention of its own.
Read are all versions; keys of other types (consumer, share and streams groups) are left alone.
"""

from __future__ import annotations

import struct

import attrs

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NO_TOPIC_ID, TopicId
from raftkafka.coordinator.records import CoordinatorRecord
from raftkafka.protocol.framing import read_message, read_versioned, write_message, write_versioned
from raftkafka.protocol.messages import coordinator_records as schemas

_TYPE = struct.Struct(">h")
_OFFSET_COMMIT_TYPES = (0, 1)
_OFFSET_COMMIT_TYPE = 1
_GROUP_METADATA_TYPE = 2
_GROUP_METADATA_VERSION = 3
_OFFSET_VERSION = 4
_OFFSET_VERSION_WITH_EXPIRY = 1


@attrs.frozen(kw_only=True)
class MemberMetadata:
    """A member as the log remembers it; `subscription` is its metadata for the chosen protocol."""

    member_id: str
    group_instance_id: str | None = None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


@attrs.frozen(kw_only=True)
class GroupMetadata:
    """A generation of a group: without members it is Empty, with members Stable."""

    protocol_type: str = ""
    generation: int = 0
    protocol: str | None = None
    leader: str | None = None
    state_timestamp_ms: int = -1
    members: tuple[MemberMetadata, ...] = ()


@attrs.frozen(kw_only=True)
class CommittedOffset:
    """The position of a group in a partition; `expire_timestamp_ms` is -1 when the broker's retention applies."""

    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    commit_timestamp_ms: int
    expire_timestamp_ms: int = -1
    topic_id: TopicId = NO_TOPIC_ID


@attrs.frozen
class GroupChange:
    """What a group metadata record says; None removes the group."""

    group_id: str
    metadata: GroupMetadata | None


@attrs.frozen
class OffsetChange:
    """What an offset record says; None removes the offset."""

    group_id: str
    topic: str
    partition: int
    committed: CommittedOffset | None


def group_record(group_id: str, metadata: GroupMetadata | None) -> CoordinatorRecord:
    """The record that makes this the metadata of a group, or removes the group."""
    key = _TYPE.pack(_GROUP_METADATA_TYPE) + write_message(schemas.GroupMetadataKey(group=group_id), 0)
    if metadata is None:
        return CoordinatorRecord(key, None)
    value = schemas.GroupMetadataValue(
        protocol_type=metadata.protocol_type,
        generation=metadata.generation,
        protocol=metadata.protocol,
        leader=metadata.leader,
        current_state_timestamp=metadata.state_timestamp_ms,
        members=[
            schemas.MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout=member.rebalance_timeout_ms,
                session_timeout=member.session_timeout_ms,
                subscription=member.subscription,
                assignment=member.assignment,
            )
            for member in metadata.members
        ],
    )
    return CoordinatorRecord(key, write_versioned(value, _GROUP_METADATA_VERSION))


def offset_record(group_id: str, topic: str, partition: int, committed: CommittedOffset | None) -> CoordinatorRecord:
    """The record that commits an offset, or removes it."""
    key = _TYPE.pack(_OFFSET_COMMIT_TYPE) + write_message(schemas.OffsetCommitKey(group=group_id, topic=topic, partition=partition), 0)
    if committed is None:
        return CoordinatorRecord(key, None)
    value = schemas.OffsetCommitValue(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.commit_timestamp_ms,
        expire_timestamp=committed.expire_timestamp_ms,
        topic_id=committed.topic_id,
    )
    version = _OFFSET_VERSION if committed.expire_timestamp_ms < 0 else _OFFSET_VERSION_WITH_EXPIRY
    return CoordinatorRecord(key, write_versioned(value, version))


def decode_change(key: bytes, value: bytes | None) -> GroupChange | OffsetChange | None:
    """What a record says; None when it is of a kind that classic groups do not know. Raises `DecodeError`."""
    if len(key) < _TYPE.size:
        raise DecodeError(f"a record key of {len(key)} bytes, shorter than its type")
    (key_type,) = _TYPE.unpack_from(key)
    if key_type in _OFFSET_COMMIT_TYPES:
        offset_key, _ = read_message(schemas.OffsetCommitKey, 0, key, _TYPE.size)
        committed = None if value is None else _decode_offset(value, legacy=key_type == 0)
        return OffsetChange(offset_key.group, offset_key.topic, offset_key.partition, committed)
    if key_type == _GROUP_METADATA_TYPE:
        group_key, _ = read_message(schemas.GroupMetadataKey, 0, key, _TYPE.size)
        return GroupChange(group_key.group, None if value is None else _decode_group(value))
    return None


def _decode_offset(data: bytes, *, legacy: bool) -> CommittedOffset:
    if legacy:
        old, _ = read_versioned(schemas.LegacyOffsetCommitValue, data)
        return CommittedOffset(offset=old.offset, metadata=old.metadata, commit_timestamp_ms=old.commit_timestamp)
    value, _ = read_versioned(schemas.OffsetCommitValue, data)
    return CommittedOffset(
        offset=value.offset,
        leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        commit_timestamp_ms=value.commit_timestamp,
        expire_timestamp_ms=value.expire_timestamp,
        topic_id=TopicId(value.topic_id),
    )


def _decode_group(data: bytes) -> GroupMetadata:
    value, _ = read_versioned(schemas.GroupMetadataValue, data)
    return GroupMetadata(
        protocol_type=value.protocol_type,
        generation=value.generation,
        protocol=value.protocol,
        leader=value.leader,
        state_timestamp_ms=value.current_state_timestamp,
        members=tuple(
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                # Version 0 knew no rebalance timeout: the session timeout stood for both.
                rebalance_timeout_ms=member.rebalance_timeout if member.rebalance_timeout >= 0 else member.session_timeout,
                session_timeout_ms=member.session_timeout,
                subscription=bytes(member.subscription),
                assignment=bytes(member.assignment),
            )
            for member in value.members
        ),
    )
