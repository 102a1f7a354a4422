"""Headers and frames, with the pitfalls of reference/kafka-protocol.md that lie in them."""

from __future__ import annotations

import struct
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.framing import (
    RequestHeader,
    encode_request,
    encode_response,
    read_message,
    read_request_body,
    read_request_header,
    read_response_header,
)
from raftkafka.protocol.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataResponse
from raftkafka.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from raftkafka.protocol.registry import APIS

QUICK = settings(max_examples=100, deadline=None, derandomize=True)


def frame_of(encoded: bytes) -> memoryview:
    (length,) = struct.unpack_from(">i", encoded)
    assert length == len(encoded) - 4
    return memoryview(encoded)[4:]


@pytest.mark.parametrize("client_id", ["client", "", None])
@pytest.mark.parametrize("version", [1, 12])
def test_a_request_is_read_as_it_was_encoded(version: int, client_id: str | None) -> None:
    frame = frame_of(encode_request(3, version, 77, client_id, MetadataRequest(topics=None)))
    header, offset = read_request_header(frame)
    assert header == RequestHeader(3, version, 77, client_id)
    assert read_request_body(header, frame, offset) == MetadataRequest(topics=None)


def test_the_client_id_keeps_its_two_byte_length_in_the_flexible_header() -> None:
    """Pitfall 1."""
    encoded = encode_request(3, 12, 1, "ab", MetadataRequest())
    assert encoded[4:].startswith(struct.pack(">hhih", 3, 12, 1, 2) + b"ab" + b"\x00")


@pytest.mark.parametrize("version", range(6))
def test_the_response_to_api_versions_has_header_version_0_in_every_version(version: int) -> None:
    """Pitfall 1, KIP-511."""
    response = ApiVersionsResponse(api_keys=[ApiVersion(api_key=18, min_version=0, max_version=5)])
    frame = frame_of(encode_response(RequestHeader(18, version, 9, None), response))
    assert read_response_header(frame, 18, version) == (9, 4)
    assert read_message(ApiVersionsResponse, version, frame, 4) == (response, len(frame))


@pytest.mark.parametrize(("version", "body_offset"), [(8, 4), (9, 5)])
def test_a_flexible_response_header_ends_with_a_tag_section(version: int, body_offset: int) -> None:
    frame = frame_of(encode_response(RequestHeader(3, version, 9, None), MetadataResponse()))
    assert read_response_header(frame, 3, version) == (9, body_offset)


def test_offset_delete_is_never_flexible() -> None:
    """Pitfall 18."""
    assert APIS[47].flexible_from is None
    assert encode_request(47, 0, 1, None, OffsetDeleteRequest()) == struct.pack(">ihhih", 16, 47, 0, 1, -1) + b"\x00\x00" + bytes(4)
    assert encode_response(RequestHeader(47, 0, 1, None), OffsetDeleteResponse()) == struct.pack(">iihii", 14, 1, 0, 0, 0)


@pytest.mark.parametrize(("api_key", "version"), [(18, 99), (3, 14), (0, 2), (4, 0), (999, 1), (-5, -7)])
def test_an_unknown_key_or_version_still_has_a_header_to_answer(api_key: int, version: int) -> None:
    """Pitfall 2: ApiVersions of an unknown version must be answered, in version 0."""
    frame = memoryview(struct.pack(">hhih", api_key, version, 5, 3) + b"app" + b"whatever follows")
    assert read_request_header(frame)[0] == RequestHeader(api_key, version, 5, "app")


def test_an_unknown_version_without_a_readable_client_id_still_has_a_header() -> None:
    frame = memoryview(struct.pack(">hhih", 18, 99, 5, 300) + b"short")
    assert read_request_header(frame) == (RequestHeader(18, 99, 5, None), 8)


def test_tags_of_a_request_header_are_skipped() -> None:
    frame = memoryview(struct.pack(">hhih", 18, 3, 5, -1) + b"\x01\x09\x02xx" + b"\x02a\x02b\x00")
    header, offset = read_request_header(frame)
    assert read_request_body(header, frame, offset) == ApiVersionsRequest(client_software_name="a", client_software_version="b")


def test_bytes_after_the_end_of_a_request_are_ignored() -> None:
    """librdkafka 2.16 asks for all topics like this (its issue 5049): a count of four bytes where version 13 has one."""
    frame = memoryview(bytes.fromhex("0003000d00000003000772646b61666b610000000000010000"))
    header, offset = read_request_header(frame)
    assert read_request_body(header, frame, offset) == MetadataRequest(topics=None, allow_auto_topic_creation=False)


@pytest.mark.parametrize("frame", [b"", b"\x00\x03\x00\x0c\x00\x00\x00", struct.pack(">hhih", 3, 12, 1, 9) + b"short"])
def test_a_frame_shorter_than_its_header_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        read_request_header(memoryview(frame))


def test_a_response_shorter_than_its_header_is_refused() -> None:
    with pytest.raises(DecodeError):
        read_response_header(memoryview(b"\x00\x00"), 3, 12)


@QUICK
@given(api_key=st.sampled_from(sorted(APIS)), version=st.integers(0, 18), rest=st.binary(max_size=80))
def test_garbage_requests_end_in_decode_error_or_a_request(api_key: int, version: int, rest: bytes) -> None:
    frame = memoryview(struct.pack(">hhi", api_key, version, 1) + rest)
    with suppress(DecodeError):
        header, offset = read_request_header(frame)
        if APIS[api_key].supports(version):
            read_request_body(header, frame, offset)


def test_the_registry_is_imported_without_any_message() -> None:
    code = "import sys, raftkafka.protocol.framing; print([m for m in sys.modules if 'protocol.messages' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
