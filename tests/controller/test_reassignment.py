"""AlterPartitionReassignments and ListPartitionReassignments (KIP-455, KIP-860; K-reassign race of reference/replication-rules.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.metadata.topics import RECOVERING, PartitionRegistration
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopic,
)
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from raftkafka.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from tests.controller.world import World


def new_world(*replicas: int, min_insync_replicas: int = 2, **settings: bool) -> World:
    """Five live brokers, and topic t with one partition on these replicas."""
    world = World(min_insync_replicas=min_insync_replicas, **settings).join(1, 2, 3, 4, 5)
    world.create("t", assignments=[list(replicas)])
    return world


def request(replicas: list[int] | None, *, topic: str = "t", partition: int = 0, may_change_count: bool = True) -> object:
    wanted = ReassignablePartition(partition_index=partition, replicas=replicas)
    return AlterPartitionReassignmentsRequest(
        allow_replication_factor_change=may_change_count, topics=[ReassignableTopic(name=topic, partitions=[wanted])]
    )


def reassign(
    world: World, replicas: list[int] | None, *, topic: str = "t", partition: int = 0, may_change_count: bool = True
) -> ReassignablePartitionResponse:
    reply = world.ask(request(replicas, topic=topic, partition=partition, may_change_count=may_change_count))
    assert reply.error_code == ErrorCode.NONE
    answer: ReassignablePartitionResponse = reply.responses[0].partitions[0]
    return answer


def fence(world: World, node_id: int) -> None:
    world.heartbeat(node_id, want_fence=True)


def unfence(world: World, node_id: int) -> None:
    world.heartbeat(node_id)


def sets(partition: PartitionRegistration) -> tuple[object, ...]:
    return partition.replicas, partition.isr, partition.adding_replicas, partition.removing_replicas


def test_new_replicas_are_added_first_and_old_ones_stay_until_all_of_the_target_are_in_the_isr() -> None:
    world = new_world(1, 2)
    assert reassign(world, [3, 4]).error_code == ErrorCode.NONE
    assert sets(world.partition("t")) == ((3, 4, 1, 2), (1, 2), (3, 4), (1, 2))
    assert (world.partition("t").leader, world.partition("t").leader_epoch) == (1, 0)
    world.propose_isr("t", [1, 2, 3])
    assert sets(world.partition("t")) == ((3, 4, 1, 2), (1, 2, 3), (3, 4), (1, 2))
    result = world.propose_isr("t", [1, 2, 3, 4])
    assert (result.error, result.leader) == (ErrorCode.NEW_LEADER_ELECTED, 3)
    assert sets(world.partition("t")) == ((3, 4), (3, 4), (), ())
    assert (world.partition("t").leader, world.partition("t").leader_epoch) == (3, 1)


def test_a_removal_waits_for_a_replica_that_stays_and_has_fallen_behind() -> None:
    """Else the one that is left would alone hold what two have promised."""
    world = new_world(1, 2, 3)
    world.propose_isr("t", [1, 3])
    reassign(world, [1, 2])
    assert sets(world.partition("t")) == ((1, 2, 3), (1, 3), (), (3,))
    world.propose_isr("t", [1, 3, 2])
    assert sets(world.partition("t")) == ((1, 2), (1, 2), (), ())


def test_another_order_and_fewer_replicas_are_one_change() -> None:
    world = new_world(1, 2, 3)
    reassign(world, [2, 1, 3])
    assert (sets(world.partition("t")), world.partition("t").leader, world.partition("t").leader_epoch) == (
        ((2, 1, 3), (1, 2, 3), (), ()),
        1,
        0,
    )
    reassign(world, [3, 2])
    assert sets(world.partition("t")) == ((3, 2), (2, 3), (), ())
    assert (world.partition("t").leader, world.partition("t").leader_epoch) == (3, 1)


def test_the_present_replicas_are_no_change() -> None:
    world = new_world(1, 2)
    before = world.partition("t")
    assert reassign(world, [1, 2]).error_code == ErrorCode.NONE
    assert world.partition("t") == before


def test_the_replication_factor_grows_and_the_leader_stays() -> None:
    world = new_world(1, min_insync_replicas=1)
    reassign(world, [1, 2, 3])
    assert sets(world.partition("t")) == ((1, 2, 3), (1,), (2, 3), ())
    result = world.propose_isr("t", [1, 2, 3])
    assert (result.error, result.leader_epoch) == (ErrorCode.NONE, 0)
    assert sets(world.partition("t")) == ((1, 2, 3), (1, 2, 3), (), ())


def test_a_new_target_replaces_the_one_under_way() -> None:
    world = new_world(1, 2)
    reassign(world, [3, 4])
    reassign(world, [4, 5])
    assert sets(world.partition("t")) == ((4, 5, 1, 2, 3), (1, 2), (4, 5), (1, 2, 3))
    world.propose_isr("t", [1, 2, 4, 5])
    assert sets(world.partition("t")) == ((4, 5), (4, 5), (), ())


def test_the_original_replicas_as_target_end_a_reassignment() -> None:
    world = new_world(1, 2)
    reassign(world, [3, 4])
    reassign(world, [1, 2])
    assert sets(world.partition("t")) == ((1, 2), (1, 2), (), ())


def test_a_cancel_brings_the_original_replicas_back() -> None:
    world = new_world(1, 2)
    reassign(world, [3, 2])
    epoch = world.partition("t").leader_epoch
    assert reassign(world, None).error_code == ErrorCode.NONE
    assert sets(world.partition("t")) == ((2, 1), (1, 2), (), ())
    assert world.partition("t").leader_epoch == epoch + 1, "a replica was removed"


def test_a_cancel_without_a_reassignment_is_refused() -> None:
    answer = reassign(new_world(1, 2), None)
    assert (answer.error_code, answer.error_message) == (ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, None)


def test_a_cancel_keeps_added_replicas_until_the_original_ones_are_enough() -> None:
    """D6: with a minimum of two, two replicas must hold what is committed: of the original ones only broker 1 does."""
    world = new_world(1, 2)
    reassign(world, [3, 4])
    world.propose_isr("t", [1, 3])
    assert reassign(world, None).error_code == ErrorCode.NONE
    assert sets(world.partition("t")) == ((1, 2, 3, 4), (1, 3), (), (3, 4))
    world.propose_isr("t", [1, 3, 2])
    assert sets(world.partition("t")) == ((1, 2), (1, 2), (), ())


def test_a_cancel_that_leaves_nobody_in_sync_is_an_unclean_election() -> None:
    world = new_world(1, min_insync_replicas=1)
    reassign(world, [2, 3])
    world.propose_isr("t", [1, 2])
    fence(world, 1)
    assert sets(world.partition("t")) == ((2, 3, 1), (2,), (2, 3), (1,))
    answer = reassign(world, None)
    assert (answer.error_code, answer.error_message) == (
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "Unable to revert partition assignment for t:0 because it would require an unclean leader election.",
    )


def test_a_cancel_may_elect_uncleanly_where_the_topic_allows_it() -> None:
    world = new_world(1, 4, min_insync_replicas=1, unclean_leader_election_enable=True)
    world.propose_isr("t", [1])
    reassign(world, [2, 3])
    world.propose_isr("t", [1, 2])
    fence(world, 1)
    reassign(world, None)
    after = world.partition("t")
    assert (after.replicas, after.isr, after.leader, after.leader_recovery_state) == ((1, 4), (4,), 4, RECOVERING)


def test_a_reassignment_goes_on_when_its_brokers_return() -> None:
    world = new_world(1, 2)
    reassign(world, [3, 4])
    fence(world, 4)
    fence(world, 1)
    assert (sets(world.partition("t"))[2:], world.partition("t").leader) == (((3, 4), (1, 2)), 2)
    world.propose_isr("t", [2, 3])
    unfence(world, 4)
    world.propose_isr("t", [2, 3, 4])
    assert sets(world.partition("t")) == ((3, 4), (3, 4), (), ())


@pytest.mark.parametrize(
    ("replicas", "message"),
    [
        ([], "The manual partition assignment includes an empty replica list."),
        ([1, 9], "The manual partition assignment includes broker 9, but no such broker is registered."),
        ([3, 3], "The manual partition assignment includes the broker 3 more than once."),
    ],
)
def test_a_wrong_target_is_refused(replicas: list[int], message: str) -> None:
    answer = reassign(new_world(1, 2), replicas)
    assert (answer.error_code, answer.error_message) == (ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)


def test_partitions_that_are_added_during_a_reassignment_have_as_many_replicas_as_it_ends_with() -> None:
    world = new_world(1, 2, 3)
    assert reassign(world, [3, 4, 5]).error_code == 0
    added = CreatePartitionsTopic(name="t", count=2, assignments=None)
    response = world.ask(CreatePartitionsRequest(topics=[added], timeout_ms=1_000))
    assert [each.error_code for each in response.results] == [0]
    assert (len(world.partition("t", 0).replicas), len(world.partition("t", 1).replicas)) == (5, 3)


def test_unknown_topics_and_partitions_are_refused() -> None:
    world = new_world(1, 2)
    answer = reassign(world, [1], topic="u")
    assert (answer.error_code, answer.error_message) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named u.")
    answer = reassign(world, [1], partition=7)
    assert (answer.error_code, answer.error_message) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition t:7.")


def test_another_replication_factor_is_refused_where_it_must_stay() -> None:
    """KIP-860: while a reassignment is under way its target counts."""
    world = new_world(1, 2)
    answer = reassign(world, [1, 2, 3], may_change_count=False)
    assert (answer.error_code, answer.error_message) == (
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "The replication factor is changed from 2 to 3",
    )
    reassign(world, [3, 4, 5])
    assert reassign(world, [2, 3, 4], may_change_count=False).error_code == ErrorCode.NONE


def test_a_fenced_broker_may_be_a_target() -> None:
    world = new_world(1, 2)
    fence(world, 3)
    assert reassign(world, [1, 3]).error_code == ErrorCode.NONE
    assert sets(world.partition("t")) == ((1, 3, 2), (1, 2), (3,), (2,))


def listed(
    world: World, topics: list[ListPartitionReassignmentsTopics] | None
) -> dict[tuple[str, int], tuple[list[int], list[int], list[int]]]:
    reply = world.ask(ListPartitionReassignmentsRequest(topics=topics))
    return {
        (topic.name, each.partition_index): (each.replicas, each.adding_replicas, each.removing_replicas)
        for topic in reply.topics
        for each in topic.partitions
    }


def test_what_is_under_way_is_listed() -> None:
    world = new_world(1, 2)
    world.create("u", assignments=[[1, 2], [2, 3]])
    assert listed(world, None) == {}
    reassign(world, [3, 2])
    reassign(world, [4, 3], topic="u", partition=1)
    expected = {("t", 0): ([3, 2, 1], [3], [1]), ("u", 1): ([4, 3, 2], [4], [2])}
    assert listed(world, None) == expected
    asked = [ListPartitionReassignmentsTopics(name=name, partition_indexes=[0, 5]) for name in ("t", "u", "missing")]
    assert listed(world, asked) == {("t", 0): expected["t", 0]}


def test_the_answer_waits_until_all_live_brokers_know() -> None:
    world = new_world(1, 2)
    replies = world.start(request([3, 4]))
    world.commit()
    assert replies == []
    world.apply_everywhere(but=[5])
    assert replies == []
    world.apply_everywhere()
    assert len(replies) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("target"), st.lists(st.integers(1, 5), min_size=1, max_size=4, unique=True)),
        st.tuples(st.just("cancel"), st.none()),
        st.tuples(st.just("fence"), st.integers(1, 5)),
        st.tuples(st.just("return"), st.integers(1, 5)),
        st.tuples(st.just("join"), st.integers(1, 5)),
    ),
    max_size=25,
)


@given(steps=STEPS, min_isr=st.integers(1, 2))
def test_copies_are_never_given_away_and_every_reassignment_can_finish(steps: list[tuple[str, object]], min_isr: int) -> None:
    """R1, R2 and the liveness "reassignments finish" over random targets, cancels, failures and returns."""
    world = new_world(1, 2, 3, min_insync_replicas=min_isr)
    for step, value in steps:
        before = world.partition("t")
        match step, value:
            case "target", list():
                reassign(world, value)
            case "cancel", _:
                reassign(world, None)
            case "fence", int():
                fence(world, value)
            case "return", int():
                unfence(world, value)
            case "join", int():
                join(world, value)
        check_change(before, world.partition("t"), min_isr)
    for node_id in range(1, 6):
        unfence(world, node_id)
    for node_id in range(1, 6):
        join(world, node_id)
    after = world.partition("t")
    assert (after.adding_replicas, after.removing_replicas) == ((), ())
    assert set(after.isr) == set(after.replicas)


def join(world: World, node_id: int) -> None:
    """The leader proposes the broker, if it may be in the ISR."""
    partition = world.partition("t")
    if (
        partition.leader != NO_NODE
        and node_id in partition.replicas
        and node_id not in partition.isr
        and world.image.brokers[NodeId(node_id)].is_active
    ):
        world.propose_isr("t", [*partition.isr, node_id])


def check_change(before: PartitionRegistration, after: PartitionRegistration, min_isr: int) -> None:
    assert len(set(after.replicas)) == len(after.replicas) > 0
    assert {*after.isr, *after.elr, *after.adding_replicas, *after.removing_replicas} <= set(after.replicas)
    assert not set(after.adding_replicas) & set(after.removing_replicas)
    assert set(after.replicas) - set(after.removing_replicas)
    complete, kept = {*before.isr, *before.elr}, {*after.isr, *after.elr}
    removed = complete - set(after.replicas)
    if removed:
        assert len(kept) >= min(min_isr, len(after.replicas), len(complete))
        assert after.leader_epoch > before.leader_epoch
