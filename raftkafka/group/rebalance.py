"""The transitions of a rebalance: it begins, its join phase completes, members expire.

A rebalance of an Empty group waits `group.initial.rebalance.delay.ms` for more members, and again as long as new ones keep coming, up to
the rebalance timeout. Any other waits for all members to join, up to the longest rebalance timeout among them; who has not joined by then
is removed (static members are kept, until their session ends).

Sources: KIP-134, KIP-345, KIP-568, KAFKA-9752 (pending syncs); Kafka's `GroupMetadataManager`.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.rules import Rule
from raftkafka.coordinator.timers import Instant
from raftkafka.group.classic_group import UNKNOWN_MEMBER_ID, ClassicGroup, ClassicGroupState, Member
from raftkafka.group.group_table import GroupTable, heartbeat_key, join_key, sync_key
from raftkafka.protocol.messages.join_group import JoinGroupResponse
from raftkafka.protocol.messages.sync_group import SyncGroupResponse


def rebalance_or_complete_join(table: GroupTable, group: ClassicGroup, reason: str, instant: Instant) -> None:
    """After a change of the members: begins a rebalance, or looks whether the one under way can go on."""
    if group.can_rebalance:
        prepare_rebalance(table, group, reason, instant)
    else:
        complete_join_if_all_joined(table, group, instant)


def prepare_rebalance(table: GroupTable, group: ClassicGroup, reason: str, instant: Instant) -> None:
    """Begins a rebalance; who waits for an assignment is told to join again."""
    if group.state is ClassicGroupState.COMPLETING_REBALANCE:
        fail_syncs(table, group, ErrorCode.REBALANCE_IN_PROGRESS, instant)
    group.pending_sync.clear()
    table.timers.cancel(sync_key(group.group_id))
    is_initial = group.state is ClassicGroupState.EMPTY
    group.transition_to(ClassicGroupState.PREPARING_REBALANCE, instant.wall_ms)
    table.observe("group-rebalancing", group=group.group_id, generation=group.generation, reason=reason)
    if is_initial:
        delay_ms = table.settings.initial_rebalance_delay_ms
        remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
        _schedule_initial(table, group, delay_ms=delay_ms, remaining_ms=remaining_ms, instant=instant)
    elif _may_complete(table, group):
        complete_join(table, group, instant)
    else:
        _schedule_completion(table, group, instant)


def complete_join_if_all_joined(table: GroupTable, group: ClassicGroup, instant: Instant) -> None:
    """Ends the join phase early when nobody is missing; an initial rebalance always lasts its delay."""
    is_initial = group.previous_state is ClassicGroupState.EMPTY
    if group.state is ClassicGroupState.PREPARING_REBALANCE and not is_initial and _may_complete(table, group):
        complete_join(table, group, instant)


def _may_complete(table: GroupTable, group: ClassicGroup) -> bool:
    return group.has_all_members_joined or not table.settings.applies(Rule.WAIT_FOR_ALL_MEMBERS)


def complete_join(table: GroupTable, group: ClassicGroup, instant: Instant) -> None:
    """Ends the join phase: removes who has not joined, and gives the others the new generation."""
    if group.state is not ClassicGroupState.PREPARING_REBALANCE:
        return
    table.timers.cancel(join_key(group.group_id))
    for member in list(group.members.values()):
        if member.awaiting_join is None and member.group_instance_id is None:
            group.remove(member.member_id)
            table.timers.cancel(heartbeat_key(group.group_id, member.member_id))
    if group.members and not group.elect_joined_leader():
        # Only static members are left and none has joined: wait until they do, or until their sessions end.
        _schedule_completion(table, group, instant)
        return
    group.next_generation(instant.wall_ms)
    if group.members:
        _hand_out_generation(table, group, instant)
    else:
        _write_empty(table, group, instant)


def _write_empty(table: GroupTable, group: ClassicGroup, instant: Instant) -> None:
    def committed(error: ApiError | None, _: Instant) -> None:
        if error is not None:
            table.report_refusal(group.group_id, error)

    table.observe("group-empty", group=group.group_id, generation=group.generation)
    try:
        table.write(group, {}, committed, instant)
    except ApiError as error:
        # The log then still says the last generation; its members are gone and would expire again after a failover.
        table.report_refusal(group.group_id, error)


def _hand_out_generation(table: GroupTable, group: ClassicGroup, instant: Instant) -> None:
    table.observe("group-generation", group=group.group_id, generation=group.generation, members=len(group.members), leader=group.leader)
    for member in list(group.members.values()):
        member.complete_join(group.join_response(member.member_id, with_members=group.is_leader(member.member_id)))
        schedule_heartbeat(table, group, member, instant)
        member.is_new = False
        group.pending_sync[member.member_id] = None
    generation = group.generation
    table.timers.schedule(
        sync_key(group.group_id),
        instant.now_ms + group.rebalance_timeout_ms,
        lambda later: _expire_pending_sync(table, group, generation, later),
    )


def _schedule_initial(table: GroupTable, group: ClassicGroup, *, delay_ms: int, remaining_ms: int, instant: Instant) -> None:
    def expired(later: Instant) -> None:
        if group.state is not ClassicGroupState.PREPARING_REBALANCE:
            return
        if group.new_member_added and remaining_ms != 0:
            group.new_member_added = False
            _schedule_initial(
                table,
                group,
                delay_ms=min(table.settings.initial_rebalance_delay_ms, remaining_ms),
                remaining_ms=max(remaining_ms - delay_ms, 0),
                instant=later,
            )
        else:
            complete_join(table, group, later)

    table.timers.schedule(join_key(group.group_id), instant.now_ms + delay_ms, expired)


def _schedule_completion(table: GroupTable, group: ClassicGroup, instant: Instant) -> None:
    table.timers.schedule(
        join_key(group.group_id),
        instant.now_ms + group.rebalance_timeout_ms,
        lambda later: complete_join(table, group, later),
    )


def _expire_pending_sync(table: GroupTable, group: ClassicGroup, generation: int, instant: Instant) -> None:
    """Removes the members that got the generation and never sent SyncGroup; the others begin again without them."""
    if generation != group.generation or group.state not in (ClassicGroupState.COMPLETING_REBALANCE, ClassicGroupState.STABLE):
        return
    if not group.pending_sync:
        return
    removed = list(group.pending_sync)
    for member_id in removed:
        group.remove(member_id)
        table.timers.cancel(heartbeat_key(group.group_id, member_id))
    prepare_rebalance(table, group, f"no SyncGroup in time from {', '.join(removed)}", instant)


def fail_syncs(table: GroupTable, group: ClassicGroup, code: ErrorCode, instant: Instant) -> None:
    """Drops the assignments of a generation that will not become Stable, and tells who waits for one."""
    for member in group.members.values():
        member.assignment = b""
        if member.complete_sync(SyncGroupResponse(error_code=code)):
            schedule_heartbeat(table, group, member, instant)


def schedule_heartbeat(table: GroupTable, group: ClassicGroup, member: Member, instant: Instant, timeout_ms: int | None = None) -> None:
    """Lets the member's session end after its session timeout (or this one) from now, unless it is heard of before."""
    member_id = member.member_id
    table.timers.schedule(
        heartbeat_key(group.group_id, member_id),
        instant.now_ms + (member.session_timeout_ms if timeout_ms is None else timeout_ms),
        lambda later: expire_heartbeat(table, group, member_id, later),
    )


def expire_heartbeat(table: GroupTable, group: ClassicGroup, member_id: str, instant: Instant) -> None:
    """The session of a member, or the patience with a pending one, is over."""
    if group.state is ClassicGroupState.DEAD:
        return
    if member_id in group.pending_members:
        group.remove(member_id)
        if group.state is ClassicGroupState.PREPARING_REBALANCE and _may_complete(table, group):
            complete_join(table, group, instant)
        return
    member = group.members.get(member_id)
    if member is None or member.has_satisfied_heartbeat:
        return
    table.observe("group-member-expired", group=group.group_id, member=member_id)
    remove_member(table, group, member)
    if group.state in (ClassicGroupState.STABLE, ClassicGroupState.COMPLETING_REBALANCE):
        rebalance_or_complete_join(table, group, f"the session of {member_id} has expired", instant)
    elif group.state is ClassicGroupState.PREPARING_REBALANCE and _may_complete(table, group):
        complete_join(table, group, instant)


def remove_member(table: GroupTable, group: ClassicGroup, member: Member) -> None:
    """Takes a member out; a JoinGroup of it that still waits is answered so that it may join anew."""
    table.timers.cancel(heartbeat_key(group.group_id, member.member_id))
    member.complete_join(JoinGroupResponse(member_id=UNKNOWN_MEMBER_ID, error_code=ErrorCode.UNKNOWN_MEMBER_ID, protocol_name=""))
    member.complete_sync(SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
    group.remove(member.member_id)
