"""The hand-made codec of Fetch responses, to consumers and followers; see `fetch_codec`.

Neighbouring results of one topic share a topic entry; results keep their order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import attrs

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import DecodeError
from raftkafka.protocol.fetch_request_codec import FETCH_KEY, FIRST_FLEXIBLE_VERSION, FIRST_TOPIC_ID_VERSION
from raftkafka.protocol.framing import start_response
from raftkafka.protocol.hot_path import (
    NodeEndpoint,
    by_topic,
    leader_section,
    read_count,
    read_leader,
    read_node_endpoints,
    read_nullable_count,
    read_records,
    read_tags,
    read_topic,
    require_end,
    skip_tags,
    write_count,
    write_node_endpoints,
    write_topic,
)

COPY_BELOW_BYTES = 1024
"""Records smaller than this are copied into the head: cheaper than buffers of their own for sendmsg."""

_INT32 = struct.Struct(">i")
_RESPONSE_START = struct.Struct(">ihi")
_RESULT_V4 = struct.Struct(">ihqq")
_RESULT_V5 = struct.Struct(">ihqqq")
_RESULT_V12 = struct.Struct(">ihqqqBi")
"""From version 12 on, with null for the aborted transactions, and the preferred replica."""
_ABORTED = struct.Struct(">qq")
_EPOCH_END = struct.Struct(">iq")


@attrs.define
class FetchPartitionResult:
    """What a fetch got of one partition.

    `diverging_epoch` is (epoch, end offset), `current_leader` (leader id, leader epoch), an aborted transaction (producer id, first
    offset). `records` are buffers that follow one another, `records_size` bytes in all.
    """

    topic: str | None
    topic_id: bytes | None
    partition: int
    error_code: int = 0
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    diverging_epoch: tuple[int, int] | None = None
    current_leader: tuple[int, int] | None = None
    aborted_transactions: list[tuple[int, int]] | None = None
    preferred_read_replica: int = -1
    records: Sequence[Buffer] = ()
    records_size: int = 0


@attrs.define(kw_only=True)
class FetchResponseData:
    """A Fetch response, flat."""

    error_code: int = 0
    session_id: int = 0
    throttle_time_ms: int = 0
    partitions: list[FetchPartitionResult] = attrs.field(factory=list)
    node_endpoints: list[NodeEndpoint] = attrs.field(factory=list)


def encode_fetch_response(
    version: int,
    correlation_id: int,
    results: Sequence[FetchPartitionResult],
    *,
    error_code: int = 0,
    session_id: int = 0,
    throttle_time_ms: int = 0,
    node_endpoints: Sequence[NodeEndpoint] = (),
) -> list[Buffer]:
    """A whole response frame as buffers for sendmsg: small heads, the first beginning with the length, and the records as they are."""
    flexible = version >= FIRST_FLEXIBLE_VERSION
    head = start_response(FETCH_KEY, version, correlation_id)
    buffers: list[Buffer] = [head]
    head += _RESPONSE_START.pack(throttle_time_ms, error_code, session_id) if version >= 7 else _INT32.pack(throttle_time_ms)
    topics = by_topic(results)
    write_count(head, len(topics), flexible)
    for of_topic in topics:
        write_topic(head, of_topic[0].topic, of_topic[0].topic_id, flexible=flexible, by_id=version >= FIRST_TOPIC_ID_VERSION)
        write_count(head, len(of_topic), flexible)
        for result in of_topic:
            head = _write_result(head, result, version, buffers)
        if flexible:
            head.append(0)
    if version >= 16:
        write_node_endpoints(head, node_endpoints)
    elif flexible:
        head.append(0)
    _INT32.pack_into(buffers[0], 0, (len(head) if len(buffers) == 1 else sum(map(len, buffers))) - 4)
    return buffers


def _write_result(head: bytearray, result: FetchPartitionResult, version: int, buffers: list[Buffer]) -> bytearray:
    """Appends a result; returns the head that what follows goes into, which is a new one where records were put between."""
    flexible = version >= FIRST_FLEXIBLE_VERSION
    partition, error_code, high_watermark = result.partition, result.error_code, result.high_watermark
    last_stable_offset, log_start_offset, aborted = result.last_stable_offset, result.log_start_offset, result.aborted_transactions
    if flexible and aborted is None:
        head += _RESULT_V12.pack(
            partition, error_code, high_watermark, last_stable_offset, log_start_offset, 0, result.preferred_read_replica
        )
    else:
        if version >= 5:
            head += _RESULT_V5.pack(partition, error_code, high_watermark, last_stable_offset, log_start_offset)
        else:
            head += _RESULT_V4.pack(partition, error_code, high_watermark, last_stable_offset)
        _write_aborted(head, aborted, flexible)
        if version >= 11:
            head += _INT32.pack(result.preferred_read_replica)
    write_count(head, result.records_size, flexible)
    if result.records_size < COPY_BELOW_BYTES:
        for buffer in result.records:
            head += buffer
    else:
        buffers += result.records
        head = bytearray()
        buffers.append(head)
    if flexible and result.diverging_epoch is None and result.current_leader is None:
        head.append(0)
    elif flexible:
        _write_result_tags(head, result)
    return head


def _write_aborted(head: bytearray, aborted: Sequence[tuple[int, int]] | None, flexible: bool) -> None:
    write_count(head, -1 if aborted is None else len(aborted), flexible)
    for producer_id, first_offset in aborted or ():
        head += _ABORTED.pack(producer_id, first_offset)
        if flexible:
            head.append(0)


def _write_result_tags(head: bytearray, result: FetchPartitionResult) -> None:
    head.append((result.diverging_epoch is not None) + (result.current_leader is not None))
    if result.diverging_epoch is not None:
        head += b"\x00\x0d" + _EPOCH_END.pack(*result.diverging_epoch) + b"\x00"
    if result.current_leader is not None:
        head += b"\x01" + leader_section(result.current_leader)


def decode_fetch_response(frame: memoryview, offset: int, version: int) -> FetchResponseData:
    """The response whose body begins at `offset` and must end with the buffer; records are views into it."""
    try:
        response, end = _read_response(frame, offset, version)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DecodeError(f"FetchResponse v{version}: {error}") from None
    if end != len(frame):
        raise DecodeError(f"{len(frame) - end} bytes after the end of a Fetch response v{version}")
    return response


def _read_response(frame: memoryview, offset: int, version: int) -> tuple[FetchResponseData, int]:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    throttle_time_ms, error_code, session_id = 0, 0, 0
    if version >= 7:
        throttle_time_ms, error_code, session_id = _RESPONSE_START.unpack_from(frame, offset)
        offset += _RESPONSE_START.size
    else:
        (throttle_time_ms,) = _INT32.unpack_from(frame, offset)
        offset += 4
    response = FetchResponseData(throttle_time_ms=throttle_time_ms, error_code=error_code, session_id=session_id)
    topic_count, offset = read_count(frame, offset, flexible, min_element_bytes=2)
    for _ in range(topic_count):
        topic, topic_id, offset = read_topic(frame, offset, flexible=flexible, by_id=version >= FIRST_TOPIC_ID_VERSION)
        count, offset = read_count(frame, offset, flexible, min_element_bytes=_RESULT_V4.size)
        for _ in range(count):
            result = FetchPartitionResult(topic, topic_id, -1)
            offset = _read_result(frame, offset, version, result)
            response.partitions.append(result)
        if flexible:
            offset = skip_tags(frame, offset)
    if flexible and not frame[offset]:
        offset += 1
    elif flexible:
        fields, offset = read_tags(frame, offset)
        for tag, start, end in fields:
            if tag == 0 and version >= 16:
                response.node_endpoints, last = read_node_endpoints(frame[:end], start)
                require_end(tag, last, end)
    return response, offset


def _read_result(frame: memoryview, offset: int, version: int, result: FetchPartitionResult) -> int:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    if version >= 5:
        (
            result.partition,
            result.error_code,
            result.high_watermark,
            result.last_stable_offset,
            result.log_start_offset,
        ) = _RESULT_V5.unpack_from(frame, offset)
        offset += _RESULT_V5.size
    else:
        result.partition, result.error_code, result.high_watermark, result.last_stable_offset = _RESULT_V4.unpack_from(frame, offset)
        offset += _RESULT_V4.size
    result.aborted_transactions, offset = _read_aborted(frame, offset, flexible)
    if version >= 11:
        (result.preferred_read_replica,) = _INT32.unpack_from(frame, offset)
        offset += 4
    records, offset = read_records(frame, offset, flexible)
    if records:
        result.records, result.records_size = (records,), len(records)
    if flexible and not frame[offset]:
        offset += 1
    elif flexible:
        fields, offset = read_tags(frame, offset)
        for tag, start, end in fields:
            if tag == 0:
                result.diverging_epoch = _EPOCH_END.unpack_from(frame, start)
                require_end(tag, skip_tags(frame, start + _EPOCH_END.size), end)
            elif tag == 1:
                result.current_leader, last = read_leader(frame, start)
                require_end(tag, last, end)
    return offset


def _read_aborted(frame: memoryview, offset: int, flexible: bool) -> tuple[list[tuple[int, int]] | None, int]:
    if flexible and not frame[offset]:
        return None, offset + 1
    count, offset = read_nullable_count(frame, offset, flexible, min_element_bytes=_ABORTED.size)
    if count < 0:
        return None, offset
    aborted: list[tuple[int, int]] = []
    for _ in range(count):
        aborted.append(_ABORTED.unpack_from(frame, offset))
        offset += _ABORTED.size
        if flexible:
            offset = skip_tags(frame, offset)
    return aborted, offset
