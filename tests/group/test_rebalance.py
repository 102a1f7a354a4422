"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup of dynamic members, by the states of the group."""

from __future__ import annotations

import re

import attrs
import pytest

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.protocol.messages.leave_group import MemberIdentity
from tests.coordinator.fake_log import FakeLog
from tests.group.cluster import World, subscription


def state(world: World, group: str = "g") -> str:
    machine = world.coordinator.table(group).find(group)
    return "Dead" if machine is None else machine.state.value


def test_first_join_gets_a_member_id_of_client_id_and_uuid() -> None:
    """KIP-394: from version 4 on a member must come back with the id that it is given."""
    answer = World().join().value
    assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert re.fullmatch(r"app-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", answer.member_id)


def test_old_join_enters_without_a_member_id() -> None:
    world = World()
    answer = world.join(version=3)
    world.advance(0)
    assert answer.value.error_code == ErrorCode.NONE
    assert answer.value.generation_id == 1
    assert answer.value.leader == answer.value.member_id


def test_a_whole_rebalance_hands_each_member_its_assignment() -> None:
    world = World()
    first, second = world.new_id(), world.new_id()
    joins = [world.join(first), world.join(second)]
    assert not joins[0]
    assert not joins[1]
    world.advance(0)
    leader, follower = joins[0].value, joins[1].value
    assert [member.member_id for member in leader.members] == [first, second]
    assert follower.members == []
    assert (leader.generation_id, follower.generation_id) == (1, 1)
    assert (leader.leader, leader.protocol_name, leader.protocol_type) == (first, "range", "consumer")
    early = world.sync(second, 1)
    assert not early, "a follower waits for the leader's assignments"
    assert world.sync(first, 1, {first: b"A", second: b"B"}).value.assignment == b"A"
    assert early.value.assignment == b"B"
    assert world.sync(second, 1).value.assignment == b"B", "a repeated SyncGroup gets the same"
    assert state(world) == "Stable"
    assert world.heartbeat(first, 1) == ErrorCode.NONE


def test_assignments_are_handed_out_only_when_committed() -> None:
    log = FakeLog(commits_at_once=False)
    world = World(log=log)
    member = world.new_id()
    join = world.join(member)
    world.advance(0)
    answer = world.sync(member, join.value.generation_id, {member: b"A"})
    assert not answer
    assert state(world) == "CompletingRebalance"
    world.commit()
    assert answer.value.assignment == b"A"
    assert state(world) == "Stable"


def test_initial_rebalance_waits_for_more_members_as_long_as_they_keep_coming() -> None:
    """KIP-134."""
    world = World(initial_rebalance_delay_ms=3_000)
    first = world.new_id()
    join = world.join(first)
    world.advance(2_000)
    second = world.new_id()
    world.join(second)
    world.advance(1_500)
    assert not join, "the second member extended the delay"
    world.advance(2_500)
    assert len(join.value.members) == 2


def test_a_new_member_makes_the_others_join_again() -> None:
    world = World()
    (first,) = world.stable()
    second = world.new_id()
    joining = world.join(second)
    assert state(world) == "PreparingRebalance"
    assert world.heartbeat(first, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    assert world.sync(first, 1).value.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    rejoin = world.join(first)
    assert rejoin.value.generation_id == joining.value.generation_id == 2
    assert rejoin.value.leader == first


def test_members_that_do_not_rejoin_in_time_are_removed() -> None:
    world = World()
    first, _ = world.stable(2, rebalance_ms=20_000, session_ms=30_000)
    joining = world.join(world.new_id(), rebalance_ms=20_000)
    world.join(first, rebalance_ms=20_000)
    world.advance(19_999)
    assert not joining
    world.advance(1)
    assert joining.value.generation_id == 2
    assert len(world.coordinator.table("g").machines["g"].members) == 2


def test_a_join_in_the_middle_of_a_sync_begins_again() -> None:
    world = World()
    first, second = world.new_id(), world.new_id()
    world.join(first), world.join(second)
    world.advance(0)
    waiting = world.sync(second, 1)
    world.join(world.new_id())
    assert waiting.value.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert world.sync(first, 1, {first: b"A"}).value.error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_leader_that_rejoins_a_stable_group_begins_a_rebalance_and_a_follower_does_not() -> None:
    world = World()
    leader, follower = world.stable(2)
    again = world.join(follower).value
    assert (again.generation_id, again.members) == (1, [])
    assert state(world) == "Stable"
    assert not world.join(leader)
    assert state(world) == "PreparingRebalance"


def test_follower_with_other_metadata_begins_a_rebalance() -> None:
    world = World()
    _, follower = world.stable(2)
    assert not world.join(follower, protocols={"range": subscription("clicks")})
    assert state(world) == "PreparingRebalance"


def test_join_repeated_before_sync_gets_the_same_generation() -> None:
    world = World()
    first = world.new_id()
    world.join(first)
    world.advance(0)
    again = world.join(first).value
    assert (again.generation_id, [member.member_id for member in again.members]) == (1, [first])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"member_id": "nobody", "group": "unknown"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {"sticky": b""}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {}, "group": "new"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "nobody", "instance": "i"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
@pytest.mark.parametrize("version", [5, 9])
def test_refused_joins(options: dict[str, object], code: ErrorCode, version: int) -> None:
    world = World()
    world.stable()
    options = dict(options)
    member_id = str(options.pop("member_id", ""))
    assert world.join(member_id, version=version, **options).value.error_code == code  # type: ignore[arg-type]
    assert world.coordinator.table("new").find("new") is None


def test_group_takes_no_more_than_its_maximal_size() -> None:
    world = World(max_size=2)
    members = world.stable(2)
    assert world.join().value.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert world.join(members[1]).value.error_code == ErrorCode.NONE, "who is in may stay"


def test_protocol_is_the_one_most_members_prefer_among_those_all_support() -> None:
    world = World()
    wishes = [
        {"a": b"1", "b": b"1", "c": b"1"},
        {"b": b"2", "a": b"2"},
        {"b": b"3", "a": b"3", "d": b"3"},
    ]
    ids = [world.new_id(protocols=wish) for wish in wishes]
    joins = [world.join(member_id, protocols=wish) for member_id, wish in zip(ids, wishes, strict=True)]
    world.advance(0)
    assert joins[0].value.protocol_name == "b"
    assert [member.metadata for member in joins[0].value.members] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group": "unknown"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"generation": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"protocol": "sticky"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol": None}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol": None, "protocol_type": None, "version": 4}, ErrorCode.NONE),
    ],
)
def test_refused_syncs(options: dict[str, object], code: ErrorCode) -> None:
    world = World()
    (member,) = world.stable()
    options = {"member_id": member, "generation": 1, **options}
    assert world.sync(**options).value.error_code == code  # type: ignore[arg-type]


def test_heartbeat_is_refused_from_strangers_and_from_the_past() -> None:
    world = World()
    (member,) = world.stable()
    assert world.heartbeat("nobody", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert world.heartbeat(member, 0) == ErrorCode.ILLEGAL_GENERATION
    assert world.heartbeat(member, 1, group="unknown") == ErrorCode.UNKNOWN_MEMBER_ID
    assert world.heartbeat(member, 1, group="") == ErrorCode.INVALID_GROUP_ID


def test_session_ends_without_heartbeats_and_is_extended_by_them_and_by_commits() -> None:
    world = World()
    (member,) = world.stable(session_ms=6_000)
    for _ in range(3):
        world.advance(4_000)
        assert world.heartbeat(member, 1) == ErrorCode.NONE
    world.advance(4_000)
    assert world.commit_code(5, member_id=member, generation=1) == ErrorCode.NONE
    world.advance(5_999)
    assert state(world) == "Stable"
    world.advance(1)
    assert state(world) == "Empty"
    assert world.heartbeat(member, 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_members_that_never_sync_are_removed_after_the_rebalance_timeout() -> None:
    """KAFKA-9752."""
    world = World()
    first, second = (world.new_id(session_ms=100_000, rebalance_ms=20_000) for _ in range(2))
    for member in (first, second):
        world.join(member, session_ms=100_000, rebalance_ms=20_000)
    world.advance(0)
    waiting = world.sync(second, 1)
    world.advance(20_000)
    assert waiting.value.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert list(world.coordinator.table("g").machines["g"].members) == [second]
    assert world.join(second).value.leader == second


def test_pending_member_that_never_comes_back_does_not_hold_up_a_rebalance_for_ever() -> None:
    world = World()
    (first,) = world.stable()
    world.new_id(session_ms=6_000)
    rejoin = world.join(first)
    assert not rejoin
    world.advance(6_000)
    assert rejoin.value.generation_id == 2


def test_new_member_whose_client_is_gone_expires_although_it_waits_in_a_join() -> None:
    world = World(new_member_join_timeout_ms=30_000)
    world.stable(session_ms=1_800_000, rebalance_ms=600_000)
    new = world.new_id()
    waiting = world.join(new)
    world.advance(30_000)
    assert waiting.value.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_leaving_begins_a_rebalance_and_the_last_one_empties_the_group() -> None:
    world = World()
    first, second = world.stable(2)
    answer = world.leave(MemberIdentity(member_id=first, reason="done")).value
    assert [(member.member_id, member.error_code) for member in answer.members] == [(first, ErrorCode.NONE)]
    assert state(world) == "PreparingRebalance"
    world.join(second)
    assert state(world) == "CompletingRebalance"
    world.leave(MemberIdentity(member_id=second))
    assert state(world) == "Empty"
    metadata = world.coordinator.table("g").state.groups["g"]
    assert metadata is not None
    assert (metadata.generation, metadata.members, metadata.protocol_type) == (3, (), "consumer")


def test_leave_answers_each_member_and_old_versions_with_one_code() -> None:
    world = World()
    (member,) = world.stable()
    pending = world.new_id()
    answer = world.leave(MemberIdentity(member_id="nobody"), MemberIdentity(member_id=pending), MemberIdentity(group_instance_id="i")).value
    assert [each.error_code for each in answer.members] == [
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert world.leave(MemberIdentity(member_id="nobody"), version=2).value.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert world.leave(MemberIdentity(member_id=member), version=0).value.error_code == ErrorCode.NONE
    unknown = world.leave(MemberIdentity(member_id=member), group="unknown").value
    assert (unknown.error_code, unknown.members[0].error_code) == (ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID)


def test_leave_answers_when_the_empty_group_is_committed() -> None:
    log = FakeLog()
    world = World(log=log)
    (member,) = world.stable()
    log.commits_at_once = False
    answer = world.leave(MemberIdentity(member_id=member))
    assert not answer
    world.commit()
    assert answer.value.error_code == ErrorCode.NONE


def test_leader_that_leaves_is_followed_by_another_member() -> None:
    world = World()
    first, second = world.stable(2)
    world.leave(MemberIdentity(member_id=first))
    assert world.join(second).value.leader == second


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_sync_fails_and_the_group_begins_again_when_the_log_refuses(refusal: ErrorCode, code: ErrorCode) -> None:
    log = FakeLog()
    world = World(log=log)
    member = world.new_id()
    join = world.join(member)
    world.advance(0)
    log.refusal = ApiError(refusal)
    assert world.sync(member, join.value.generation_id, {member: b"A"}).value.error_code == code
    assert state(world) == "PreparingRebalance"
    log.refusal = None
    assert world.join(member).value.generation_id == 2


def test_there_is_no_group_when_the_log_refuses_its_first_record() -> None:
    log = FakeLog()
    world = World(log=log)
    log.refusal = ApiError(ErrorCode.NOT_ENOUGH_REPLICAS)
    assert world.join().value.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert state(world) == "Dead"


def test_sync_that_is_not_committed_in_time_fails_and_the_group_begins_again() -> None:
    log = FakeLog()
    world = World(log=log)
    member = world.new_id()
    world.join(member)
    world.advance(0)
    log.commits_at_once = False
    answer = world.sync(member, 1, {member: b"A"})
    world.advance(5_000)
    assert answer.value.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert state(world) == "PreparingRebalance"


def test_connect_workers_keep_their_opaque_protocol() -> None:
    world = World()
    protocols = {"sessioned": b"\x00\x03opaque", "eager": b"\x00\x00"}
    member = world.new_id(protocol_type="connect", protocols=protocols)
    join = world.join(member, protocol_type="connect", protocols=protocols)
    world.advance(0)
    assert (join.value.protocol_type, join.value.protocol_name) == ("connect", "sessioned")
    assert join.value.members[0].metadata == b"\x00\x03opaque"


def test_member_that_waits_in_a_join_or_a_sync_needs_no_heartbeats() -> None:
    world = World()
    first, second = world.stable(2, session_ms=6_000)
    waiting = world.join(first, session_ms=6_000)
    for _ in range(3):
        world.advance(5_000)
        world.heartbeat(second, 1)
    assert not waiting, "it is still in, and waits for the other"
    assert world.join(second, session_ms=6_000).value.generation_id == 2
    assert len(waiting.value.members) == 2


def half_synced(world: World) -> tuple[str, str]:
    """A leader with a long session that has not synced, and a follower that has waited for it for longer than its own session."""
    leader, follower = world.new_id(), world.new_id()
    world.join(leader, session_ms=600_000), world.join(follower, session_ms=6_000)
    world.advance(0)
    world.sync(follower, 1)
    world.advance(7_000)
    return leader, follower


def test_session_begins_again_when_the_assignment_is_handed_out() -> None:
    world = World()
    leader, _ = half_synced(world)
    world.sync(leader, 1, {leader: b"A"})
    world.advance(5_999)
    assert state(world) == "Stable"
    world.advance(1)
    assert state(world) == "PreparingRebalance"


def test_session_begins_again_when_the_assignment_fails() -> None:
    world = World()
    leader, _ = half_synced(world)
    new = world.new_id(session_ms=600_000)
    joins = [world.join(new, session_ms=600_000), world.join(leader, session_ms=600_000)]
    world.advance(5_999)
    assert not joins[0]
    world.advance(1)
    assert joins[0].value.generation_id == joins[1].value.generation_id == 2


def test_new_coordinator_gives_every_member_a_whole_session() -> None:
    """C2 and the failover: the generation goes on, and who does not find the new coordinator expires."""
    world = World()
    first, second = world.stable(2)
    world.advance(9_000)
    world.fail_over()
    world.advance(9_000)
    assert world.heartbeat(first, 1) == ErrorCode.NONE
    assert world.sync(first, 1).value.assignment == first.encode()
    world.advance(1_000)
    assert world.heartbeat(second, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert world.heartbeat(first, 1) == ErrorCode.REBALANCE_IN_PROGRESS


def test_generation_whose_assignment_was_not_committed_is_unknown_to_the_next_coordinator() -> None:
    log = FakeLog()
    world = World(log=log)
    (first,) = world.stable()
    log.commits_at_once = False
    rejoin = world.join(first)
    assert rejoin.value.generation_id == 2
    answer = world.sync(first, 2, {first: b"new"})
    log.lose_uncommitted(0)
    world.fail_over()
    assert answer.value.error_code == ErrorCode.NOT_COORDINATOR
    assert world.heartbeat(first, 2) == ErrorCode.ILLEGAL_GENERATION
    assert world.heartbeat(first, 1) == ErrorCode.NONE


def test_everyone_who_is_parked_is_told_when_the_coordinator_moves() -> None:
    world = World()
    first, _ = world.stable(2)
    joining = world.join(first)
    world.coordinator.resigned(0, *world.time)
    assert joining.value.error_code == ErrorCode.NOT_COORDINATOR
    assert world.join().value.error_code == ErrorCode.NOT_COORDINATOR
    assert world.heartbeat(first, 1) == ErrorCode.NOT_COORDINATOR


def test_there_is_no_coordinator_without_an_offsets_topic() -> None:
    world = World()
    world.topics.counts["__consumer_offsets"] = 0
    assert world.join().value.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_freshly_loaded_group_that_is_too_large_rebalances() -> None:
    world = World()
    world.stable(3)
    world.settings = attrs.evolve(world.settings, max_size=2)
    world.fail_over()
    assert state(world) == "PreparingRebalance"
