"""Log directories, as the controller knows them (KIP-858, KIP-1066): assignments, failures, replicas made anew, cordoned ones."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import LOST_DIRECTORY_ID, NO_DIRECTORY_ID, NO_NODE, NO_TOPIC_ID, DirectoryId, NodeId
from raftkafka.metadata.control_messages import AssignedReplica, AssignReplicas, AssignReplicasReply, RegisterBroker
from raftkafka.metadata.image import from_snapshot, to_snapshot
from raftkafka.metadata.records import PartitionChangeRecord
from raftkafka.metadata.topics import PartitionRegistration
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from tests.controller.world import CLUSTER_ID, World


def directory(node_id: int, number: int) -> DirectoryId:
    return DirectoryId(bytes([node_id, number]) * 8)


def register(world: World, node_id: int, *, directories: int = 2, previous_epoch: int = -1) -> None:
    world.incarnations += 1
    reply = world.ask(
        RegisterBroker(
            node_id=NodeId(node_id),
            cluster_id=CLUSTER_ID,
            incarnation_id=world.incarnations.to_bytes(16, "big"),
            listeners=(),
            directories=tuple(directory(node_id, number) for number in range(1, directories + 1)),
            previous_broker_epoch=previous_epoch,
        )
    )
    assert reply.error == ErrorCode.NONE


def assign(
    world: World, node_id: int, where: DirectoryId, *, name: str = "t", cordoned: tuple[DirectoryId, ...] = (), made_anew: bool = False
) -> ErrorCode:
    topic_id = world.image.topics.by_name[name].topic_id
    replica = AssignedReplica(topic_id=topic_id, partition=0, directory=where, made_anew=made_anew)
    request = AssignReplicas(node_id=NodeId(node_id), broker_epoch=world.epoch(node_id), cordoned=cordoned, replicas=(replica,))
    reply: AssignReplicasReply = world.ask(request)
    return reply.error


def fail(world: World, node_id: int, *numbers: int) -> None:
    world.heartbeat(node_id, offline_directories=tuple(directory(node_id, number) for number in numbers))


@pytest.fixture
def world() -> World:
    world = World(min_insync_replicas=1)
    for node_id in (1, 2, 3):
        register(world, node_id)
        assert not world.heartbeat(node_id).is_fenced
    world.create("t")
    return world


def test_broker_assigns_its_own_replica_only(world: World) -> None:
    epoch = world.partition("t").partition_epoch
    assert assign(world, 2, directory(2, 1)) == ErrorCode.NONE
    assert world.partition("t").directories == (NO_DIRECTORY_ID, directory(2, 1), NO_DIRECTORY_ID)
    assert world.partition("t").partition_epoch == epoch + 1
    assign(world, 2, directory(2, 1))
    assert world.partition("t").partition_epoch == epoch + 1  # it is known
    assert from_snapshot(to_snapshot(world.image)) == world.image


def test_directory_that_fails_takes_only_its_own_replicas_offline(world: World) -> None:
    world.create("other")
    assign(world, 1, directory(1, 1))
    assign(world, 1, directory(1, 2), name="other")
    fail(world, 1, 1)
    assert (world.partition("t").leader, world.partition("t").isr) == (2, (2, 3))
    assert (world.partition("other").leader, world.partition("other").isr) == (1, (1, 2, 3))
    assert world.image.brokers[NodeId(1)].directories == (directory(1, 2),)
    assert not world.image.brokers[NodeId(1)].fenced


def test_failure_is_told_once_and_changes_nothing_the_second_time(world: World) -> None:
    fail(world, 1, 1)
    offset = world.image.offset
    fail(world, 1, 1)
    assert world.image.offset == offset


def test_replica_whose_directory_failed_before_it_was_assigned_is_out_with_its_assignment(world: World) -> None:
    fail(world, 1, 1)
    assert world.partition("t").leader == 1
    assign(world, 1, directory(1, 1))
    assert (world.partition("t").leader, world.partition("t").isr) == (2, (2, 3))


@pytest.mark.parametrize("is_clean", [True, False])
def test_last_replica_comes_back_when_its_directory_does(world: World, *, is_clean: bool) -> None:
    """What lies in a failed directory was not lost by that (KIP-966: the ELR, and the last known leader when the restart was unclean)."""
    world.kill(2)
    world.kill(3)
    assign(world, 1, directory(1, 1))
    fail(world, 1, 1)
    assert (world.partition("t").leader, world.partition("t").elr) == (NO_NODE, (1,))
    world.heartbeat(1)
    assert world.partition("t").leader == NO_NODE
    epoch = world.epoch(1)
    world.kill(1)
    register(world, 1, previous_epoch=epoch if is_clean else -1)
    world.heartbeat(1)
    assert world.partition("t").leader == 1


def test_replica_that_was_made_anew_is_not_elected_though_it_was_eligible(world: World) -> None:
    """Its old directory is gone for good, and with it all that made it eligible: the others must come back."""
    world.create("two", configs={"min.insync.replicas": "2"})
    assign(world, 1, directory(1, 2), name="two")
    epoch = world.epoch(1)
    for node_id in (3, 2, 1):
        world.kill(node_id)
    assert 1 in world.partition("two").elr
    register(world, 1, directories=1, previous_epoch=epoch)
    world.heartbeat(1)
    assert world.partition("two").leader == NO_NODE
    assign(world, 1, directory(1, 1), name="two", made_anew=True)
    assert (world.partition("two").leader, 1 in world.partition("two").elr) == (NO_NODE, False)


def test_log_that_was_moved_out_of_a_directory_just_before_it_failed_counts_as_it_did(world: World) -> None:
    """The controller hears of the failure first: the replica leaves the ISR, and is eligible with all that it has (found by a seed)."""
    world.create("two", configs={"min.insync.replicas": "2"})
    assign(world, 1, directory(1, 2), name="two")
    world.kill(3)
    world.kill(2)
    fail(world, 1, 2)
    assert (world.partition("two").leader, world.partition("two").elr) == (NO_NODE, (2, 1))
    assign(world, 1, directory(1, 1), name="two")
    assert world.partition("two").leader == 1


def test_replica_that_was_lost_and_is_made_anew_is_not_eligible(world: World) -> None:
    world.create("two", configs={"min.insync.replicas": "2"})
    for node_id in (3, 2):
        world.kill(node_id)
    assign(world, 1, LOST_DIRECTORY_ID, name="two")
    assert 1 in world.partition("two").elr
    assign(world, 1, directory(1, 1), name="two", made_anew=True)
    assert (world.partition("two").leader, 1 in world.partition("two").elr) == (NO_NODE, False)


def test_move_between_directories_that_work_changes_nothing_else(world: World) -> None:
    assign(world, 1, directory(1, 1))
    before = world.partition("t")
    assign(world, 1, directory(1, 2))
    after = world.partition("t")
    assert (after.leader, after.leader_epoch, after.isr) == (before.leader, before.leader_epoch, before.isr)
    assert after.directory(NodeId(1)) == directory(1, 2)


def test_lost_replica_leads_nothing(world: World) -> None:
    assign(world, 1, LOST_DIRECTORY_ID)
    assert (world.partition("t").leader, world.partition("t").isr) == (2, (2, 3))


def test_replica_in_a_failed_directory_is_refused_in_an_isr(world: World) -> None:
    assign(world, 3, directory(3, 1))
    fail(world, 3, 1)
    assert world.propose_isr("t", [1, 2, 3]).error == ErrorCode.INELIGIBLE_REPLICA


def test_directories_stay_with_their_replicas_when_these_change() -> None:
    one, two = directory(1, 1), directory(2, 1)
    old = PartitionRegistration(
        replicas=(NodeId(1), NodeId(2)), isr=(NodeId(1),), leader=NodeId(1), leader_epoch=0, partition_epoch=0, directories=(one, two)
    )
    record = PartitionChangeRecord(topic_id=NO_TOPIC_ID, partition=0, replicas=(NodeId(2), NodeId(3)))
    assert old.changed_by(record).directories == (two, NO_DIRECTORY_ID)


def test_broker_whose_directories_are_all_cordoned_gets_no_new_replicas(world: World) -> None:
    assign(world, 3, directory(3, 1), cordoned=(directory(3, 1), directory(3, 2)))
    assert world.image.brokers[NodeId(3)].cordoned == (directory(3, 1), directory(3, 2))
    assert from_snapshot(to_snapshot(world.image)) == world.image
    topic = CreatableTopic(name="u", num_partitions=1, replication_factor=3)
    assert "cordoned" in (world.ask(CreateTopicsRequest(topics=[topic])).topics[0].error_message or "")
    topic = CreatableTopic(name="u", num_partitions=1, replication_factor=2)
    assert world.ask(CreateTopicsRequest(topics=[topic])).topics[0].error_code == 0
    assert set(world.partition("u").replicas) == {1, 2}
