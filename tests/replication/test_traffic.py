"""What leaders count and heartbeats tell: all of it once, over the time in which it was counted, whatever becomes of the heartbeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.ids import PartitionKey
from raftkafka.metadata.control_messages import PartitionTraffic
from raftkafka.replication import traffic
from raftkafka.replication.traffic import CountedTraffic
from tests.replication.world import KEY, TOPIC_ID, World, batch

SIZE = len(batch("a"))


def counting(partitions: int = 1) -> World:
    """A topic that node 1 leads, and a heartbeat of node 1 that was answered just now."""
    world = World()
    for partition in range(partitions):
        world.create_topic(1, 2, 3, key=PartitionKey(TOPIC_ID, partition))
    world.run()
    told(world, 1)
    return world


def told(world: World, node_id: int) -> CountedTraffic:
    """A heartbeat that is answered."""
    counted = world[node_id].manager.traffic.take(world.now_ms)
    world[node_id].manager.traffic.told()
    return counted


def counts(report: PartitionTraffic) -> tuple[int, int, int]:
    return report.bytes_in, report.bytes_out, report.requests


def test_a_heartbeat_tells_what_producers_wrote_and_consumers_were_sent() -> None:
    world = counting()
    world.produce(1, "a")
    world.advance(300)
    answer = world.consume(1, 0)
    world.advance(200)
    assert answer.result.records_size == SIZE
    counted = told(world, 1)
    assert counted.interval_ms == 500
    assert counted.rest == ()
    (report,) = counted.traffic
    assert counts(report) == (SIZE, SIZE, 2)
    assert (report.topic_id, report.partition, report.leader_epoch, report.size) == (*KEY, 0, SIZE)
    world.advance(500)
    assert told(world, 1) == CountedTraffic(interval_ms=500)


def test_followers_count_nothing() -> None:
    world = counting()
    told(world, 2)
    world.produce(1, "a")
    world.advance(600)
    world.consume(2, 0)
    assert told(world, 2) == CountedTraffic(interval_ms=600)


def test_counts_are_told_again_until_a_heartbeat_is_answered() -> None:
    world = counting()
    meter = world[1].manager.traffic
    world.produce(1, "a")
    world.advance(500)
    assert counts(meter.take(world.now_ms).traffic[0]) == (SIZE, 0, 1)
    world.produce(1, "b")
    world.advance(1_500)
    again = meter.take(world.now_ms)
    assert again.interval_ms == again.traffic[0].led_ms == 2_000
    assert counts(again.traffic[0]) == (2 * SIZE, 0, 2)
    world.produce(1, "c")  # while the heartbeat is under way
    meter.told()
    world.advance(500)
    assert [counts(report) for report in told(world, 1).traffic] == [(SIZE, 0, 1)]


def test_a_new_leader_says_how_long_it_leads() -> None:
    world = counting()
    told(world, 2)
    world.produce(1, "a")
    world.advance(200)
    world.elect(2)
    world.run()
    world.produce(2, "b")
    world.advance(300)
    (old,), (new,) = told(world, 1).traffic, told(world, 2).traffic
    assert (old.led_ms, old.leader_epoch) == (0, 1)
    assert (new.led_ms, new.leader_epoch) == (300, 1)
    assert counts(new) == (SIZE, 0, 1)


def test_who_leads_again_does_not_tell_of_the_time_before() -> None:
    world = counting()
    world.produce(1, "a")
    world.advance(100)
    world.elect(2)
    world.run()
    world[1].manager.traffic.take(world.now_ms)  # a heartbeat that gets lost
    world.elect(1)
    world.run()
    world.advance(100)
    world.produce(1, "b")
    (report,) = told(world, 1).traffic
    assert counts(report) == (SIZE, 0, 1)
    assert report.led_ms == 100


def test_the_first_heartbeat_of_a_process_says_nothing() -> None:
    world = World()
    assert told(world, 1) == CountedTraffic()


def test_only_the_busiest_are_named_and_the_others_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MAX_REPORTED", 2)
    world = counting(partitions=5)
    for partition, payloads in enumerate(["x", "xxxx", "xxx", "xxxxx", "xx"]):
        world.produce(1, payloads, key=PartitionKey(TOPIC_ID, partition))
    world.advance(500)
    counted = told(world, 1)
    assert sorted(report.partition for report in counted.traffic) == [1, 3]
    assert counted.rest == (sum(len(batch(payload)) for payload in ("x", "xxx", "xx")), 0, 3)


@given(st.lists(st.tuples(st.sampled_from(["produce", "lost", "told", "elsewhere", "here"]), st.integers(1, 400)), max_size=30))
def test_nothing_is_told_that_was_not_counted_in_the_time_that_is_said(steps: list[tuple[str, int]]) -> None:
    """The slow twin: every batch with its time; a report is the batches of its last `led_ms`."""
    world = counting()
    meter = world[1].manager.traffic
    produced: list[int] = []
    leader = 1
    for step, wait_ms in steps:
        world.tick(wait_ms)
        match step:
            case "produce" if leader == 1:
                world.produce(1, "a")
                produced.append(world.now_ms)
            case "elsewhere" if leader == 1:
                world.elect(2)
                leader = 2
            case "here" if leader == 2:
                world.elect(1)
                leader = 1
            case "lost" | "told":
                for report in meter.take(world.now_ms).traffic:
                    began_ms = world.now_ms - report.led_ms
                    assert report.led_ms == 0 or report.requests == sum(began_ms < at_ms <= world.now_ms for at_ms in produced)
                if step == "told":
                    meter.told()
