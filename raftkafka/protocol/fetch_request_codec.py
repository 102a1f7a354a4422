"""The hand-made codec of Fetch requests, of consumers and followers; see `fetch_codec`.

Neighbouring partitions of one topic share a topic entry; partitions keep their order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import groupby

import attrs

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import ZERO_ID
from raftkafka.protocol.framing import finish_frame, start_request
from raftkafka.protocol.hot_path import (
    by_topic,
    read_count,
    read_nullable_string,
    read_string,
    read_tags,
    read_topic,
    require_end,
    skip_tags,
    write_count,
    write_string,
    write_topic,
)
from raftkafka.protocol.primitives import write_unsigned_varint

FETCH_KEY = 1
FIRST_FLEXIBLE_VERSION = 12
FIRST_TOPIC_ID_VERSION = 13
UNKNOWN_HIGH_WATERMARK = 2**63 - 1
"""What a follower sends that does not tell its high watermark (before version 18)."""

_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")
_REPLICA = struct.Struct(">iq")
_REPLICA_TAG = struct.Struct(">BBiqB")
_HIGH_WATERMARK_TAG = struct.Struct(">BBq")
_HIGH_WATERMARK_TAGS = struct.Struct(">BBBq")
_LIMITS = struct.Struct(">iiib")
_SESSION = struct.Struct(">ii")
_PARTITION_V4 = struct.Struct(">iqi")
_PARTITION_V5 = struct.Struct(">iqqi")
_PARTITION_V9 = struct.Struct(">iiqqi")
_PARTITION_V12 = struct.Struct(">iiqiqi")


@attrs.define
class FetchPartition:
    """What is wanted of one partition; its topic has a name, or from version 13 on an id."""

    topic: str | None
    topic_id: bytes | None
    partition: int
    fetch_offset: int
    partition_max_bytes: int
    current_leader_epoch: int = -1
    last_fetched_epoch: int = -1
    log_start_offset: int = -1
    replica_directory_id: bytes = ZERO_ID
    high_watermark: int = UNKNOWN_HIGH_WATERMARK


@attrs.define(kw_only=True)
class FetchRequestData:
    """A Fetch request, flat. `forgotten` holds (topic, topic id, partition) that leave the session."""

    partitions: list[FetchPartition]
    max_wait_ms: int
    min_bytes: int
    max_bytes: int = 2**31 - 1
    replica_id: int = -1
    replica_epoch: int = -1
    isolation_level: int = 0
    session_id: int = 0
    session_epoch: int = -1
    forgotten: list[tuple[str | None, bytes | None, int]] = attrs.field(factory=list)
    rack_id: str = ""
    cluster_id: str | None = None


def decode_fetch_request(body: memoryview, offset: int, version: int) -> FetchRequestData:
    """The request that begins at `offset` and must end with the buffer."""
    try:
        request, end = _read_request(body, offset, version)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DecodeError(f"FetchRequest v{version}: {error}") from None
    if end != len(body):
        raise DecodeError(f"{len(body) - end} bytes after the end of a Fetch request v{version}")
    return request


def _read_request(body: memoryview, offset: int, version: int) -> tuple[FetchRequestData, int]:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    replica_id = -1
    if version < 15:
        (replica_id,) = _INT32.unpack_from(body, offset)
        offset += 4
    max_wait_ms, min_bytes, max_bytes, isolation_level = _LIMITS.unpack_from(body, offset)
    offset += _LIMITS.size
    session_id, session_epoch = 0, -1
    if version >= 7:
        session_id, session_epoch = _SESSION.unpack_from(body, offset)
        offset += _SESSION.size
    partitions, offset = _read_partitions(body, offset, version)
    request = FetchRequestData(
        partitions=partitions,
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        replica_id=replica_id,
        isolation_level=isolation_level,
        session_id=session_id,
        session_epoch=session_epoch,
    )
    if version >= 7:
        request.forgotten, offset = _read_forgotten(body, offset, version)
    if version >= 11:
        request.rack_id, offset = read_string(body, offset, flexible)
    if flexible:
        offset = _read_request_tags(body, offset, version, request)
    return request, offset


def _read_partitions(body: memoryview, offset: int, version: int) -> tuple[list[FetchPartition], int]:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    by_id = version >= FIRST_TOPIC_ID_VERSION
    partitions: list[FetchPartition] = []
    topic_count, offset = read_count(body, offset, flexible, min_element_bytes=2)
    for _ in range(topic_count):
        topic, topic_id, offset = read_topic(body, offset, flexible=flexible, by_id=by_id)
        partition_count, offset = read_count(body, offset, flexible, min_element_bytes=_PARTITION_V4.size)
        for _ in range(partition_count):
            wanted, offset = _read_partition(body, offset, version, topic, topic_id)
            if flexible:
                offset = _read_partition_tags(body, offset, version, wanted)
            partitions.append(wanted)
        if flexible:
            offset = skip_tags(body, offset)
    return partitions, offset


def _read_partition(body: memoryview, offset: int, version: int, topic: str | None, topic_id: bytes | None) -> tuple[FetchPartition, int]:
    leader_epoch = last_fetched_epoch = log_start_offset = -1
    if version >= 12:
        form = _PARTITION_V12
        partition, leader_epoch, fetch_offset, last_fetched_epoch, log_start_offset, max_bytes = form.unpack_from(body, offset)
    elif version >= 9:
        form = _PARTITION_V9
        partition, leader_epoch, fetch_offset, log_start_offset, max_bytes = form.unpack_from(body, offset)
    elif version >= 5:
        form = _PARTITION_V5
        partition, fetch_offset, log_start_offset, max_bytes = form.unpack_from(body, offset)
    else:
        form = _PARTITION_V4
        partition, fetch_offset, max_bytes = form.unpack_from(body, offset)
    wanted = FetchPartition(topic, topic_id, partition, fetch_offset, max_bytes, leader_epoch, last_fetched_epoch, log_start_offset)
    return wanted, offset + form.size


def _read_partition_tags(body: memoryview, offset: int, version: int, wanted: FetchPartition) -> int:
    if version >= 18 and offset + _HIGH_WATERMARK_TAGS.size <= len(body):  # what a follower usually says
        count, tag, size, high_watermark = _HIGH_WATERMARK_TAGS.unpack_from(body, offset)
        if count == 1 and tag == 1 and size == 8:
            wanted.high_watermark = high_watermark
            return offset + _HIGH_WATERMARK_TAGS.size
    fields, offset = read_tags(body, offset)
    for tag, start, end in fields:
        if tag == 0 and version >= 17:
            wanted.replica_directory_id = bytes(body[start:end])
            require_end(tag, start + 16, end)
        elif tag == 1 and version >= 18:
            (wanted.high_watermark,) = _INT64.unpack_from(body, start)
            require_end(tag, start + 8, end)
    return offset


def _read_forgotten(body: memoryview, offset: int, version: int) -> tuple[list[tuple[str | None, bytes | None, int]], int]:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    forgotten: list[tuple[str | None, bytes | None, int]] = []
    topic_count, offset = read_count(body, offset, flexible, min_element_bytes=2)
    for _ in range(topic_count):
        topic, topic_id, offset = read_topic(body, offset, flexible=flexible, by_id=version >= FIRST_TOPIC_ID_VERSION)
        count, offset = read_count(body, offset, flexible, min_element_bytes=4)
        forgotten += [(topic, topic_id, partition) for partition in struct.unpack_from(f">{count}i", body, offset)]
        offset += 4 * count
        if flexible:
            offset = skip_tags(body, offset)
    return forgotten, offset


def _read_request_tags(body: memoryview, offset: int, version: int, request: FetchRequestData) -> int:
    fields, offset = read_tags(body, offset)
    for tag, start, end in fields:
        if tag == 0:
            request.cluster_id, last = read_nullable_string(body, start, True)
            require_end(tag, last, end)
        elif tag == 1 and version >= 15:
            request.replica_id, request.replica_epoch = _REPLICA.unpack_from(body, start)
            require_end(tag, skip_tags(body, start + _REPLICA.size), end)
    return offset


def encode_fetch_request(version: int, correlation_id: int, client_id: str | None, request: FetchRequestData) -> bytes:
    """A whole request frame, its length included; what the version lacks is left out."""
    flexible = version >= FIRST_FLEXIBLE_VERSION
    out = start_request(FETCH_KEY, version, correlation_id, client_id)
    if version < 15:
        out += _INT32.pack(request.replica_id)
    out += _LIMITS.pack(request.max_wait_ms, request.min_bytes, request.max_bytes, request.isolation_level)
    if version >= 7:
        out += _SESSION.pack(request.session_id, request.session_epoch)
    topics = by_topic(request.partitions)
    write_count(out, len(topics), flexible)
    for partitions in topics:
        write_topic(out, partitions[0].topic, partitions[0].topic_id, flexible=flexible, by_id=version >= FIRST_TOPIC_ID_VERSION)
        write_count(out, len(partitions), flexible)
        for partition in partitions:
            _write_partition(out, partition, version)
        if flexible:
            out.append(0)
    if version >= 7:
        _write_forgotten(out, request.forgotten, version)
    if version >= 11:
        write_string(out, request.rack_id, flexible)
    if flexible:
        _write_request_tags(out, request, version)
    return finish_frame(out)


def _write_partition(out: bytearray, wanted: FetchPartition, version: int) -> None:
    partition, leader_epoch, fetch_offset = wanted.partition, wanted.current_leader_epoch, wanted.fetch_offset
    log_start_offset, max_bytes = wanted.log_start_offset, wanted.partition_max_bytes
    if version >= 12:
        out += _PARTITION_V12.pack(partition, leader_epoch, fetch_offset, wanted.last_fetched_epoch, log_start_offset, max_bytes)
        _write_partition_tags(out, wanted, version)
    elif version >= 9:
        out += _PARTITION_V9.pack(partition, leader_epoch, fetch_offset, log_start_offset, max_bytes)
    elif version >= 5:
        out += _PARTITION_V5.pack(partition, fetch_offset, log_start_offset, max_bytes)
    else:
        out += _PARTITION_V4.pack(partition, fetch_offset, max_bytes)


def _write_partition_tags(out: bytearray, wanted: FetchPartition, version: int) -> None:
    says_directory = version >= 17 and wanted.replica_directory_id != ZERO_ID
    says_high_watermark = version >= 18 and wanted.high_watermark != UNKNOWN_HIGH_WATERMARK
    out.append(says_directory + says_high_watermark)
    if says_directory:
        out += b"\x00\x10" + wanted.replica_directory_id
    if says_high_watermark:
        out += _HIGH_WATERMARK_TAG.pack(1, 8, wanted.high_watermark)


def _write_forgotten(out: bytearray, forgotten: Sequence[tuple[str | None, bytes | None, int]], version: int) -> None:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    if not forgotten:
        write_count(out, 0, flexible)
        return
    topics = [(topic, [partition for _, _, partition in group]) for topic, group in groupby(forgotten, lambda entry: entry[:2])]
    write_count(out, len(topics), flexible)
    for (topic, topic_id), partitions in topics:
        write_topic(out, topic, topic_id, flexible=flexible, by_id=version >= FIRST_TOPIC_ID_VERSION)
        write_count(out, len(partitions), flexible)
        out += struct.pack(f">{len(partitions)}i", *partitions)
        if flexible:
            out.append(0)


def _write_request_tags(out: bytearray, request: FetchRequestData, version: int) -> None:
    says_cluster = request.cluster_id is not None
    says_replica = version >= 15 and (request.replica_id != -1 or request.replica_epoch != -1)
    out.append(says_cluster + says_replica)
    if request.cluster_id is not None:
        value = bytearray()
        write_string(value, request.cluster_id, True)
        out.append(0)
        write_unsigned_varint(out, len(value))
        out += value
    if says_replica:
        out += _REPLICA_TAG.pack(1, _REPLICA_TAG.size - 2, request.replica_id, request.replica_epoch, 0)
