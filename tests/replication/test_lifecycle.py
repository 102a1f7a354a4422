"""Partitions come, move and go; links fail; leaders change under the fetchers."""

from __future__ import annotations

from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.metadata.records import PartitionChangeRecord, PartitionRecord
from raftkafka.replication.values import LeadershipGained, LeadershipLost, OpenLeaderLink
from tests.replication.world import KEY, TOPIC, World


def test_deleted_topic_is_followed_by_nobody_and_its_log_goes() -> None:
    world = World()
    world.create_topic()
    world.run()
    world.separate((1, 2), (1, 3))
    waiting = world.produce(1, "a")
    world.delete_topic()
    assert waiting.produced.error_code == 6  # NOT_LEADER_OR_FOLLOWER
    world.heal()
    world.advance(1_000)
    assert all(world[n].manager.partition(KEY) is None and world[n].logs.get(KEY) is None for n in (1, 2, 3))


def test_recreated_topic_does_not_meet_the_records_of_its_predecessor() -> None:
    """The identity of a topic is its id: also for a broker that slept through both the deletion and the creation."""
    world = World()
    world.create_topic()
    world.produce(1, "old")
    world.run()
    world.stop(3)
    world.change_isr(1, 2)
    world.delete_topic()
    key = PartitionKey(TopicId(b"another-topic-id"), 0)
    world.create_topic(1, 2, 3, key=key)
    world.produce(1, "new", key=key)
    world.restart(3)
    world.advance(1_000)
    assert [world[n].values(key) for n in (1, 2, 3)] == [["new"]] * 3
    assert world[3].logs.get(KEY) is None


def test_log_of_a_topic_that_was_deleted_while_the_broker_was_down_is_deleted() -> None:
    world = World()
    world.create_topic()
    world.run()
    world.stop(3)
    world.delete_topic()
    world.restart(3)
    assert world[3].logs.get(KEY) is None
    assert "stray-log-deleted" in world[3].kinds()


def test_replica_that_is_moved_away_is_removed_and_the_new_one_fills_itself() -> None:
    world = World(nodes=4)
    world.create_topic(1, 2, 3)
    world.produce(1, "a")
    world.run()
    ids = (NodeId(1), NodeId(2), NodeId(4))
    world.decide(
        PartitionChangeRecord(topic_id=KEY.topic_id, partition=0, leader=NodeId(1), replicas=ids, isr=(NodeId(1), NodeId(2))),
    )
    world.advance(600)
    assert world[3].manager.partition(KEY) is None
    assert world[4].values() == ["a"]
    assert sorted(world.isr()) == [1, 2, 4]


def test_partition_without_a_leader_is_not_fetched_until_it_has_one() -> None:
    world = World()
    world.create_topic()
    world.produce(1, "a")
    world.run()
    world.stop(1)
    world.elect(-1)
    before = world.fetches
    world.advance(2_000, step_ms=50)
    assert world.fetches == before
    world.elect(3, isr=(2, 3))
    answer = world.produce(3, "b")
    world.advance(20)
    assert answer.produced.error_code == 0


def test_leadership_is_reported_to_those_who_keep_state_in_the_partition() -> None:
    world = World()
    world.create_topic()
    world.elect(2)
    world.elect(2)
    assert world[1].told == [LeadershipGained(KEY, TOPIC, 0), LeadershipLost(KEY, TOPIC)]
    assert world[2].told == [LeadershipGained(KEY, TOPIC, 1), LeadershipGained(KEY, TOPIC, 2)]
    world.delete_topic()
    assert world[2].told[-1] == LeadershipLost(KEY, TOPIC)


def test_older_metadata_than_the_controllers_answer_changes_nothing() -> None:
    world = World()
    world.create_topic()
    world.run()
    world.separate((1, 3))
    world.produce(1, "a")
    world.metadata_delayed.add(1)
    world.advance(2_000)
    leader = world[1].leader()
    assert leader.isr == (1, 2)
    world[1].image, delta = world[1].image.apply(
        [
            PartitionRecord(
                topic_id=KEY.topic_id,
                partition=0,
                replicas=(NodeId(1), NodeId(2), NodeId(3)),
                isr=(NodeId(1), NodeId(2), NodeId(3)),
                leader=NodeId(1),
            )
        ],
        99,
        1,
    )
    world[1].manager.apply_metadata(world[1].image, delta, world.now_ms)
    assert leader.isr == (1, 2)


def test_failover_does_not_wait_for_a_long_poll_to_end() -> None:
    """Node 3's fetch waits at node 2 for another partition when node 2 is elected: the new partition is asked for at once."""
    world = World()
    world.create_topic()
    world.create_topic(2, 3, 1, key=PartitionKey(KEY.topic_id, 1))
    world.advance(100)
    world.stop(1)
    world.elect(2, isr=(2, 3))
    answer = world.produce(2, "a")
    world.run()
    assert answer.produced.error_code == 0  # no time has passed


def test_follower_that_hears_of_an_election_first_asks_again_until_the_leader_has_heard_too() -> None:
    world = World()
    world.create_topic()
    world.run()
    world.stop(1)
    world.metadata_delayed.add(2)
    world.elect(2, isr=(2, 3))
    world.run()
    world.advance(15)
    world.metadata_delayed.clear()
    world.publish()
    answer = world.produce(2, "a")
    world.advance(25)
    assert answer.produced.error_code == 0


def test_leader_that_cannot_be_reached_is_dialled_again() -> None:
    world = World()
    world.create_topic()
    world.produce(1, "a")
    world.run()
    world.stop(1)
    world.advance(3_000, step_ms=50)
    assert 1 not in world[2].links
    world.restart(1)
    world.advance(1_500)
    answer = world.produce(1, "b")
    world.run()
    assert answer.produced.error_code == 0


def test_leader_that_takes_links_only_to_close_them_is_dialled_ever_less_often() -> None:
    world = World()
    world.create_topic()
    world.stop(1)
    manager = world[2].manager
    manager.fetch_failed(NodeId(1), world.now_ms)
    dialled = 0
    for _ in range(10_000):
        world.now_ms += 1
        manager.tick(world.now_ms, world.now_ms)
        manager.settle(world.now_ms)
        if any(isinstance(output, OpenLeaderLink) for output in manager.drain()):
            dialled += 1
            manager.leader_link_opened(NodeId(1), world.now_ms)
            manager.fetch_failed(NodeId(1), world.now_ms)
    assert 1 < dialled < 20


def test_leader_that_does_not_answer_is_given_up_and_dialled_again() -> None:
    world = World()
    world.create_topic()
    world.advance(100)
    world.separate((1, 2))
    link = world[2].links[NodeId(1)]
    world.advance(32_000, step_ms=500)
    assert world[2].links.get(NodeId(1)) != link


def test_leader_that_forgot_the_session_is_asked_for_a_new_one() -> None:
    world = World()
    world.create_topic()
    world.advance(100)
    world[1].manager._fetches.sessions._sessions.clear()  # as if another process answered on the same connection
    world.advance(600)
    answer = world.produce(1, "a")
    world.advance(20)
    assert answer.produced.error_code == 0
    assert "fetch-session-refused" in world[2].kinds()


def test_power_failure_of_a_follower_is_made_good_by_the_leader() -> None:
    import random

    world = World(min_insync_replicas=2)
    world.create_topic()
    for letter in "abcdef":
        world.produce(1, letter)
        world.run()
    world.stop(3)
    world.change_isr(1, 2)
    world.restart(3, power_failure=random.Random(3))
    world.advance(1_000)
    assert world[3].values() == list("abcdef")
    assert sorted(world.isr()) == [1, 2, 3]


def test_a_thousand_partitions_settle_without_a_request_for_each() -> None:
    world = World(nodes=2)
    for partition in range(200):
        world.create_topic(1, 2, key=PartitionKey(KEY.topic_id, partition))
    world.run()
    before = world.fetches
    answer = world.produce(1, "a", key=PartitionKey(KEY.topic_id, 77))
    world.run()
    assert answer.produced.error_code == 0
    assert world.fetches - before == 1
