"""The records of __consumer_offsets are Kafka's bytes: held against what Apache Kafka 4.3.1's own classes wrote for the same values."""

from __future__ import annotations

import pytest

from raftkafka.protocol.framing import read_versioned, write_message, write_versioned
from raftkafka.protocol.messages.consumer_group_records import ConsumerGroupMemberMetadataValue
from raftkafka.protocol.messages.coordinator_records import GroupMetadataValue, MemberMetadata, OffsetCommitKey, OffsetCommitValue

OFFSET_COMMIT_VALUES = [
    "0000000000000000000700016d00000000000003e8",
    "0001000000000000000700016d00000000000003e800000000000007d0",
    "0002000000000000000700016d00000000000003e8",
    "000300000000000000070000000200016d00000000000003e8",
    "0004000000000000000700000002026d00000000000003e801001000000000000000010000000000000002",
]
GROUP_METADATA_VALUES = [
    "00000008636f6e73756d657200000003000572616e676500026d310000000100026d31000163000a2f3132372e302e302e310000002d0000000201020000000103",
    "00010008636f6e73756d657200000003000572616e676500026d310000000100026d31000163000a2f3132372e302e302e310000012c0000002d"
    "0000000201020000000103",
    "00020008636f6e73756d657200000003000572616e676500026d3100000000000003e80000000100026d31000163000a2f3132372e302e302e31"
    "0000012c0000002d0000000201020000000103",
    "00030008636f6e73756d657200000003000572616e676500026d3100000000000003e80000000100026d3100026931000163000a2f3132372e302e302e31"
    "0000012c0000002d0000000201020000000103",
    "000409636f6e73756d6572000000030672616e6765036d3100000000000003e802036d3103693102630b2f3132372e302e302e31"
    "0000012c0000002d03010202030000",
]


@pytest.mark.parametrize("version", range(5))
def test_offset_commit_values_are_kafka_bytes(version: int) -> None:
    value = OffsetCommitValue(
        offset=7,
        leader_epoch=2,
        metadata="m",
        commit_timestamp=1000,
        expire_timestamp=2000,
        topic_id=(1).to_bytes(8) + (2).to_bytes(8),
    )
    encoded = write_versioned(value, version)
    assert encoded.hex() == OFFSET_COMMIT_VALUES[version]
    read, read_version = read_versioned(OffsetCommitValue, encoded)
    assert read_version == version
    assert (read.offset, read.metadata, read.commit_timestamp) == (7, "m", 1000)


@pytest.mark.parametrize("version", range(5))
def test_group_metadata_values_are_kafka_bytes(version: int) -> None:
    member = MemberMetadata(
        member_id="m1",
        group_instance_id="i1",
        client_id="c",
        client_host="/127.0.0.1",
        rebalance_timeout=300,
        session_timeout=45,
        subscription=b"\x01\x02",
        assignment=b"\x03",
    )
    value = GroupMetadataValue(
        protocol_type="consumer", generation=3, protocol="range", leader="m1", current_state_timestamp=1000, members=[member]
    )
    encoded = write_versioned(value, version)
    assert encoded.hex() == GROUP_METADATA_VALUES[version]
    read, _ = read_versioned(GroupMetadataValue, encoded)
    assert read.members[0].subscription == b"\x01\x02"


def test_a_key_is_its_record_type_and_its_fields() -> None:
    """The int16 before a key's fields is the type of record (1 for offsets), not a version."""
    key = OffsetCommitKey(group="g", topic="t", partition=1)
    assert (b"\x00\x01" + write_message(key, 0)).hex() == "000100016700017400000001"


def test_a_tagged_struct_that_is_null_has_an_unsigned_zero() -> None:
    """The member of a KIP-848 group as Apache Kafka 4.3.1 wrote it; an untagged struct that is null has -1 there."""
    data = bytes.fromhex("0000000011636f6e736f6c652d636f6e73756d65720b2f3132372e302e302e310203743101000493e00001000100")
    member, version = read_versioned(ConsumerGroupMemberMetadataValue, data)
    assert (member.client_id, member.subscribed_topic_names, member.rebalance_timeout_ms) == ("console-consumer", ["t1"], 300_000)
    assert member.classic_member_metadata is None
    assert write_versioned(member, version) == data
