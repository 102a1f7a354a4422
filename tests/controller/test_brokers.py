"""Registration, heartbeats, fencing, controlled shutdown (K-registration, K-controlled shutdown of reference/replication-rules.md)."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.metadata.control_messages import AllocateProducerIds, RegisterBroker
from raftkafka.metadata.records import BrokerRegistrationChangeRecord, PartitionChangeRecord, decode_batch
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest
from tests.controller.world import CLUSTER_ID, World


@pytest.fixture
def world() -> World:
    return World(min_insync_replicas=1).join(1, 2, 3)


def test_broker_epoch_is_the_offset_of_the_registration() -> None:
    world = World()
    reply = world.register(1)
    assert reply.broker_epoch == world.image.offset == world.epoch(1)
    assert world.image.brokers[NodeId(1)].fenced


def test_broker_stays_fenced_until_it_has_applied_its_own_registration() -> None:
    world = World()
    epoch = world.register(1).broker_epoch
    reply = world.heartbeat(1, applied=epoch - 1)
    assert (reply.is_fenced, reply.is_caught_up) == (True, False)
    reply = world.heartbeat(1, applied=epoch)
    assert (reply.is_fenced, reply.is_caught_up) == (False, True)


def test_fencing_and_unfencing_keep_the_broker_epoch(world: World) -> None:
    epoch = world.epoch(2)
    world.kill(2)
    assert world.image.brokers[NodeId(2)].fenced
    world.heartbeat(2)
    assert (world.image.brokers[NodeId(2)].fenced, world.epoch(2)) == (False, epoch)


def test_another_process_with_the_same_id_is_refused_while_the_first_lives(world: World) -> None:
    assert world.register(2).error == ErrorCode.DUPLICATE_BROKER_REGISTRATION
    world.now_ms += 2_999
    assert world.register(2).error == ErrorCode.DUPLICATE_BROKER_REGISTRATION


def test_new_process_may_register_once_the_connection_of_the_old_one_has_closed(world: World) -> None:
    world.create("t", [[2, 1]])
    old_epoch = world.epoch(2)
    world.controller.broker_disconnected(NodeId(2), world.now_ms)
    assert world.register(2).broker_epoch > old_epoch
    assert (world.partition("t").leader, world.partition("t").isr) == (1, (1,))
    assert world.heartbeat(2, epoch=old_epoch).error == ErrorCode.STALE_BROKER_EPOCH


def test_heartbeat_after_the_connection_closed_shows_that_the_process_lives(world: World) -> None:
    world.controller.broker_disconnected(NodeId(2), world.now_ms)
    world.heartbeat(2)
    assert world.register(2).error == ErrorCode.DUPLICATE_BROKER_REGISTRATION


def test_new_process_may_register_with_a_controller_that_never_heard_the_old_one(world: World) -> None:
    """All nodes restart at once: nobody waits for sessions that the new controller only assumes."""
    world.controller.lost_leadership(world.now_ms)
    world.controller.gained_leadership(2, world.image, world.now_ms)
    assert world.register(2).error == ErrorCode.NONE


def test_repeated_registration_of_the_same_process_keeps_its_epoch() -> None:
    world = World()
    first = world.register(1, incarnation=b"i" * 16)
    world.heartbeat(1)
    again = world.register(1, incarnation=b"i" * 16)
    assert again.broker_epoch == first.broker_epoch
    assert not world.image.brokers[NodeId(1)].fenced


def test_registration_of_another_cluster_is_refused(world: World) -> None:
    request = RegisterBroker(node_id=NodeId(4), cluster_id="other", incarnation_id=b"x" * 16, listeners=())
    assert world.ask(request).error == ErrorCode.INCONSISTENT_CLUSTER_ID


def test_registration_with_the_directory_of_another_broker_is_refused(world: World) -> None:
    request = RegisterBroker(node_id=NodeId(4), cluster_id=CLUSTER_ID, incarnation_id=b"x" * 16, listeners=(), directories=(b"d" * 16,))  # type: ignore[arg-type]
    assert world.ask(request).error == ErrorCode.NONE
    assert world.ask(attrs.evolve(request, node_id=NodeId(5))).error == ErrorCode.INVALID_REGISTRATION


def test_unknown_broker_is_told_to_register(world: World) -> None:
    world.kill(3)
    world.ask(UnregisterBrokerRequest(broker_id=3))
    assert world.heartbeat(3, epoch=5).error == ErrorCode.BROKER_ID_NOT_REGISTERED


def test_silent_broker_is_fenced_when_its_session_ends(world: World) -> None:
    world.create("t")
    world.now_ms += 1_000
    for node in (2, 3):
        world.heartbeat(node)
    world.now_ms += 1_999
    world.controller.tick(world.now_ms)
    assert world.controller.next_deadline_ms() == world.now_ms + 1
    world.now_ms += 1
    world.controller.tick(world.now_ms)
    world.commit()
    assert world.image.brokers[NodeId(1)].fenced
    assert world.partition("t").leader == 2


def test_controller_that_was_stopped_itself_blames_nobody(world: World) -> None:
    world.now_ms += 60_000
    world.controller.tick(world.now_ms)
    world.commit()
    assert not any(broker.fenced for broker in world.image.brokers.values())
    world.now_ms += 3_000
    world.controller.tick(world.now_ms)
    world.commit()
    assert all(broker.fenced for broker in world.image.brokers.values())


def test_loss_of_a_broker_moves_all_its_leaders_in_one_entry(world: World) -> None:
    world.create("t", [[1, 2, 3]] * 20)
    before = len(world.log.entries)
    world.lose(1)
    (entry,) = world.log.entries[before:]
    records = decode_batch(entry)
    assert sum(isinstance(record, PartitionChangeRecord) for record in records) == 20
    assert [record.fenced for record in records if isinstance(record, BrokerRegistrationChangeRecord)] == [True]
    world.commit()
    assert all(world.partition("t", index).leader == 2 for index in range(20))


def test_fenced_broker_is_not_fenced_again(world: World) -> None:
    world.kill(1)
    before = len(world.log.entries)
    world.kill(1)
    assert len(world.log.entries) == before


def test_returning_broker_gets_the_partitions_that_nobody_leads(world: World) -> None:
    world.create("t", [[1], [2]])
    world.kill(1)
    assert world.partition("t", 0).leader == -1
    world.heartbeat(1)
    assert (world.partition("t", 0).leader, world.partition("t", 0).isr) == (1, (1,))


def test_controlled_shutdown_moves_leaders_and_waits_until_all_live_brokers_know(world: World) -> None:
    world.create("t", [[1, 2, 3], [2, 3, 1]])
    replies = world.start(world.heartbeat_request(1, want_shutdown=True))
    world.commit()
    assert world.partition("t", 0).leader == 2
    assert world.partition("t", 1).isr == (2, 3)
    world.apply_everywhere(but=[1, 3])
    assert replies == []
    world.apply_everywhere(but=[1])
    assert [reply.should_shutdown for reply in replies] == [True]
    world.commit()
    assert world.image.brokers[NodeId(1)].fenced


def test_broker_that_asks_to_stop_is_answered_in_time_even_if_others_lag(world: World) -> None:
    replies = world.start(world.heartbeat_request(1, want_shutdown=True))
    world.commit()
    world.now_ms = world.controller.next_deadline_ms()
    world.controller.tick(world.now_ms)
    assert [(reply.should_shutdown, reply.is_fenced) for reply in replies] == [(False, False)]
    replies = world.start(world.heartbeat_request(1, want_shutdown=True))
    world.apply_everywhere()
    assert [reply.should_shutdown for reply in replies] == [True]


def test_last_broker_may_stop(world: World) -> None:
    for node in (2, 3):
        world.kill(node)
    assert world.heartbeat(1, want_shutdown=True).should_shutdown


def test_fenced_broker_may_stop_at_once(world: World) -> None:
    world.kill(1)
    assert world.heartbeat(1, want_shutdown=True).should_shutdown


def test_clean_stop_keeps_a_replica_eligible(world: World) -> None:
    world.create("t", [[1]])
    epoch = world.epoch(1)
    assert world.heartbeat(1, want_shutdown=True).should_shutdown
    assert (world.partition("t").leader, world.partition("t").elr) == (-1, (1,))
    world.register(1, previous_epoch=epoch)
    assert world.partition("t").elr == (1,)
    world.heartbeat(1)
    assert (world.partition("t").leader, world.partition("t").leader_recovery_state) == (1, 0)


def test_unregistered_broker_is_forgotten_with_all_that_it_holds(world: World) -> None:
    world.create("t")
    world.kill(1)
    response = world.ask(UnregisterBrokerRequest(broker_id=1))
    assert response.error_code == 0
    assert NodeId(1) not in world.image.brokers
    assert 1 not in {*world.partition("t").isr, *world.partition("t").elr}
    response = world.ask(UnregisterBrokerRequest(broker_id=1))
    assert (response.error_code, response.error_message) == (ErrorCode.BROKER_ID_NOT_REGISTERED, "Broker ID 1 is not currently registered")


def test_producer_id_blocks_never_overlap(world: World) -> None:
    blocks = [world.ask(AllocateProducerIds(node_id=NodeId(n), broker_epoch=world.epoch(n))) for n in (1, 2, 1)]
    assert [(block.first_producer_id, block.count) for block in blocks] == [(0, 1_000), (1_000, 1_000), (2_000, 1_000)]
    assert world.image.next_producer_id == 3_000
    assert world.ask(AllocateProducerIds(node_id=NodeId(1), broker_epoch=0)).error == ErrorCode.STALE_BROKER_EPOCH


def test_new_controller_fences_at_once_the_node_whose_loss_made_it_controller(world: World) -> None:
    world.create("t")
    world.controller.lost_leadership(world.now_ms)
    world.lose(1)
    world.now_ms += 200
    world.controller.gained_leadership(2, world.image, world.now_ms)
    world.commit()
    assert world.partition("t").leader == 2


def test_the_loss_of_an_earlier_process_fences_no_later_one(world: World) -> None:
    earlier = world.image.brokers[NodeId(1)].incarnation_id
    world.kill(1)
    world.join(1)
    world.controller.broker_lost(NodeId(1), earlier, world.now_ms)
    world.commit()
    assert not world.image.brokers[NodeId(1)].fenced
    world.controller.lost_leadership(world.now_ms)
    world.controller.broker_lost(NodeId(1), earlier, world.now_ms)
    world.controller.gained_leadership(2, world.image, world.now_ms)
    world.commit()
    assert not world.image.brokers[NodeId(1)].fenced


def test_loss_that_a_node_learnt_long_before_it_became_controller_counts_no_more(world: World) -> None:
    world.controller.lost_leadership(world.now_ms)
    world.lose(1)
    world.now_ms += 3_000
    world.controller.gained_leadership(2, world.image, world.now_ms)
    world.commit()
    assert not world.image.brokers[NodeId(1)].fenced
