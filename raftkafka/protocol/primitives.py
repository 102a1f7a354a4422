"""The primitive types of Kafka's wire format: each as a reader and a writer over plain buffers.

A reader takes (buffer, offset, into), appends what it read to `into` and returns the offset after it; a writer takes (out, value) and
appends to the bytearray `out`. Appending to a given list, rather than returning a pair, is what makes the composed readers quick.

Invariants
- A reader raises `DecodeError`, `struct.error` or `UnicodeDecodeError` on bytes that are not what they claim to be, and nothing else;
  `framing` turns all three into `DecodeError`. It never looks beyond the buffer and never allocates on a claimed length before it
  has seen that the buffer can hold it.
- `bytes` are copied out of the buffer, `records` are a view into it: network buffers are reused, and only the hot path may borrow.

Sources: the Kafka protocol guide's types; KIP-482 (compact forms, tagged fields).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from raftkafka.base.errors import DecodeError

Reader = Callable[[memoryview, int, list[Any]], int]
Writer = Callable[[bytearray, Any], None]

MAX_STRING_BYTES = 0x7FFF

_INT8 = struct.Struct(">b")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")


class Codec(NamedTuple):
    """How one type is read and written; no value takes less than `min_size_bytes`."""

    read: Reader
    write: Writer
    min_size_bytes: int


def read_unsigned_varint(buffer: memoryview, offset: int) -> tuple[int, int]:
    """An unsigned varint of at most 32 bits, and the offset after it."""
    try:
        value = buffer[offset]
        if value < 0x80:
            return value, offset + 1
        value &= 0x7F
        for shift in (7, 14, 21, 28):
            offset += 1
            byte = buffer[offset]
            if byte < 0x80:
                if shift == 28 and byte > 0x0F:
                    break
                return value | byte << shift, offset + 1
            value |= (byte & 0x7F) << shift
    except IndexError:
        raise DecodeError(f"the buffer ends within a varint at byte {offset}") from None
    raise DecodeError(f"a varint of more than 32 bits at byte {offset}")


def write_unsigned_varint(out: bytearray, value: int) -> None:
    """Appends an unsigned varint; `value` is not negative."""
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_length(buffer: memoryview, offset: int) -> tuple[int, int]:
    """The int32 length of bytes or an array; -1 is null."""
    return _INT32.unpack_from(buffer, offset)[0], offset + 4


def read_short_length(buffer: memoryview, offset: int) -> tuple[int, int]:
    """The int16 length of a string; -1 is null."""
    return _INT16.unpack_from(buffer, offset)[0], offset + 2


def read_compact_length(buffer: memoryview, offset: int) -> tuple[int, int]:
    """The length of any compact type, which travels as a varint of one more; -1 is null."""
    length, offset = read_unsigned_varint(buffer, offset)
    return length - 1, offset


def write_length(out: bytearray, length: int) -> None:
    """What `read_length` reads."""
    out += _INT32.pack(length)


def write_short_length(out: bytearray, length: int) -> None:
    """What `read_short_length` reads."""
    out += _INT16.pack(length)


def write_compact_length(out: bytearray, length: int) -> None:
    """What `read_compact_length` reads."""
    if length < 0x7F:
        out.append(length + 1)
    else:
        write_unsigned_varint(out, length + 1)


def _refuse_length(length: int, offset: int, what: str) -> DecodeError:
    if length == -1:
        return DecodeError(f"null where {what} must not be null, at byte {offset}")
    return DecodeError(f"{what} of length {length} at byte {offset}: negative, or longer than the buffer or the type allows")


def _refuse_null(what: str) -> ValueError:
    return ValueError(f"None where {what} must not be null")


@functools.cache
def string_codec(*, compact: bool, nullable: bool) -> Codec:
    """UTF-8 text of at most 32,767 bytes."""
    read_count = read_compact_length if compact else read_short_length
    write_count = write_compact_length if compact else write_short_length

    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        length, offset = read_count(buffer, offset)
        end = offset + length
        if length < 0 or end > len(buffer) or length > MAX_STRING_BYTES:
            if length == -1 and nullable:
                into.append(None)
                return offset
            raise _refuse_length(length, offset, "a string")
        into.append(str(buffer[offset:end], "utf-8"))
        return end

    def write(out: bytearray, value: str | None) -> None:
        if value is None:
            if not nullable:
                raise _refuse_null("a string")
            write_count(out, -1)
            return
        encoded = value.encode()
        if len(encoded) > MAX_STRING_BYTES:
            raise ValueError(f"a string of {len(encoded)} bytes; at most {MAX_STRING_BYTES} can be written")
        write_count(out, len(encoded))
        out += encoded

    return Codec(read, write, 1 if compact else 2)


@functools.cache
def bytes_codec(*, compact: bool, nullable: bool, borrow: bool = False) -> Codec:
    """Opaque bytes; with `borrow` a view into the buffer is read (records), else a copy of its own."""
    read_count = read_compact_length if compact else read_length
    write_count = write_compact_length if compact else write_length

    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        length, offset = read_count(buffer, offset)
        end = offset + length
        if length < 0 or end > len(buffer):
            if length == -1 and nullable:
                into.append(None)
                return offset
            raise _refuse_length(length, offset, "a bytes field")
        view = buffer[offset:end]
        into.append(view if borrow else bytes(view))
        return end

    def write(out: bytearray, value: bytes | bytearray | memoryview | None) -> None:
        if value is None:
            if not nullable:
                raise _refuse_null("a bytes field")
            write_count(out, -1)
            return
        write_count(out, len(value))
        out += value

    return Codec(read, write, 1 if compact else 4)


@functools.cache
def fixed_codec(codes: str, *, run: bool = False) -> Codec:
    """A type of fixed size by its `struct` code; with `run` several fields in one step, written from the tuple of their values."""
    form = struct.Struct(">" + codes)
    size, unpack_from, pack = form.size, form.unpack_from, form.pack

    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        into += unpack_from(buffer, offset)
        return offset + size

    def write(out: bytearray, value: Any) -> None:
        out += pack(value)

    def write_run(out: bytearray, values: tuple[Any, ...]) -> None:
        out += pack(*values)

    return Codec(read, write_run if run else write, size)


@functools.lru_cache(maxsize=512)
def _fixed_array_struct(code: str, count: int) -> struct.Struct:
    return struct.Struct(f">{count}{code}")


@functools.cache
def fixed_array_codec(code: str, *, compact: bool, nullable: bool) -> Codec:
    """An array of a number type, by its one-letter `struct` code: read and written in one step."""
    read_count = read_compact_length if compact else read_length
    write_count = write_compact_length if compact else write_length
    size = struct.calcsize(">" + code)

    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        count, offset = read_count(buffer, offset)
        end = offset + count * size
        if count < 0 or end > len(buffer):
            if count == -1 and nullable:
                into.append(None)
                return offset
            raise _refuse_length(count, offset, "an array")
        into.append(list(_fixed_array_struct(code, count).unpack_from(buffer, offset)))
        return end

    def write(out: bytearray, values: list[Any] | None) -> None:
        if values is None:
            if not nullable:
                raise _refuse_null("an array")
            write_count(out, -1)
            return
        count = len(values)
        write_count(out, count)
        out += _fixed_array_struct(code, count).pack(*values)

    return Codec(read, write, 1 if compact else 4)


def array_codec(element: Codec, *, compact: bool, nullable: bool) -> Codec:
    """An array of any element type."""
    read_count = read_compact_length if compact else read_length
    write_count = write_compact_length if compact else write_length
    read_element, write_element = element.read, element.write
    min_element_bytes = max(1, element.min_size_bytes)

    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        count, offset = read_count(buffer, offset)
        if count < 0 or count * min_element_bytes > len(buffer) - offset:
            if count == -1 and nullable:
                into.append(None)
                return offset
            raise _refuse_length(count, offset, "an array")
        elements: list[Any] = []
        for _ in range(count):
            offset = read_element(buffer, offset, elements)
        into.append(elements)
        return offset

    def write(out: bytearray, values: list[Any] | None) -> None:
        if values is None:
            if not nullable:
                raise _refuse_null("an array")
            write_count(out, -1)
            return
        write_count(out, len(values))
        for value in values:
            write_element(out, value)

    return Codec(read, write, 1 if compact else 4)


def nullable_struct_codec(inner: Codec, *, tagged: bool) -> Codec:
    """A struct that may be null: a number before it says whether it is there, in a tagged field an unsigned one."""
    null = 0 if tagged else -1
    null_byte = b"\x00" if tagged else b"\xff"

    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        (marker,) = _INT8.unpack_from(buffer, offset)
        if marker <= null:
            into.append(None)
            return offset + 1
        return inner.read(buffer, offset + 1, into)

    def write(out: bytearray, value: Any) -> None:
        if value is None:
            out += null_byte
            return
        out += b"\x01"
        inner.write(out, value)

    return Codec(read, write, 1)
