"""What is committed, when it may be told, and what acks mean (KIP-966 part 1; replication-rules.md K-HW, K-MinISR)."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.replication.offset_queries import EARLIEST, LATEST, LATEST_TIERED, MAX_TIMESTAMP
from raftkafka.replication.values import ListedOffset
from raftkafka.storage.log_manager import STOPPING
from tests.replication.world import KEY, START_MS, World, batch


def list_offset(world: World, timestamp: int, *, node_id: int = 1, replica_id: int = -1, epoch: int = -1) -> ListedOffset:
    return world[node_id].manager.list_offsets(KEY, timestamp, isolation_level=0, current_leader_epoch=epoch, replica_id=replica_id)


def alone(*, min_insync_replicas: int) -> World:
    """Three replicas; the leader has lost its followers, first from the network, then from the ISR."""
    world = World(min_insync_replicas=min_insync_replicas)
    world.create_topic()
    world.produce(1, "a")
    world.advance(20)
    world.separate((1, 2), (1, 3))
    return world


def test_acks_0_and_1_are_answered_by_the_leaders_append() -> None:
    world = alone(min_insync_replicas=3)
    assert world.produce(1, "b", acks=1).produced.base_offset == 1
    assert world.produce(1, "c", acks=0).produced.base_offset == 2


def test_unknown_acks_are_refused_before_anything_is_appended() -> None:
    world = alone(min_insync_replicas=1)
    assert world.produce(1, "b", acks=2).produced.error_code == ErrorCode.INVALID_REQUIRED_ACKS
    assert world[1].values() == ["a"]


def test_acks_all_is_refused_before_the_append_when_the_isr_is_under_its_minimum() -> None:
    world = alone(min_insync_replicas=2)
    world.change_isr(1)
    result = world.produce(1, "b").produced
    assert (result.error_code, result.base_offset) == (ErrorCode.NOT_ENOUGH_REPLICAS, -1)
    assert world[1].values() == ["a"]
    assert world.produce(1, "c", acks=1).produced.error_code == 0


def test_acks_all_is_refused_when_the_members_that_are_missing_are_certainly_gone() -> None:
    """The controllers may be gone with them: then nobody shrinks the ISR, and waiting for a time-out would tell the producer nothing."""
    world = alone(min_insync_replicas=2)
    world[1].manager.broker_gone(NodeId(2))
    waiting = world.produce(1, "b", timeout_ms=300)
    world.advance(10)
    assert waiting.times == 0, "one member of the minimum may still be there"
    world[1].manager.broker_gone(NodeId(3))
    refused = world.produce(1, "c").produced
    assert (refused.error_code, refused.base_offset) == (ErrorCode.NOT_ENOUGH_REPLICAS, -1)
    world.advance(400)
    assert waiting.produced.error_code == ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
    assert world[1].values() == ["a", "b"]


def test_a_member_that_fetches_again_counts_again() -> None:
    world = alone(min_insync_replicas=2)
    for node_id in (2, 3):
        world[1].manager.broker_gone(NodeId(node_id))
    world.heal()
    world.advance(600)
    assert world.produce(1, "b").times == 0
    world.advance(100)
    assert world[1].partition().high_watermark == 2


def test_high_watermark_is_frozen_under_the_minimum_and_moves_when_it_is_reached_again() -> None:
    world = alone(min_insync_replicas=2)
    answer = world.produce(1, "b")
    world.change_isr(1)
    world.advance(3_000, step_ms=100)
    assert world[1].partition().high_watermark == 1
    assert answer.times == 0
    world.heal()
    world.advance(600)
    assert sorted(world.isr()) == [1, 2, 3]
    assert answer.produced.error_code == 0


def test_records_appended_and_then_stuck_under_the_minimum_get_their_own_error() -> None:
    world = alone(min_insync_replicas=2)
    answer = world.produce(1, "b", timeout_ms=1_000)
    world.change_isr(1)
    world.advance(1_100)
    assert answer.produced.error_code == ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
    assert world[1].values() == ["a", "b"]


def test_acks_all_times_out_when_a_member_does_not_confirm() -> None:
    world = alone(min_insync_replicas=1)
    answer = world.produce(1, "b", timeout_ms=300)
    world.advance(400)
    assert answer.produced.error_code == ErrorCode.REQUEST_TIMED_OUT


def test_minimum_above_the_replication_factor_counts_as_the_factor() -> None:
    world = World(nodes=1, min_insync_replicas=2)
    world.create_topic(1)
    assert world.produce(1, "a").produced.error_code == 0


def test_request_over_two_partitions_is_answered_when_both_are_committed() -> None:
    world = World()
    other = PartitionKey(KEY.topic_id, 1)
    world.create_topic()
    world.create_topic(1, 2, 3, key=other)
    world.run()
    from raftkafka.replication.values import ProduceEntry
    from tests.replication.world import Answer

    answer = Answer()
    entries = [ProduceEntry(KEY, "events", batch("a")), ProduceEntry(other, "events", batch("b"))]
    world[1].manager.produce(entries, acks=-1, timeout_ms=1_000, wall_ms=world.now_ms, now_ms=world.now_ms, done=answer)
    world.settle(world[1])
    assert answer.times == 0
    world.run()
    assert isinstance(answer.value, list) and answer.times == 1
    assert [(r.partition, r.error_code, r.base_offset) for r in answer.value] == [(0, 0, 0), (1, 0, 0)]


def test_duplicate_of_uncommitted_records_waits_for_them_and_gets_their_offset() -> None:
    world = alone(min_insync_replicas=1)
    first = world.produce(1, records=batch("b", producer_id=7, producer_epoch=0, base_sequence=0))
    again = world.produce(1, records=batch("b", producer_id=7, producer_epoch=0, base_sequence=0))
    assert first.times == again.times == 0
    world.heal()
    world.run()
    assert first.produced.base_offset == again.produced.base_offset == 1
    assert world[1].values() == ["a", "b"]


def test_producer_is_deduplicated_by_the_next_leader() -> None:
    """Rule D16: the producer states of a new leader are those of its log."""
    world = World()
    world.create_topic()
    world.produce(1, records=batch("a", producer_id=7, producer_epoch=0, base_sequence=0))
    world.run()
    world.elect(2)
    again = world.produce(2, records=batch("a", producer_id=7, producer_epoch=0, base_sequence=0))
    world.advance(20)
    assert again.produced.base_offset == 0
    assert world[2].values() == ["a"]


def test_waiting_producer_is_told_of_the_new_leader() -> None:
    """KIP-951: the error names the leader and its epoch."""
    world = alone(min_insync_replicas=1)
    answer = world.produce(1, "b")
    world.elect(2, isr=(2, 3))
    result = answer.produced
    assert (result.error_code, result.current_leader) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, (2, 1))
    refused = world.produce(1, "c").produced
    assert (refused.error_code, refused.current_leader) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, (2, 1))


def test_broker_whose_logs_are_closed_for_its_stop_still_names_the_new_leader() -> None:
    """An error of the disk, without the name, makes librdkafka wait for most of a second."""
    world = alone(min_insync_replicas=1)
    world.elect(2, isr=(2, 3))
    world[1].partition().log.offline_reason = STOPPING
    refused = world.produce(1, "c").produced
    assert (refused.error_code, refused.current_leader) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, (2, 1))
    fetched = world.consume(1, 0, version=17).result
    assert (fetched.error_code, fetched.current_leader) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, (2, 1))


def test_waiting_producer_waits_on_when_the_same_broker_leads_the_next_epoch() -> None:
    world = alone(min_insync_replicas=1)
    answer = world.produce(1, "b")
    world.elect(1)
    assert answer.times == 0
    world.heal()
    world.advance(50)
    assert answer.produced.error_code == 0


def test_new_leader_does_not_tell_latest_before_its_high_watermark_has_caught_up() -> None:
    """K-HW (b): the answer would go back behind what was told before."""
    world = World(nodes=2)
    world.seed(1, (1, "abc"))
    world.seed(2, (1, "abc"))
    world.separate((1, 2))
    world.create_topic(1, 2, epoch=2)
    for timestamp in (LATEST, START_MS, MAX_TIMESTAMP):
        with pytest.raises(ApiError) as refusal:
            list_offset(world, timestamp)
        assert refusal.value.code is ErrorCode.OFFSET_NOT_AVAILABLE
    assert list_offset(world, EARLIEST).offset == 0
    assert list_offset(world, LATEST, replica_id=2).offset == 3
    world.heal()
    world.advance(50)
    assert list_offset(world, LATEST) == ListedOffset(offset=3, leader_epoch=2)
    assert list_offset(world, START_MS) == ListedOffset(timestamp=START_MS, offset=0, leader_epoch=1)


def test_offsets_behind_the_high_watermark_are_not_listed() -> None:
    world = alone(min_insync_replicas=1)
    world.produce(1, "b", acks=1)
    assert list_offset(world, LATEST).offset == 1
    assert list_offset(world, LATEST, replica_id=2).offset == 2
    assert list_offset(world, START_MS + 1_000_000) == ListedOffset()
    assert list_offset(world, LATEST_TIERED) == ListedOffset()


def test_question_of_another_leader_epoch_is_fenced() -> None:
    """KIP-320."""
    world = World()
    world.create_topic(epoch=5)
    for epoch, code in ((4, ErrorCode.FENCED_LEADER_EPOCH), (6, ErrorCode.UNKNOWN_LEADER_EPOCH)):
        with pytest.raises(ApiError) as refusal:
            list_offset(world, LATEST, epoch=epoch)
        assert refusal.value.code is code
        with pytest.raises(ApiError) as refusal:
            world[1].manager.offset_for_leader_epoch(KEY, current_leader_epoch=epoch, epoch=5)
        assert refusal.value.code is code
    with pytest.raises(ApiError) as refusal:
        list_offset(world, LATEST, node_id=2)
    assert refusal.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_end_offset_for_an_epoch_is_that_of_the_largest_epoch_not_above_it() -> None:
    """KIP-279."""
    world = World(nodes=1)
    world.seed(1, (1, "ab"), (4, "c"))
    world.create_topic(1, epoch=6)
    ends = [world[1].manager.offset_for_leader_epoch(KEY, current_leader_epoch=6, epoch=epoch) for epoch in (0, 1, 3, 4, 6, 7)]
    assert ends == [(0, 0), (1, 2), (1, 2), (4, 3), (6, 3), (-1, -1)]


def test_unknown_partitions_are_refused_by_name_of_what_is_unknown() -> None:
    world = World()
    world.create_topic()
    other = PartitionKey(TopicId(b"another-topic-id"), 0)
    assert world.produce(1, "a", key=other).produced.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert world.produce(1, "a", key=PartitionKey(KEY.topic_id, 9)).produced.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_high_watermark_survives_a_restart() -> None:
    world = World(nodes=1)
    world.create_topic(1)
    world.produce(1, "a", "b")
    world.advance(6_000, step_ms=500)
    world.stop(1)
    world.restart(1)
    assert world[1].partition().high_watermark == 2


def test_coordinator_hears_when_what_it_appended_is_committed() -> None:
    from raftkafka.replication.values import HighWatermarkAdvanced

    world = World()
    world.create_topic()
    world.run()
    manager = world[1].manager
    manager.watch_high_watermark(KEY)
    result = manager.append_local(KEY, bytes(batch("a")), wall_ms=world.now_ms, now_ms=world.now_ms)
    world.settle(world[1])
    assert result.base_offset == 0
    world[1].told.clear()
    world.run()
    assert world[1].told == [HighWatermarkAdvanced(KEY, 1)]
    assert len(manager.read_local(KEY, 0, 1 << 20)) == len(batch("a"))
    assert manager.read_local(KEY, 1, 1 << 20) == b""


def test_coordinator_cannot_append_under_the_minimum() -> None:
    world = alone(min_insync_replicas=2)
    world.change_isr(1)
    with pytest.raises(ApiError) as refusal:
        world[1].manager.append_local(KEY, bytes(batch("x")), wall_ms=0, now_ms=world.now_ms)
    assert refusal.value.code is ErrorCode.NOT_ENOUGH_REPLICAS
