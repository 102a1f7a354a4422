"""The records of a batch as compaction sees them: a key, whether there is a value, and the bytes that stay as they are.

Invariants
- What is written again keeps everything that the outside knows of it: the batch its base offset, last offset, leader epoch, producer and
  sequence; the record its offset, time, key, value and headers. A batch without records keeps its header.
- A batch with a delete horizon says with its base timestamp when its tombstones may go; its records' times are relative to that.

Sources: the record batch chapter of the Kafka protocol guide; KIP-534 (the delete horizon).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.compression import Compression, compress, decompress
from raftkafka.storage.record_batch import (
    COMPRESSION_MASK,
    DELETE_HORIZON_FLAG,
    HEADER,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    NO_TIMESTAMP,
    BatchHeader,
    read_varint,
    seal,
    write_varint,
)


class KeyedRecord(NamedTuple):
    """One record: `plain[start:end]` are its bytes, those from `rest` on are behind its time."""

    offset: int
    key: bytes | None
    has_value: bool
    timestamp_delta: int
    start: int
    rest: int
    end: int


def plain_records(batch: bytes, header: BatchHeader) -> bytes:
    """The records of a whole batch, decompressed."""
    if header.compression_id not in Compression._value2member_map_:
        raise CorruptRecord(f"unknown compression {header.compression_id}")
    return decompress(Compression(header.compression_id), memoryview(batch)[HEADER_SIZE : header.size_bytes])


def keyed_records(plain: bytes, header: BatchHeader) -> Iterator[KeyedRecord]:
    """The records in `plain`, in order; `CorruptRecord` when they are not what the header says."""
    base_offset = header.base_offset
    start = 0
    try:
        for _ in range(header.record_count):
            length, position = read_varint(plain, start)
            end = position + length
            if length < 0 or end > len(plain):
                raise IndexError("it is longer than its batch")
            timestamp_delta, rest = read_varint(plain, position + 1)  # the byte skipped holds attributes, none of which is defined
            offset_delta, position = read_varint(plain, rest)
            key_length, position = read_varint(plain, position)
            key = None
            if key_length >= 0:
                key = plain[position : position + key_length]
                position += key_length
            value_length, position = read_varint(plain, position)
            if position + max(value_length, 0) > end:
                raise IndexError("a field is longer than its record")
            yield KeyedRecord(base_offset + offset_delta, key, value_length >= 0, timestamp_delta, start, rest, end)
            start = end
    except IndexError as error:
        raise CorruptRecord(f"a record of the batch at offset {base_offset} is damaged: {error}") from None


def delete_horizon_ms(header: BatchHeader) -> int | None:
    """When the tombstones of the batch may go; `None` when that is not known yet."""
    return header.base_timestamp if header.attributes & DELETE_HORIZON_FLAG else None


def batch_of(kept: Sequence[KeyedRecord], plain: bytes, header: BatchHeader, *, new_horizon_ms: int | None) -> bytes:
    """The batch again with these of its records only, and with a delete horizon when one is given."""
    if new_horizon_ms is None:
        base_timestamp, attributes = header.base_timestamp, header.attributes
        payload = b"".join([plain[record.start : record.end] for record in kept])
    else:
        base_timestamp, attributes = new_horizon_ms, header.attributes | DELETE_HORIZON_FLAG
        shift = header.base_timestamp - new_horizon_ms
        payload = b"".join([_moved(record, plain, shift) for record in kept])
    max_timestamp = header.max_timestamp
    if not header.is_log_append_time:
        max_timestamp = header.base_timestamp + max(record.timestamp_delta for record in kept)
    return _batch(
        compress(Compression(header.compression_id), payload),
        header._replace(attributes=attributes, base_timestamp=base_timestamp, max_timestamp=max_timestamp, record_count=len(kept)),
    )


def empty_batch(header: BatchHeader) -> bytes:
    """The batch without its records."""
    attributes = header.attributes & ~(COMPRESSION_MASK | DELETE_HORIZON_FLAG)
    return _batch(b"", header._replace(attributes=attributes, base_timestamp=NO_TIMESTAMP, record_count=0))


def _moved(record: KeyedRecord, plain: bytes, shift_ms: int) -> bytes:
    """The record's bytes with another base for its time."""
    body = bytearray(1)
    write_varint(body, record.timestamp_delta + shift_ms)
    body += plain[record.rest : record.end]
    length = bytearray()
    write_varint(length, len(body))
    return bytes(length + body)


def _batch(payload: bytes, header: BatchHeader) -> bytes:
    batch = bytearray(HEADER_SIZE + len(payload))
    HEADER.pack_into(batch, 0, *header._replace(batch_length=len(batch) - LENGTH_OVERHEAD, crc=0))
    batch[HEADER_SIZE:] = payload
    seal(batch)
    return bytes(batch)
