"""Three replica managers together: produce, replicate, commit, fail over."""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from tests.replication.world import World


def test_records_reach_all_replicas_and_are_acknowledged() -> None:
    world = World()
    world.create_topic()
    world.run()
    answer = world.produce(1, "a", "b")
    assert answer.times == 0
    world.run()
    assert answer.produced.error_code == 0
    assert answer.produced.base_offset == 0
    assert [world[n].values() for n in (1, 2, 3)] == [["a", "b"]] * 3
    assert world[1].partition().high_watermark == 2


def test_acks_all_takes_one_exchange_with_each_follower() -> None:
    """DESIGN section 3: append -> parked fetch answered -> follower appends and fetches -> producer answered; no timer is involved."""
    world = World()
    world.create_topic()
    world.run()
    before = world.fetches
    answer = world.produce(1, "a")
    for _ in range(4):  # two responses to the followers, two new fetches from them
        assert world.deliver()
    assert answer.produced.error_code == 0
    assert world.fetches == before + 2


def test_leader_fails_over_without_losing_what_was_acknowledged() -> None:
    world = World(min_insync_replicas=2)
    world.create_topic()
    world.run()
    first = world.produce(1, "a")
    world.run()
    world.stop(1)
    world.elect(2, isr=(2, 3))
    world.run()
    second = world.produce(2, "b")
    world.advance(50)
    assert first.produced.error_code == second.produced.error_code == ErrorCode.NONE
    assert world[2].values() == world[3].values() == ["a", "b"]
    world.restart(1)
    world.advance(600)
    assert world[1].records() == [(0, "a"), (1, "b")]
    assert sorted(world.isr()) == [1, 2, 3]
