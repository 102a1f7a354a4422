"""Static members: KIP-345, KIP-814, and rule C5."""

from __future__ import annotations

from typing import Any

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.protocol.messages.leave_group import MemberIdentity
from tests.coordinator.fake_log import FakeLog
from tests.group.cluster import World, subscription


def stable_static(world: World, *instances: str, **times: Any) -> dict[str, str]:
    """A Stable group of static members: their ids by instance, the first one the leader."""
    joins = [world.join(instance=instance, **times) for instance in instances]
    world.advance(0)
    members = {instance: join.value.member_id for instance, join in zip(instances, joins, strict=True)}
    for instance, member_id in members.items():
        world.sync(member_id, 1, {each: each.encode() for each in members.values()}, instance=instance)
    return members


def test_static_member_enters_without_asking_for_an_id_first() -> None:
    world = World()
    join = world.join(instance="one")
    world.advance(0)
    assert join.value.error_code == ErrorCode.NONE
    assert join.value.member_id.startswith("one-")


def test_next_incarnation_takes_over_assignment_without_a_rebalance() -> None:
    world = World()
    members = stable_static(world, "one", "two")
    answer = world.join(instance="two").value
    assert answer.error_code == ErrorCode.NONE
    assert answer.generation_id == 1
    assert answer.member_id != members["two"]
    assert answer.leader == members["one"]
    assert world.sync(answer.member_id, 1, instance="two").value.assignment == members["two"].encode()
    assert world.heartbeat(members["one"], 1) == ErrorCode.NONE


def test_new_incarnation_of_the_leader_skips_the_assignment_from_version_9_on() -> None:
    """KIP-814: it gets the members so that it can watch their topics, but must not assign anew."""
    world = World()
    members = stable_static(world, "one", "two")
    answer = world.join(instance="one").value
    assert answer.skip_assignment
    assert answer.leader == answer.member_id
    assert [member.member_id for member in answer.members] == [answer.member_id, members["two"]]


def test_new_incarnation_of_the_leader_in_an_old_version_sees_its_old_id_as_the_leader() -> None:
    world = World()
    members = stable_static(world, "one", "two")
    answer = world.join(instance="one", version=8).value
    assert answer.leader == members["one"]
    assert answer.members == []


def test_old_incarnation_is_fenced_everywhere() -> None:
    world = World()
    members = stable_static(world, "one")
    world.join(instance="one")
    old = members["one"]
    assert world.heartbeat(old, 1, instance="one") == ErrorCode.FENCED_INSTANCE_ID
    assert world.heartbeat(old, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert world.sync(old, 1, instance="one").value.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert world.join(old, instance="one").value.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert world.commit_code(1, member_id=old, generation=1, instance="one") == ErrorCode.FENCED_INSTANCE_ID
    left = world.leave(MemberIdentity(member_id=old, group_instance_id="one")).value
    assert left.members[0].error_code == ErrorCode.FENCED_INSTANCE_ID


def test_old_incarnation_that_waits_in_a_join_is_fenced_at_once() -> None:
    world = World(initial_rebalance_delay_ms=3_000)
    first = world.join(instance="one")
    second = world.join(instance="one")
    assert first.value.error_code == ErrorCode.FENCED_INSTANCE_ID
    world.advance(3_000)
    assert second.value.generation_id == 1


def test_new_incarnation_in_the_middle_of_a_sync_begins_a_rebalance() -> None:
    world = World()
    joins = [world.join(instance=instance) for instance in ("one", "two")]
    world.advance(0)
    waiting = world.sync(joins[1].value.member_id, 1, instance="two")
    new = world.join(instance="two")
    assert waiting.value.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert not new
    assert world.join(joins[0].value.member_id, instance="one").value.generation_id == 2
    assert new.value.generation_id == 2


def test_new_incarnation_with_another_protocol_begins_a_rebalance() -> None:
    world = World()
    stable_static(world, "one")
    answer = world.join(instance="one", protocols={"sticky": subscription("orders"), "range": subscription("orders")})
    assert answer.value.generation_id == 2
    assert answer.value.protocol_name == "sticky"


def test_replacement_is_answered_when_committed_and_undone_when_refused() -> None:
    log = FakeLog()
    world = World(log=log)
    members = stable_static(world, "one")
    log.refusal = ApiError(ErrorCode.NOT_ENOUGH_REPLICAS)
    assert world.join(instance="one").value.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert world.heartbeat(members["one"], 1, instance="one") == ErrorCode.NONE
    log.refusal = None
    log.commits_at_once = False
    waiting = world.join(instance="one")
    assert not waiting
    world.commit()
    assert waiting.value.generation_id == 1


def test_static_member_keeps_its_place_in_a_rebalance_that_it_misses() -> None:
    world = World()
    times: dict[str, Any] = {"session_ms": 100_000, "rebalance_ms": 5_000}
    members = stable_static(world, "one", "two", **times)
    rejoin = world.join(members["one"], instance="one", **times)
    world.advance(5_000)
    assert [member.group_instance_id for member in rejoin.value.members] == ["one", "two"]
    late = world.join(members["two"], instance="two", **times)
    assert late.value.generation_id == 2


def test_administrator_removes_a_static_member_by_its_instance_id() -> None:
    world = World()
    stable_static(world, "one", "two")
    answer = world.leave(MemberIdentity(group_instance_id="two")).value
    assert answer.members[0].error_code == ErrorCode.NONE
    assert list(world.coordinator.table("g").machines["g"].static_members) == ["one"]


def test_static_members_survive_a_failover() -> None:
    world = World()
    members = stable_static(world, "one", "two")
    world.fail_over()
    assert world.heartbeat(members["two"], 1, instance="two") == ErrorCode.NONE
    answer = world.join(instance="two").value
    assert (answer.generation_id, answer.leader) == (1, members["one"])


def test_replacement_that_is_replaced_before_it_is_committed_is_answered_once() -> None:
    """Found by the replay property: the fenced one was answered again when its commit timed out."""
    log = FakeLog()
    world = World(log=log)
    stable_static(world, "one")
    log.commits_at_once = False
    second, third = world.join(instance="one"), world.join(instance="one")
    assert second.value.error_code == ErrorCode.FENCED_INSTANCE_ID
    world.advance(5_000)
    assert third.value.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_replacement_joins_the_rebalance_that_begins_before_it_is_committed() -> None:
    log = FakeLog()
    world = World(log=log)
    stable_static(world, "one")
    log.commits_at_once = False
    new = world.join(instance="one")
    other = world.join(instance="two", protocols={"sticky": b"", "range": subscription("orders")})
    assert new.value.generation_id == other.value.generation_id == 2
    world.commit()


def test_replacement_waits_in_the_rebalance_that_began_before_it_is_committed() -> None:
    log = FakeLog()
    world = World(log=log)
    members = stable_static(world, "one", "two")
    log.commits_at_once = False
    new = world.join(instance="one")
    world.join(instance="three")
    world.commit()
    assert not new
    assert world.join(members["two"], instance="two").value.generation_id == 2
    assert new.value.generation_id == 2


def test_static_leader_that_misses_a_rebalance_is_led_by_who_has_joined() -> None:
    world = World()
    times: dict[str, Any] = {"session_ms": 100_000, "rebalance_ms": 5_000}
    members = stable_static(world, "one", "two", **times)
    changed = {"range": subscription("clicks")}
    rejoin = world.join(members["two"], instance="two", protocols=changed, **times)
    world.advance(5_000)
    assert rejoin.value.leader == members["two"]
    assert len(rejoin.value.members) == 2


def test_rebalance_that_no_static_member_joins_waits_for_one() -> None:
    world = World()
    times: dict[str, Any] = {"session_ms": 100_000, "rebalance_ms": 5_000}
    members = stable_static(world, "one", "two", "three", **times)
    world.leave(MemberIdentity(group_instance_id="three"))
    world.advance(12_000)
    assert world.heartbeat(members["one"], 1, instance="one") == ErrorCode.REBALANCE_IN_PROGRESS
    rejoin = world.join(members["two"], instance="two", **times)
    world.advance(5_000)
    assert rejoin.value.generation_id == 2
    assert rejoin.value.leader == members["two"]
