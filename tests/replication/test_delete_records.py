"""DeleteRecords (KIP-107): the leader's log start moves at once, and the answer waits for the replicas that are alive."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.replication.delete_records import TO_HIGH_WATERMARK, DeletedRecords
from raftkafka.storage.config import LogConfig
from tests.replication.world import KEY, Answer, World


@pytest.fixture
def world() -> World:
    """Three replicas that have five records."""
    world = World()
    world.create_topic(1, 2, 3)
    world.run()
    world.produce(1, "a", "b", "c", "d", "e")
    world.run()
    world.advance(200)
    return world


def delete(world: World, offset: int, *, timeout_ms: int = 500, node_id: int = 1) -> Answer:
    answer = Answer()
    world[node_id].manager.delete_records([(KEY, offset)], timeout_ms=timeout_ms, now_ms=world.now_ms, done=answer)
    world.settle(world[node_id])
    return answer


def log_starts(world: World) -> list[int]:
    return [world[node_id].partition().log.log_start_offset for node_id in (1, 2, 3)]


def test_answer_comes_when_every_replica_has_moved_its_start(world: World) -> None:
    answer = delete(world, 3)
    assert world[1].partition().log.log_start_offset == 3
    assert answer.times == 0
    world.run()
    assert log_starts(world) == [3, 3, 3]
    assert answer.value == [DeletedRecords(low_watermark=3)]


def test_minus_one_deletes_everything_that_is_committed(world: World) -> None:
    answer = delete(world, TO_HIGH_WATERMARK)
    world.run()
    assert log_starts(world) == [5, 5, 5]
    assert answer.value == [DeletedRecords(low_watermark=5)]


def test_earlier_offset_than_the_start_changes_nothing_and_is_answered_at_once(world: World) -> None:
    delete(world, 3)
    world.run()
    answer = delete(world, 1)
    assert answer.value == [DeletedRecords(low_watermark=3)]


@pytest.mark.parametrize("offset", [6, -2])
def test_offset_outside_of_what_is_committed_is_refused(world: World, offset: int) -> None:
    answer = delete(world, offset)
    assert answer.value == [DeletedRecords(error_code=ErrorCode.OFFSET_OUT_OF_RANGE)]
    assert log_starts(world) == [0, 0, 0]


@pytest.mark.parametrize(
    ("policy", "code"),
    [(("compact",), ErrorCode.POLICY_VIOLATION), (("compact", "delete"), ErrorCode.NONE)],
)
def test_topic_that_is_only_compacted_keeps_its_records(world: World, policy: tuple[str, ...], code: ErrorCode) -> None:
    world[1].partition().log.configure(attrs.evolve(LogConfig(), cleanup_policy=policy))
    answer = delete(world, 3)
    world.run()
    assert isinstance(answer.value, list)
    assert answer.value[0].error_code == code


def test_follower_does_not_delete(world: World) -> None:
    assert delete(world, 3, node_id=2).value == [DeletedRecords(error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER)]


def test_replica_that_is_silent_is_waited_for_until_the_time_is_up(world: World) -> None:
    world.separate((1, 3))
    answer = delete(world, 3, timeout_ms=300)
    world.advance(250)
    assert answer.times == 0
    world.advance(100)
    assert answer.value == [DeletedRecords(low_watermark=0, error_code=ErrorCode.REQUEST_TIMED_OUT)]
    assert log_starts(world) == [3, 3, 0]
    world.heal()
    world.advance(1_000)
    assert log_starts(world) == [3, 3, 3]


def test_replica_whose_broker_is_fenced_is_not_waited_for(world: World) -> None:
    world.separate((1, 3))
    answer = delete(world, 3, timeout_ms=60_000)
    world.run()
    assert answer.times == 0
    world.fence(3)
    assert answer.value == [DeletedRecords(low_watermark=3)]


def test_leader_that_is_deposed_says_so(world: World) -> None:
    world.separate((1, 3))
    answer = delete(world, 3, timeout_ms=60_000)
    world.run()
    world.elect(2)
    assert isinstance(answer.value, list)
    assert answer.value[0].error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_replica_that_returns_learns_the_start_from_whoever_leads(world: World) -> None:
    world.stop(3)
    world.fence(3)
    world.change_isr(1, 2)
    answer = delete(world, 3)
    world.run()
    assert answer.value == [DeletedRecords(low_watermark=3)]
    world.elect(2)
    world.run()
    world.restart(3)
    world.advance(2_000)
    assert log_starts(world) == [3, 3, 3]


def test_requests_are_answered_each_when_its_own_offset_is_reached(world: World) -> None:
    world.separate((1, 3))
    first = delete(world, 2, timeout_ms=300)
    second = delete(world, 4, timeout_ms=60_000)
    world.advance(400)
    assert first.times == 1 and second.times == 0
    world.heal()
    world.advance(600)
    assert second.value == [DeletedRecords(low_watermark=4)]


def test_replica_drops_what_may_be_of_a_lost_history_when_the_leader_has_deleted_all_there_is_to_compare() -> None:
    """Found by a seed: records of epoch 3 that only replica 3 had stayed below the start of its log, with the producers they tell of."""
    world = World()
    for node_id in (1, 2):
        world.seed(node_id, (1, "ab"), (4, "ef"))
    world.seed(3, (1, "ab"), (3, "cd"))
    world.separate((1, 3))
    world.create_topic(1, 2, 3, isr=(1, 2), epoch=4)
    world.run()
    delete(world, 4)
    world.run()
    assert log_starts(world)[:2] == [4, 4]
    world.heal()
    world.advance(200)
    log = world[3].partition().log
    assert (log.log_start_offset, log.log_end_offset) == (4, 4)
    assert [segment.base_offset for segment in log.segments] == [4]


def test_replica_that_is_sure_of_its_records_keeps_them_until_retention_takes_them() -> None:
    world = World()
    world.create_topic(1, 2, 3)
    world.produce(1, "a", "b")
    world.run()
    world.advance(200)
    world.stop(3)
    delete(world, 2)
    world.run()
    world.elect(2)
    world.run()
    world.restart(3)
    world.advance(500)
    assert [segment.base_offset for segment in world[2].partition().log.segments] == [0]
    assert log_starts(world) == [2, 2, 2]
