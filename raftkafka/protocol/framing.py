"""Frames: headers and bodies of requests and responses, and whole messages to and from bytes.

A frame on the wire is a 4-byte length and that many bytes; what is read here is without the length, what is encoded here begins with it.

Invariants
- Bytes from outside end in a message or in `DecodeError`, nothing else.
- `client_id` is a 2-byte-length string in every request header, also the flexible one; the response to ApiVersions has header version 0
  in all its versions, so that a client which does not know the version asked for can still read the answer.

Sources: the Kafka protocol guide; KIP-482 (headers 2 and 1), KIP-511 (ApiVersions).
"""

from __future__ import annotations

import contextlib
import struct
from typing import Any, NamedTuple, TypeVar

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import DecodeError
from raftkafka.protocol.compiler import message_codec
from raftkafka.protocol.primitives import read_unsigned_varint, string_codec
from raftkafka.protocol.registry import APIS

M = TypeVar("M")

API_VERSIONS_KEY = 18

_HEADER_START = struct.Struct(">hhi")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_CLIENT_ID = string_codec(compact=False, nullable=True)


class RequestHeader(NamedTuple):
    """Who asks what, in which version; the answer carries `correlation_id`."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None


def read_request_header(frame: memoryview) -> tuple[RequestHeader, int]:
    """The header of a request frame and the offset of its body.

    Of an unknown key or version the header is still read, as far as can be (`client_id` None where it cannot): it needs an answer.
    """
    try:
        api_key, api_version, correlation_id = _HEADER_START.unpack_from(frame)
    except struct.error:
        raise DecodeError(f"a request of {len(frame)} bytes, shorter than its header") from None
    api = APIS.get(api_key)
    if api is None or not api.min_version <= api_version <= api.max_version:
        return _unknown_header(frame, api_key, api_version, correlation_id)
    try:
        client_id, offset = _read_client_id(frame)
    except (struct.error, UnicodeDecodeError) as error:
        raise DecodeError(f"the client id of a request: {error}") from None
    if api.is_flexible(api_version):
        offset = _skip_tags(frame, offset)
    return RequestHeader(api_key, api_version, correlation_id, client_id), offset


def _unknown_header(frame: memoryview, api_key: int, api_version: int, correlation_id: int) -> tuple[RequestHeader, int]:
    client_id: str | None = None
    offset = _HEADER_START.size
    with contextlib.suppress(DecodeError, struct.error, UnicodeDecodeError):
        client_id, offset = _read_client_id(frame)
    return RequestHeader(api_key, api_version, correlation_id, client_id), offset


def _read_client_id(frame: memoryview) -> tuple[str | None, int]:
    """It follows the start of the header, in every version of it."""
    (length,) = _INT16.unpack_from(frame, _HEADER_START.size)
    offset = _HEADER_START.size + _INT16.size
    if 0 <= length <= len(frame) - offset:
        return str(frame[offset : offset + length], "utf-8"), offset + length
    if length == -1:
        return None, offset
    raise DecodeError(f"a client id of length {length}: negative, or longer than the request")


def _skip_tags(frame: memoryview, offset: int) -> int:
    if offset < len(frame) and not frame[offset]:
        return offset + 1
    count, offset = read_unsigned_varint(frame, offset)
    for _ in range(count):
        _, offset = read_unsigned_varint(frame, offset)
        size, offset = read_unsigned_varint(frame, offset)
        offset += size
    if offset > len(frame):
        raise DecodeError("the tagged fields of a header go beyond the frame")
    return offset


def read_message(cls: type[M], version: int, buffer: Buffer, offset: int = 0) -> tuple[M, int]:
    """A message from a buffer, and the offset after it. Records in it are views into the buffer."""
    values: list[M] = []
    codec = message_codec(cls, version)
    try:
        end = codec.read(memoryview(buffer), offset, values)
    except (struct.error, UnicodeDecodeError) as error:
        raise DecodeError(f"{cls.__name__} v{version}: {error}") from None
    return values[0], end


def read_request_body(header: RequestHeader, frame: memoryview, offset: int) -> Any:
    """The request that follows a header. The key and version must be known ones.

    What is left of the frame is ignored, as Kafka does: librdkafka counts on it, which asks for all topics with a count of four bytes
    where the compact form has one (confluentinc/librdkafka#5049).
    """
    request_class: type[Any] = APIS[header.api_key].request
    return read_message(request_class, header.api_version, frame, offset)[0]


def write_message(message: object, version: int) -> bytes:
    """The bytes of a message. `ValueError` when a value does not fit its field in this version (None, range, length)."""
    out = bytearray()
    _write_into(out, message, version)
    return bytes(out)


def _write_into(out: bytearray, message: object, version: int) -> None:
    try:
        message_codec(message.__class__, version).write(out, message)
    except (struct.error, TypeError, AttributeError) as error:
        raise ValueError(f"this cannot be written as version {version}: {message!r}") from error


def write_versioned(message: object, version: int) -> bytes:
    """The bytes of a message after its version as an int16: values of coordinator records, the consumer protocol."""
    out = bytearray(_INT16.pack(version))
    _write_into(out, message, version)
    return bytes(out)


def read_versioned(cls: type[M], buffer: Buffer) -> tuple[M, int]:
    """A message that follows its version as an int16, and that version."""
    try:
        (version,) = _INT16.unpack_from(buffer)
        return read_message(cls, version, buffer, 2)[0], version
    except (struct.error, ValueError) as error:
        raise DecodeError(f"{cls.__name__}: {error}") from None


def encode_response(header: RequestHeader, message: object) -> bytes:
    """A whole response frame, its length included."""
    out = start_response(header.api_key, header.api_version, header.correlation_id)
    _write_into(out, message, header.api_version)
    return finish_frame(out)


def encode_request(api_key: int, version: int, correlation_id: int, client_id: str | None, message: object) -> bytes:
    """A whole request frame, its length included."""
    out = start_request(api_key, version, correlation_id, client_id)
    _write_into(out, message, version)
    return finish_frame(out)


def start_response(api_key: int, version: int, correlation_id: int) -> bytearray:
    """The beginning of a response frame: room for its length, and the header."""
    out = bytearray(4)
    out += _INT32.pack(correlation_id)
    if api_key != API_VERSIONS_KEY and APIS[api_key].is_flexible(version):
        out.append(0)
    return out


def start_request(api_key: int, version: int, correlation_id: int, client_id: str | None) -> bytearray:
    """The beginning of a request frame: room for its length, and the header."""
    out = bytearray(4)
    out += _HEADER_START.pack(api_key, version, correlation_id)
    _CLIENT_ID.write(out, client_id)
    if APIS[api_key].is_flexible(version):
        out.append(0)
    return out


def finish_frame(out: bytearray, more_bytes: int = 0) -> bytes:
    """Writes the length at the beginning of a frame; `more_bytes` are sent after `out` and belong to the frame."""
    _INT32.pack_into(out, 0, len(out) - 4 + more_bytes)
    return bytes(out)


def read_response_header(frame: memoryview, api_key: int, version: int) -> tuple[int, int]:
    """The correlation id of a response frame to a request of this key and version, and the offset of its body."""
    try:
        (correlation_id,) = _INT32.unpack_from(frame)
    except struct.error:
        raise DecodeError(f"a response of {len(frame)} bytes, shorter than its header") from None
    if api_key != API_VERSIONS_KEY and APIS[api_key].is_flexible(version):
        return correlation_id, _skip_tags(frame, 4)
    return correlation_id, 4
