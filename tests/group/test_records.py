"""The records of `__consumer_offsets` are Kafka's bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import TopicId
from raftkafka.group.records import (
    CommittedOffset,
    GroupChange,
    GroupMetadata,
    MemberMetadata,
    OffsetChange,
    decode_change,
    group_record,
    offset_record,
)


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def data(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


def test_offset_record_has_kafkas_bytes() -> None:
    committed = CommittedOffset(offset=42, leader_epoch=3, metadata="m", commit_timestamp_ms=1_000, topic_id=TopicId(bytes(range(16))))
    record = offset_record("g", "orders", 2, committed)
    assert record.key == struct.pack(">h", 1) + text("g") + text("orders") + struct.pack(">i", 2)
    # Version 4 is flexible: a compact string, and the topic id as tagged field 0.
    fields = struct.pack(">hqi", 4, 42, 3) + b"\x02m" + struct.pack(">q", 1_000)
    assert record.value == fields + b"\x01\x00\x10" + bytes(range(16))


def test_offset_record_with_a_retention_of_its_own_is_version_1() -> None:
    record = offset_record("g", "t", 0, CommittedOffset(offset=1, commit_timestamp_ms=2, expire_timestamp_ms=3))
    assert record.value == struct.pack(">hq", 1, 1) + text("") + struct.pack(">qq", 2, 3)


def test_group_record_has_kafkas_bytes() -> None:
    member = MemberMetadata(
        member_id="m",
        client_id="c",
        client_host="/h",
        rebalance_timeout_ms=5,
        session_timeout_ms=6,
        subscription=b"sub",
        assignment=b"ass",
    )
    metadata = GroupMetadata(protocol_type="consumer", generation=7, protocol="range", leader="m", state_timestamp_ms=8, members=(member,))
    record = group_record("g", metadata)
    assert record.key == struct.pack(">h", 2) + text("g")
    head = struct.pack(">h", 3) + text("consumer") + struct.pack(">i", 7) + text("range") + text("m") + struct.pack(">qi", 8, 1)
    body = text("m") + b"\xff\xff" + text("c") + text("/h") + struct.pack(">ii", 5, 6) + data(b"sub") + data(b"ass")
    assert record.value == head + body


def test_old_versions_are_read() -> None:
    key = struct.pack(">h", 1) + text("g") + text("t") + struct.pack(">i", 0)
    version_0 = struct.pack(">hq", 0, 9) + text("m") + struct.pack(">q", 5)
    version_3 = struct.pack(">hqi", 3, 9, 2) + text("m") + struct.pack(">q", 5)
    assert decode_change(key, version_0) == OffsetChange("g", "t", 0, CommittedOffset(offset=9, metadata="m", commit_timestamp_ms=5))
    assert decode_change(key, version_3) == OffsetChange(
        "g", "t", 0, CommittedOffset(offset=9, leader_epoch=2, metadata="m", commit_timestamp_ms=5)
    )
    old_member = text("m") + text("c") + text("/h") + struct.pack(">i", 6) + data(b"s") + data(b"a")
    group = struct.pack(">h", 0) + text("consumer") + struct.pack(">i", 1) + text("range") + text("m") + struct.pack(">i", 1) + old_member
    change = decode_change(struct.pack(">h", 2) + text("g"), group)
    assert isinstance(change, GroupChange)
    assert change.metadata is not None
    assert change.metadata.members[0].rebalance_timeout_ms == 6, "version 0 had one timeout for both"


def test_tombstones_and_unknown_kinds() -> None:
    assert decode_change(*offset_record("g", "t", 1, None)) == OffsetChange("g", "t", 1, None)
    assert decode_change(*group_record("g", None)) == GroupChange("g", None)
    assert decode_change(struct.pack(">h", 3) + text("g"), b"") is None


@pytest.mark.parametrize("key", [b"", b"\x00", b"\x00\x01", b"\x00\x02\x00\x05g"])
def test_damaged_records_are_decode_errors(key: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_change(key, b"")


names = st.text(max_size=8)
millis = st.integers(0, 2**62)


@given(
    st.text(max_size=8),
    names,
    st.integers(0, 2**31 - 1),
    st.builds(
        CommittedOffset,
        offset=st.integers(-1, 2**63 - 1),
        metadata=names,
        commit_timestamp_ms=millis,
        leader_epoch=st.integers(-1, 2**31 - 1),
        topic_id=st.binary(min_size=16, max_size=16).map(TopicId),
    ),
)
def test_offsets_survive_the_log(group: str, topic: str, partition: int, committed: CommittedOffset) -> None:
    assert decode_change(*offset_record(group, topic, partition, committed)) == OffsetChange(group, topic, partition, committed)
