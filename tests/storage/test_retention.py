"""Retention by time and size, the roll of segments, and files that go later than the records in them."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_retention import SEGMENTS_PER_SLICE
from tests.storage.log_world import DIRECTORY, SMALL, LogWorld, produced

DAY_MS = 24 * 3_600_000
ROLLING = attrs.evolve(SMALL, segment_bytes=1 << 20, segment_ms=1_000)


def segment_bases(world: LogWorld) -> list[int]:
    return [segment.base_offset for segment in world.log.segments]


def retained(world: LogWorld, *, wall_ms: int) -> int:
    """The log start after retention, with everything committed."""
    world.log.retention(wall_ms, world.log.log_end_offset)
    return world.log.log_start_offset


def test_segment_is_rolled_by_the_time_of_its_first_batch() -> None:
    world = LogWorld(ROLLING)
    for timestamp in (5_000, 5_900, 6_000, 6_001, 6_500, 7_100):
        world.append(b"a", timestamp=timestamp)
    assert segment_bases(world) == [0, 3, 5]


def test_records_without_a_time_do_not_roll_a_segment() -> None:
    world = LogWorld(ROLLING)
    for timestamp in (-1, 5_000, 50_000):
        world.append(b"a", timestamp=timestamp)
    assert segment_bases(world) == [0]


def test_time_of_the_first_batch_is_known_after_a_restart() -> None:
    world = LogWorld(ROLLING)
    world.append(b"a", timestamp=5_000)
    world.stop_cleanly()
    world.restart()
    world.append(b"b", timestamp=5_900)
    world.append(b"c", timestamp=6_001)
    assert segment_bases(world) == [0, 2]


def test_jitter_rolls_segments_earlier_each_by_its_own_time_and_replicas_alike() -> None:
    config = attrs.evolve(ROLLING, segment_jitter_ms=1_000)
    worlds = [LogWorld(config), LogWorld(config)]
    for world in worlds:
        for timestamp in range(10_000, 40_000, 10):
            world.append(b"a", timestamp=timestamp)
    assert segment_bases(worlds[0]) == segment_bases(worlds[1])
    lengths = {segment.next_offset - segment.base_offset for segment in list(worlds[0].log.segments)[:-1]}
    assert len(lengths) > 5
    assert max(lengths) <= 101


@pytest.mark.parametrize(
    ("config", "wall_ms", "start"),
    [
        (LogConfig(retention_ms=1_000), 2_000, 0),
        (LogConfig(retention_ms=1_000), 2_001, 1),
        (LogConfig(retention_ms=1_000), 4_500, 3),
        (LogConfig(retention_ms=-1), 90 * DAY_MS, 0),
        (LogConfig(retention_ms=-1, retention_bytes=200), 0, 2),
        (LogConfig(retention_ms=-1, retention_bytes=0), 0, 5),
        (LogConfig(retention_ms=0, cleanup_policy=("compact",)), 90 * DAY_MS, 0),
        (LogConfig(retention_ms=1_000, cleanup_policy=("compact", "delete")), 4_500, 3),
        (LogConfig(retention_ms=1_000), 90 * DAY_MS, 5),
    ],
)
def test_oldest_segments_go(config: LogConfig, wall_ms: int, start: int) -> None:
    """Five segments of one batch (some 80 bytes) each, with the times 1000 to 5000."""
    world = LogWorld(config)
    for timestamp in (1_000, 2_000, 3_000, 4_000, 5_000):
        world.append(b"a", timestamp=timestamp)
        world.log.roll()
    assert retained(world, wall_ms=wall_ms) == start
    assert world.log.log_end_offset == 5


def test_nothing_above_the_high_watermark_goes() -> None:
    world = LogWorld(attrs.evolve(SMALL, retention_ms=0))
    for _ in range(3):
        world.append(b"a")
        world.log.roll()
    world.log.retention(90 * DAY_MS, 2)
    assert world.log.log_start_offset == 2


def test_segment_that_ends_before_the_log_start_goes_whatever_the_policy_says() -> None:
    world = LogWorld(attrs.evolve(SMALL, cleanup_policy=("compact",)))
    for _ in range(3):
        world.append(b"a")
        world.log.roll()
    world.log.advance_log_start(2)
    assert retained(world, wall_ms=0) == 2
    assert segment_bases(world) == [2, 3]


def test_files_of_a_deleted_segment_go_after_the_delay() -> None:
    world = LogWorld(attrs.evolve(SMALL, retention_ms=1_000, file_delete_delay_ms=100))
    for _ in range(2):
        world.append(b"a")
        world.log.roll()
    world.manager.checkpoint({world.log.key: 2})
    world.manager.tick(5_000, DAY_MS)
    retired = [name for name in world.disk.list_dir(DIRECTORY) if name.endswith(".deleted")]
    assert f"{0:020d}.log.deleted" in retired and f"{1:020d}.log.deleted" in retired
    assert world.log.log_start_offset == 2
    assert world.manager.next_deadline_ms() == 5_100
    world.manager.tick(5_100, DAY_MS)
    assert not [name for name in world.disk.list_dir(DIRECTORY) if name.endswith(".deleted")]


@pytest.mark.parametrize("seed", range(40))
def test_power_failure_after_retention_leaves_a_log_that_begins_with_a_whole_segment(seed: int) -> None:
    world = LogWorld(attrs.evolve(SMALL, retention_ms=1_000))
    for number in range(12):
        world.append(b"%d" % number, producer_id=7, producer_epoch=0, base_sequence=number)
        world.log.roll()
    world.flush()
    world.log.retention(DAY_MS, 9)
    world.power_failure(seed)
    assert world.log.offline_reason is None
    start = world.log.log_start_offset
    assert world.log.log_end_offset == 12 and start <= 9
    assert world.values() == [b"%d" % number for number in range(start, 12)]
    assert not [name for name in world.disk.list_dir(DIRECTORY) if name.endswith(".deleted")]
    assert world.append(b"12", producer_id=7, producer_epoch=0, base_sequence=12).base_offset == 12


def test_producer_of_deleted_records_is_known_after_a_restart() -> None:
    """It may not have heard of the acknowledgement yet, and sends the batch again (KIP-360)."""
    world = LogWorld()
    for sequence in range(3):
        world.append(b"%d" % sequence, producer_id=7, producer_epoch=0, base_sequence=sequence)
    world.append(b"other")
    world.log.advance_log_start(4)
    world.manager.checkpoint({})
    world.restart()
    assert world.log.log_start_offset == 4
    assert world.append(b"2", producer_id=7, producer_epoch=0, base_sequence=2).duplicate


@pytest.mark.parametrize("seed", [None, *range(20)])
def test_log_of_which_all_has_expired_keeps_its_end_through_a_crash(seed: int | None) -> None:
    """The log start is checkpointed now and then only; the name of the empty segment must tell where to go on."""
    world = LogWorld(attrs.evolve(SMALL, retention_ms=1_000))
    for number in range(12):
        world.append(b"%d" % number)
    world.flush()
    world.log.retention(DAY_MS, 12)
    assert (world.log.log_start_offset, world.log.log_end_offset) == (12, 12)
    if seed is None:
        world.restart()
    else:
        world.power_failure(seed)
    assert world.log.log_end_offset == 12
    assert world.append(b"12").base_offset == 12


def test_a_look_at_many_logs_is_taken_in_slices() -> None:
    world = LogWorld(attrs.evolve(SMALL, retention_ms=1_000))
    keys = [PartitionKey(TopicId(b"a-topic-of-many!"), partition) for partition in range(50)]
    for key in keys:
        log = world.manager.create(key, "many", attrs.evolve(SMALL, retention_ms=1_000), 0)
        log.append_as_leader(memoryview(bytearray(produced(b"a"))), leader_epoch=0, wall_ms=1000)
    world.manager.checkpoint(dict.fromkeys(keys, 1))
    slices = 0
    world.manager.tick(5_000, DAY_MS)
    while world.manager.retention.next_deadline_ms() == 0:
        slices += 1
        assert 0 < sum(log.log_start_offset for log in world.manager) <= (slices) * SEGMENTS_PER_SLICE
        world.manager.tick(5_000, DAY_MS)
    assert slices == 2
    assert sum(log.log_start_offset for log in world.manager) == 50


def test_batches_in_flight_are_known_again_after_a_clean_stop_also_when_their_records_have_gone_since() -> None:
    """The snapshot of a clean stop tells of a producer's last batch only; those before are looked up before their segments go."""
    world = LogWorld(attrs.evolve(SMALL, retention_ms=1_000))
    for sequence in range(4):
        world.append(b"%d" % sequence, producer_id=7, producer_epoch=0, base_sequence=sequence)
    world.stop_cleanly()
    world.restart()
    assert world.log.retention(DAY_MS, 4) > 0
    assert world.log.log_start_offset == 4
    assert world.append(b"2", producer_id=7, producer_epoch=0, base_sequence=2).duplicate
