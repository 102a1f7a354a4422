"""Record batches: our reader and writer against each other and against kafka-python's, and against damage."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record import MemoryRecords, MemoryRecordsBuilder  # type: ignore[import-untyped]

from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.compression import XERIAL_MAGIC, Compression, compress, decompress
from raftkafka.storage.record_batch import (
    HEADER_SIZE,
    ControlType,
    Record,
    batches,
    build_batch,
    build_end_transaction_marker,
    crc_matches,
    decode_records,
    patch_log_append_time,
    patch_offset_and_epoch,
    read_end_transaction_marker,
    read_header,
    validate,
)

DATA = st.none() | st.binary(max_size=40)
TIMES = st.integers(0, 2**40)
RECORDS = st.lists(
    st.builds(Record, st.just(0), TIMES, DATA, DATA, st.lists(st.tuples(st.text(max_size=5), DATA), max_size=3)), min_size=1, max_size=8
)
READABLE_BY_KAFKA_PYTHON = [Compression.NONE, Compression.GZIP, Compression.LZ4, Compression.ZSTD]


@given(RECORDS, st.sampled_from(Compression), st.integers(0, 2**50))
def test_what_is_built_is_what_is_decoded(records: list[Record], compression: Compression, base_offset: int) -> None:
    batch = build_batch(records, base_offset=base_offset, compression=compression)
    header = validate(batch)
    assert (header.record_count, header.compression_id, header.last_offset) == (len(records), compression, base_offset + len(records) - 1)
    assert header.max_timestamp == max(record.timestamp for record in records)
    decoded = decode_records(batch)
    assert [record._replace(headers=list(record.headers)) for record in decoded] == [
        record._replace(offset=base_offset + index) for index, record in enumerate(records)
    ]


@given(RECORDS)
@settings(max_examples=50)
def test_kafka_python_reads_what_is_built(records: list[Record]) -> None:
    for compression in READABLE_BY_KAFKA_PYTHON[:2]:
        theirs = MemoryRecords(build_batch(records, base_offset=5, compression=compression)).next_batch()
        assert theirs.validate_crc()
        read = [(record.offset, record.timestamp, record.key, record.value, record.headers) for record in theirs]
        assert read == [(5 + index, *record[1:4], list(record.headers)) for index, record in enumerate(records)]


def test_uncompressed_batch_equals_kafka_pythons_byte_for_byte() -> None:
    builder = MemoryRecordsBuilder(
        magic=2, compression_type=0, batch_size=10_000, transactional=True, producer_id=77, producer_epoch=3, base_sequence=9
    )
    records = [Record(0, 1000 - index, b"k" * index, None if index == 2 else b"v" * 200, [("h", b"1"), ("n", None)]) for index in range(4)]
    for record in records:
        builder.append(timestamp=record.timestamp, key=record.key, value=record.value, headers=list(record.headers))
    builder.close()
    ours = build_batch(records, leader_epoch=0, producer_id=77, producer_epoch=3, base_sequence=9, is_transactional=True)
    theirs = bytearray(builder.buffer())
    patch_offset_and_epoch(theirs, 0, base_offset=0, leader_epoch=0)
    assert ours == bytes(theirs)


def test_patches_keep_the_checksum_right() -> None:
    batch = bytearray(build_batch([Record(0, 5, None, b"a")]))
    patch_offset_and_epoch(batch, 0, base_offset=2**40, leader_epoch=9)
    patch_log_append_time(memoryview(batch), 0, wall_ms=777)
    header = validate(batch)
    assert (header.base_offset, header.partition_leader_epoch, header.max_timestamp) == (2**40, 9, 777)
    assert decode_records(batch)[0].timestamp == 777


def test_iteration_stops_before_a_partial_batch() -> None:
    one = build_batch([Record(0, 5, None, b"a")])
    assert [position for position, _ in batches(one + one + one[:-1])] == [0, len(one)]
    assert list(batches(one[:HEADER_SIZE])) == []


def test_gaps_of_compaction_are_kept() -> None:
    batch = build_batch([Record(7, 1, b"a", b"1"), Record(12, 1, b"b", b"2")], base_offset=5, keep_offsets=True)
    assert [record.offset for record in decode_records(batch)] == [7, 12]
    assert read_header(batch).last_offset == 12


def test_end_transaction_marker() -> None:
    marker = build_end_transaction_marker(producer_id=1, producer_epoch=2, control_type=ControlType.ABORT, coordinator_epoch=9, timestamp=5)
    header = validate(marker)
    assert (header.is_control, header.is_transactional, header.producer_id, header.producer_epoch) == (True, True, 1, 2)
    assert read_end_transaction_marker(marker) == (ControlType.ABORT, 9)


@given(st.binary(max_size=200))
def test_random_bytes_are_never_a_batch(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        validate(data)


@given(RECORDS, st.data())
def test_flipped_bits_are_found_or_lie_outside_of_the_checksum(records: list[Record], data: st.DataObject) -> None:
    batch = bytearray(build_batch(records))
    position = data.draw(st.integers(12, len(batch) - 1))
    batch[position] ^= 1 << data.draw(st.integers(0, 7))
    if position in range(12, 16):  # the leader epoch, which the broker sets
        validate(batch)
    else:
        with pytest.raises(CorruptRecord):
            validate(batch)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 50))
def test_damaged_records_with_a_right_checksum_are_corrupt_or_decoded(payload: bytes, count: int) -> None:
    from crc32c import crc32c

    batch = bytearray(build_batch([])) + payload
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">i", batch, 57, count)
    struct.pack_into(">I", batch, 17, crc32c(bytes(batch[21:])))
    assert crc_matches(batch, read_header(batch))
    with contextlib.suppress(CorruptRecord):
        decode_records(batch)


class TestCompression:
    @given(st.sampled_from(Compression), st.binary(max_size=3000), st.integers(1, 40))
    @settings(max_examples=60)
    def test_round_trip(self, codec: Compression, data: bytes, times: int) -> None:
        assert decompress(codec, compress(codec, data * times)) == data * times

    @given(st.sampled_from([Compression.GZIP, Compression.SNAPPY, Compression.LZ4, Compression.ZSTD]), st.binary(max_size=100))
    def test_garbage_is_corrupt_or_decoded(self, codec: Compression, data: bytes) -> None:
        with contextlib.suppress(CorruptRecord):
            decompress(codec, data)

    @pytest.mark.parametrize("codec", [Compression.GZIP, Compression.SNAPPY, Compression.LZ4, Compression.ZSTD])
    def test_bomb_is_stopped_at_the_limit(self, codec: Compression) -> None:
        bomb = compress(codec, bytes(3_000_000))
        with pytest.raises(CorruptRecord, match="more than"):
            decompress(codec, bomb, 1_000_000)

    def test_snappy_is_read_raw_and_framed(self) -> None:
        from cramjam import snappy

        raw = bytes(snappy.compress_raw(b"hello" * 100))
        framed = compress(Compression.SNAPPY, b"hello" * 100)
        assert framed.startswith(XERIAL_MAGIC)
        assert decompress(Compression.SNAPPY, raw) == decompress(Compression.SNAPPY, framed) == b"hello" * 100
