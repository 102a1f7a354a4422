"""Offsets and groups go: by request (OffsetDelete, DeleteGroups), with their topics, or because nobody came back for them.

An offset expires `offsets.retention.minutes` after its group became Empty, or after its commit for a group without members of its own and
for a topic that a Stable consumer group no longer subscribes to. A group that is Empty and has no offsets left goes with them.

Sources: KIP-211, KIP-496; Kafka's `OffsetMetadataManager`.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.coordinator.records import CoordinatorRecord
from raftkafka.coordinator.refusals import client_error
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import ClassicGroup, ClassicGroupState
from raftkafka.group.context import TopicResolver
from raftkafka.group.group_table import GroupTable
from raftkafka.group.records import CommittedOffset, group_record, offset_record
from raftkafka.protocol.messages.delete_groups import DeletableGroupResult
from raftkafka.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)


def delete_groups(table: GroupTable, group_ids: list[str], done: Callable[[list[DeletableGroupResult]], None], instant: Instant) -> None:
    """Removes groups that have no members, with their offsets; `done` gets a result for each when that is committed."""
    results = [DeletableGroupResult(group_id=group_id, error_code=_deletion_error(table, group_id)) for group_id in group_ids]
    deleted = dict.fromkeys(result.group_id for result in results if result.error_code == ErrorCode.NONE)
    records: list[CoordinatorRecord] = []
    for group_id in deleted:
        records += _tombstones(group_id, list(table.state.offsets(group_id)))
        records.append(group_record(group_id, None))

    def committed(error: ApiError | None, _: Instant) -> None:
        for result in results:
            if error is not None and result.group_id in deleted:
                result.error_code = client_error(error)
        done(results)

    if not records:
        done(results)
        return
    table.observe("groups-deleted", groups=", ".join(deleted))
    try:
        table.write_tombstones(records, committed, instant)
    except ApiError as error:
        committed(error, instant)


def _deletion_error(table: GroupTable, group_id: str) -> ErrorCode:
    group = table.find(group_id)
    if group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    return ErrorCode.NONE if group.state is ClassicGroupState.EMPTY else ErrorCode.NON_EMPTY_GROUP


def _tombstones(group_id: str, partitions: list[TopicPartition]) -> list[CoordinatorRecord]:
    return [offset_record(group_id, partition.topic, partition.partition, None) for partition in partitions]


def delete_offsets(
    table: GroupTable,
    request: OffsetDeleteRequest,
    topics: TopicResolver,
    done: Callable[[OffsetDeleteResponse], None],
    instant: Instant,
) -> None:
    """Handles OffsetDelete: not for topics that the group consumes. Raises `ApiError` for the whole group."""
    group = table.find(request.group_id)
    if group is None:
        raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND)
    if group.state is not ClassicGroupState.EMPTY and not group.uses_consumer_protocol:
        raise ApiError(ErrorCode.NON_EMPTY_GROUP)
    response = OffsetDeleteResponse()
    removed: list[TopicPartition] = []
    for topic in request.topics:
        answer = OffsetDeleteResponseTopic(name=topic.name)
        response.topics.append(answer)
        for index in sorted({partition.partition_index for partition in topic.partitions}):
            partition = TopicPartition(topic.name, index)
            code = _offset_deletion_error(group, partition, topics)
            answer.partitions.append(OffsetDeleteResponsePartition(partition_index=index, error_code=code))
            if code is ErrorCode.NONE and table.state.offset(request.group_id, partition) is not None:
                removed.append(partition)
    if not removed:
        done(response)
        return

    def committed(error: ApiError | None, _: Instant) -> None:
        done(response if error is None else OffsetDeleteResponse(error_code=client_error(error)))

    table.write_tombstones(_tombstones(request.group_id, removed), committed, instant)


def _offset_deletion_error(group: ClassicGroup, partition: TopicPartition, topics: TopicResolver) -> ErrorCode:
    if topics.id_of(partition.topic) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if group.is_subscribed_to(partition.topic) else ErrorCode.NONE


def remove_offsets_of_topics(table: GroupTable, names: frozenset[str], instant: Instant) -> None:
    """The topics are gone: so are the offsets in them."""
    records = [
        offset_record(group_id, partition.topic, partition.partition, None) for group_id, partition in table.state.offsets_of_topics(names)
    ]
    _write_in_background(table, records, "offsets-removed-with-topics", instant)


def expire(table: GroupTable, instant: Instant) -> None:
    """Removes what has outlived its retention."""
    records: list[CoordinatorRecord] = []
    for group_id in list(table.state.groups):
        group = table.find(group_id)
        assert group is not None, "a group of the state has no machine"
        offsets = table.state.offsets(group_id)
        expired = [partition for partition, committed in offsets.items() if _is_expired(table, group, partition.topic, committed, instant)]
        records += _tombstones(group_id, expired)
        if len(expired) == len(offsets) and group.state is ClassicGroupState.EMPTY and not group.pending_members:
            records.append(group_record(group_id, None))
    _write_in_background(table, records, "offsets-expired", instant)


def _is_expired(table: GroupTable, group: ClassicGroup, topic: str, committed: CommittedOffset, instant: Instant) -> bool:
    since_ms = committed.commit_timestamp_ms
    if group.protocol_type is not None and group.state is ClassicGroupState.EMPTY:
        since_ms = group.state_timestamp_ms if group.state_timestamp_ms >= 0 else since_ms
    elif group.protocol_type is not None and not _has_left_topic(group, topic):
        return False
    if committed.expire_timestamp_ms >= 0:
        return instant.wall_ms >= committed.expire_timestamp_ms
    return instant.wall_ms - since_ms >= table.settings.offsets_retention_ms


def _has_left_topic(group: ClassicGroup, topic: str) -> bool:
    """Whether the members are known, all of them, not to consume the topic."""
    return (
        group.uses_consumer_protocol
        and group.state is ClassicGroupState.STABLE
        and group.subscribed_topics is not None
        and topic not in group.subscribed_topics
    )


def _write_in_background(table: GroupTable, records: list[CoordinatorRecord], kind: str, instant: Instant) -> None:
    """Nobody waits for these; what the log refuses now is found again at the next check."""

    def committed(error: ApiError | None, _: Instant) -> None:
        if error is not None:
            table.observe("tombstones-refused", error=str(error))

    if not records:
        return
    table.observe(kind, tombstones=len(records))
    try:
        table.write_tombstones(records, committed, instant)
    except ApiError as error:
        committed(error, instant)
