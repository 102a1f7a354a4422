"""DescribeGroups, ListGroups, DeleteGroups, OffsetDelete, and what expires by itself."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.protocol.messages.delete_groups import DeleteGroupsRequest
from raftkafka.protocol.messages.describe_groups import DescribeGroupsRequest
from raftkafka.protocol.messages.list_groups import ListGroupsRequest
from raftkafka.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic
from tests.coordinator.fake_log import FakeLog
from tests.group.cluster import World, subscription

DAY_MS = 86_400_000


def describe(world: World, *groups: str, version: int = 6, operations: bool = False) -> list[Any]:
    request = DescribeGroupsRequest(groups=list(groups), include_authorized_operations=operations)
    return list(world.call(world.coordinator.describe_groups, request, version).value.groups)


def listed(world: World, states: list[str] | None = None, types: list[str] | None = None) -> list[tuple[str, str, str, str]]:
    request = ListGroupsRequest(states_filter=states or [], types_filter=types or [])
    groups = world.call(world.coordinator.list_groups, request, 5).value.groups
    return [(group.group_id, group.protocol_type, group.group_state, group.group_type) for group in groups]


def delete(world: World, *groups: str) -> dict[str, int]:
    results = world.call(world.coordinator.delete_groups, DeleteGroupsRequest(groups_names=list(groups)), 3).value.results
    return {result.group_id: result.error_code for result in results}


def delete_offsets(world: World, topic: str, *partitions: int, group: str = "g") -> Any:
    topics = [
        OffsetDeleteRequestTopic(name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=index) for index in partitions])
    ]
    return world.call(world.coordinator.offset_delete, OffsetDeleteRequest(group_id=group, topics=topics), 0).value


def test_describe_shows_a_stable_group_with_its_members() -> None:
    world = World()
    (member,) = world.stable()
    (group,) = describe(world, "g")
    assert (group.error_code, group.group_state, group.protocol_type, group.protocol_data) == (0, "Stable", "consumer", "range")
    (described,) = group.members
    assert (described.member_id, described.client_id, described.client_host) == (member, "app", "/127.0.0.1")
    assert (described.member_metadata, described.member_assignment) == (subscription("orders"), member.encode())


def test_describe_shows_no_metadata_while_a_group_is_not_stable() -> None:
    world = World()
    world.stable()
    world.join(world.new_id())
    (group,) = describe(world, "g")
    assert (group.group_state, group.protocol_data) == ("PreparingRebalance", "")
    assert {member.member_metadata for member in group.members} == {b""}


@pytest.mark.parametrize(("version", "code", "message"), [(5, 0, None), (6, 69, "Group no not found.")])
def test_describe_of_a_group_that_there_is_not(version: int, code: int, message: str | None) -> None:
    """KIP-1043."""
    (group,) = describe(World(), "no", version=version)
    assert (group.error_code, group.error_message, group.group_state) == (code, message, "Dead")


def test_describe_names_the_operations_only_when_asked() -> None:
    world = World()
    assert describe(world, "no")[0].authorized_operations == -(2**31)
    assert describe(world, "no", operations=True)[0].authorized_operations == 3400


def test_list_filters_by_state_and_type_however_they_are_written() -> None:
    world = World()
    world.commit_code(1, group="simple")
    world.stable(group="busy")
    assert listed(world) == [("simple", "", "Empty", "classic"), ("busy", "consumer", "Stable", "classic")]
    assert listed(world, ["STABLE", "Dead"]) == [("busy", "consumer", "Stable", "classic")]
    assert listed(world, ["preparingrebalance"]) == []
    assert len(listed(world, types=["Classic"])) == 2
    assert listed(world, types=["consumer"]) == []
    world.fail_over()
    assert listed(world) == [("simple", "", "Empty", "classic"), ("busy", "consumer", "Stable", "classic")]


def test_delete_takes_empty_groups_with_their_offsets() -> None:
    world = World()
    world.stable(group="busy")
    world.commit_code(1, group="simple")
    codes = delete(world, "busy", "simple", "no", "simple")
    assert codes == {"busy": ErrorCode.NON_EMPTY_GROUP, "simple": ErrorCode.NONE, "no": ErrorCode.GROUP_ID_NOT_FOUND}
    assert world.offset(group="simple") == -1
    assert [group for group, *_ in listed(world)] == ["busy"]
    world.fail_over()
    assert world.offset(group="simple") == -1
    assert [group for group, *_ in listed(world)] == ["busy"]


def test_delete_is_refused_by_the_log_or_by_other_coordinators_for_each_group() -> None:
    log = FakeLog()
    world = World(log=log, partitions=2)
    groups = [f"g{number}" for number in range(4)]
    for group in groups:
        world.commit_code(1, group=group)
    world.coordinator.resigned(0, *world.time)
    log.refusal = ApiError(ErrorCode.NOT_ENOUGH_REPLICAS)
    assert set(delete(world, *groups).values()) == {ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE}


def test_deleted_group_with_a_pending_member_is_dead_to_it() -> None:
    world = World()
    member = world.new_id()
    assert delete(world, "g") == {"g": ErrorCode.NONE}
    assert world.join(member).value.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_offset_delete_spares_what_the_group_consumes() -> None:
    """KIP-496."""
    world = World()
    (member,) = world.stable()
    world.commit_code(1, member_id=member, generation=1)
    world.commit_code(2, member_id=member, generation=1, topic="clicks")
    orders, clicks = delete_offsets(world, "orders", 0), delete_offsets(world, "clicks", 0, 1)
    assert [each.error_code for each in orders.topics[0].partitions] == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC]
    assert [each.error_code for each in clicks.topics[0].partitions] == [ErrorCode.NONE, ErrorCode.NONE]
    assert (world.offset("orders"), world.offset("clicks")) == (1, -1)


def test_offset_delete_after_a_failover_knows_the_subscriptions() -> None:
    world = World()
    world.stable()
    world.fail_over()
    partitions = delete_offsets(world, "orders", 0).topics[0].partitions
    assert [each.error_code for each in partitions] == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC]


def test_offset_delete_refused_for_a_whole_group() -> None:
    world = World()
    world.stable(group="connect", protocol_type="connect", protocols={"range": b"opaque"})
    assert delete_offsets(world, "orders", 0, group="no").error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert delete_offsets(world, "orders", 0, group="").error_code == ErrorCode.INVALID_GROUP_ID
    assert delete_offsets(world, "orders", 0, group="connect").error_code == ErrorCode.NON_EMPTY_GROUP
    world.commit_code(1, group="simple")
    partitions = delete_offsets(world, "unknown", 0, group="simple").topics[0].partitions
    assert partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_offsets_go_with_their_topic() -> None:
    world = World()
    world.commit_code(1)
    world.commit_code(2, topic="clicks")
    world.coordinator.topics_deleted(["orders"], *world.time)
    assert (world.offset("orders"), world.offset("clicks")) == (-1, 2)


def test_offsets_of_a_simple_group_expire_after_their_commit() -> None:
    """KIP-211."""
    world = World(offsets_retention_ms=7 * DAY_MS)
    world.commit_code(1)
    world.advance(4 * DAY_MS)
    world.commit_code(2, topic="clicks")
    world.advance(3 * DAY_MS - 600_000)
    assert world.offset("orders") == 1
    world.advance(1_200_000)
    assert (world.offset("orders"), world.offset("clicks")) == (-1, 2)
    world.advance(4 * DAY_MS)
    assert listed(world) == [], "a group without offsets and members goes too"


def test_offsets_of_a_group_expire_after_it_became_empty() -> None:
    world = World(offsets_retention_ms=7 * DAY_MS)
    (member,) = world.stable(session_ms=1_800_000)
    world.commit_code(1, member_id=member, generation=1)
    for _ in range(8 * 48):
        world.advance(1_800_000 - 1)
        assert world.heartbeat(member, 1) == ErrorCode.NONE
    assert world.offset() == 1, "nothing expires that the group still consumes"
    world.advance(7 * DAY_MS)
    assert world.offset() == 1
    world.advance(DAY_MS)
    assert world.offset() == -1


def test_retention_of_the_client_beats_the_brokers() -> None:
    """OffsetCommit versions 2 to 4 carried it."""
    world = World()
    world.commit_code(1, version=2, retention_ms=3_600_000)
    world.fail_over()
    world.advance(3_000_000)
    assert world.offset() == 1
    world.advance(1_200_000)
    assert world.offset() == -1


def test_unused_new_group_goes_but_not_while_a_member_is_on_its_way() -> None:
    world = World()
    world.new_id(session_ms=700_000)
    world.advance(600_000)
    assert [group for group, *_ in listed(world)] == ["g"]
    world.advance(600_000)
    assert listed(world) == []
