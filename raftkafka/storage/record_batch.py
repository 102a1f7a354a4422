"""Record batches, format version 2: the unit that producers send, logs keep and consumers fetch.

A batch is a 61-byte header and its records, which may be compressed as a whole. The CRC covers everything from the attributes on, so a
broker sets the base offset and the leader epoch of a batch in place without touching its checksum.

Invariants
- Reading a header never decodes a record.
- A header that `batches` yields lies in the buffer as a whole, with its records.

Sources: the record batch chapter of the Kafka protocol guide; KIP-98 (producer fields, control batches), KIP-101 (leader epoch),
KIP-32 (timestamp types); reference/disk-format.md.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from crc32c import crc32c

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.compression import DEFAULT_LIMIT_BYTES, Compression, compress, decompress

HEADER_SIZE = 61
LENGTH_OVERHEAD = 12
"""The bytes of a batch that its `batch_length` field does not count: the base offset and the field itself."""
MAGIC = 2
CRC_START = 21
"""The CRC covers the batch from here (the attributes) to its end."""

COMPRESSION_MASK = 0x07
LOG_APPEND_TIME_FLAG = 0x08
TRANSACTIONAL_FLAG = 0x10
CONTROL_FLAG = 0x20
DELETE_HORIZON_FLAG = 0x40

NO_TIMESTAMP = -1
NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_EPOCH = -1
MAX_SEQUENCE = 2**31 - 1

HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH = struct.Struct(">i")
_OFFSET = struct.Struct(">q")
_EPOCH = struct.Struct(">i")
_ATTRIBUTES = struct.Struct(">h")
_CRC = struct.Struct(">I")


class BatchHeader(NamedTuple):
    """The header of a batch, field by field as it lies on the disk and on the wire."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size_bytes(self) -> int:
        """The size of the whole batch."""
        return self.batch_length + LENGTH_OVERHEAD

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The sequence number of the last record; it wraps to 0 after 2^31 - 1."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return (self.base_sequence + self.last_offset_delta) & MAX_SEQUENCE

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_FLAG != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_FLAG != 0

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & LOG_APPEND_TIME_FLAG != 0

    @property
    def compression_id(self) -> int:
        """Bits 0-2 of the attributes; a number that no `Compression` has is possible."""
        return self.attributes & COMPRESSION_MASK


class Record(NamedTuple):
    """One record. Millisecond timestamps; `headers` is a sequence of (key, value) pairs in the order written."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class ControlType(enum.IntEnum):
    """The type of a control record, as its key says."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class EndTransactionMarker(NamedTuple):
    """What a control batch says about the end of a producer's transaction."""

    control_type: ControlType
    coordinator_epoch: int


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`; the buffer must hold at least `HEADER_SIZE` bytes from there."""
    return BatchHeader._make(HEADER.unpack_from(buffer, position))


def batches(buffer: Buffer, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """The position and header of every whole batch from `position`, up to a partial one; `CorruptRecord` for an impossible header."""
    size = len(buffer)
    unpack = HEADER.unpack_from
    while position + HEADER_SIZE <= size:
        header = BatchHeader._make(unpack(buffer, position))
        check_header(header)
        end = position + header.batch_length + LENGTH_OVERHEAD
        if end > size:
            return
        yield position, header
        position = end


def check_header(header: BatchHeader) -> None:
    """Raises `CorruptRecord` when no batch can have this header."""
    if header.magic != MAGIC:
        raise CorruptRecord(f"magic {header.magic} instead of {MAGIC} at offset {header.base_offset}")
    if header.batch_length < HEADER_SIZE - LENGTH_OVERHEAD:
        raise CorruptRecord(f"batch length {header.batch_length} at offset {header.base_offset} is too small")
    if header.base_offset < 0 or header.last_offset_delta < 0 or header.record_count < 0:
        raise CorruptRecord(f"impossible offsets: base {header.base_offset}, last delta {header.last_offset_delta}")


def crc_matches(buffer: Buffer, header: BatchHeader, position: int = 0) -> bool:
    """Whether the checksum of the whole batch at `position` is right."""
    return crc32c(memoryview(buffer)[position + CRC_START : position + header.batch_length + LENGTH_OVERHEAD]) == header.crc


def validate(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header of the whole, intact batch at `position`; `CorruptRecord` when there is none."""
    if len(buffer) - position < HEADER_SIZE:
        raise CorruptRecord(f"{len(buffer) - position} bytes are less than a batch header")
    header = read_header(buffer, position)
    check_header(header)
    if position + header.size_bytes > len(buffer):
        raise CorruptRecord(f"the batch at offset {header.base_offset} is cut off")
    if not crc_matches(buffer, header, position):
        raise CorruptRecord(f"wrong checksum of the batch at offset {header.base_offset}")
    return header


def patch_offset_and_epoch(buffer: bytearray | memoryview, position: int, *, base_offset: int, leader_epoch: int) -> None:
    """Gives the batch at `position` its place in the log; the checksum does not cover these fields."""
    _OFFSET.pack_into(buffer, position, base_offset)
    _EPOCH.pack_into(buffer, position + 12, leader_epoch)


def patch_log_append_time(buffer: bytearray | memoryview, position: int, *, wall_ms: int) -> None:
    """Makes `wall_ms` the time of all records of the batch, and renews the checksum."""
    header = read_header(buffer, position)
    _ATTRIBUTES.pack_into(buffer, position + CRC_START, header.attributes | LOG_APPEND_TIME_FLAG)
    _OFFSET.pack_into(buffer, position + 35, wall_ms)
    _CRC.pack_into(buffer, position + 17, crc32c(memoryview(buffer)[position + CRC_START : position + header.size_bytes]))


def decode_records(buffer: Buffer, position: int = 0, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> list[Record]:
    """The records of the batch at `position`, decompressed; `CorruptRecord` when they are not what the header says."""
    header = read_header(buffer, position)
    if header.compression_id not in Compression._value2member_map_:
        raise CorruptRecord(f"unknown compression {header.compression_id}")
    payload = memoryview(buffer)[position + HEADER_SIZE : position + header.size_bytes]
    plain = decompress(Compression(header.compression_id), payload, limit_bytes)
    records: list[Record] = []
    start = 0
    try:
        for _ in range(header.record_count):
            record, start = _decode_record(plain, start, header)
            records.append(record)
    except (IndexError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"a record of the batch at offset {header.base_offset} is damaged: {error}") from None
    if start != len(plain):
        raise CorruptRecord(f"{len(plain) - start} bytes behind the last record of the batch at offset {header.base_offset}")
    return records


def read_end_transaction_marker(buffer: Buffer, position: int = 0) -> EndTransactionMarker | None:
    """What the control batch at `position` says of a transaction; `None` when it is a control batch of another kind."""
    records = decode_records(buffer, position)
    if not records:
        return None  # compacted away
    key, value = records[0].key, records[0].value
    if key is None or len(key) < 4:
        raise CorruptRecord("a control record without its type")
    (control_type,) = struct.unpack_from(">h", key, 2)
    if control_type not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    if value is None or len(value) < 6:
        raise CorruptRecord("an end-of-transaction marker without its coordinator epoch")
    return EndTransactionMarker(ControlType(control_type), struct.unpack_from(">i", value, 2)[0])


def build_batch(
    records: Iterable[Record],
    *,
    base_offset: int = 0,
    leader_epoch: int = NO_EPOCH,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    compression: Compression = Compression.NONE,
    compression_level: int | None = None,
    is_transactional: bool = False,
    is_control: bool = False,
    log_append_time_ms: int | None = None,
    keep_offsets: bool = False,
) -> bytes:
    """A batch of these records, numbered from `base_offset`, unless `keep_offsets` (compaction leaves gaps) keeps their own offsets."""
    parts: list[bytes] = []
    base_timestamp = max_timestamp = NO_TIMESTAMP
    last_delta = count = 0
    for count, record in enumerate(records, 1):
        if count == 1:
            base_timestamp = max_timestamp = record.timestamp
        max_timestamp = max(max_timestamp, record.timestamp)
        last_delta = record.offset - base_offset if keep_offsets else count - 1
        parts.append(_encode_record(record, offset_delta=last_delta, timestamp_delta=record.timestamp - base_timestamp))
    payload = compress(compression, b"".join(parts), compression_level)
    attributes = int(compression)
    if is_transactional:
        attributes |= TRANSACTIONAL_FLAG
    if is_control:
        attributes |= CONTROL_FLAG
    if log_append_time_ms is not None:
        attributes |= LOG_APPEND_TIME_FLAG
        max_timestamp = log_append_time_ms
    batch = bytearray(HEADER_SIZE + len(payload))
    header = (base_offset, len(batch) - LENGTH_OVERHEAD, leader_epoch, MAGIC, 0, attributes, last_delta, base_timestamp, max_timestamp)
    HEADER.pack_into(batch, 0, *header, producer_id, producer_epoch, base_sequence, count)
    batch[HEADER_SIZE:] = payload
    seal(batch)
    return bytes(batch)


def seal(batch: bytearray) -> None:
    """Writes the checksum of the one whole batch."""
    _CRC.pack_into(batch, 17, crc32c(memoryview(batch)[CRC_START:]))


def build_end_transaction_marker(
    *, producer_id: int, producer_epoch: int, control_type: ControlType, coordinator_epoch: int, timestamp: int
) -> bytes:
    """The control batch that ends a producer's transaction in a partition."""
    record = Record(0, timestamp, struct.pack(">hh", 0, control_type), struct.pack(">hi", 0, coordinator_epoch))
    return build_batch([record], producer_id=producer_id, producer_epoch=producer_epoch, is_transactional=True, is_control=True)


def _decode_record(plain: bytes, start: int, header: BatchHeader) -> tuple[Record, int]:
    length, position = read_varint(plain, start)
    end = position + length
    if length < 0 or end > len(plain):
        raise IndexError("it is longer than its batch")
    timestamp_delta, position = read_varint(plain, position + 1)  # the byte skipped holds attributes, none of which is defined
    offset_delta, position = read_varint(plain, position)
    key, position = _read_bytes(plain, position)
    value, position = _read_bytes(plain, position)
    header_count, position = read_varint(plain, position)
    if header_count < 0 or header_count > end - position:
        raise IndexError(f"{header_count} headers")
    headers: Sequence[tuple[str, bytes | None]] = ()
    if header_count:
        headers = []
        for _ in range(header_count):
            name, position = _read_bytes(plain, position)
            if name is None:
                raise IndexError("a header without a key")
            header_value, position = _read_bytes(plain, position)
            headers.append((name.decode(), header_value))
    if position != end:
        raise IndexError("its length is wrong")
    timestamp = header.max_timestamp if header.attributes & LOG_APPEND_TIME_FLAG else header.base_timestamp + timestamp_delta
    return Record(header.base_offset + offset_delta, timestamp, key, value, headers), end


def read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    """The signed number at `position`, and the position behind it."""
    byte = buffer[position]
    position += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position
    value = byte & 0x7F
    shift = 7
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise IndexError("a varint of more than 10 bytes")


def _read_bytes(buffer: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = read_varint(buffer, position)
    if length < 0:
        return None, position
    end = position + length
    if end > len(buffer):
        raise IndexError("a field is longer than its record")
    return buffer[position:end], end


def _encode_record(record: Record, *, offset_delta: int, timestamp_delta: int) -> bytes:
    body = bytearray(1)
    write_varint(body, timestamp_delta)
    write_varint(body, offset_delta)
    _write_bytes(body, record.key)
    _write_bytes(body, record.value)
    write_varint(body, len(record.headers))
    for name, value in record.headers:
        _write_bytes(body, name.encode())
        _write_bytes(body, value)
    length = bytearray()
    write_varint(length, len(body))
    return bytes(length + body)


def write_varint(out: bytearray, value: int) -> None:
    """Appends a signed number; `read_varint` reads it."""
    zigzag = (value << 1) ^ (value >> 63)
    while zigzag >= 0x80:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)


def _write_bytes(out: bytearray, data: bytes | None) -> None:
    if data is None:
        out.append(1)  # -1
    else:
        write_varint(out, len(data))
        out += data
