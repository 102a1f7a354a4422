"""The group coordinator: which partition a group belongs to, and the answer of every group API in every version.

Refusals (`ApiError`) of the operations below become answers here, and only here. A request may be answered during the call or later; its
`done` is called exactly once.

Not here: KIP-848 consumer groups, share and streams groups, and offsets committed in transactions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.observed import Observed
from raftkafka.coordinator.partitions import partition_for as partition_for
from raftkafka.coordinator.refusals import client_error
from raftkafka.coordinator.runtime import CoordinatorLog, CoordinatorRuntime, ShardHandle
from raftkafka.coordinator.timers import Instant
from raftkafka.group import commits, joining, leaving, overview, removal, syncing
from raftkafka.group.context import RequestContext, TopicResolver
from raftkafka.group.group_table import GroupTable
from raftkafka.group.settings import GroupSettings
from raftkafka.group.shard import GroupShard
from raftkafka.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from raftkafka.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from raftkafka.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from raftkafka.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from raftkafka.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from raftkafka.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from raftkafka.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponseTopic,
)
from raftkafka.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

OFFSETS_TOPIC = "__consumer_offsets"

_FIRST_VERSION_WITH_GROUPS = 8
_FIRST_VERSION_WITH_TOP_LEVEL_ERROR = 2
_FIRST_VERSION_WITH_OPERATIONS = 3
_GROUP_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
"""READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: what a client may do with a group when there are no ACLs."""


class GroupCoordinator:
    """The groups whose partitions of `__consumer_offsets` this node leads."""

    def __init__(
        self,
        *,
        log: CoordinatorLog,
        topics: TopicResolver,
        settings: GroupSettings,
        rng: random.Random,
    ) -> None:
        def open_shard(handle: ShardHandle) -> GroupShard:
            return GroupShard(handle=handle, settings=settings, rng=rng)

        self._runtime = CoordinatorRuntime(
            log=log,
            open_shard=open_shard,
            commit_timeout_ms=settings.offset_commit_timeout_ms,
            disabled_rules=settings.disabled_rules,
        )
        self._topics = topics
        self._settings = settings

    # --- the node's side

    def elected(self, partition: int, leader_epoch: int, now_ms: int, wall_ms: int) -> None:
        """This node leads the partition of `__consumer_offsets`."""
        self._runtime.elected(partition, leader_epoch, Instant(now_ms, wall_ms))

    def resigned(self, partition: int, now_ms: int, wall_ms: int) -> None:
        """This node does not lead the partition any more."""
        self._runtime.resigned(partition, Instant(now_ms, wall_ms))

    def high_watermark_advanced(self, partition: int, high_watermark: int, now_ms: int, wall_ms: int) -> None:
        """Answers what waited for it."""
        self._runtime.high_watermark_advanced(partition, high_watermark, Instant(now_ms, wall_ms))

    def topics_deleted(self, names: Iterable[str], now_ms: int, wall_ms: int) -> None:
        """Removes the offsets in topics that are gone."""
        for partition in self._runtime.partitions():
            try:
                table = self._runtime.shard(partition).table
            except ApiError:
                # Loading: these offsets expire, and are not served for another topic of the name meanwhile.
                continue
            removal.remove_offsets_of_topics(table, frozenset(names), Instant(now_ms, wall_ms))

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Runs what is due."""
        self._runtime.tick(Instant(now_ms, wall_ms))

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do at the earliest."""
        return self._runtime.next_deadline_ms()

    def drain(self) -> list[Observed]:
        """What happened since the last call."""
        return self._runtime.drain()

    def partitions(self) -> list[int]:
        """The partitions of `__consumer_offsets` that this node coordinates (or loads)."""
        return self._runtime.partitions()

    def active_table(self, partition: int, leader_epoch: int) -> GroupTable | None:
        """The groups of a partition, if this node coordinates them in this epoch; for who checks invariants."""
        shard = self._runtime.active(partition, leader_epoch)
        return shard.table if shard is not None else None

    def table(self, group_id: str) -> GroupTable:
        """Where a group lives; raises NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE or COORDINATOR_LOAD_IN_PROGRESS."""
        partition_count = self._topics.partition_count(OFFSETS_TOPIC)
        if not partition_count:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return self._runtime.shard(partition_for(group_id, partition_count)).table

    # --- membership

    def join_group(
        self, request: JoinGroupRequest, context: RequestContext, done: Callable[[JoinGroupResponse], None], now_ms: int, wall_ms: int
    ) -> None:
        """JoinGroup 0 to 9."""

        def answer(response: JoinGroupResponse) -> None:
            response.protocol_name = response.protocol_name or (None if context.api_version >= 7 else "")
            done(response)

        try:
            joining.validate_join(request, self._settings)
            joining.join(self.table(request.group_id), request, context, answer, Instant(now_ms, wall_ms))
        except ApiError as error:
            answer(joining.join_error(request.member_id, client_error(error)))

    def sync_group(
        self, request: SyncGroupRequest, context: RequestContext, done: Callable[[SyncGroupResponse], None], now_ms: int, wall_ms: int
    ) -> None:
        """SyncGroup 0 to 5."""
        try:
            syncing.validate_sync(request, context.api_version)
            syncing.sync(self.table(request.group_id), request, done, Instant(now_ms, wall_ms))
        except ApiError as error:
            done(SyncGroupResponse(error_code=client_error(error)))

    def heartbeat(
        self, request: HeartbeatRequest, context: RequestContext, done: Callable[[HeartbeatResponse], None], now_ms: int, wall_ms: int
    ) -> None:
        """Heartbeat 0 to 4."""
        code = ErrorCode.NONE
        try:
            if not request.group_id:
                raise ApiError(ErrorCode.INVALID_GROUP_ID)
            syncing.heartbeat(self.table(request.group_id), request, Instant(now_ms, wall_ms))
        except ApiError as error:
            # While the group is loading nobody's session ends, and there is nothing that the member should do.
            code = ErrorCode.NONE if error.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS else client_error(error)
        done(HeartbeatResponse(error_code=code))

    def leave_group(
        self, request: LeaveGroupRequest, context: RequestContext, done: Callable[[LeaveGroupResponse], None], now_ms: int, wall_ms: int
    ) -> None:
        """LeaveGroup 0 to 5."""
        try:
            if not request.group_id:
                raise ApiError(ErrorCode.INVALID_GROUP_ID)
            leaving.leave(self.table(request.group_id), request, context.api_version, done, Instant(now_ms, wall_ms))
        except ApiError as error:
            done(LeaveGroupResponse(error_code=client_error(error)))

    # --- offsets

    def offset_commit(
        self,
        request: OffsetCommitRequest,
        context: RequestContext,
        done: Callable[[OffsetCommitResponse], None],
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """OffsetCommit 2 to 10."""
        response, wanted = commits.resolve_commits(request, context.api_version, self._topics)
        if not wanted:
            done(response)
            return
        try:
            table = self.table(request.group_id)
            commits.commit(table, request, wanted, context, lambda: done(response), Instant(now_ms, wall_ms))
        except ApiError as error:
            commits.fail_commits(wanted, client_error(error))
            done(response)

    def offset_fetch(
        self,
        request: OffsetFetchRequest,
        context: RequestContext,
        done: Callable[[OffsetFetchResponse], None],
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """OffsetFetch 1 to 10: one group before version 8, any number of them from then on."""
        version, instant = context.api_version, Instant(now_ms, wall_ms)
        if version >= _FIRST_VERSION_WITH_GROUPS:
            asked = request.groups
        else:
            asked = [OffsetFetchRequestGroup(group_id=request.group_id, topics=_as_newer_topics(request))]
        answers: dict[int, OffsetFetchResponseGroup] = {}

        def answer(index: int, response: OffsetFetchResponseGroup) -> None:
            answers[index] = response
            if len(answers) == len(asked):
                done(_fetch_response([answers[each] for each in range(len(asked))], version))

        if not asked:
            done(OffsetFetchResponse())
        for index, group in enumerate(asked):
            self._fetch_group(group, request.require_stable, version, partial(answer, index), instant)

    def _fetch_group(
        self,
        group: OffsetFetchRequestGroup,
        require_stable: bool,
        api_version: int,
        done: Callable[[OffsetFetchResponseGroup], None],
        instant: Instant,
    ) -> None:
        try:
            table = self.table(group.group_id)
        except ApiError as error:
            done(commits.fail_fetch(group, error))
            return

        def stable(error: ApiError | None, _: Instant) -> None:
            if error is not None:
                done(commits.fail_fetch(group, error))
            else:
                done(commits.fetch(table, group, api_version, self._topics))

        if require_stable:
            table.after_commit(stable, instant)
        else:
            stable(None, instant)

    # --- administration

    def describe_groups(
        self,
        request: DescribeGroupsRequest,
        context: RequestContext,
        done: Callable[[DescribeGroupsResponse], None],
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """DescribeGroups 0 to 6."""
        response = DescribeGroupsResponse()
        for group_id in request.groups:
            try:
                described = overview.describe(self.table(group_id), group_id, context.api_version)
            except ApiError as error:
                described = DescribedGroup(group_id=group_id, error_code=client_error(error))
            if request.include_authorized_operations and context.api_version >= _FIRST_VERSION_WITH_OPERATIONS:
                described.authorized_operations = _GROUP_OPERATIONS
            response.groups.append(described)
        done(response)

    def list_groups(
        self, request: ListGroupsRequest, context: RequestContext, done: Callable[[ListGroupsResponse], None], now_ms: int, wall_ms: int
    ) -> None:
        """ListGroups 0 to 5: the groups of this coordinator."""
        response = ListGroupsResponse()
        for partition in self._runtime.partitions():
            try:
                response.groups += overview.list_groups(self._runtime.shard(partition).table, request)
            except ApiError as error:
                if error.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                    done(ListGroupsResponse(error_code=error.code))
                    return
        done(response)

    def delete_groups(
        self,
        request: DeleteGroupsRequest,
        context: RequestContext,
        done: Callable[[DeleteGroupsResponse], None],
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """DeleteGroups 0 to 3."""
        group_ids = list(dict.fromkeys(request.groups_names))
        results: dict[str, DeletableGroupResult] = {}

        def collect(of_one_table: list[DeletableGroupResult]) -> None:
            results.update((result.group_id, result) for result in of_one_table)
            if len(results) == len(group_ids):
                done(DeleteGroupsResponse(results=[results[group_id] for group_id in group_ids]))

        if not group_ids:
            done(DeleteGroupsResponse())
        by_table: dict[int, tuple[GroupTable, list[str]]] = {}
        refused: list[DeletableGroupResult] = []
        for group_id in group_ids:
            try:
                table = self.table(group_id)
                by_table.setdefault(id(table), (table, []))[1].append(group_id)
            except ApiError as error:
                refused.append(DeletableGroupResult(group_id=group_id, error_code=client_error(error)))
        if refused:
            collect(refused)
        for table, of_table in by_table.values():
            removal.delete_groups(table, of_table, collect, Instant(now_ms, wall_ms))

    def offset_delete(
        self,
        request: OffsetDeleteRequest,
        context: RequestContext,
        done: Callable[[OffsetDeleteResponse], None],
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """OffsetDelete 0."""
        try:
            if not request.group_id:
                raise ApiError(ErrorCode.INVALID_GROUP_ID)
            removal.delete_offsets(self.table(request.group_id), request, self._topics, done, Instant(now_ms, wall_ms))
        except ApiError as error:
            done(OffsetDeleteResponse(error_code=client_error(error)))


def _as_newer_topics(request: OffsetFetchRequest) -> list[OffsetFetchRequestTopics] | None:
    if request.topics is None:
        return None
    return [OffsetFetchRequestTopics(name=topic.name, partition_indexes=topic.partition_indexes) for topic in request.topics]


def _fetch_response(groups: list[OffsetFetchResponseGroup], version: int) -> OffsetFetchResponse:
    """The groups in the form of the version; an error of a whole group is said once (a group, or the top), and by its partitions in 1."""
    if version >= _FIRST_VERSION_WITH_GROUPS:
        for group in groups:
            if group.error_code != ErrorCode.NONE:
                group.topics = []
        return OffsetFetchResponse(groups=groups)
    (group,) = groups
    response = OffsetFetchResponse()
    if version >= _FIRST_VERSION_WITH_TOP_LEVEL_ERROR and group.error_code != ErrorCode.NONE:
        response.error_code = group.error_code
        return response
    for topic in group.topics:
        answer = OffsetFetchResponseTopic(name=topic.name)
        response.topics.append(answer)
        for partition in topic.partitions:
            answer.partitions.append(
                OffsetFetchResponsePartition(
                    partition_index=partition.partition_index,
                    committed_offset=partition.committed_offset,
                    committed_leader_epoch=partition.committed_leader_epoch,
                    metadata=partition.metadata,
                    error_code=partition.error_code,
                )
            )
    return response
