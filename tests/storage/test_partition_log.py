"""Appending, reading, truncating, finding by time, retention: one log, one idea a test."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode
from raftkafka.storage.compression import Compression
from raftkafka.storage.config import LogConfig, TimestampType
from raftkafka.storage.record_batch import ControlType, Record, batches, build_batch, decode_records, read_header, validate
from tests.storage.log_world import SMALL, LogWorld, produced, replicated


def refused(world: LogWorld, batch: bytes, code: ErrorCode, wall_ms: int = 1000) -> None:
    before = world.log.log_end_offset
    with pytest.raises(ApiError) as caught:
        world.log.append_as_leader(batch, leader_epoch=0, wall_ms=wall_ms)
    assert caught.value.code is code
    assert world.log.log_end_offset == before


class TestLeaderAppend:
    def test_offsets_and_epoch_are_patched_in_place(self) -> None:
        world = LogWorld()
        world.append(b"a", b"b")
        buffer = bytearray(produced(b"c"))
        result = world.log.append_as_leader(memoryview(buffer), leader_epoch=3, wall_ms=1000)
        assert (result.base_offset, result.last_offset, result.log_append_time_ms) == (2, 2, -1)
        assert validate(buffer).base_offset == 2
        assert read_header(buffer).partition_leader_epoch == 3
        assert world.log.epochs.entries == [(0, 0), (3, 2)]

    def test_read_only_buffer_is_left_alone(self) -> None:
        world = LogWorld()
        world.append(b"a")
        batch = produced(b"b")
        world.log.append_as_leader(batch, leader_epoch=0, wall_ms=1000)
        assert read_header(batch).base_offset == 0
        assert world.values() == [b"a", b"b"]

    def test_wrong_checksum_is_corrupt(self) -> None:
        batch = bytearray(produced(b"a"))
        batch[-1] ^= 1
        refused(LogWorld(), bytes(batch), ErrorCode.CORRUPT_MESSAGE)

    def test_cut_off_batch_is_corrupt(self) -> None:
        refused(LogWorld(), produced(b"a")[:-1], ErrorCode.CORRUPT_MESSAGE)
        refused(LogWorld(), produced(b"a")[:20], ErrorCode.CORRUPT_MESSAGE)

    def test_nothing_and_two_batches_are_invalid(self) -> None:
        refused(LogWorld(), b"", ErrorCode.INVALID_RECORD)
        refused(LogWorld(), produced(b"a") + produced(b"b"), ErrorCode.INVALID_RECORD)

    def test_old_magic_is_invalid(self) -> None:
        batch = bytearray(produced(b"a"))
        batch[16] = 1
        refused(LogWorld(), bytes(batch), ErrorCode.INVALID_RECORD)

    def test_too_large_is_refused(self) -> None:
        world = LogWorld(attrs.evolve(SMALL, max_message_bytes=100))
        refused(world, produced(b"x" * 100), ErrorCode.MESSAGE_TOO_LARGE)

    def test_control_batch_of_a_client_is_invalid(self) -> None:
        refused(LogWorld(), produced(b"a", is_control=True), ErrorCode.INVALID_RECORD)

    def test_base_offset_of_a_client_must_be_zero(self) -> None:
        refused(LogWorld(), produced(b"a", base_offset=7), ErrorCode.INVALID_RECORD)

    def test_time_too_far_in_the_future_or_past_is_refused(self) -> None:
        world = LogWorld(attrs.evolve(SMALL, after_max_ms=10, before_max_ms=20))
        refused(world, produced(b"a", timestamp=1011), ErrorCode.INVALID_TIMESTAMP)
        refused(world, produced(b"a", timestamp=979), ErrorCode.INVALID_TIMESTAMP)
        world.append(b"a", timestamp=1010)

    def test_log_append_time_replaces_the_producers_time(self) -> None:
        world = LogWorld(attrs.evolve(SMALL, timestamp_type=TimestampType.LOG_APPEND_TIME))
        assert world.append(b"a", b"b", timestamp=5, wall_ms=2000).log_append_time_ms == 2000
        data = world.log.read(0, max_bytes=1000).records[0]
        validate(data)
        assert [record.timestamp for record in decode_records(data)] == [2000, 2000]

    def test_compacted_topic_demands_keys(self) -> None:
        world = LogWorld(attrs.evolve(SMALL, cleanup_policy=("compact",)))
        refused(world, build_batch([Record(0, 1000, None, b"a")]), ErrorCode.INVALID_RECORD)
        world.append(b"a")

    @pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd", "uncompressed"])
    def test_topics_own_compression_is_applied(self, name: str) -> None:
        world = LogWorld(attrs.evolve(SMALL, compression_type=name))
        world.append(b"a" * 100, compression=Compression.GZIP, producer_id=4, producer_epoch=1, base_sequence=0)
        data = world.log.read(0, max_bytes=1000).records[0]
        header = validate(data)
        assert header.compression_id == {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[name]
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (4, 1, 0)
        assert [record.value for record in decode_records(data)] == [b"a" * 100]

    def test_full_disk_takes_the_log_offline(self) -> None:
        world = LogWorld()
        world.append(b"a")
        world.disk.capacity_bytes = 10
        refused(world, produced(b"b"), ErrorCode.KAFKA_STORAGE_ERROR)
        with pytest.raises(ApiError):
            world.log.read(0, max_bytes=10)


class TestFollowerAppend:
    def test_takes_offsets_and_epochs_as_they_are_and_leaves_out_a_partial_batch(self) -> None:
        world = LogWorld()
        data = replicated(0, 1, b"a", b"b") + replicated(2, 4, b"c")
        result = world.log.append_as_follower(memoryview(data + replicated(3, 4, b"d")[:-3]))
        assert (result.base_offset, result.last_offset, result.size_bytes) == (0, 2, len(data))
        assert world.values() == [b"a", b"b", b"c"]
        assert world.log.epochs.entries == [(1, 0), (4, 2)]

    def test_equals_the_leaders_log_byte_for_byte(self) -> None:
        leader, follower = LogWorld(), LogWorld()
        for index in range(60):
            leader.append(b"v%d" % index, epoch=index // 20, producer_id=9, producer_epoch=0, base_sequence=index)
        while follower.log.log_end_offset < 60:
            read = leader.log.read(follower.log.log_end_offset, max_bytes=1500)
            follower.log.append_as_follower(memoryview(b"".join(read.records)))
        assert follower.headers() == leader.headers()
        assert follower.log.epochs.entries == leader.log.epochs.entries
        assert follower.log.producers.encode() == leader.log.producers.encode()
        assert max(segment.size_bytes for segment in follower.log.segments) <= SMALL.segment_bytes

    @pytest.mark.parametrize(
        "second", [replicated(1, 2, b"overlap"), replicated(2, 1, b"older epoch"), replicated(2, 2, b"crc")[:-1] + b"x"]
    )
    def test_keeps_what_is_good_before_what_is_not(self, second: bytes) -> None:
        world = LogWorld()
        with pytest.raises(CorruptRecord):
            world.log.append_as_follower(memoryview(replicated(0, 2, b"a", b"b") + second))
        assert world.values() == [b"a", b"b"]


class TestRead:
    def test_returns_whole_batches_from_the_one_that_contains_the_offset(self) -> None:
        world = LogWorld()
        world.append(b"a", b"b", b"c")
        world.append(b"d")
        read = world.log.read(1, max_bytes=1000)
        assert [header.base_offset for _, header in batches(read.records[0])] == [0, 3]
        assert read.next_offset == 4

    def test_never_returns_a_batch_that_reaches_the_end_offset(self) -> None:
        world = LogWorld()
        world.append(b"a")
        world.append(b"b", b"c")
        assert world.values(end_offset=1) == [b"a"]
        assert world.values(end_offset=2) == [b"a"]
        assert world.values(end_offset=3) == [b"a", b"b", b"c"]

    def test_limit_holds_but_for_one_batch(self) -> None:
        world = LogWorld()
        size = world.append(b"x" * 50).size_bytes
        world.append(b"y" * 50)
        assert world.log.read(0, max_bytes=2 * size - 1).next_offset == 1
        assert world.log.read(0, max_bytes=1).size_bytes == size
        assert world.log.read(0, max_bytes=1, at_least_one_batch=False).size_bytes == 0

    def test_outside_of_the_log_is_refused_and_at_the_end_is_empty(self) -> None:
        world = LogWorld()
        world.append(b"a", b"b")
        world.log.advance_log_start(1)
        assert world.log.read(2, max_bytes=10).size_bytes == 0
        for offset in (0, 3):
            with pytest.raises(ApiError) as caught:
                world.log.read(offset, max_bytes=10)
            assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE

    def test_every_start_and_limit_over_many_segments(self) -> None:
        world = LogWorld()
        expected: list[bytes] = []
        for index in range(40):
            values = [b"%d-%d" % (index, part) for part in range(1 + index % 3)]
            expected += values
            world.append(*values)
        assert len(world.log.segments) > 4
        starts = {header.base_offset + part: header.base_offset for header in world.headers() for part in range(header.record_count)}
        for start in range(len(expected)):
            for max_bytes in (1, 100, 163, 10_000):
                assert world.values(start, max_bytes=max_bytes) == expected[starts[start] :]


class TestTruncation:
    def test_removes_batches_epochs_segments_and_producers(self) -> None:
        world = LogWorld()
        for index in range(40):
            world.append(b"%d" % index, epoch=index // 10, producer_id=1, producer_epoch=0, base_sequence=index)
        assert world.log.truncate_to(15)
        assert world.log.log_end_offset == 15
        assert world.values() == [b"%d" % index for index in range(15)]
        assert world.log.epochs.entries == [(0, 0), (1, 10)]
        entry = world.log.producers.get(1)
        assert entry is not None
        assert entry.last_sequence == 14
        assert world.append(b"again", epoch=5, producer_id=1, producer_epoch=0, base_sequence=15).base_offset == 15
        assert world.values(15) == [b"again"]

    def test_inside_a_batch_removes_all_of_it(self) -> None:
        world = LogWorld()
        world.append(b"a")
        world.append(b"b", b"c", b"d")
        world.log.truncate_to(2)
        assert world.log.log_end_offset == 1
        assert world.append(b"e").base_offset == 1

    def test_at_or_behind_the_end_does_nothing(self) -> None:
        world = LogWorld()
        world.append(b"a")
        assert not world.log.truncate_to(1)
        assert not world.log.truncate_to(9)
        assert world.values() == [b"a"]

    def test_fully_starts_anew_at_the_offset(self) -> None:
        world = LogWorld()
        for index in range(20):
            world.append(b"%d" % index, producer_id=1, producer_epoch=0, base_sequence=index)
        world.log.truncate_fully_and_start_at(500)
        assert (world.log.log_start_offset, world.log.log_end_offset) == (500, 500)
        assert world.log.epochs.entries == []
        assert len(world.log.producers) == 0
        world.log.append_as_follower(memoryview(replicated(500, 2, b"a")))
        world.flush()
        world.restart()
        assert world.values() == [b"a"]
        assert world.log.log_start_offset == 500

    def test_deletes_no_reader_position_of_what_comes_after(self) -> None:
        world = LogWorld()
        world.append(b"a")
        world.append(b"b")
        world.log.read(0, max_bytes=1000)
        world.log.truncate_to(1)
        world.append(b"longer than before", b"x")
        assert world.values(1) == [b"longer than before", b"x"]


class TestTime:
    def make(self) -> LogWorld:
        world = LogWorld()
        for index in range(50):
            world.append(b"%d" % index, b"+", timestamp=10_000 + index * 10, wall_ms=10_000)
        return world

    def test_finds_the_first_record_that_is_not_earlier(self) -> None:
        log = self.make().log
        times = [10_000 + index * 10 + part for index in range(50) for part in (0, 1)]
        for wanted in range(9_990, 10_500, 3):
            expected = next(((time, offset) for offset, time in enumerate(times) if time >= wanted), None)
            assert log.offset_for_timestamp(wanted) == expected

    def test_respects_the_log_start(self) -> None:
        world = self.make()
        world.log.advance_log_start(7)
        assert world.log.offset_for_timestamp(0) == (10_031, 7)

    def test_latest_time_wherever_it_is(self) -> None:
        world = self.make()
        world.append(b"late", timestamp=99_999, wall_ms=99_999)
        for _ in range(30):
            world.append(b"early", timestamp=10, wall_ms=99_999)
        assert world.log.offset_of_max_timestamp() == (99_999, 100)
        world.stop_cleanly()
        world.restart()
        assert world.log.offset_of_max_timestamp() == (99_999, 100)
        assert world.log.offset_for_timestamp(50_000) == (99_999, 100)

    def test_empty_log_has_none(self) -> None:
        log = LogWorld().log
        assert log.offset_for_timestamp(0) is None
        assert log.offset_of_max_timestamp() is None


class TestRetention:
    def test_by_time_keeps_what_is_young_or_above_the_high_watermark(self) -> None:
        world = LogWorld(attrs.evolve(SMALL, retention_ms=100))
        for index in range(40):
            world.append(b"%d" % index, timestamp=1000 + index)
        bases = [segment.base_offset for segment in world.log.segments]
        assert world.log.retention(wall_ms=5000, high_watermark=bases[2]) == 2
        assert world.log.log_start_offset == bases[2]
        assert world.values(bases[2])[0] == b"%d" % bases[2]
        assert world.log.retention(wall_ms=1030, high_watermark=40) == 0
        assert world.log.retention(wall_ms=5000, high_watermark=40) == len(bases) - 2
        assert (world.log.log_start_offset, world.log.log_end_offset) == (40, 40)
        assert world.append(b"next").base_offset == 40

    def test_records_without_a_time_are_as_old_as_those_behind_them(self) -> None:
        """They were taken for older than anything, and deleted at the next look."""
        world = LogWorld(attrs.evolve(SMALL, retention_ms=100))
        for index in range(20):
            world.append(b"%d" % index, timestamp=-1)
        assert world.log.retention(wall_ms=5000, high_watermark=20) == 0
        for index in range(20):
            world.append(b"%d" % index, timestamp=6000)
        assert world.log.retention(wall_ms=6050, high_watermark=40) == 0
        assert world.log.retention(wall_ms=7000, high_watermark=40) > 1

    def test_by_size(self) -> None:
        world = LogWorld(attrs.evolve(SMALL, retention_bytes=1200))
        for index in range(60):
            world.append(b"%d" % index)
        world.log.retention(wall_ms=0, high_watermark=60)
        assert 1200 <= world.log.size_bytes < 1200 + SMALL.segment_bytes

    def test_by_log_start_offset(self) -> None:
        world = LogWorld()
        for index in range(40):
            world.append(b"%d" % index)
        bases = [segment.base_offset for segment in world.log.segments]
        world.log.advance_log_start(bases[3] + 1)
        assert world.log.retention(wall_ms=0, high_watermark=40) == 3
        assert world.log.log_start_offset == bases[3] + 1

    def test_old_segment_is_rolled_by_time(self) -> None:
        world = LogWorld(LogConfig(segment_ms=100))
        world.append(b"a", timestamp=1000)
        world.append(b"b", timestamp=1100)
        assert len(world.log.segments) == 1
        world.append(b"c", timestamp=1101)
        assert len(world.log.segments) == 2


class TestTransactions:
    def test_last_stable_offset_waits_for_the_marker_to_be_committed(self) -> None:
        world = LogWorld()
        world.append(b"plain")
        world.append(b"open", producer_id=1, producer_epoch=0, base_sequence=0, is_transactional=True)
        assert world.log.last_stable_offset(2) == 1
        marker = world.end_transaction(ControlType.COMMIT, producer_id=1)
        assert world.log.last_stable_offset(marker.base_offset) == 1
        assert world.log.last_stable_offset(marker.base_offset + 1) == 3

    def test_aborted_transactions_are_found_by_range_and_survive(self) -> None:
        world = LogWorld()
        for index in range(12):
            world.append(b"x" * 40, producer_id=index, producer_epoch=0, base_sequence=0, is_transactional=True)
            world.end_transaction(ControlType.ABORT if index % 2 else ControlType.COMMIT, producer_id=index)
        expected = [(index, 2 * index, 2 * index + 1) for index in range(1, 12, 2)]
        for clean in (False, True):
            if clean:
                world.stop_cleanly()
            world.restart()
            assert [aborted[:3] for aborted in world.log.aborted_transactions(0, 24)] == expected
            assert [aborted[0] for aborted in world.log.aborted_transactions(7, 11)] == [3, 5]
        world.log.truncate_to(6)
        assert [aborted[0] for aborted in world.log.aborted_transactions(0, 24)] == [1]

    def test_interleaved_transactions_remember_the_last_stable_offset(self) -> None:
        world = LogWorld()
        for producer_id in (1, 2):
            world.append(b"x", producer_id=producer_id, producer_epoch=0, base_sequence=0, is_transactional=True)
        world.end_transaction(ControlType.ABORT, producer_id=2)
        world.end_transaction(ControlType.ABORT, producer_id=1)
        assert [aborted.last_stable_offset for aborted in world.log.aborted_transactions(0, 4)] == [0, 4]
        assert world.log.last_stable_offset(4) == 4

    def test_zombie_coordinator_is_fenced(self) -> None:
        world = LogWorld()
        world.append(b"x", producer_id=1, producer_epoch=0, base_sequence=0, is_transactional=True)
        world.end_transaction(ControlType.COMMIT, producer_id=1, coordinator_epoch=4)
        with pytest.raises(ApiError) as caught:
            world.end_transaction(ControlType.COMMIT, producer_id=1, coordinator_epoch=3)
        assert caught.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_truncating_at_the_end_forgets_an_epoch_in_which_nothing_was_written() -> None:
    """Else the follower would tell a later leader that it knows an epoch which that leader's log never had (KIP-279)."""
    world = LogWorld()
    world.log.append_as_follower(memoryview(replicated(0, 1, b"a")))
    world.log.epochs.assign(5, 1)
    assert not world.log.truncate_to(1)
    assert [epoch for epoch, _ in world.log.epochs.entries] == [1]
