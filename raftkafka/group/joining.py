"""JoinGroup: a member enters a group, or comes back into it for the next generation.

A dynamic member without an id first gets one (MEMBER_ID_REQUIRED, from version 4 on, KIP-394). A static member without an id takes the
place of its previous incarnation, without a rebalance when the group is Stable and would choose the same protocol (KIP-345, KIP-814).

The order of refusals is Kafka's: empty group id, session timeout, unknown group, size of the group, protocols, member.
"""

from __future__ import annotations

import uuid

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.coordinator.refusals import client_error
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import UNKNOWN_MEMBER_ID, ClassicGroup, ClassicGroupState, JoinDone, Member
from raftkafka.group.context import RequestContext
from raftkafka.group.group_table import GroupTable, heartbeat_key
from raftkafka.group.rebalance import (
    complete_join_if_all_joined,
    expire_heartbeat,
    prepare_rebalance,
    rebalance_or_complete_join,
    schedule_heartbeat,
)
from raftkafka.group.records import GroupMetadata
from raftkafka.group.settings import GroupSettings
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse

_FIRST_VERSION_REQUIRING_MEMBER_ID = 4
_FIRST_VERSION_WITH_SKIP_ASSIGNMENT = 9


def join_error(member_id: str, code: ErrorCode) -> JoinGroupResponse:
    """A refusal; the protocol name is not nullable before version 7."""
    return JoinGroupResponse(error_code=code, member_id=member_id, protocol_name="")


def validate_join(request: JoinGroupRequest, settings: GroupSettings) -> None:
    """What can be refused without looking at any group."""
    if not request.group_id:
        raise ApiError(ErrorCode.INVALID_GROUP_ID)
    if not settings.min_session_timeout_ms <= request.session_timeout_ms <= settings.max_session_timeout_ms:
        raise ApiError(ErrorCode.INVALID_SESSION_TIMEOUT)


@attrs.frozen(kw_only=True)
class _Join:
    """One JoinGroup request under way."""

    request: JoinGroupRequest
    context: RequestContext
    done: JoinDone
    instant: Instant
    protocols: dict[str, bytes]

    @property
    def rebalance_timeout_ms(self) -> int:
        """Version 0 knew one timeout only."""
        return self.request.rebalance_timeout_ms if self.context.api_version >= 1 else self.request.session_timeout_ms

    @property
    def reason(self) -> str:
        return self.request.reason or "not provided"

    def refuse(self, member_id: str, code: ErrorCode) -> None:
        self.done(join_error(member_id, code))


def join(table: GroupTable, request: JoinGroupRequest, context: RequestContext, done: JoinDone, instant: Instant) -> None:
    """Handles JoinGroup; `done` is called now or when the join phase ends. Raises `ApiError` when the log refuses a new group."""
    protocols = {protocol.name: bytes(protocol.metadata) for protocol in request.protocols}
    joining = _Join(request=request, context=context, done=done, instant=instant, protocols=protocols)
    group = table.find(request.group_id)
    if group is None:
        if request.member_id != UNKNOWN_MEMBER_ID:
            joining.refuse(request.member_id, ErrorCode.UNKNOWN_MEMBER_ID)
            return
        if not ClassicGroup(request.group_id, GroupMetadata()).supports(request.protocol_type, protocols):
            joining.refuse(UNKNOWN_MEMBER_ID, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
            return
        group = table.create(request.group_id, instant)
    if not group.accepts(request.member_id, table.settings.max_size):
        group.remove(request.member_id)
        table.timers.cancel(heartbeat_key(group.group_id, request.member_id))
        joining.refuse(UNKNOWN_MEMBER_ID, ErrorCode.GROUP_MAX_SIZE_REACHED)
    elif not group.supports(request.protocol_type, protocols):
        joining.refuse(request.member_id, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    elif request.member_id == UNKNOWN_MEMBER_ID:
        _join_unknown(table, group, joining)
    elif request.member_id in group.pending_members:
        _add_member(table, group, joining, request.member_id)
    else:
        _join_known(table, group, joining)


def _join_unknown(table: GroupTable, group: ClassicGroup, joining: _Join) -> None:
    """A client without a member id."""
    instance_id = joining.request.group_instance_id
    prefix = joining.context.client_id or "" if instance_id is None else instance_id
    member_id = f"{prefix}-{uuid.UUID(bytes=table.rng.randbytes(16), version=4)}"
    if instance_id is not None:
        old_member_id = group.static_members.get(instance_id)
        if old_member_id is None:
            _add_member(table, group, joining, member_id)
        else:
            _replace_static_member(table, group, joining, old_member_id, member_id)
    elif joining.context.api_version >= _FIRST_VERSION_REQUIRING_MEMBER_ID:
        group.pending_members[member_id] = None
        table.timers.schedule(
            heartbeat_key(group.group_id, member_id),
            joining.instant.now_ms + joining.request.session_timeout_ms,
            lambda later: expire_heartbeat(table, group, member_id, later),
        )
        joining.refuse(member_id, ErrorCode.MEMBER_ID_REQUIRED)
    else:
        _add_member(table, group, joining, member_id)


def _join_known(table: GroupTable, group: ClassicGroup, joining: _Join) -> None:
    """A member of the group, or one that says so."""
    member_id = joining.request.member_id
    try:
        member = group.validate_member(member_id, joining.request.group_instance_id)
    except ApiError as error:
        joining.refuse(member_id, error.code)
        return
    changed = list(member.protocols.items()) != list(joining.protocols.items())
    match group.state:
        case ClassicGroupState.PREPARING_REBALANCE:
            _update_and_rebalance(table, group, joining, member, "joins the rebalance")
        case ClassicGroupState.COMPLETING_REBALANCE if changed:
            _update_and_rebalance(table, group, joining, member, "joins with other metadata")
        case ClassicGroupState.COMPLETING_REBALANCE:
            # It may have missed the answer to its first JoinGroup: it gets the same generation again.
            joining.done(group.join_response(member_id, with_members=group.is_leader(member_id)))
        case ClassicGroupState.STABLE if group.is_leader(member_id):
            # The leader may have seen a change that no member's metadata shows, such as new partitions.
            _update_and_rebalance(table, group, joining, member, "is the leader and joins again")
        case ClassicGroupState.STABLE if changed:
            _update_and_rebalance(table, group, joining, member, "joins with other metadata")
        case ClassicGroupState.STABLE:
            joining.done(group.join_response(member_id, with_members=False))
        case _:
            joining.refuse(member_id, ErrorCode.UNKNOWN_MEMBER_ID)


def _add_member(table: GroupTable, group: ClassicGroup, joining: _Join, member_id: str) -> None:
    request, context = joining.request, joining.context
    if not group.members:
        group.protocol_type = request.protocol_type
    member = Member(
        member_id=member_id,
        group_instance_id=request.group_instance_id,
        client_id=context.client_id or "",
        client_host=context.client_host,
        rebalance_timeout_ms=joining.rebalance_timeout_ms,
        session_timeout_ms=request.session_timeout_ms,
        protocols=joining.protocols,
        is_new=True,
        awaiting_join=joining.done,
    )
    if group.state is ClassicGroupState.PREPARING_REBALANCE and group.previous_state is ClassicGroupState.EMPTY:
        group.new_member_added = True
    group.add(member)
    # A new member sends no heartbeats while it waits, and its client may be gone: its patience has a limit of its own.
    schedule_heartbeat(table, group, member, joining.instant, timeout_ms=table.settings.new_member_join_timeout_ms)
    rebalance_or_complete_join(table, group, f"{member_id} is new; client reason: {joining.reason}", joining.instant)


def _update(member: Member, joining: _Join) -> None:
    member.protocols = joining.protocols
    member.rebalance_timeout_ms = joining.rebalance_timeout_ms
    member.session_timeout_ms = joining.request.session_timeout_ms
    # A repeated join takes the place of the earlier one, whose client no longer waits for it.
    member.awaiting_join = joining.done


def _update_and_rebalance(table: GroupTable, group: ClassicGroup, joining: _Join, member: Member, what: str) -> None:
    _update(member, joining)
    rebalance_or_complete_join(table, group, f"{member.member_id} {what}; client reason: {joining.reason}", joining.instant)


def _replace_static_member(table: GroupTable, group: ClassicGroup, joining: _Join, old_member_id: str, member_id: str) -> None:
    """A new incarnation of a static member takes the place of the old one, which is fenced from now on."""
    table.timers.cancel(heartbeat_key(group.group_id, old_member_id))
    old_leader = group.leader
    old = group.members[old_member_id]
    member = group.replace_static_member(old_member_id, member_id)
    _update(member, joining)
    schedule_heartbeat(table, group, member, joining.instant)
    reason = f"static member {member.group_instance_id} is now {member_id}; client reason: {joining.reason}"
    table.observe("group-static-member-replaced", group=group.group_id, old_member=old_member_id, member=member_id)
    match group.state:
        case ClassicGroupState.STABLE if group.select_protocol() == group.protocol:
            _write_replacement(table, group, joining, old=old, member=member, old_leader=old_leader)
        case ClassicGroupState.STABLE:
            rebalance_or_complete_join(table, group, reason, joining.instant)
        case ClassicGroupState.COMPLETING_REBALANCE:
            # The leader may already have computed an assignment for the old member id.
            prepare_rebalance(table, group, reason, joining.instant)
        case _:
            complete_join_if_all_joined(table, group, joining.instant)


def _write_replacement(
    table: GroupTable, group: ClassicGroup, joining: _Join, *, old: Member, member: Member, old_leader: str | None
) -> None:
    """Stable and nothing else changes: the group goes on with the same generation and assignment, once that is written."""
    skips_assignment = joining.context.api_version >= _FIRST_VERSION_WITH_SKIP_ASSIGNMENT

    def committed(error: ApiError | None, _: Instant) -> None:
        if error is not None:
            # The record may still become committed, so the replacement stays; the client comes again without an id.
            member.complete_join(join_error(UNKNOWN_MEMBER_ID, client_error(error)))
            return
        if group.state is not ClassicGroupState.STABLE:
            # Others have begun a rebalance meanwhile: its join counts there, and is answered with the next generation.
            return
        is_leader = skips_assignment and group.is_leader(member.member_id)
        response = group.join_response(member.member_id, with_members=is_leader, skip_assignment=is_leader)
        if not skips_assignment and old_leader is not None:
            # An old client that finds itself the leader would assign again; it must follow its own previous incarnation.
            response.leader = old_leader
        member.complete_join(response)

    assignments = {each.member_id: each.assignment for each in group.members.values()}
    try:
        table.write(group, assignments, committed, joining.instant)
    except ApiError as error:
        member.complete_join(join_error(UNKNOWN_MEMBER_ID, client_error(error)))
        restored = group.replace_static_member(member.member_id, old.member_id)
        restored.protocols = old.protocols
        restored.session_timeout_ms, restored.rebalance_timeout_ms = old.session_timeout_ms, old.rebalance_timeout_ms
        table.timers.cancel(heartbeat_key(group.group_id, member.member_id))
        schedule_heartbeat(table, group, restored, joining.instant)
