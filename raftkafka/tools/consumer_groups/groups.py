"""What a cluster knows of its consumer groups: which there are, who is in them, what they have committed.

Invariant: a group of the new protocol (KIP-848) is asked for as such first, and as a classic one when the coordinator says that it is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import trio

from raftkafka.base.errors import DecodeError, ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import BACKOFF_S, ClusterClient, Unsupported
from raftkafka.protocol.framing import read_versioned
from raftkafka.protocol.messages.consumer_group_describe import Assignment, ConsumerGroupDescribeRequest
from raftkafka.protocol.messages.consumer_group_describe import DescribedGroup as ModernGroup
from raftkafka.protocol.messages.consumer_protocol import ConsumerProtocolAssignment
from raftkafka.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest
from raftkafka.protocol.messages.list_groups import ListedGroup, ListGroupsRequest
from raftkafka.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from raftkafka.tools.consumer_groups.failure import raise_for, refused
from raftkafka.tools.java_order import in_hash_map_order, string_hash

DEAD = "Dead"
EMPTY = "Empty"

_CONSUMER_GROUP_DESCRIBE = 69
_LAST_OFFSET_FETCH_WITH_NAMES = 9
_CONSUMER_MEMBER = 1
_LOADING = frozenset({ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE})
_NOT_MODERN = frozenset({ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION})


@attrs.frozen(kw_only=True)
class Member:
    """A member of a group; epochs and the target assignment only in the new protocol."""

    member_id: str
    instance_id: str
    client_id: str
    host: str
    assignment: tuple[TopicPartition, ...]
    target_assignment: tuple[TopicPartition, ...] = ()
    epoch: int | None = None
    target_epoch: int | None = None
    is_upgraded: bool | None = None
    """Whether the member speaks the new protocol; None where it is not known or there is no choice."""


@attrs.frozen(kw_only=True)
class Group:
    """A group as its coordinator describes it."""

    group_id: str
    state: str
    assignor: str
    members: tuple[Member, ...]
    epoch: int | None = None
    target_epoch: int | None = None


@attrs.frozen(kw_only=True)
class Committed:
    """An offset that a group has committed; the leader epoch when one was committed with it."""

    offset: int
    leader_epoch: int | None


async def listed_groups(cluster: ClusterClient, *, states: Sequence[str] = (), types: Sequence[str] = ()) -> list[ListedGroup]:
    """The consumer groups of all coordinators, in the order in which Apache's tools show them."""
    found: dict[str, ListedGroup] = {}
    request = ListGroupsRequest(states_filter=list(states), types_filter=list(types or ("Classic", "Consumer")))
    for broker in await cluster.brokers():
        while True:
            response = await cluster.ask(request, broker.node_id)
            if response.error_code not in _LOADING:
                break
            await trio.sleep(BACKOFF_S)
        raise_for(response.error_code, wrapped=True)
        for group in response.groups:
            if group.protocol_type in ("", "consumer"):
                found.setdefault(group.group_id, group)
    return [found[group_id] for group_id in in_hash_map_order(found, string_hash)]


async def described_group(cluster: ClusterClient, group_id: str) -> Group | None:
    """A group; None when there is no such one. Raises what its coordinator refuses otherwise."""
    if cluster.serves(_CONSUMER_GROUP_DESCRIBE):
        try:
            response = await cluster.ask_coordinator(group_id, ConsumerGroupDescribeRequest(group_ids=[group_id]))
        except Unsupported:  # another broker than the first one, of an older version
            return await _classic_group(cluster, group_id)
        modern: ModernGroup = response.groups[0]
        if modern.error_code not in _NOT_MODERN:
            raise_for(modern.error_code)
            return _modern(modern)
    return await _classic_group(cluster, group_id)


async def required_group(cluster: ClusterClient, group_id: str) -> Group:
    """A group that must be there."""
    group = await described_group(cluster, group_id)
    if group is None:
        raise refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
    return group


async def committed_offsets(cluster: ClusterClient, group_id: str) -> dict[TopicPartition, Committed]:
    """All offsets that a group has committed, in the order in which Apache's tools keep them."""
    request = OffsetFetchRequest(group_id=group_id, topics=None, groups=[OffsetFetchRequestGroup(group_id=group_id, topics=None)])
    response = await cluster.ask_coordinator(group_id, request, max_version=_LAST_OFFSET_FETCH_WITH_NAMES)
    answer = response.groups[0] if response.groups else response
    raise_for(answer.error_code, wrapped=True)
    found = {}
    for topic in answer.topics:
        for partition in topic.partitions:
            raise_for(partition.error_code, wrapped=True)
            if partition.committed_offset >= 0:
                epoch = partition.committed_leader_epoch
                found[TopicPartition(topic.name, partition.partition_index)] = Committed(
                    offset=partition.committed_offset, leader_epoch=None if epoch < 0 else epoch
                )
    return found


async def _classic_group(cluster: ClusterClient, group_id: str) -> Group | None:
    response = await cluster.ask_coordinator(group_id, DescribeGroupsRequest(groups=[group_id]))
    described: DescribedGroup = response.groups[0]
    if described.error_code == ErrorCode.GROUP_ID_NOT_FOUND or (described.error_code == ErrorCode.NONE and described.group_state == DEAD):
        return None
    raise_for(described.error_code)
    if described.protocol_type not in ("", "consumer"):
        raise refused(ErrorCode.GROUP_ID_NOT_FOUND, f"GroupId {group_id} is not a consumer group ({described.protocol_type}).")
    return Group(
        group_id=group_id,
        state=described.group_state,
        assignor=described.protocol_data,
        members=tuple(
            Member(
                member_id=member.member_id,
                instance_id=member.group_instance_id or "",
                client_id=member.client_id,
                host=member.client_host,
                assignment=_classic_assignment(member.member_assignment),
            )
            for member in described.members
        ),
    )


def _classic_assignment(encoded: bytes) -> tuple[TopicPartition, ...]:
    """The partitions that a leader gave to a member; none while the group rebalances, or when they cannot be read."""
    if not encoded:
        return ()
    try:
        assignment, _ = read_versioned(ConsumerProtocolAssignment, encoded)
    except DecodeError:
        return ()
    return tuple(TopicPartition(topic.topic, partition) for topic in assignment.assigned_partitions for partition in topic.partitions)


def _modern(group: ModernGroup) -> Group:
    return Group(
        group_id=group.group_id,
        state=group.group_state,
        assignor=group.assignor_name,
        epoch=group.group_epoch,
        target_epoch=group.assignment_epoch,
        members=tuple(_modern_member(member, group.assignment_epoch) for member in group.members),
    )


def _modern_member(member: Any, target_epoch: int) -> Member:
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id or "",
        client_id=member.client_id,
        host=member.client_host,
        assignment=_partitions(member.assignment),
        target_assignment=_partitions(member.target_assignment),
        epoch=member.member_epoch,
        target_epoch=target_epoch,
        is_upgraded=None if member.member_type < 0 else member.member_type == _CONSUMER_MEMBER,
    )


def _partitions(assignment: Assignment) -> tuple[TopicPartition, ...]:
    return tuple(TopicPartition(topic.topic_name, partition) for topic in assignment.topic_partitions for partition in topic.partitions)
