"""What a start makes of what it finds: clean stops, killed processes, torn tails, damage in the middle."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from raftkafka.base.disk import FileWrite, Persist
from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_manager import LogManager
from tests.storage.log_world import DIRECTORY, KEY, SMALL, LogWorld, replicated


def filled(count: int = 40) -> LogWorld:
    world = LogWorld()
    for index in range(count):
        world.append(b"value-%d" % index, epoch=index // 15, producer_id=1, producer_epoch=0, base_sequence=index)
    return world


def expected(count: int) -> list[bytes]:
    return [b"value-%d" % index for index in range(count)]


def state(world: LogWorld) -> tuple[object, ...]:
    log = world.log
    indexes = [(segment.base_offset, segment.size_bytes, segment.max_timestamp, segment.next_offset) for segment in log.segments]
    return log.log_start_offset, log.log_end_offset, log.epochs.entries, indexes, log.producers.encode(), world.headers()


def index_files(world: LogWorld) -> dict[str, bytes]:
    names = [name for name in world.disk.list_dir(DIRECTORY) if name.endswith("index")]
    return {name: world.disk.read_file(f"{DIRECTORY}/{name}") for name in names}


@pytest.mark.parametrize("clean", [True, False])
def test_restart_finds_everything(clean: bool) -> None:
    world = filled()
    before = state(world)
    if clean:
        world.stop_cleanly(broker_epoch=17)
    world.restart()
    assert state(world) == before
    assert world.manager.previous_broker_epoch == (17 if clean else -1)
    assert world.append(b"next", epoch=2).base_offset == 40


def test_recovered_indexes_equal_the_written_ones() -> None:
    world = filled()
    world.stop_cleanly()
    written = index_files(world)
    for name in written:
        world.disk.delete(f"{DIRECTORY}/{name}")
    world.restart()
    world.disk.delete("data/.kafka_cleanshutdown")
    world.disk.delete("data/recovery-point-offset-checkpoint")
    world.restart()
    world.stop_cleanly()
    assert index_files(world) == written


def test_torn_tail_is_cut_and_reported() -> None:
    world = filled()
    path = world.log.segments[-1].log_path
    file = world.disk.open(path)
    file.append([world.log.read(39, max_bytes=1).records[0][:50], bytes(100)])
    world.restart()
    assert world.values() == expected(40)
    assert [event.kind for event in world.observed] == ["log-tail-cut"]
    assert world.disk.open(path).size_bytes == world.log.segments[-1].size_bytes


def test_last_batch_damaged_is_cut() -> None:
    world = filled()
    world.disk.flip_bit(world.log.segments[-1].log_path, world.log.segments[-1].size_bytes - 1)
    world.restart()
    assert world.values() == expected(39)


def test_corrupt_batch_in_the_middle_takes_the_log_offline_and_is_never_served() -> None:
    world = filled()
    world.disk.flip_bit(world.log.segments[-1].log_path, 70)
    world.restart()
    assert world.log.offline_reason is not None
    assert [event.kind for event in world.observed] == ["log-offline"]
    for action in (lambda: world.append(b"x"), lambda: world.log.read(0, max_bytes=10), lambda: world.log.truncate_to(0)):
        with pytest.raises(ApiError) as caught:
            action()
        assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR


def test_damaged_base_offset_of_the_last_batch_is_cut() -> None:
    """Nothing behind it contradicts, but a log that is not compacted leaves no offset out."""
    world = LogWorld(LogConfig(segment_bytes=1 << 20))
    for number in range(10):
        world.append(b"value-%d" % number)
    position = sum(header.size_bytes for header in world.headers()[:9])
    world.disk.flip_bit(world.log.segments[-1].log_path, position + 5)
    world.restart()
    assert world.log.log_end_offset == 9
    assert world.values() == expected(9)
    assert [event.kind for event in world.observed] == ["log-tail-cut"]


def test_gaps_that_a_leader_s_compaction_left_outlive_a_crash() -> None:
    world = LogWorld(LogConfig(segment_bytes=1 << 20))
    source = LogWorld(LogConfig(segment_bytes=1 << 20))
    for number in range(10):
        source.append(b"value-%d" % number)
    batches = [source.log.read(offset, max_bytes=1).records[0] for offset in (0, 3, 9)]
    world.log.append_as_follower(b"".join(map(bytes, batches)))
    assert world.log.log_end_offset == 10
    world.restart()
    assert world.log.log_end_offset == 10
    assert world.values() == [b"value-0", b"value-3", b"value-9"]


def test_truncation_below_the_recovery_point_survives_any_power_failure() -> None:
    """The checkpoint of the recovery point was of the history that is cut: what is written anew must be looked at, and is no damage."""
    for seed in range(60):
        world = LogWorld()
        append_replicated(world, b"old", epoch=0, counts=(1, 3, 3))
        world.flush()
        world.log.truncate_to(0)
        append_replicated(world, b"new", epoch=1, counts=(2, 2))
        append_replicated(world, b"new", epoch=1, counts=(1, 1, 1, 1))
        world.power_failure(seed)
        assert world.log.offline_reason is None
        values = world.values()
        assert len({value[:3] for value in values}) <= 1
        assert world.log.log_end_offset == len(values)


def append_replicated(world: LogWorld, name: bytes, *, epoch: int, counts: Sequence[int]) -> None:
    """Batches of so many records, as a follower gets them with one answer."""
    data, offset = b"", world.log.log_end_offset
    for count in counts:
        data += replicated(offset, epoch, *(b"%s-%d|%s" % (name, offset + number, bytes(20)) for number in range(count)))
        offset += count
    world.log.append_as_follower(memoryview(data))


@pytest.mark.parametrize("index", [0, 1, 7])
def test_damaged_base_offset_is_damage_in_the_middle_and_no_torn_tail(index: int) -> None:
    """The checksum does not cover it; what follows seems out of order, and must not be cut for that."""
    world = LogWorld(LogConfig(segment_bytes=1 << 20))
    for number in range(10):
        world.append(b"value-%d" % number)
    position = sum(header.size_bytes for header in world.headers()[:index])
    world.disk.flip_bit(world.log.segments[-1].log_path, position + 5)
    world.restart()
    assert world.log.offline_reason is not None
    assert [event.kind for event in world.observed] == ["log-offline"]


def test_torn_end_of_an_earlier_segment_drops_what_follows_it() -> None:
    """Pages reach the disk in any order: the end of a segment may be lost though the next one was written."""
    world = filled()
    third = world.log.segments[2]
    world.disk.open(third.log_path).truncate(third.size_bytes - 10)
    end = third.next_offset - 1
    world.restart()
    assert world.log.offline_reason is None
    assert world.values() == expected(end)
    assert "log-segment-dropped" in [event.kind for event in world.observed]


def test_stable_records_that_are_missing_are_damage() -> None:
    world = filled()
    world.flush()
    third = world.log.segments[2]
    world.disk.open(third.log_path).truncate(third.size_bytes - 10)
    world.disk.delete(f"{DIRECTORY}/leader-epoch-checkpoint")  # so that all segments are scanned
    world.restart()
    assert world.log.offline_reason is not None


def test_segment_that_a_truncation_removed_and_a_crash_brought_back_is_dropped() -> None:
    world = filled()
    stale = world.log.segments[3]
    data = world.disk.read_file(stale.log_path)
    world.log.truncate_to(world.log.segments[1].base_offset + 1)
    world.append(b"another history", epoch=9)
    world.disk.replace_file(stale.log_path, data)
    end = world.log.log_end_offset
    world.restart()
    assert world.log.log_end_offset == end
    assert world.values()[-1] == b"another history"


def test_segment_that_began_after_a_truncation_which_a_crash_undid_is_kept() -> None:
    world = filled(14)
    old = world.log.segments[-1]
    before = world.disk.read_file(old.log_path)
    cut_at = old.next_offset - 1
    assert cut_at > old.base_offset
    world.log.truncate_to(cut_at)
    world.log.roll()
    for index in range(3):
        world.append(b"new-%d" % index, epoch=7)
    file = world.disk.open(old.log_path)
    file.append([before[file.size_bytes :]])
    world.restart()
    assert world.values() == [*expected(cut_at), b"new-0", b"new-1", b"new-2"]
    assert world.log.epochs.entries[-1] == (7, cut_at)


def test_scan_starts_at_the_recovery_point() -> None:
    world = filled()
    world.flush()
    world.disk.flip_bit(world.log.segments[0].log_path, 70)  # unseen by a start, as it was stable; followers check what they fetch
    world.restart()
    assert world.log.offline_reason is None
    assert world.log.recovery_point == 40


def test_damaged_small_files_cost_a_scan_only() -> None:
    world = filled()
    world.flush()
    before = state(world)
    for path in (f"{DIRECTORY}/leader-epoch-checkpoint", "data/recovery-point-offset-checkpoint", "data/replication-offset-checkpoint"):
        world.disk.replace_file(path, b"")
    for name in world.disk.list_dir(DIRECTORY):
        if name.endswith((".snapshot", "index")):
            world.disk.replace_file(f"{DIRECTORY}/{name}", b"nonsense")
    world.restart()
    assert state(world) == before


def test_clean_marker_is_withdrawn_for_good_before_the_node_is_ready() -> None:
    """Rule D9: what happens after the start counts as unclean, also when the power fails."""
    world = filled()
    world.stop_cleanly(broker_epoch=3)
    world.disk.kill()
    manager = LogManager(disk=world.disk, log_dirs=["data"])
    manager.load(0)
    assert manager.previous_broker_epoch == 3
    assert not manager.ready
    (persist,) = [output for output in manager.drain() if isinstance(output, Persist)]
    assert persist.writes == (FileWrite("data/.kafka_cleanshutdown", b""),)
    world.disk.persist(persist)
    manager.persisted(persist.token)
    assert manager.ready
    world.power_failure(seed=3)
    assert world.manager.previous_broker_epoch == -1


def test_log_start_offset_survives_through_its_checkpoint() -> None:
    world = filled()
    world.log.advance_log_start(33)
    world.manager.checkpoint({KEY: 40})
    world.restart()
    assert world.log.log_start_offset == 33
    assert world.manager.checkpointed_high_watermark(KEY) == 40
    assert world.log.epochs.entries == [(2, 33)]


def test_preallocated_index_tail_of_zeros_is_ignored() -> None:
    world = filled()
    world.stop_cleanly()
    for name in index_files(world):
        world.disk.open(f"{DIRECTORY}/{name}").append([bytes(240)])
    world.restart()
    assert world.values() == expected(40)
    assert world.log.offset_for_timestamp(1000) == (1000, 0)


def test_flush_after_a_truncation_names_the_file_that_was_cut() -> None:
    """Else the flush vouches for what follows, while a power failure brings the records back that were cut."""
    world = filled(14)
    world.flush()
    old = world.log.segments[-1]
    world.log.truncate_to(old.next_offset - 1)
    world.log.roll()
    world.append(b"new", epoch=7)
    assert old.log_path in world.log.plan_flush(world.log.log_end_offset).syncs


def test_segments_that_were_recovered_know_their_time_when_they_are_loaded_again() -> None:
    """Their time indexes were written without the last entry; a second restart took them for infinitely old, and retention deleted them."""
    config = attrs.evolve(SMALL, index_interval_bytes=100_000, retention_ms=100_000)  # so that no index has an entry but the last
    world = LogWorld(config)
    for index in range(20):
        world.append(b"%d" % index, timestamp=1000)
    times = [segment.max_timestamp for segment in world.log.segments]
    assert len(times) == 3
    world.restart()
    assert [segment.max_timestamp for segment in world.log.segments] == times
    world.flush()
    world.restart()
    assert [segment.max_timestamp for segment in world.log.segments] == times
    assert world.log.retention(wall_ms=2000, high_watermark=20) == 0


def test_a_segment_without_a_time_index_is_asked_for_its_time() -> None:
    world = LogWorld(attrs.evolve(SMALL, retention_ms=100_000))
    for index in range(20):
        world.append(b"%d" % index, timestamp=1000)
    world.stop_cleanly()
    for name in world.disk.list_dir(DIRECTORY):
        if name.endswith(".timeindex"):
            world.disk.delete(f"{DIRECTORY}/{name}")
    world.restart()
    assert {segment.max_timestamp for segment in world.log.segments} == {1000}
