"""OffsetCommit and OffsetFetch: who may commit (rule C2), and what is read back in each version."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from tests.coordinator.fake_log import FakeLog
from tests.group.cluster import World


def test_member_commits_and_anyone_fetches() -> None:
    world = World()
    (member,) = world.stable()
    assert world.commit_code(42, member_id=member, generation=1, metadata="m") == ErrorCode.NONE
    group = world.fetch_offsets({"orders": [0, 1], "clicks": [0]}).value.groups[0]
    assert [
        (topic.name, partition.partition_index, partition.committed_offset, partition.metadata, partition.committed_leader_epoch)
        for topic in group.topics
        for partition in topic.partitions
    ] == [("orders", 0, 42, "m", -1), ("orders", 1, -1, "", -1), ("clicks", 0, -1, "", -1)]


def test_commit_without_a_generation_makes_a_simple_group() -> None:
    world = World()
    assert world.commit_code(7, group="simple") == ErrorCode.NONE
    assert world.offset(group="simple") == 7
    machine = world.coordinator.table("simple").find("simple")
    assert machine is not None
    assert (machine.state.value, machine.protocol_type) == ("Empty", None)


def test_administrator_commits_only_while_nobody_is_in_the_group() -> None:
    world = World()
    (member,) = world.stable()
    assert world.commit_code(7) == ErrorCode.UNKNOWN_MEMBER_ID
    world.advance(10_000)
    assert world.commit_code(7) == ErrorCode.NONE
    assert world.commit_code(7, member_id=member, generation=1) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"generation": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"instance": "i"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group": "unknown"}, ErrorCode.GROUP_ID_NOT_FOUND),
        ({"group": "unknown", "version": 8}, ErrorCode.ILLEGAL_GENERATION),
        ({"metadata": "x" * 4_097}, ErrorCode.OFFSET_METADATA_TOO_LARGE),
        ({"metadata": "x" * 4_096}, ErrorCode.NONE),
        ({"metadata": None}, ErrorCode.NONE),
        ({"topic": "unknown"}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ({"topic": "unknown", "version": 10}, ErrorCode.UNKNOWN_TOPIC_ID),
        ({"partition": 4}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ({"partition": -1}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ({"version": 10}, ErrorCode.NONE),
    ],
)
def test_refused_commits(options: dict[str, Any], code: ErrorCode) -> None:
    world = World()
    (member,) = world.stable()
    assert world.commit_code(1, **{"member_id": member, "generation": 1, **options}) == code


def test_commit_in_the_middle_of_a_rebalance() -> None:
    """Before the new generation a member may still commit what it has done; after it, it must first get its assignment."""
    world = World()
    (first,) = world.stable()
    second = world.new_id()
    world.join(second)
    assert world.commit_code(3, member_id=first, generation=1) == ErrorCode.NONE
    world.join(first)
    assert world.commit_code(4, member_id=first, generation=2) == ErrorCode.REBALANCE_IN_PROGRESS


def test_commit_is_answered_and_seen_when_it_is_committed() -> None:
    log = FakeLog()
    world = World(log=log)
    world.commit_code(1)
    log.commits_at_once = False
    second, third = world.commit_offset(2), world.commit_offset(3)
    stable = world.fetch_offsets({"orders": [0]}, require_stable=True)
    assert (bool(second), bool(third), bool(stable)) == (False, False, False)
    assert world.offset() == 1, "what a failover could take back is not shown"
    world.commit()
    assert second.value.topics[0].partitions[0].error_code == ErrorCode.NONE
    assert third
    assert stable.value.groups[0].topics[0].partitions[0].committed_offset == 3
    assert world.offset() == 3


def test_uncommitted_offset_is_lost_with_its_leader_and_its_client_told() -> None:
    log = FakeLog()
    world = World(log=log)
    world.commit_code(1)
    log.commits_at_once = False
    waiting = world.commit_offset(2)
    fetching = world.fetch_offsets({"orders": [0]}, require_stable=True)
    log.lose_uncommitted(0)
    world.fail_over()
    assert waiting.value.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
    assert fetching.value.groups[0].error_code == ErrorCode.NOT_COORDINATOR
    assert world.offset() == 1


def test_commit_that_takes_too_long_is_given_up() -> None:
    log = FakeLog(commits_at_once=False)
    world = World(log=log)
    waiting = world.commit_offset(2)
    stable = world.fetch_offsets({"orders": [0]}, require_stable=True)
    world.advance(5_000)
    assert waiting.value.topics[0].partitions[0].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert stable.value.groups[0].error_code == ErrorCode.NOT_COORDINATOR, "consumers before 3.9 know no other"
    world.commit()
    assert world.offset() == 2, "it may still have happened"


def test_commit_that_the_log_refuses() -> None:
    log = FakeLog()
    world = World(log=log)
    log.refusal = ApiError(ErrorCode.NOT_ENOUGH_REPLICAS)
    assert world.commit_code(1) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert world.offset() == -1


@pytest.mark.parametrize("version", range(1, 8))
def test_fetch_of_one_group_in_old_versions(version: int) -> None:
    world = World()
    world.commit_code(5)
    asked = [OffsetFetchRequestTopic(name="orders", partition_indexes=[0, 1])]
    answer = world.call(world.coordinator.offset_fetch, OffsetFetchRequest(group_id="g", topics=asked), version).value
    assert [partition.committed_offset for partition in answer.topics[0].partitions] == [5, -1]


def test_fetch_of_all_topics() -> None:
    world = World()
    world.commit_code(5, topic="orders", partition=3)
    world.commit_code(6, topic="orders", partition=1)
    world.commit_code(7, topic="clicks")
    for version in (8, 9, 10):
        group = world.fetch_offsets(None, version=version).value.groups[0]
        assert [[each.committed_offset for each in topic.partitions] for topic in group.topics] == [[7], [6, 5]]
    old = world.call(world.coordinator.offset_fetch, OffsetFetchRequest(group_id="g", topics=None), 7).value
    assert [topic.name for topic in old.topics] == ["clicks", "orders"]
    assert world.fetch_offsets(None, group="unknown").value.groups[0].topics == []


def test_fetch_by_topic_id() -> None:
    world = World()
    world.commit_code(5, version=10)
    group = world.fetch_offsets({"orders": [0], "unknown": [1]}, version=10).value.groups[0]
    assert group.topics[0].topic_id == world.topics.id_of("orders")
    assert [(topic.partitions[0].committed_offset, topic.partitions[0].error_code) for topic in group.topics] == [
        (5, ErrorCode.NONE),
        (-1, ErrorCode.UNKNOWN_TOPIC_ID),
    ]


def test_offset_of_a_deleted_topic_is_not_the_offset_of_its_namesake() -> None:
    world = World()
    world.commit_code(5)
    world.topics.ids["orders"] = type(world.topics.ids["orders"])(bytes([99] * 16))
    assert world.offset() == -1
    assert world.fetch_offsets(None).value.groups[0].topics == []
    world.commit_code(1)
    assert world.offset() == 1


@pytest.mark.parametrize("version", [1, 2, 7])
def test_old_fetch_from_another_broker_than_the_coordinator(version: int) -> None:
    """Before version 2 there is no code for the whole answer: each partition has it."""
    world = World()
    world.coordinator.resigned(0, *world.time)
    asked = [OffsetFetchRequestTopic(name="orders", partition_indexes=[0])]
    answer = world.call(world.coordinator.offset_fetch, OffsetFetchRequest(group_id="g", topics=asked), version).value
    if version >= 2:
        assert answer.error_code == ErrorCode.NOT_COORDINATOR
    else:
        assert answer.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR


def test_fetch_of_several_groups_of_several_coordinators() -> None:
    """Each group has its own answer, in the order of the request."""
    world = World(partitions=3)
    names = [f"g{number}" for number in range(6)]
    for number, name in enumerate(names):
        world.commit_code(number, group=name)
    world.coordinator.resigned(1, *world.time)
    asked = [OffsetFetchRequestTopics(name="orders", partition_indexes=[0])]
    request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=name, topics=asked) for name in names])
    groups = world.call(world.coordinator.offset_fetch, request, 8).value.groups
    assert [group.group_id for group in groups] == names
    assert {group.error_code for group in groups} == {ErrorCode.NONE, ErrorCode.NOT_COORDINATOR}
    for number, group in enumerate(groups):
        if group.error_code == ErrorCode.NONE:
            assert group.topics[0].partitions[0].committed_offset == number
    empty = world.call(world.coordinator.offset_fetch, OffsetFetchRequest(), 8).value
    assert empty.groups == []
