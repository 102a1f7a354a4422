"""LeaveGroup: members say goodbye, or an administrator removes static ones by their instance id (from version 3 on, KIP-345)."""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.coordinator.refusals import client_error
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import UNKNOWN_MEMBER_ID, ClassicGroup, ClassicGroupState
from raftkafka.group.group_table import GroupTable, heartbeat_key
from raftkafka.group.rebalance import complete_join_if_all_joined, rebalance_or_complete_join, remove_member
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse

_FIRST_VERSION_WITH_MEMBERS = 3


def leave_response(results: list[MemberResponse], api_version: int) -> LeaveGroupResponse:
    """The answer in the form of the version: a code for each member, or one code before version 3."""
    if api_version >= _FIRST_VERSION_WITH_MEMBERS:
        return LeaveGroupResponse(members=results)
    return LeaveGroupResponse(error_code=results[0].error_code)


def leave(
    table: GroupTable, request: LeaveGroupRequest, api_version: int, done: Callable[[LeaveGroupResponse], None], instant: Instant
) -> None:
    """Handles LeaveGroup; the answer leaves when what the log says of it is committed."""
    identities = request.members if api_version >= _FIRST_VERSION_WITH_MEMBERS else [MemberIdentity(member_id=request.member_id)]
    group = table.find(request.group_id)
    results = [
        MemberResponse(
            member_id=identity.member_id,
            group_instance_id=identity.group_instance_id,
            error_code=ErrorCode.UNKNOWN_MEMBER_ID if group is None else _remove(table, group, identity),
        )
        for identity in identities
    ]
    response = leave_response(results, api_version)
    left = [result.member_id or result.group_instance_id or "" for result in results if result.error_code == ErrorCode.NONE]
    if group is None or not left:
        done(response)
        return
    table.observe("group-members-left", group=group.group_id, members=", ".join(left))
    if group.state in (ClassicGroupState.STABLE, ClassicGroupState.COMPLETING_REBALANCE):
        rebalance_or_complete_join(table, group, f"left: {', '.join(left)}", instant)
    elif group.state is ClassicGroupState.PREPARING_REBALANCE:
        complete_join_if_all_joined(table, group, instant)

    def committed(error: ApiError | None, _: Instant) -> None:
        done(response if error is None else LeaveGroupResponse(error_code=client_error(error)))

    table.after_commit(committed, instant)


def _remove(table: GroupTable, group: ClassicGroup, identity: MemberIdentity) -> ErrorCode:
    """Takes one member out, if it may."""
    member_id = identity.member_id
    if member_id == UNKNOWN_MEMBER_ID:
        owner = group.static_members.get(identity.group_instance_id or "")
        if identity.group_instance_id is None or owner is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        remove_member(table, group, group.members[owner])
        return ErrorCode.NONE
    if member_id in group.pending_members:
        group.remove(member_id)
        table.timers.cancel(heartbeat_key(group.group_id, member_id))
        return ErrorCode.NONE
    try:
        remove_member(table, group, group.validate_member(member_id, identity.group_instance_id))
    except ApiError as error:
        return error.code
    return ErrorCode.NONE
