"""What the log cleaner leaves of a log, and of its files."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.errors import ApiError
from raftkafka.storage.cleaner import CleanerSettings
from raftkafka.storage.compression import Compression
from raftkafka.storage.record_batch import DELETE_HORIZON_FLAG, ControlType
from tests.storage.compact_world import DELETE_RETENTION_MS, SMALL, CompactWorld, PowerCut


def filled(*, rounds: int = 6, keys: int = 4, world: CompactWorld | None = None, **fields: object) -> CompactWorld:
    """Every key is written in every round; the last round's values stay."""
    world = world or CompactWorld()
    for number in range(rounds):
        for key in range(keys):
            world.append((b"k%d" % key, b"v%d" % number + bytes(20)), **fields)  # type: ignore[arg-type]
    return world


def test_every_key_keeps_its_last_record_with_offset_time_and_headers() -> None:
    world = filled()
    before = {record.key: record for record in world.records()}
    assert world.clean() == 1
    assert {record.key: record for record in world.records()} == before
    assert [record.offset for record in world.records()] == [20, 21, 22, 23]
    assert world.log.log_end_offset == 24
    assert world.log.log_start_offset == 0


def test_small_neighbours_become_one_segment() -> None:
    world = filled(rounds=30)
    assert len(world.log.segments) > 10
    world.clean()
    filled(world=world, rounds=1)
    world.clean()
    assert len(world.log.segments) <= 5
    kept = [f"{segment.base_offset:020d}" for segment in world.log.segments]
    suffixes = (".index", ".log", ".timeindex", ".txnindex", ".snapshot")
    assert [name for name in world.files() if name.endswith(suffixes) and name.partition(".")[0] not in kept] == []
    others = [name for name in world.files() if not name.endswith(suffixes)]
    assert others == ["leader-epoch-checkpoint", "offset-gaps", "partition.metadata"]


@pytest.mark.parametrize("compression", Compression)
def test_what_is_left_of_a_batch_keeps_its_place(compression: Compression) -> None:
    world = CompactWorld()
    world.append((b"a", b"1"), (b"b", b"1"), (b"c", b"1"), compression=compression, producer_id=7, base_sequence=0)
    filled(world=world)
    world.append((b"a", b"2"), (b"c", b"2"))
    before = world.headers()[0]
    world.clean()
    after = world.headers()[0]
    assert (after.base_offset, after.last_offset, after.record_count) == (0, 2, 1)
    assert (after.producer_id, after.base_sequence, after.last_sequence) == (7, 0, 2)
    assert after.compression_id == before.compression_id
    assert world.records()[0].offset == 1


class TestTombstones:
    def test_a_tombstone_outlives_what_it_deletes_by_delete_retention_ms(self) -> None:
        world = filled()
        world.append((b"k1", None))
        world.clean()
        assert [(record.key, record.value) for record in world.records()][-1] == (b"k1", None)
        assert b"k1" not in world.last_values()
        filled(world=world, keys=1)
        world.clean()
        assert (b"k1", None) in [(record.key, record.value) for record in world.records()]
        world.pass_time(DELETE_RETENTION_MS)
        filled(world=world, keys=1)
        world.clean()
        assert b"k1" not in [record.key for record in world.records()]

    def test_the_delete_horizon_is_in_the_batch_and_times_stay(self) -> None:
        world = filled()
        result = world.append((b"k1", None), (b"x", b"1"), compression=Compression.LZ4)
        times = [record.timestamp for record in world.records() if record.offset >= result.base_offset]
        world.clean()
        (header,) = [header for header in world.headers() if header.base_offset == result.base_offset]
        assert header.attributes & DELETE_HORIZON_FLAG
        assert header.base_timestamp == pytest.approx(world.wall_ms + DELETE_RETENTION_MS, abs=100)
        assert [record.timestamp for record in world.records() if record.offset >= result.base_offset] == times
        assert header.max_timestamp == times[-1]
        world.pass_time(5)
        filled(world=world, keys=1)
        world.clean()
        assert header in world.headers(), "it is set once"


class TestLimits:
    def test_nothing_at_the_high_watermark_or_above_is_cleaned_or_cleans(self) -> None:
        world = filled(rounds=20)
        world.high_watermark = 30
        world.clean()
        offsets = [record.offset for record in world.records()]
        cleaned_end = world.log.clean_end_offset
        assert 0 < cleaned_end <= 30
        assert offsets == [*range(cleaned_end - 4, cleaned_end), *range(cleaned_end, 80)]

    def test_the_active_segment_stays(self) -> None:
        world = filled(rounds=2, keys=2)
        assert len(world.log.segments) == 1
        world.pass_time(100)
        assert len(world.records()) == 4

    def test_an_open_transaction_holds_everything_up(self) -> None:
        world = filled(rounds=3)
        begin = world.append((b"k0", b"open"), producer_id=5, base_sequence=0, is_transactional=True).base_offset
        filled(world=world)
        world.clean()
        assert world.log.clean_end_offset <= begin
        assert [record.offset for record in world.records()][-25:] == list(range(begin, begin + 25))

    def test_records_younger_than_min_compaction_lag_stay(self) -> None:
        world = filled(world=CompactWorld(attrs.evolve(SMALL, min_compaction_lag_ms=500)))
        assert world.clean() == 0
        world.pass_time(600)
        filled(world=world, rounds=1)
        world.clean()
        assert [record.offset for record in world.records()] == [*range(20, 28)]

    def test_a_log_is_left_alone_until_the_dirty_part_is_worth_it(self) -> None:
        world = CompactWorld(attrs.evolve(SMALL, min_cleanable_dirty_ratio=0.5))
        filled(world=world, keys=40, rounds=2)
        assert world.clean() == 1
        filled(world=world, keys=20, rounds=1)
        assert world.clean() == 0
        filled(world=world, keys=40, rounds=1)
        assert world.clean() == 1

    def test_max_compaction_lag_does_not_wait_for_the_ratio(self) -> None:
        world = CompactWorld(attrs.evolve(SMALL, min_cleanable_dirty_ratio=1.0, max_compaction_lag_ms=300))
        filled(world=world, rounds=3)
        assert world.clean() == 0
        world.pass_time(400)
        assert world.clean() == 1
        assert world.config.roll_ms == 300

    def test_a_round_ends_where_memory_does_and_the_next_goes_on(self) -> None:
        world = filled(world=CompactWorld(cleaner=CleanerSettings(backoff_ms=10, dedupe_buffer_bytes=3 * 160)), keys=7, rounds=4)
        assert world.clean() > 2
        assert [record.offset for record in world.records()] == [*range(21, 28)]

    def test_disabled_nothing_is_cleaned(self) -> None:
        world = filled(world=CompactWorld(cleaner=CleanerSettings(enabled=False)))
        world.log.roll()
        world.pass_time(100_000)
        assert len(world.records()) == 24


class TestProducers:
    def test_a_batch_sent_again_is_a_duplicate_also_when_its_records_are_gone(self) -> None:
        world = CompactWorld()
        first = world.append((b"a", b"1"), (b"b", b"1"), producer_id=7, base_sequence=0)
        world.append((b"a", b"2"), (b"b", b"2"), producer_id=7, base_sequence=2)
        filled(world=world)
        world.append((b"a", b"3"), (b"b", b"3"))
        world.clean()
        assert [record for record in world.records() if record.value in (b"1", b"2")] == []
        for _ in range(2):
            again = world.append((b"a", b"1"), (b"b", b"1"), producer_id=7, base_sequence=0)
            assert (again.duplicate, again.base_offset, again.last_offset) == (True, first.base_offset, first.last_offset)
            world.stop_cleanly()
        with pytest.raises(ApiError):
            world.append((b"a", b"4"), producer_id=7, base_sequence=9)

    def test_batches_of_a_forgotten_producer_go(self) -> None:
        world = CompactWorld(attrs.evolve(SMALL, producer_id_expiration_ms=1))
        world.append((b"a", b"1"), producer_id=7, base_sequence=0)
        filled(world=world)
        world.append((b"a", b"2"))
        world.now_ms = 10
        world.log.retention(world.wall_ms, 0)
        world.clean()
        assert 7 not in [header.producer_id for header in world.headers()[1:]]

    def test_aborted_records_go_and_their_marker_after_them(self) -> None:
        world = CompactWorld()
        filled(world=world, rounds=2)
        world.append((b"k0", b"aborted"), (b"z", b"aborted"), producer_id=5, base_sequence=0, is_transactional=True)
        world.end_transaction(ControlType.ABORT, 5)
        for number in range(1, 7):
            world.append((b"y", b"committed"), producer_id=5, base_sequence=number + 1, is_transactional=True)
            world.end_transaction(ControlType.COMMIT, 5)
        filled(world=world, rounds=1)
        assert len(world.log.aborted_transactions(0, 100)) == 1
        world.clean()
        values = [record.value for record in world.records()]
        assert b"aborted" not in values
        assert values.count(b"committed") == 1
        world.pass_time(2 * DELETE_RETENTION_MS)
        filled(world=world, rounds=2)
        world.clean()
        world.pass_time(2 * DELETE_RETENTION_MS)
        filled(world=world, rounds=2)
        world.clean()
        assert world.log.aborted_transactions(0, 100) == []
        assert world.last_values()[b"y"] == b"committed"
        assert b"z" not in world.last_values()


def test_epochs_begin_where_they_began_also_for_a_recovery_and_a_follower() -> None:
    world = CompactWorld()
    for epoch in range(4):
        filled(world=world, epoch=epoch)
    epochs = world.log.epochs.entries
    world.clean()
    assert world.log.epochs.entries == epochs
    copy = CompactWorld()
    for batch in world.batches():
        copy.log.append_as_follower(batch)
    assert copy.log.epochs.entries == epochs
    assert copy.log.log_end_offset == world.log.log_end_offset
    assert copy.records() == world.records()
    world.disk.delete("data/events-0/leader-epoch-checkpoint")
    world.restart()
    assert world.log.epochs.entries == epochs


def test_the_end_stays_when_all_that_led_to_it_is_deleted() -> None:
    world = CompactWorld(attrs.evolve(SMALL, delete_retention_ms=0))
    filled(world=world, rounds=2)
    world.append(*[(b"k%d" % key, None) for key in range(4)])
    world.clean()
    filled(world=world, rounds=2)
    world.append(*[(b"k%d" % key, None) for key in range(4)])
    world.clean()
    end_offset = world.log.log_end_offset
    world.pass_time(10)
    world.manager.cleaner.note(world.log)
    world.stop_cleanly()
    assert world.log.log_end_offset == end_offset
    assert world.headers()[-1].next_offset == end_offset


def test_indexes_and_times_are_those_of_what_is_left() -> None:
    world = CompactWorld()
    for number in range(40):
        world.append((b"k%d" % (number % 5), b"v" * 30), timestamp=2_000_000 + number * 10)
    world.append((b"late", b"x"), timestamp=3_000_000)
    world.append((b"late", None), timestamp=1_500_000)
    world.clean()
    assert world.log.offset_for_timestamp(2_000_000) == (2_000_350, 35)
    assert world.log.offset_for_timestamp(2_000_371) == (2_000_380, 38)
    assert world.log.offset_for_timestamp(2_500_000) is None
    assert world.log.offset_of_max_timestamp() == (2_000_390, 39)


def test_log_append_time_stays() -> None:
    from raftkafka.storage.config import TimestampType

    world = CompactWorld(attrs.evolve(SMALL, timestamp_type=TimestampType.LOG_APPEND_TIME))
    filled(world=world)
    world.append((b"k0", b"x"), (b"k1", None))
    before = {record.key: record.timestamp for record in world.records()}
    world.clean()
    assert {record.key: record.timestamp for record in world.records()} == before


def test_truncation_retention_and_deletion_end_a_round_and_leave_nothing() -> None:
    for disturb in ("truncate", "drop", "delete"):
        world = filled(rounds=200, keys=10)
        world.high_watermark = 1900
        world.pass_time(20)
        world.pass_time(3)
        for _ in range(4):
            world.pass_time(2)
        assert world.manager.cleaner.cleaning is not None
        if disturb == "truncate":
            world.log.truncate_to(1950)
        elif disturb == "drop":
            world.log.advance_log_start(500)
            world.log.retention(world.wall_ms, 1900)
        else:
            world.manager.delete(world.log.key, world.now_ms)
        for _ in range(3):
            world.pass_time(2)
        if disturb == "delete":
            assert world.manager.cleaner.cleaning is None
        else:
            world.clean()
            assert len({record.key for record in world.records()}) == 10
        assert not [name for name in world.files() if name.endswith((".cleaned", ".swap"))]


def test_a_full_disk_leaves_the_log_as_it_was() -> None:
    world = filled()
    world.log.roll()
    world.disk.capacity_bytes = 100
    world.pass_time(20)
    for _ in range(10):
        world.pass_time(2)
    assert [event.kind for event in world.observed if event.kind == "log-not-cleaned"]
    assert world.log.offline_reason is None
    assert len(world.records()) == 24
    world.disk.capacity_bytes = None
    world.pass_time(60_000)
    world.clean()
    assert len(world.records()) == 4


def test_work_is_done_in_small_parts() -> None:
    world = filled(rounds=400, keys=10)
    world.log.roll()
    ticks = 0
    world.pass_time(20)
    while world.manager.cleaner.cleaning is not None:
        world.pass_time(2)
        ticks += 1
    assert ticks > 20


def test_power_may_fail_at_any_operation() -> None:
    expected = None
    cut_at = 0
    while True:
        world = filled(rounds=12, keys=3)
        for epoch in (1, 2):
            filled(world=world, rounds=5, keys=3, epoch=epoch)
        world.append((b"k2", None), epoch=2)
        world.log.roll()
        world.flush()
        epochs, end_offset, before = world.log.epochs.entries, world.log.log_end_offset, world.records()
        expected = {record.key: record.value for record in before if record.value is not None}
        del expected[b"k2"]
        world.disk.left = cut_at
        try:
            world.clean()
        except PowerCut:
            world.lose_power(seed=cut_at)
        else:
            break
        cut_at += 1
        for _ in range(2):
            assert world.last_values() == expected
            assert world.log.log_end_offset == end_offset
            assert world.log.epochs.entries == epochs
            assert [record for record in world.records() if record not in before] == []
            assert not [name for name in world.files() if name.endswith((".cleaned", ".swap"))]
            world.clean()
    assert cut_at > 20
