"""The hand-made codec of Produce: requests are read without copying a record, responses written for the usual case of no error.

Invariants
- Equal, byte for byte, to the declared messages of `messages.produce` in every version (a property test holds it).
- `records` are views into the request's buffer, valid as long as that buffer is.
- In a response, neighbouring results of one topic share a topic entry; results keep their order.

Sources: the Produce API; KIP-467 (record errors), KIP-951 (current leader, node endpoints), KIP-516 (topic ids, version 13).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import attrs

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.framing import finish_frame, start_response
from raftkafka.protocol.hot_path import NodeEndpoint as NodeEndpoint
from raftkafka.protocol.hot_path import (
    by_topic,
    leader_section,
    read_count,
    read_nullable_string,
    read_records,
    read_topic,
    skip_tags,
    write_count,
    write_node_endpoints,
    write_nullable_string,
    write_topic,
)

PRODUCE_KEY = 0
FIRST_FLEXIBLE_VERSION = 9
FIRST_TOPIC_ID_VERSION = 13

_ACKS_AND_TIMEOUT = struct.Struct(">hi")
_INT32 = struct.Struct(">i")
_RESULT_V3 = struct.Struct(">ihqq")
_RESULT_V5 = struct.Struct(">ihqqq")


@attrs.define
class ProducePartition:
    """Records for one partition; its topic has a name, or from version 13 on an id."""

    topic: str | None
    topic_id: bytes | None
    partition: int
    records: memoryview | None


@attrs.define
class ProduceRequestData:
    """A Produce request, flat."""

    transactional_id: str | None
    acks: int
    timeout_ms: int
    partitions: list[ProducePartition]


@attrs.define
class ProducePartitionResult:
    """What became of the records for one partition. `current_leader` is (leader id, leader epoch) when the client should go there."""

    topic: str | None
    topic_id: bytes | None
    partition: int
    error_code: int = 0
    base_offset: int = -1
    log_append_time_ms: int = -1
    log_start_offset: int = -1
    error_message: str | None = None
    record_errors: list[tuple[int, str | None]] = attrs.field(factory=list)
    current_leader: tuple[int, int] | None = None


def decode_produce_request(body: memoryview, offset: int, version: int) -> ProduceRequestData:
    """The request that begins at `offset` and must end with the buffer."""
    try:
        request, end = _read_request(body, offset, version)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DecodeError(f"ProduceRequest v{version}: {error}") from None
    if end != len(body):
        raise DecodeError(f"{len(body) - end} bytes after the end of a Produce request v{version}")
    return request


def _read_request(body: memoryview, offset: int, version: int) -> tuple[ProduceRequestData, int]:
    flexible = version >= FIRST_FLEXIBLE_VERSION
    by_id = version >= FIRST_TOPIC_ID_VERSION
    transactional_id, offset = read_nullable_string(body, offset, flexible)
    acks, timeout_ms = _ACKS_AND_TIMEOUT.unpack_from(body, offset)
    topic_count, offset = read_count(body, offset + 6, flexible, min_element_bytes=2)
    partitions: list[ProducePartition] = []
    for _ in range(topic_count):
        topic, topic_id, offset = read_topic(body, offset, flexible=flexible, by_id=by_id)
        partition_count, offset = read_count(body, offset, flexible, min_element_bytes=5)
        for _ in range(partition_count):
            (partition,) = _INT32.unpack_from(body, offset)
            records, offset = read_records(body, offset + 4, flexible)
            if flexible:
                offset = skip_tags(body, offset)
            partitions.append(ProducePartition(topic, topic_id, partition, records))
        if flexible:
            offset = skip_tags(body, offset)
    if flexible:
        offset = skip_tags(body, offset)
    return ProduceRequestData(transactional_id, acks, timeout_ms, partitions), offset


def encode_produce_response(
    version: int,
    correlation_id: int,
    results: Sequence[ProducePartitionResult],
    node_endpoints: Sequence[NodeEndpoint] = (),
    throttle_time_ms: int = 0,
) -> bytes:
    """A whole response frame, its length included; `node_endpoints` and leaders are left out of versions before 10."""
    flexible = version >= FIRST_FLEXIBLE_VERSION
    by_id = version >= FIRST_TOPIC_ID_VERSION
    out = start_response(PRODUCE_KEY, version, correlation_id)
    topics = by_topic(results)
    write_count(out, len(topics), flexible)
    for of_topic in topics:
        write_topic(out, of_topic[0].topic, of_topic[0].topic_id, flexible=flexible, by_id=by_id)
        write_count(out, len(of_topic), flexible)
        for result in of_topic:
            _write_result(out, result, version)
        if flexible:
            out.append(0)
    out += _INT32.pack(throttle_time_ms)
    if version >= 10:
        write_node_endpoints(out, node_endpoints)
    elif flexible:
        out.append(0)
    return finish_frame(out)


def _write_result(out: bytearray, result: ProducePartitionResult, version: int) -> None:
    if version >= 5:
        out += _RESULT_V5.pack(result.partition, result.error_code, result.base_offset, result.log_append_time_ms, result.log_start_offset)
    else:
        out += _RESULT_V3.pack(result.partition, result.error_code, result.base_offset, result.log_append_time_ms)
    if version < 8:
        return
    flexible = version >= FIRST_FLEXIBLE_VERSION
    write_count(out, len(result.record_errors), flexible)
    for batch_index, message in result.record_errors:
        out += _INT32.pack(batch_index)
        write_nullable_string(out, message, flexible)
        if flexible:
            out.append(0)
    write_nullable_string(out, result.error_message, flexible)
    if result.current_leader is not None and version >= 10:
        out += b"\x01\x00" + leader_section(result.current_leader)
    elif flexible:
        out.append(0)
