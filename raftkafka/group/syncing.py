"""SyncGroup and Heartbeat: the members of a generation get their assignments and stay in touch.

The leader's SyncGroup brings the assignments of all; they are written to the log, and handed out when that is committed. Who syncs before
the leader waits for it. Before that the assignments are nobody's: a failover in between begins with the generation before.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.coordinator.refusals import client_error
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import ClassicGroup, ClassicGroupState, SyncDone
from raftkafka.group.group_table import GroupTable, sync_key
from raftkafka.group.rebalance import fail_syncs, rebalance_or_complete_join, schedule_heartbeat
from raftkafka.protocol.messages.heartbeat import HeartbeatRequest
from raftkafka.protocol.messages.sync_group import SyncGroupRequest

_FIRST_VERSION_NAMING_PROTOCOL = 5


def validate_sync(request: SyncGroupRequest, api_version: int) -> None:
    """What can be refused without looking at any group."""
    if not request.group_id:
        raise ApiError(ErrorCode.INVALID_GROUP_ID)
    if api_version >= _FIRST_VERSION_NAMING_PROTOCOL and (request.protocol_type is None or request.protocol_name is None):
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def sync(table: GroupTable, request: SyncGroupRequest, done: SyncDone, instant: Instant) -> None:
    """Handles SyncGroup; `done` is called now or when the leader's assignments are committed. Raises `ApiError` for a refusal."""
    group = table.find(request.group_id)
    if group is None or group.state is ClassicGroupState.EMPTY:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
    member = group.validate_member(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation:
        raise ApiError(ErrorCode.ILLEGAL_GENERATION)
    if request.protocol_type not in (None, group.protocol_type) or request.protocol_name not in (None, group.protocol):
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if group.state is ClassicGroupState.PREPARING_REBALANCE:
        raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)
    group.pending_sync.pop(member.member_id, None)
    if not group.pending_sync:
        table.timers.cancel(sync_key(group.group_id))
    if group.state is ClassicGroupState.STABLE:
        done(group.sync_response(member))
        return
    member.awaiting_sync = done
    if group.is_leader(member.member_id):
        _write_assignments(table, group, request, instant)


def _write_assignments(table: GroupTable, group: ClassicGroup, request: SyncGroupRequest, instant: Instant) -> None:
    """Writes the leader's assignments; a member that it left out has an empty one."""
    assignments = dict.fromkeys(group.members, b"")
    assignments.update((each.member_id, bytes(each.assignment)) for each in request.assignments if each.member_id in group.members)
    generation = group.generation

    def committed(error: ApiError | None, later: Instant) -> None:
        # Meanwhile a member may have joined or left, and the group be in another rebalance: then this is the past.
        if group.state is not ClassicGroupState.COMPLETING_REBALANCE or group.generation != generation:
            return
        if error is None:
            _become_stable(table, group, assignments, later)
        else:
            fail_syncs(table, group, client_error(error), later)
            rebalance_or_complete_join(table, group, f"the assignments were not written: {error}", later)

    try:
        table.write(group, assignments, committed, instant)
    except ApiError as error:
        committed(error, instant)


def _become_stable(table: GroupTable, group: ClassicGroup, assignments: dict[str, bytes], instant: Instant) -> None:
    for member in group.members.values():
        member.assignment = assignments.get(member.member_id, b"")
        if member.complete_sync(group.sync_response(member)):
            # Its session was not watched while it waited for us.
            schedule_heartbeat(table, group, member, instant)
    group.transition_to(ClassicGroupState.STABLE, instant.wall_ms)
    table.observe("group-stable", group=group.group_id, generation=group.generation, members=len(group.members))


def heartbeat(table: GroupTable, request: HeartbeatRequest, instant: Instant) -> None:
    """Handles Heartbeat: extends the member's session. Raises `ApiError`, REBALANCE_IN_PROGRESS when the member should join again."""
    group = table.find(request.group_id)
    if group is None:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
    member = group.validate_member(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation:
        raise ApiError(ErrorCode.ILLEGAL_GENERATION)
    schedule_heartbeat(table, group, member, instant)
    if group.state is ClassicGroupState.PREPARING_REBALANCE:
        raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)
