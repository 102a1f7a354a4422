"""OffsetCommit and OffsetFetch: where a group is in each partition.

A commit is accepted from a member of the current generation (C2), or without a generation when nobody is in the group: administrators, and
consumers that assign partitions to themselves. A commit to a group that does not exist makes it a simple group.

A fetch answers what is committed in the log of offsets; with `require_stable` it waits until nothing is pending (KIP-447). An offset that
was committed to a topic which has been deleted and created again under its name is no offset of the new topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_TOPIC_ID, TopicId, TopicPartition
from raftkafka.base.rules import Rule
from raftkafka.coordinator.records import CoordinatorRecord
from raftkafka.coordinator.refusals import client_error
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import ClassicGroupState
from raftkafka.group.context import RequestContext, TopicResolver
from raftkafka.group.group_table import GroupTable
from raftkafka.group.rebalance import schedule_heartbeat
from raftkafka.group.records import CommittedOffset, offset_record
from raftkafka.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from raftkafka.protocol.messages.offset_fetch import (
    OffsetFetchRequestGroup,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

FIRST_VERSION_WITH_TOPIC_IDS = 10
_FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND = 9
_NO_OFFSET = -1

Commit = tuple[TopicPartition, TopicId, OffsetCommitRequestPartition, OffsetCommitResponsePartition]


def resolve_commits(request: OffsetCommitRequest, api_version: int, topics: TopicResolver) -> tuple[OffsetCommitResponse, list[Commit]]:
    """The answer with the code of every partition that does not exist, and the others, whose codes are still open."""
    response = OffsetCommitResponse()
    commits: list[Commit] = []
    for topic in request.topics:
        by_id = api_version >= FIRST_VERSION_WITH_TOPIC_IDS
        topic_id = TopicId(bytes(topic.topic_id)) if by_id else topics.id_of(topic.name)
        name = topics.name_of(TopicId(bytes(topic.topic_id))) if by_id else topic.name
        answer = OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id)
        response.topics.append(answer)
        for partition in topic.partitions:
            result = OffsetCommitResponsePartition(partition_index=partition.partition_index)
            answer.partitions.append(result)
            if name is None:
                result.error_code = ErrorCode.UNKNOWN_TOPIC_ID
            elif topic_id is None or not 0 <= partition.partition_index < topics.partition_count(name):
                result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                commits.append((TopicPartition(name, partition.partition_index), topic_id, partition, result))
    return response, commits


def fail_commits(commits: Iterable[Commit], code: ErrorCode) -> None:
    """Gives all partitions that have no code yet this one."""
    for _, _, _, result in commits:
        if result.error_code == ErrorCode.NONE:
            result.error_code = code


def commit(
    table: GroupTable,
    request: OffsetCommitRequest,
    commits: list[Commit],
    context: RequestContext,
    done: Callable[[], None],
    instant: Instant,
) -> None:
    """Handles OffsetCommit for partitions that exist: sets their codes and calls `done` when that is final. Raises `ApiError` for all."""
    _validate_commit(table, request, context.api_version, instant)
    records = list(_commit_records(table, request, commits, instant))
    if not records:
        done()
        return

    def committed(error: ApiError | None, _: Instant) -> None:
        if error is not None:
            fail_commits(commits, client_error(error))
        done()

    table.append(records, committed, instant)


def _validate_commit(table: GroupTable, request: OffsetCommitRequest, api_version: int, instant: Instant) -> None:
    """Raises `ApiError` unless the committer may; a commit also is a sign of life of its member."""
    generation = request.generation_id_or_member_epoch
    group = table.find(request.group_id)
    if group is None:
        if generation < 0:
            return
        old_version = api_version < _FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND
        raise ApiError(ErrorCode.ILLEGAL_GENERATION if old_version else ErrorCode.GROUP_ID_NOT_FOUND)
    if not table.settings.applies(Rule.FENCE_STALE_GENERATIONS):
        return
    if generation < 0 and group.state is ClassicGroupState.EMPTY:
        return
    if generation < 0 and not request.member_id and request.group_instance_id is None:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
    member = group.validate_member(request.member_id, request.group_instance_id)
    if generation != group.generation:
        raise ApiError(ErrorCode.ILLEGAL_GENERATION)
    if group.state is ClassicGroupState.COMPLETING_REBALANCE:
        raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)
    schedule_heartbeat(table, group, member, instant)


def _commit_records(
    table: GroupTable, request: OffsetCommitRequest, commits: list[Commit], instant: Instant
) -> Iterable[CoordinatorRecord]:
    expire_ms = -1 if request.retention_time_ms < 0 else instant.wall_ms + request.retention_time_ms
    for partition, topic_id, wanted, result in commits:
        metadata = wanted.committed_metadata or ""
        if len(metadata) > table.settings.offset_metadata_max_bytes:
            result.error_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            continue
        committed = CommittedOffset(
            offset=wanted.committed_offset,
            leader_epoch=wanted.committed_leader_epoch,
            metadata=metadata,
            commit_timestamp_ms=instant.wall_ms,
            expire_timestamp_ms=expire_ms,
            topic_id=topic_id,
        )
        yield offset_record(request.group_id, partition.topic, partition.partition, committed)


def fetch(table: GroupTable, request: OffsetFetchRequestGroup, api_version: int, topics: TopicResolver) -> OffsetFetchResponseGroup:
    """The committed offsets of a group in the partitions asked for, or in all; -1 where there is none."""
    by_id = api_version >= FIRST_VERSION_WITH_TOPIC_IDS
    response = OffsetFetchResponseGroup(group_id=request.group_id)
    if request.topics is None:
        response.topics = _all_offsets(table, request.group_id, topics, by_id=by_id)
        return response
    for topic in request.topics:
        name = topics.name_of(TopicId(bytes(topic.topic_id))) if by_id else topic.name
        answer = OffsetFetchResponseTopics(name=topic.name, topic_id=topic.topic_id)
        response.topics.append(answer)
        for partition in topic.partition_indexes:
            if name is None:
                answer.partitions.append(no_offset(partition, ErrorCode.UNKNOWN_TOPIC_ID))
            else:
                answer.partitions.append(_offset_of(table, request.group_id, TopicPartition(name, partition), topics))
    return response


def no_offset(partition: int, code: ErrorCode = ErrorCode.NONE) -> OffsetFetchResponsePartitions:
    """What a fetch says where nothing is committed, or of an error."""
    return OffsetFetchResponsePartitions(partition_index=partition, committed_offset=_NO_OFFSET, metadata="", error_code=code)


def fail_fetch(request: OffsetFetchRequestGroup, error: ApiError) -> OffsetFetchResponseGroup:
    """A refusal of a whole group; consumers older than 3.9 do not know COORDINATOR_NOT_AVAILABLE here, so it is NOT_COORDINATOR."""
    code = client_error(error)
    if code is ErrorCode.COORDINATOR_NOT_AVAILABLE:
        code = ErrorCode.NOT_COORDINATOR
    topics = [
        OffsetFetchResponseTopics(
            name=topic.name, topic_id=topic.topic_id, partitions=[no_offset(partition, code) for partition in topic.partition_indexes]
        )
        for topic in request.topics or ()
    ]
    return OffsetFetchResponseGroup(group_id=request.group_id, topics=topics, error_code=code)


def _offset_of(table: GroupTable, group_id: str, partition: TopicPartition, topics: TopicResolver) -> OffsetFetchResponsePartitions:
    committed = table.state.committed_offset(group_id, partition)
    if committed is None or _is_of_another_topic(committed, partition.topic, topics):
        return no_offset(partition.partition)
    return _offset(partition.partition, committed)


def _offset(partition: int, committed: CommittedOffset) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        partition_index=partition,
        committed_offset=committed.offset,
        committed_leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
    )


def _is_of_another_topic(committed: CommittedOffset, name: str, topics: TopicResolver) -> bool:
    """Whether the topic of that name is not the one that the offset was committed to."""
    return committed.topic_id != NO_TOPIC_ID and topics.id_of(name) not in (None, committed.topic_id)


def _all_offsets(table: GroupTable, group_id: str, topics: TopicResolver, *, by_id: bool) -> list[OffsetFetchResponseTopics]:
    answers: dict[str, OffsetFetchResponseTopics] = {}
    for partition, committed in table.state.committed_offsets(group_id):
        topic_id = topics.id_of(partition.topic) or NO_TOPIC_ID
        if _is_of_another_topic(committed, partition.topic, topics) or (by_id and topic_id == NO_TOPIC_ID):
            continue
        answer = answers.get(partition.topic)
        if answer is None:
            answer = answers[partition.topic] = OffsetFetchResponseTopics(name=partition.topic, topic_id=topic_id)
        answer.partitions.append(_offset(partition.partition, committed))
    return list(answers.values())
