"""Records of a coordinator's topic: to batches for an append, and from the batches of a log.

Invariant: the bytes are Kafka's (record batch v2, no compression), so that Apache's tools read the topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from raftkafka.base.disk import Buffer
from raftkafka.storage.record_batch import Record, batches, build_batch, decode_records, validate

MAX_BATCH_BYTES = 512 << 10
"""Records are put into one batch up to this size (before framing), well under any sensible max.message.bytes."""


class CoordinatorRecord(NamedTuple):
    """A change to be written: a key, and a value or None (a tombstone)."""

    key: bytes
    value: bytes | None


class LogRecord(NamedTuple):
    """A change that has its place in the log."""

    offset: int
    key: bytes
    value: bytes | None


def encode_batches(records: Iterable[CoordinatorRecord], *, wall_ms: int) -> Iterator[tuple[bytes, list[CoordinatorRecord]]]:
    """The records as batches of a bounded size, each with the records that it holds; their timestamp is `wall_ms`."""
    group: list[CoordinatorRecord] = []
    size_bytes = 0
    for record in records:
        record_bytes = len(record.key) + len(record.value or b"")
        if group and size_bytes + record_bytes > MAX_BATCH_BYTES:
            yield _encode_batch(group, wall_ms), group
            group, size_bytes = [], 0
        group.append(record)
        size_bytes += record_bytes
    if group:
        yield _encode_batch(group, wall_ms), group


def _encode_batch(group: list[CoordinatorRecord], wall_ms: int) -> bytes:
    return build_batch([Record(delta, wall_ms, record.key, record.value) for delta, record in enumerate(group)])


def decode_batches(data: Buffer) -> tuple[list[LogRecord], int]:
    """The records of whole batches (control batches have none for us), and the offset after the last batch; `data` is not empty.

    Raises `CorruptRecord`, also for a wrong checksum.
    """
    records: list[LogRecord] = []
    end_offset = -1
    for position, header in batches(data):
        validate(data, position)
        end_offset = header.next_offset
        if not header.is_control:
            records += [LogRecord(record.offset, record.key or b"", record.value) for record in decode_records(data, position)]
    return records, end_offset
