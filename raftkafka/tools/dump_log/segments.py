"""A segment's file as lines: one for every batch and, with `deep`, one for every record.

Invariants
- Batches are read where they lie (the file is mapped), and only the CRC looks into one whose records are not asked for.
- A gap before the first record is told of too, as Apache's tool does: it takes the offset before it for -1.
- A damaged batch is shown with `isvalid: false`; what cannot be a batch ends the dump, and bytes behind the last whole batch are counted.

Sources: reference/disk-format.md and the golden transcripts of Apache's tool.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import attrs

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.compression import Compression
from raftkafka.storage.record_batch import (
    DELETE_HORIZON_FLAG,
    HEADER_SIZE,
    LENGTH_OVERHEAD,
    MAGIC,
    MAX_SEQUENCE,
    NO_SEQUENCE,
    BatchHeader,
    Record,
    crc_matches,
    decode_records,
    read_header,
)
from raftkafka.tools.dump_log.control_records import control_text
from raftkafka.tools.dump_log.decoders import RecordDecoder
from raftkafka.tools.dump_log.findings import Findings, note

NO_LIMIT = 2**31 - 1
_SMALLEST_RECORD_BYTES = 14
"""What the oldest formats need: a smaller size cannot be that of a batch."""


@attrs.frozen(kw_only=True)
class SegmentView:
    """What to show of a segment. `max_bytes` limits what is read of the file."""

    deep: bool = False
    contents: bool = False
    skip_record_metadata: bool = False
    max_bytes: int = NO_LIMIT
    decoder: RecordDecoder


def map_file(path: Path) -> Buffer:
    """The content of a file, which is not read before it is looked at. `FileNotFoundError` and its kin."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def whole_batches(data: Buffer, path: Path, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """The position and header of every batch from `position` that lies in the data as a whole; `CorruptRecord` for what cannot be one."""
    while position + HEADER_SIZE <= len(data):
        header = read_header(data, position)
        size_bytes = header.batch_length
        if size_bytes < _SMALLEST_RECORD_BYTES:
            raise CorruptRecord(
                f"Found record size {size_bytes} smaller than minimum record overhead ({_SMALLEST_RECORD_BYTES}) in file {path}."
            )
        if position + header.size_bytes > len(data):
            return
        if header.magic != MAGIC:
            raise CorruptRecord(
                f"{path} holds a batch of format version {header.magic} at byte {position}; only version {MAGIC} can be read."
            )
        yield position, header
        position += header.size_bytes


def dump_segment(path: Path, view: SegmentView, findings: Findings) -> Iterator[str]:
    """The lines of a file of batches."""
    whole = map_file(path)
    data = memoryview(whole)[: view.max_bytes]
    end = 0
    last_offset = -1
    for position, header in whole_batches(data, path):
        yield _batch_line(data, header, position)
        if view.deep:
            for record in decode_records(data, position):
                if record.offset != last_offset + 1:
                    note(findings.gaps, path, last_offset, record.offset)
                last_offset = record.offset
                yield from _record_line(record, header, view)
        end = position + header.size_bytes
    if end < len(data) and view.max_bytes == NO_LIMIT:
        yield f"Found {len(data) - end} invalid bytes at the end of {path.name}"


def _batch_line(data: Buffer, header: BatchHeader, position: int) -> str:
    is_valid = header.batch_length >= HEADER_SIZE - LENGTH_OVERHEAD and crc_matches(data, header, position)
    horizon = f"OptionalLong[{header.base_timestamp}]" if header.attributes & DELETE_HORIZON_FLAG else "OptionalLong.empty"
    return (
        f"baseOffset: {header.base_offset} lastOffset: {header.last_offset} count: {header.record_count}"
        f" baseSequence: {header.base_sequence} lastSequence: {header.last_sequence}"
        f" producerId: {header.producer_id} producerEpoch: {header.producer_epoch}"
        f" partitionLeaderEpoch: {header.partition_leader_epoch} isTransactional: {_word(header.is_transactional)}"
        f" isControl: {_word(header.is_control)} deleteHorizonMs: {horizon} position: {position}"
        f" {_timestamp_type(header)}: {header.max_timestamp} size: {header.size_bytes} magic: {header.magic}"
        f" compresscodec: {_compression(header)} crc: {header.crc} isvalid: {_word(is_valid)}"
    )


def _record_line(record: Record, header: BatchHeader, view: SegmentView) -> Iterator[str]:
    """The line of a record; what can be said of one whose content cannot be decoded is said before the error."""
    words: list[str] = []
    if not view.skip_record_metadata:
        names = ",".join(name for name, _ in record.headers)
        words.append(
            f"offset: {record.offset} {_timestamp_type(header)}: {record.timestamp} keySize: {_size(record.key)}"
            f" valueSize: {_size(record.value)} sequence: {_sequence(record, header)} headerKeys: [{names}]"
        )
        if header.is_control:
            words.append(control_text(record))
    if view.contents and not header.is_control:
        try:
            key, payload = view.decoder(record)
        except CorruptRecord:
            yield _joined(words)
            raise
        if key is not None:
            words.append(f"key: {key}")
        if payload is not None:
            words.append(f"payload: {payload}")
    yield _joined(words)


def _joined(words: list[str]) -> str:
    return "| " + " ".join(words) if words else ""


def _sequence(record: Record, header: BatchHeader) -> int:
    if header.base_sequence == NO_SEQUENCE:
        return NO_SEQUENCE
    return (header.base_sequence + record.offset - header.base_offset) & MAX_SEQUENCE


def _timestamp_type(header: BatchHeader) -> str:
    return "LogAppendTime" if header.is_log_append_time else "CreateTime"


def _compression(header: BatchHeader) -> str:
    known = header.compression_id in Compression._value2member_map_
    return Compression(header.compression_id).name.lower() if known else f"unknown({header.compression_id})"


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _word(value: bool) -> str:
    return "true" if value else "false"
