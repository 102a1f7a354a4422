"""Raft's messages survive the wire, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import PeerError
from raftkafka.raft.codec import decode_message, encode_message
from raftkafka.raft.messages import AppendRequest, Entry, EntryKind, RaftMessage, SnapshotRequest, TimeoutNow, VoteRequest, VoteResponse

OFFSETS = st.integers(0, 1 << 62)


@st.composite
def append_requests(draw: st.DrawFn) -> AppendRequest:
    base_offset = draw(OFFSETS)
    items = draw(
        st.lists(st.tuples(st.integers(1, 1 << 31), st.sampled_from(EntryKind), st.binary(max_size=50), st.booleans()), max_size=5)
    )
    entries = [Entry(base_offset + i, *item) for i, item in enumerate(items)]
    if entries:
        entries[-1] = entries[-1]._replace(ends_batch=True)
    return AppendRequest(
        epoch=draw(OFFSETS), base_offset=base_offset, previous_epoch=draw(OFFSETS), entries=tuple(entries), high_watermark=draw(OFFSETS)
    )


MESSAGES: st.SearchStrategy[RaftMessage] = st.one_of(
    append_requests(),
    st.builds(
        VoteRequest,
        epoch=OFFSETS,
        last_epoch=OFFSETS,
        end_offset=OFFSETS,
        pre_vote=st.booleans(),
        transfer=st.booleans(),
        directory_id=st.binary(min_size=16, max_size=16),
    ),
    st.builds(
        VoteResponse,
        epoch=OFFSETS,
        request_epoch=OFFSETS,
        pre_vote=st.booleans(),
        granted=st.booleans(),
        directory_id=st.binary(min_size=16, max_size=16),
    ),
    st.builds(
        SnapshotRequest,
        epoch=OFFSETS,
        end_offset=OFFSETS,
        snapshot_epoch=OFFSETS,
        position=OFFSETS,
        size_bytes=OFFSETS,
        checksum=st.integers(0, (1 << 64) - 1),
        data=st.binary(max_size=100),
    ),
    st.builds(TimeoutNow, epoch=OFFSETS),
)


@given(MESSAGES)
def test_message_survives_the_wire(message: RaftMessage) -> None:
    assert decode_message(msgpack.unpackb(msgpack.packb(encode_message(message)))) == message


@given(MESSAGES, st.lists(st.integers(), min_size=1, max_size=3))
def test_fields_of_a_later_version_are_ignored(message: RaftMessage, later: list[Any]) -> None:
    assert decode_message(encode_message(message) + later) == message


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=8) | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@given(JSON_LIKE)
def test_nonsense_is_a_peer_error(encoded: Any) -> None:
    with pytest.raises(PeerError):
        decode_message(encoded)


@given(MESSAGES, st.data())
def test_a_message_with_one_field_replaced_is_decoded_or_refused(message: RaftMessage, data: st.DataObject) -> None:
    encoded = encode_message(message)
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(JSON_LIKE)
    try:
        decoded = decode_message(encoded)
    except PeerError:
        return
    assert attrs.has(type(decoded))


def test_a_cut_off_batch_is_refused() -> None:
    with pytest.raises(PeerError, match="cut off"):
        decode_message([2, 1, 0, 0, [[1, 0, b"", False]], 0])
