"""Serving fetches: bounds, fencing, long polls, sessions, followers as sources (KIP-227, KIP-320, KIP-392, KIP-951, KIP-1166)."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.protocol.fetch_codec import FetchPartition, FetchRequestData
from raftkafka.replication.values import FetchReply
from tests.replication.world import KEY, SETTINGS, TOPIC, Answer, World, batch


def committed(*letters: str, nodes: int = 3, **options: object) -> World:
    """A topic with one committed batch for each letter, known as committed everywhere."""
    world = World(nodes=nodes, **options)  # type: ignore[arg-type]
    world.create_topic(*range(1, nodes + 1))
    world.run()
    for letter in letters:
        world.produce(1, letter)
        world.run()
    world.advance(20)
    return world


class Session:
    """A consumer with an incremental session on one node."""

    def __init__(self, world: World, node_id: int, offsets: dict[int, int], *, max_bytes: int = 1 << 20) -> None:
        self.world = world
        self.node_id = node_id
        self.max_bytes = max_bytes
        self.session_id = 0
        self.epoch = 0
        self.first = self.send(offsets)

    def send(self, offsets: dict[int, int], *, forget: tuple[int, ...] = (), max_wait_ms: int = 0) -> FetchReply:
        answer = self.send_and_wait(offsets, forget=forget, max_wait_ms=max_wait_ms)
        reply = answer.fetched
        if reply.session_id:
            self.session_id = reply.session_id
        return reply

    def send_and_wait(self, offsets: dict[int, int], *, forget: tuple[int, ...] = (), max_wait_ms: int = 500) -> Answer:
        wanted = [FetchPartition(None, KEY.topic_id, partition, offset, 1 << 20) for partition, offset in offsets.items()]
        request = FetchRequestData(
            partitions=wanted,
            forgotten=[(None, KEY.topic_id, partition) for partition in forget],
            max_wait_ms=max_wait_ms,
            min_bytes=1,
            max_bytes=self.max_bytes,
            session_id=self.session_id,
            session_epoch=self.epoch,
        )
        self.epoch += 1
        answer = Answer()
        node = self.world[self.node_id]
        node.manager.fetch(request, version=17, now_ms=self.world.now_ms, done=answer)
        self.world.settle(node)
        return answer


def test_consumer_reads_up_to_the_high_watermark_only() -> None:
    world = committed("a")
    world.separate((1, 2), (1, 3))
    world.produce(1, "b", acks=1)
    result = world.consume(1, 0).result
    assert (result.high_watermark, result.records_size) == (1, len(batch("a")))
    assert world.consume(1, 1, max_wait_ms=0).result.records_size == 0


def test_offsets_outside_the_log_are_refused() -> None:
    world = committed("a", "b", "c")
    world[1].partition().log.advance_log_start(1)
    for offset in (0, 4):
        assert world.consume(1, offset).result.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_long_poll_is_answered_when_records_are_committed_not_when_they_are_appended() -> None:
    world = committed("a")
    answer = world.consume(1, 1)
    world.produce(1, "b")
    assert answer.times == 0
    world.run()
    assert answer.result.records_size == len(batch("b"))


def test_long_poll_without_news_is_answered_at_its_deadline() -> None:
    world = committed("a")
    answer = world.consume(1, 1, max_wait_ms=300)
    world.advance(290)
    assert answer.times == 0
    world.advance(20)
    assert answer.result.records_size == 0


def test_long_poll_waits_for_min_bytes() -> None:
    world = committed("a")
    answer = world.consume(1, 1, max_wait_ms=10_000, min_bytes=2 * len(batch("b")))
    world.produce(1, "b")
    world.advance(50)
    assert answer.times == 0
    world.produce(1, "c")
    world.advance(50)
    assert answer.result.records_size == 2 * len(batch("b"))


def test_waiting_consumer_is_told_when_the_leader_goes() -> None:
    """KIP-951: with the new leader's name. A consumer that may read from followers (version 11 and later) goes on here."""
    world = committed("a")
    old = world.consume(1, 1, version=10)
    new = world.consume(1, 1, version=17)
    world.elect(2)
    assert (old.result.error_code, old.result.current_leader) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, (2, 1))
    assert new.times == 0


def test_fetch_of_another_leader_epoch_is_fenced() -> None:
    """KIP-320."""
    world = committed("a")
    world.elect(1)
    stale = world.consume(1, 0, epoch=0).result
    assert (stale.error_code, stale.current_leader) == (ErrorCode.FENCED_LEADER_EPOCH, (1, 1))
    assert world.consume(1, 0, epoch=2).result.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert world.consume(1, 0, epoch=1).result.error_code == 0


def test_waiting_fetch_of_the_old_epoch_is_fenced_when_the_epoch_is_bumped() -> None:
    world = committed("a")
    answer = world.consume(1, 1, epoch=0)
    world.elect(1)
    assert answer.result.error_code == ErrorCode.FENCED_LEADER_EPOCH


def test_consumer_whose_last_epoch_ended_earlier_is_told_where() -> None:
    """KIP-320 and KIP-595: truncation that a consumer would otherwise not notice."""
    world = World(nodes=1)
    world.seed(1, (1, "ab"), (3, "cd"))
    world.create_topic(1, epoch=4)
    result = world.consume(1, 3, last_epoch=2).result
    assert (result.diverging_epoch, result.records_size) == ((1, 2), 0)


def test_unknown_topics_are_refused_as_they_were_named() -> None:
    world = committed("a")
    unknown = PartitionKey(TopicId(b"another-topic-id"), 0)
    assert world.consume(1, 0, key=unknown).result.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert world.consume(1, 0, key=PartitionKey(KEY.topic_id, 5)).result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    world.delete_topic()
    assert world.consume(1, 0, version=12).result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_broker_that_is_no_replica_is_unknown_to_the_leader() -> None:
    """The leader's metadata may lag behind the follower's: it asks again (replication-rules.md K-320)."""
    world = World(nodes=3)
    world.create_topic(1, 2)
    answer = Answer()
    wanted = FetchPartition(None, KEY.topic_id, 0, 0, 1 << 20, current_leader_epoch=0)
    request = FetchRequestData(partitions=[wanted], max_wait_ms=0, min_bytes=1, replica_id=3, replica_epoch=2)
    world[1].manager.fetch(request, version=17, now_ms=world.now_ms, done=answer)
    assert answer.result.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_follower_serves_consumers_up_to_its_own_high_watermark() -> None:
    """KIP-392; above it the leader may have more: OFFSET_NOT_AVAILABLE, not OFFSET_OUT_OF_RANGE."""
    world = committed("a", "b")
    world.separate((1, 2), (2, 3))
    world.produce(1, "c", acks=1)
    assert world.consume(2, 0).result.records_size == 2 * len(batch("a"))
    assert world[2].partition().high_watermark == 2
    world.heal()
    world.deliver()
    while world[2].partition().log.log_end_offset < 3:
        world.deliver()
    assert world[2].partition().high_watermark == 2
    assert world.consume(2, 3).result.error_code == ErrorCode.OFFSET_NOT_AVAILABLE


def test_long_poll_at_a_follower_is_answered_when_its_high_watermark_advances() -> None:
    world = committed("a")
    answer = world.consume(2, 1)
    world.produce(1, "b")
    world.run()
    assert answer.times == 0
    world.advance(10)  # news of the high watermark lingers a few milliseconds
    assert answer.result.records_size == len(batch("b"))


def test_consumer_is_sent_to_the_replica_in_its_rack() -> None:
    """KIP-392: in the ISR, unfenced, and with the offset; the leader itself when it is in that rack, or nobody is."""
    world = committed("a", settings=attrs.evolve(SETTINGS, rack_aware_selector=True), racks=True)
    redirected = world.consume(1, 0, rack="rack-3").result
    assert (redirected.preferred_read_replica, redirected.records_size) == (3, 0)
    assert world.consume(1, 0, rack="rack-1").result.preferred_read_replica == -1
    assert world.consume(1, 0, rack="elsewhere").result.preferred_read_replica == -1
    assert world.consume(3, 0, rack="rack-3").result.records_size > 0
    world.separate((1, 3))
    world.produce(1, "b", acks=1)
    world.run()
    assert world.consume(1, 2, max_wait_ms=0, rack="rack-3").result.preferred_read_replica == -1
    world.fence(3)
    assert world.consume(1, 0, rack="rack-3").result.preferred_read_replica == -1


def test_news_of_the_high_watermark_reaches_followers_without_new_records() -> None:
    """KIP-1166: not only with the next record or at the end of the long poll."""
    world = committed()
    world.produce(1, "a")
    world.run()
    assert world[2].partition().high_watermark == 0
    world.advance(10)
    assert [world[n].partition().high_watermark for n in (1, 2, 3)] == [1, 1, 1]


def test_idle_followers_cost_one_request_for_each_long_poll() -> None:
    world = committed("a")
    world.advance(100)
    before = world.fetches
    world.advance(5_000)
    assert world.fetches - before <= 2 * 11


# Sessions.


def test_session_tells_only_what_changed() -> None:
    world = committed("a")
    world.create_topic(1, 2, 3, key=PartitionKey(KEY.topic_id, 1))
    session = Session(world, 1, {0: 1, 1: 0})
    assert [result.partition for result in session.first.results] == [0, 1]
    assert session.send({}).results == []
    world.produce(1, "b")
    world.run()
    assert [(r.partition, r.records_size > 0) for r in session.send({}).results] == [(0, True)]
    assert [(r.partition, r.records_size > 0) for r in session.send({0: 2}).results] == []


def test_session_sends_records_again_until_the_client_moves_on() -> None:
    world = committed("a")
    session = Session(world, 1, {0: 0})
    again = session.send({})
    assert again.results[0].records_size == session.first.results[0].records_size > 0


def test_session_forgets_partitions() -> None:
    world = committed("a")
    session = Session(world, 1, {0: 0})
    watching = len(world[1].partition().fetches)
    assert session.send({}, forget=(0,)).results == []
    assert len(world[1].partition().fetches) == watching - 1


def test_partition_that_found_no_room_in_a_response_is_in_the_next() -> None:
    world = committed("a")
    other = PartitionKey(KEY.topic_id, 1)
    world.create_topic(1, 2, 3, key=other)
    world.run()
    world.produce(1, "x", key=other)
    world.run()
    session = Session(world, 1, {0: 0, 1: 0}, max_bytes=1)
    assert [r.records_size > 0 for r in session.first.results] == [True, False]
    assert [(r.partition, r.records_size > 0) for r in session.send({0: 1}).results if r.records_size] == [(1, True)]


def test_change_of_the_high_watermark_or_the_log_start_alone_is_told() -> None:
    """KIP-227: a consumer that is not told would stall silently."""
    world = committed("a", "b")
    world.separate((1, 2), (1, 3))
    session = Session(world, 1, {0: 2})
    world.heal()
    world[1].partition().log.advance_log_start(1)
    world.advance(6_000, step_ms=500)
    reply = session.send({})
    assert [result.log_start_offset for result in reply.results] == [1]


@pytest.mark.parametrize(
    ("session_id", "epoch", "error"),
    [(12345, 1, ErrorCode.FETCH_SESSION_ID_NOT_FOUND), (None, 7, ErrorCode.INVALID_FETCH_SESSION_EPOCH)],
)
def test_wrong_session_is_refused(session_id: int | None, epoch: int, error: ErrorCode) -> None:
    world = committed("a")
    session = Session(world, 1, {0: 0})
    session.session_id = session.session_id if session_id is None else session_id
    session.epoch = epoch
    assert session.send({}).error_code == error


def test_newer_request_of_a_session_answers_the_one_that_waits() -> None:
    world = committed("a")
    session = Session(world, 1, {0: 1})
    waiting = session.send_and_wait({})
    assert waiting.times == 0
    newer = session.send_and_wait({})
    assert waiting.fetched.results == []
    assert newer.times == 0


def test_sessions_are_bounded_and_only_old_ones_give_way() -> None:
    world = committed("a", settings=attrs.evolve(SETTINGS, fetch_session_slots=1))
    for node_id in (2, 3):
        world.stop(node_id)
    world.stop(1)
    world.restart(1)
    assert Session(world, 1, {0: 0}).session_id != 0
    assert Session(world, 1, {0: 0}).session_id == 0
    world.now_ms += 120_000
    assert Session(world, 1, {0: 0}).session_id != 0


def test_session_that_is_not_used_ends_and_no_longer_burdens_the_partition() -> None:
    world = committed("a")
    session = Session(world, 1, {0: 1})
    watching = len(world[1].partition().fetches)
    world.advance(130_000, step_ms=1_000)
    assert len(world[1].partition().fetches) == watching - 1
    assert session.send({}).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_follower_that_comes_back_again_and_again_has_one_session() -> None:
    world = committed("a")
    for _ in range(5):
        world.stop(2)
        world.restart(2)
        world.advance(200)
    assert len(world[1].manager._fetches.sessions.of_follower(2)) == 1


def test_partition_of_a_deleted_topic_is_an_error_in_its_session() -> None:
    world = committed("a")
    session = Session(world, 1, {0: 1})
    waiting = session.send_and_wait({})
    world.delete_topic()
    assert waiting.result.error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_session_by_name_follows_a_recreated_topic() -> None:
    world = committed("a")
    session_partition = FetchPartition(TOPIC, None, 0, 0, 1 << 20)
    first, second = Answer(), Answer()
    request = FetchRequestData(partitions=[session_partition], max_wait_ms=0, min_bytes=1, session_epoch=0)
    world[1].manager.fetch(request, version=12, now_ms=world.now_ms, done=first)
    world.delete_topic()
    world.create_topic(1, 2, 3, key=PartitionKey(TopicId(b"another-topic-id"), 0))
    world.run()
    request = FetchRequestData(partitions=[], max_wait_ms=0, min_bytes=1, session_id=first.fetched.session_id, session_epoch=1)
    world[1].manager.fetch(request, version=12, now_ms=world.now_ms, done=second)
    assert (second.result.error_code, second.result.high_watermark) == (0, 0)
