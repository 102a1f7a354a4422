"""AlterPartition: the refusals in Kafka's order (K-497, K-841, K-903 of reference/replication-rules.md)."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.metadata.control_messages import IsrMember
from raftkafka.metadata.records import PartitionChangeRecord, encode_batch
from raftkafka.metadata.topics import RECOVERING
from tests.controller.world import World


@pytest.fixture
def world() -> World:
    world = World(min_insync_replicas=1).join(1, 2, 3)
    world.create("t")
    return world


def test_leader_shrinks_and_expands_its_isr(world: World) -> None:
    result = world.propose_isr("t", [1, 2])
    assert (result.error, result.isr, result.leader, result.leader_epoch, result.partition_epoch) == (ErrorCode.NONE, (1, 2), 1, 0, 1)
    assert world.partition("t").isr == (1, 2)
    result = world.propose_isr("t", [1, 2, 3])
    assert (result.error, result.partition_epoch) == (ErrorCode.NONE, 2)
    assert world.partition("t").isr == (1, 2, 3)


def test_proposal_of_the_current_isr_changes_nothing(world: World) -> None:
    result = world.propose_isr("t", [1, 2, 3])
    assert (result.error, result.partition_epoch) == (ErrorCode.NONE, 0)


@pytest.mark.parametrize("broker_epoch", [-5, 10_000])
def test_sender_of_another_broker_epoch_is_refused_first(world: World, broker_epoch: int) -> None:
    reply = world.alter_partition("t", [9], broker_epoch=broker_epoch, leader_epoch=99)
    assert (reply.error, reply.partitions) == (ErrorCode.STALE_BROKER_EPOCH, ())


ORDER: list[tuple[ErrorCode, dict[str, Any]]] = [
    (ErrorCode.UNKNOWN_TOPIC_ID, {"topic_id": bytes(16)}),
    (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, {"partition": 7}),
    (ErrorCode.NOT_CONTROLLER, {"leader_epoch": 9}),
    (ErrorCode.NOT_CONTROLLER, {"partition_epoch": 99}),
    (ErrorCode.FENCED_LEADER_EPOCH, {"leader_epoch": 0}),
    (ErrorCode.INVALID_REQUEST, {"sender": 3}),
    (ErrorCode.INVALID_UPDATE_VERSION, {"partition_epoch": 0}),
    (ErrorCode.INVALID_REQUEST, {"isr": [2, 9]}),
    (ErrorCode.INVALID_REQUEST, {"isr": [3]}),
    (ErrorCode.INVALID_REQUEST, {"leader_recovery_state": RECOVERING}),
    (ErrorCode.INELIGIBLE_REPLICA, {"isr": [2, 1]}),
]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_refusals_come_in_this_order(world: World, place: int) -> None:
    """A proposal with this fault, and with every later fault that does not hide it, is refused for this one."""
    world.kill(1)
    partition = world.partition("t")
    assert (partition.leader, partition.leader_epoch, partition.partition_epoch) == (2, 1, 1)
    code, fault = ORDER[place]
    later: dict[str, Any] = {}
    for _, other in reversed(ORDER[place + 1 :]):
        later.update({name: value for name, value in other.items() if name not in ("leader_epoch", "partition_epoch")})
    arguments = {"isr": [2, 3], **later, **fault}
    isr = arguments.pop("isr")
    assert world.propose_isr("t", isr, **arguments).error == code


def test_fenced_member_is_ineligible(world: World) -> None:
    world.kill(3)
    assert world.propose_isr("t", [1, 2, 3]).error == ErrorCode.INELIGIBLE_REPLICA


def test_member_that_shuts_down_is_ineligible(world: World) -> None:
    replies = world.start(world.heartbeat_request(3, want_shutdown=True))
    world.commit()
    assert replies == []
    assert world.propose_isr("t", [1, 2, 3]).error == ErrorCode.INELIGIBLE_REPLICA


def test_member_that_restarted_since_its_fetch_is_ineligible(world: World) -> None:
    """K-903: the fetch was of the old process; the new one may have an empty disk."""
    old_epoch = world.epoch(3)
    world.kill(3)
    world.register(3)
    world.heartbeat(3)
    stale = (IsrMember(node_id=NodeId(1), broker_epoch=world.epoch(1)), IsrMember(node_id=NodeId(3), broker_epoch=old_epoch))
    assert world.propose_isr("t", [], new_isr=stale).error == ErrorCode.INELIGIBLE_REPLICA
    assert world.propose_isr("t", [1, 2, 3]).error == ErrorCode.NONE


def test_unchecked_broker_epoch_is_accepted(world: World) -> None:
    members = tuple(IsrMember(node_id=NodeId(n), broker_epoch=-1) for n in (1, 2))
    assert world.propose_isr("t", [], new_isr=members).error == ErrorCode.NONE


def test_leader_says_that_it_has_recovered() -> None:
    world = World(min_insync_replicas=1).join(1, 2, 3)
    world.create("t", configs={"unclean.leader.election.enable": "true"})
    world.propose_isr("t", [1])
    world.kill(1)
    assert (world.partition("t").leader, world.partition("t").leader_recovery_state) == (2, RECOVERING)
    assert world.propose_isr("t", [2, 3], leader_recovery_state=RECOVERING).error == ErrorCode.INVALID_REQUEST
    assert world.propose_isr("t", [2], leader_recovery_state=0).error == ErrorCode.NONE
    assert world.partition("t").leader_recovery_state == 0


def test_members_removed_below_the_minimum_become_eligible() -> None:
    world = World(min_insync_replicas=2).join(1, 2, 3)
    world.create("t")
    world.propose_isr("t", [1])
    assert (world.partition("t").isr, world.partition("t").elr) == ((1,), (2, 3))
    world.propose_isr("t", [1, 3])
    assert (world.partition("t").isr, world.partition("t").elr) == ((1, 3), ())


def test_completed_reassignment_tells_the_old_leader_that_another_was_elected(world: World) -> None:
    key = world.key("t")
    change = PartitionChangeRecord(
        topic_id=key.topic_id, partition=0, removing_replicas=(NodeId(1),), adding_replicas=(NodeId(3),), isr=(NodeId(1), NodeId(2))
    )
    world.log.append([encode_batch([change])], 0)
    world.commit()
    result = world.propose_isr("t", [1, 2, 3])
    assert (result.error, result.leader) == (ErrorCode.NEW_LEADER_ELECTED, 2)
    assert world.partition("t").replicas == (2, 3)
