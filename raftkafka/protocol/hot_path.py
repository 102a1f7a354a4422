"""What the hand-made codecs of Produce and Fetch share: plain functions over a buffer, in place of the closures of the compiled ones.

They are written for the usual case, a length or a count of one byte. A buffer that ends too early raises `IndexError` or `struct.error`,
which the codecs turn into `DecodeError`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol, TypeVar

import attrs

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.primitives import (
    read_compact_length,
    read_length,
    read_short_length,
    read_unsigned_varint,
    write_compact_length,
    write_length,
    write_short_length,
    write_unsigned_varint,
)

INT32 = struct.Struct(">i")
LEADER = struct.Struct(">ii")


@attrs.frozen
class NodeEndpoint:
    """Where a leader that a response names can be reached (KIP-951)."""

    node_id: int
    host: str
    port: int
    rack: str | None = None


class OfTopic(Protocol):
    """Something in a message that belongs to a topic, by name or by id."""

    topic: str | None
    topic_id: bytes | None


Entry = TypeVar("Entry", bound=OfTopic)


def by_topic(entries: Sequence[Entry]) -> Sequence[Sequence[Entry]]:
    """The entries in their order, neighbours of one topic together."""
    if len(entries) == 1:
        return (entries,)
    return [list(group) for _, group in groupby(entries, lambda entry: (entry.topic, entry.topic_id))]


def read_string(buffer: memoryview, offset: int, flexible: bool) -> tuple[str, int]:
    """A string that is not null."""
    text, offset = read_nullable_string(buffer, offset, flexible)
    if text is None:
        raise DecodeError(f"null where a string must not be null, at byte {offset}")
    return text, offset


def read_nullable_string(buffer: memoryview, offset: int, flexible: bool) -> tuple[str | None, int]:
    """A string that may be null."""
    if flexible and (length := buffer[offset] - 1) < 0x7F:
        offset += 1
    else:
        length, offset = read_compact_length(buffer, offset) if flexible else read_short_length(buffer, offset)
    if length < 0:
        if length == -1:
            return None, offset
        raise DecodeError(f"a string of length {length} at byte {offset}")
    end = offset + length
    if end > len(buffer) or length > 0x7FFF:
        raise DecodeError(f"a string of {length} bytes at byte {offset}: longer than the buffer or the type allows")
    return str(buffer[offset:end], "utf-8"), end


def read_topic(buffer: memoryview, offset: int, *, flexible: bool, by_id: bool) -> tuple[str | None, bytes | None, int]:
    """What a topic is called: (name, None) or (None, topic id), and the offset after it."""
    if not by_id:
        name, offset = read_string(buffer, offset, flexible)
        return name, None, offset
    end = offset + 16
    if end > len(buffer):
        raise DecodeError(f"the buffer ends within a topic id at byte {offset}")
    return None, bytes(buffer[offset:end]), end


def read_records(buffer: memoryview, offset: int, flexible: bool) -> tuple[memoryview | None, int]:
    """Record bytes as a view into the buffer."""
    if flexible and (length := buffer[offset] - 1) < 0x7F:
        offset += 1
    else:
        length, offset = read_compact_length(buffer, offset) if flexible else read_length(buffer, offset)
    end = offset + length
    if length < 0 or end > len(buffer):
        if length == -1:
            return None, offset
        raise DecodeError(f"{length} bytes of records at byte {offset}: negative, or longer than the buffer")
    return buffer[offset:end], end


def read_count(buffer: memoryview, offset: int, flexible: bool, *, min_element_bytes: int) -> tuple[int, int]:
    """The number of elements of an array that is not null, checked against what is left of the buffer."""
    if flexible and buffer[offset] == 2 and min_element_bytes < len(buffer) - offset:  # one element
        return 1, offset + 1
    count, offset = read_nullable_count(buffer, offset, flexible, min_element_bytes=min_element_bytes)
    if count < 0:
        raise DecodeError(f"null where an array must not be null, at byte {offset}")
    return count, offset


def read_nullable_count(buffer: memoryview, offset: int, flexible: bool, *, min_element_bytes: int) -> tuple[int, int]:
    """The number of elements of an array, -1 for null, checked against what is left of the buffer."""
    if flexible and (count := buffer[offset] - 1) < 0x7F:
        offset += 1
    else:
        count, offset = read_compact_length(buffer, offset) if flexible else read_length(buffer, offset)
    if count < -1 or count * min_element_bytes > len(buffer) - offset:
        raise DecodeError(f"an array of {count} elements at byte {offset}: negative, or longer than the buffer")
    return count, offset


def skip_tags(buffer: memoryview, offset: int) -> int:
    """The offset after a tag section of which nothing is wanted."""
    if not buffer[offset]:
        return offset + 1
    return read_tags(buffer, offset)[1]


def read_tags(buffer: memoryview, offset: int) -> tuple[Sequence[tuple[int, int, int]], int]:
    """The (tag, start, end) of each tagged field of a section, and the offset after the section."""
    if not buffer[offset]:
        return (), offset + 1
    fields: list[tuple[int, int, int]] = []
    count, offset = read_unsigned_varint(buffer, offset)
    for _ in range(count):
        tag, offset = read_unsigned_varint(buffer, offset)
        size, start = read_unsigned_varint(buffer, offset)
        offset = start + size
        if offset > len(buffer):
            raise DecodeError(f"tagged field {tag} of {size} bytes at byte {start} goes beyond the buffer")
        fields.append((tag, start, offset))
    return fields, offset


def require_end(tag: int, offset: int, end: int) -> None:
    """Refuses a tagged field that does not fill exactly the bytes it claims."""
    if offset != end:
        raise DecodeError(f"tagged field {tag} ends at byte {offset}, not at {end} as it claims")


def write_string(out: bytearray, text: str, flexible: bool) -> None:
    """A string that is not null."""
    encoded = text.encode()
    if flexible and len(encoded) < 0x7F:
        out.append(len(encoded) + 1)
    elif flexible:
        write_compact_length(out, len(encoded))
    else:
        write_short_length(out, len(encoded))
    out += encoded


def write_nullable_string(out: bytearray, text: str | None, flexible: bool) -> None:
    """A string that may be null."""
    if text is not None:
        write_string(out, text, flexible)
    elif flexible:
        out.append(0)
    else:
        out += b"\xff\xff"


def write_topic(out: bytearray, topic: str | None, topic_id: bytes | None, *, flexible: bool, by_id: bool) -> None:
    """A topic as its version calls it; it must have that name or id."""
    if by_id:
        assert topic_id is not None, f"topic {topic} needs its id in this version"
        assert len(topic_id) == 16, f"the id of topic {topic} has {len(topic_id)} bytes, not 16"
        out += topic_id
    else:
        assert topic is not None, "a topic needs its name in this version"
        write_string(out, topic, flexible)


def write_count(out: bytearray, count: int, flexible: bool) -> None:
    """The number of elements of an array, or of bytes of records; -1 is null."""
    if flexible and count < 0x7F:
        out.append(count + 1)
    elif flexible:
        write_compact_length(out, count)
    else:
        write_length(out, count)


def leader_section(leader: tuple[int, int]) -> bytes:
    """A tagged (leader id, leader epoch) without its tag number."""
    return b"\x09" + LEADER.pack(*leader) + b"\x00"


def read_leader(buffer: memoryview, offset: int) -> tuple[tuple[int, int], int]:
    """The (leader id, leader epoch) of a tagged field, and the offset after it."""
    leader_id, leader_epoch = LEADER.unpack_from(buffer, offset)
    return (leader_id, leader_epoch), skip_tags(buffer, offset + LEADER.size)


def write_node_endpoints(out: bytearray, endpoints: Sequence[NodeEndpoint]) -> None:
    """The tag section that ends a response: nothing, or the endpoints as tag 0."""
    if not endpoints:
        out.append(0)
        return
    section = bytearray()
    write_compact_length(section, len(endpoints))
    for endpoint in endpoints:
        section += INT32.pack(endpoint.node_id)
        write_string(section, endpoint.host, True)
        section += INT32.pack(endpoint.port)
        write_nullable_string(section, endpoint.rack, True)
        section.append(0)
    out += b"\x01\x00"
    write_unsigned_varint(out, len(section))
    out += section


def read_node_endpoints(buffer: memoryview, offset: int) -> tuple[list[NodeEndpoint], int]:
    """The endpoints of a tagged field, and the offset after them."""
    count, offset = read_count(buffer, offset, True, min_element_bytes=11)
    endpoints: list[NodeEndpoint] = []
    for _ in range(count):
        (node_id,) = INT32.unpack_from(buffer, offset)
        host, offset = read_string(buffer, offset + 4, True)
        (port,) = INT32.unpack_from(buffer, offset)
        rack, offset = read_nullable_string(buffer, offset + 4, True)
        offset = skip_tags(buffer, offset)
        endpoints.append(NodeEndpoint(node_id, host, port, rack))
    return endpoints, offset
