"""The files beside a segment as lines: offset index, time index, aborted transactions, producer snapshot.

The entries of the two indexes are held against the segment, and what does not fit is noted in the findings.

Invariants
- A tail of zeros (a preallocated file, or one that a crash left) is no entry.

Sources: reference/disk-format.md; KIP-33; the golden transcripts of Apache's tool.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.producers import NO_OFFSET, ProducerEntry, ProducerStates
from raftkafka.storage.record_batch import NO_TIMESTAMP, decode_records
from raftkafka.tools.dump_log.findings import Findings, note
from raftkafka.tools.dump_log.segments import map_file, whole_batches

_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")
_ABORTED_ENTRY = struct.Struct(">hqqqq")


class _OffsetEntry(NamedTuple):
    offset: int
    position: int


class _TimeEntry(NamedTuple):
    timestamp: int
    offset: int


def dump_offset_index(path: Path, findings: Findings, *, sanity_only: bool, verify_only: bool, max_message_size: int) -> Iterator[str]:
    """The entries, checked against the batches of the segment. `max_message_size` is how far an entry is followed into the segment."""
    base_offset = base_offset_of(path)
    log_path = path.with_name(path.name.split(".")[0] + ".log")
    log = memoryview(map_file(log_path))
    data = path.read_bytes()
    if not data:
        yield f"{path} is empty."
        return
    if sanity_only:
        _check_size(path, data, _OFFSET_ENTRY.size)
        last = _OFFSET_ENTRY.unpack_from(data, len(data) - _OFFSET_ENTRY.size)[0]
        if last < 0:
            raise CorruptRecord(_not_sane(path, f"non-zero size but the last offset is {base_offset + last}, below the base offset"))
        yield f"{path} passed sanity check."
        return
    for entry in _offset_entries(data, base_offset):
        window = log[entry.position : entry.position + max_message_size]
        first = next(iter(whole_batches(window, log_path)), None)
        if first is None:
            raise CorruptRecord(
                f"The entry of offset {entry.offset} in {path} points to byte {entry.position}, where {log_path} has no batch."
            )
        last_offset = first[1].last_offset
        if last_offset != entry.offset:
            note(findings.index_mismatches, path, entry.offset, last_offset)
        if not verify_only:
            yield f"offset: {entry.offset} position: {entry.position}"


def dump_time_index(path: Path, findings: Findings, *, sanity_only: bool, verify_only: bool) -> Iterator[str]:
    """The entries, checked against the records of the segment, which are found by way of its offset index."""
    base_offset = base_offset_of(path)
    log_path = path.with_name(path.name.split(".")[0] + ".log")
    log = map_file(log_path)
    index = list(_offset_entries(log_path.with_suffix(".index").read_bytes(), base_offset))
    data = path.read_bytes()
    if sanity_only:
        _check_size(path, data, _TIME_ENTRY.size)
        entries = list(_time_entries(data, base_offset))
        if entries and entries[-1].timestamp < entries[0].timestamp:
            raise CorruptRecord(_not_sane(path, "its last timestamp is less than its first"))
        yield f"{path} passed sanity check."
        return
    offsets = [entry.offset for entry in index]
    previous = NO_TIMESTAMP
    for entry in _time_entries(data, base_offset):
        found = bisect_right(offsets, entry.offset)
        position = index[found - 1].position if found else 0
        for at, header in whole_batches(log, log_path, position):
            if header.last_offset >= entry.offset:
                _check_time(path, entry, previous, findings, last_offset=header.last_offset, records=_times(log, at))
                break
        else:
            note(findings.offsets_not_found, path, entry.offset, -1)
        if not verify_only:
            yield f"timestamp: {entry.timestamp} offset: {entry.offset}"
        previous = entry.timestamp


def dump_transaction_index(path: Path) -> Iterator[str]:
    """The aborted transactions; a torn last entry is left out."""
    data = path.read_bytes()
    for version, *numbers in _ABORTED_ENTRY.iter_unpack(data[: len(data) - len(data) % _ABORTED_ENTRY.size]):
        if version != 0:
            raise CorruptRecord(f"Unexpected aborted transaction version {version}, current version is 0")
        producer_id, first_offset, last_offset, last_stable_offset = numbers
        yield (
            f"version: {version} producerId: {producer_id} firstOffset: {first_offset}"
            f" lastOffset: {last_offset} lastStableOffset: {last_stable_offset}"
        )


def dump_producer_snapshot(path: Path) -> Iterator[str]:
    """What a log knew of its producers. `CorruptRecord` when the file is damaged."""
    producers = ProducerStates()
    producers.load(path.read_bytes(), 0)
    yield from (_producer_line(entry) for entry in producers.entries)


def _producer_line(entry: ProducerEntry) -> str:
    first = entry.transaction_first_offset
    started = "OptionalLong.empty" if first == NO_OFFSET else f"OptionalLong[{first}]"
    line = (
        f"producerId: {entry.producer_id} producerEpoch: {entry.producer_epoch} coordinatorEpoch: {entry.coordinator_epoch}"
        f" currentTxnFirstOffset: {started} lastTimestamp: {entry.last_timestamp} "
    )
    if not entry.batches:
        return line
    batch = entry.batches[-1]
    return (
        f"{line}firstSequence: {batch.base_sequence} lastSequence: {batch.last_sequence} lastOffset: {batch.last_offset}"
        f" offsetDelta: {batch.offset_delta} timestamp: {batch.timestamp}"
    )


def _check_time(path: Path, entry: _TimeEntry, previous: int, findings: Findings, *, last_offset: int, records: Iterator[int]) -> None:
    if last_offset != entry.offset:
        note(findings.offsets_not_found, path, entry.offset, last_offset)
        return
    latest = max(records, default=NO_TIMESTAMP)
    if latest != entry.timestamp:
        note(findings.time_mismatches, path, entry.timestamp, latest)
    if previous >= entry.timestamp:
        note(findings.times_out_of_order, path, entry.timestamp, previous)


def _times(log: bytes | bytearray | memoryview, position: int) -> Iterator[int]:
    return (record.timestamp for record in decode_records(log, position))


def _offset_entries(data: bytes, base_offset: int) -> Iterator[_OffsetEntry]:
    for number, (relative, position) in enumerate(_OFFSET_ENTRY.iter_unpack(data[: len(data) - len(data) % _OFFSET_ENTRY.size])):
        if relative == 0 and number:
            return
        yield _OffsetEntry(base_offset + relative, position)


def _time_entries(data: bytes, base_offset: int) -> Iterator[_TimeEntry]:
    for number, (timestamp, relative) in enumerate(_TIME_ENTRY.iter_unpack(data[: len(data) - len(data) % _TIME_ENTRY.size])):
        if relative == 0 and number:
            return
        yield _TimeEntry(timestamp, base_offset + relative)


def base_offset_of(path: Path) -> int:
    """The offset that a file of a log is named after; `CorruptRecord` when it is not named so."""
    return number_of(path, path.name.split(".")[0])


def number_of(path: Path, text: str) -> int:
    """A number in the name of a file."""
    if not text.isdecimal():
        raise CorruptRecord(f'{path} is not named after an offset: For input string: "{text}"')
    return int(text)


def _check_size(path: Path, data: bytes, entry_bytes: int) -> None:
    if len(data) % entry_bytes:
        raise CorruptRecord(_not_sane(path, f"found {len(data)} bytes which is neither positive nor a multiple of {entry_bytes}"))


def _not_sane(path: Path, reason: str) -> str:
    return f"Corrupt index found, index file ({path.absolute()}): {reason}."
