"""Declared messages: what is written is read back, wrong bytes end in DecodeError, wrong values in ValueError."""

from __future__ import annotations

import importlib
import pkgutil
import struct
import tracemalloc
from contextlib import suppress
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import DecodeError, ErrorCode
from raftkafka.protocol import messages as messages_package
from raftkafka.protocol import schema
from raftkafka.protocol.framing import read_message, read_versioned, write_message
from raftkafka.protocol.messages import (
    consumer_group_records,
    consumer_protocol,
    coordinator_records,
    kraft_control_records,
    transaction_records,
)
from raftkafka.protocol.messages.describe_topic_partitions import Cursor, DescribeTopicPartitionsRequest
from raftkafka.protocol.messages.fetch import FetchRequest, FetchResponse, ReplicaState
from raftkafka.protocol.messages.init_producer_id import InitProducerIdRequest
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataResponse, MetadataResponseBroker
from raftkafka.protocol.messages.offset_fetch import OffsetFetchRequest
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from raftkafka.protocol.registry import APIS

from .generated_messages import CASES, case_id, messages

QUICK = settings(max_examples=3, deadline=None, derandomize=True)

RECORD_CASES: list[tuple[type, int]] = [
    (cls, version)
    for cls in (
        consumer_protocol.ConsumerProtocolAssignment,
        consumer_protocol.ConsumerProtocolSubscription,
        coordinator_records.GroupMetadataKey,
        coordinator_records.GroupMetadataValue,
        coordinator_records.LegacyOffsetCommitKey,
        coordinator_records.LegacyOffsetCommitValue,
        coordinator_records.OffsetCommitKey,
        coordinator_records.OffsetCommitValue,
        consumer_group_records.ConsumerGroupCurrentMemberAssignmentKey,
        consumer_group_records.ConsumerGroupCurrentMemberAssignmentValue,
        consumer_group_records.ConsumerGroupMemberMetadataKey,
        consumer_group_records.ConsumerGroupMemberMetadataValue,
        consumer_group_records.ConsumerGroupMetadataKey,
        consumer_group_records.ConsumerGroupMetadataValue,
        consumer_group_records.ConsumerGroupPartitionMetadataKey,
        consumer_group_records.ConsumerGroupPartitionMetadataValue,
        consumer_group_records.ConsumerGroupRegularExpressionKey,
        consumer_group_records.ConsumerGroupRegularExpressionValue,
        consumer_group_records.ConsumerGroupTargetAssignmentMemberKey,
        consumer_group_records.ConsumerGroupTargetAssignmentMemberValue,
        consumer_group_records.ConsumerGroupTargetAssignmentMetadataKey,
        consumer_group_records.ConsumerGroupTargetAssignmentMetadataValue,
        kraft_control_records.KRaftVersionRecord,
        kraft_control_records.LeaderChangeMessage,
        kraft_control_records.SnapshotFooterRecord,
        kraft_control_records.SnapshotHeaderRecord,
        kraft_control_records.VotersRecord,
        transaction_records.TransactionLogKey,
        transaction_records.TransactionLogValue,
    )
    for version in range(schema.message_spec(cls).versions.first, schema.message_spec(cls).versions.last + 1)
]


@pytest.mark.parametrize(("cls", "version"), CASES + RECORD_CASES, ids=case_id)
@QUICK
@given(data=st.data())
def test_what_is_written_is_read_back_and_damage_is_refused(cls: type, version: int, data: st.DataObject) -> None:
    message = data.draw(messages(cls, version))
    encoded = write_message(message, version)
    assert read_message(cls, version, encoded) == (message, len(encoded))
    with suppress(DecodeError):
        read_message(cls, version, data.draw(st.binary(max_size=64)))
    if encoded:
        damaged = bytearray(encoded)
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        with suppress(DecodeError):
            read_message(cls, version, damaged)
        with pytest.raises(DecodeError):
            read_message(cls, version, encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def declared_classes() -> list[type]:
    classes: list[type] = []
    for found in pkgutil.iter_modules(messages_package.__path__):
        module = importlib.import_module(f"{messages_package.__name__}.{found.name}")
        classes += [value for value in vars(module).values() if isinstance(value, type) and hasattr(value, "__attrs_attrs__")]
    assert len(classes) > 180
    return classes


def test_registry_and_declarations_agree_on_versions() -> None:
    for api in APIS.values():
        for cls in (api.request, api.response):
            spec = schema.message_spec(cls)
            unstable = api.name == "InitProducerId"
            assert (spec.versions.first, spec.versions.last - unstable) == (api.min_version, api.max_version), api.name
            for version in range(api.min_version, api.max_version + 1):
                assert spec.flexible.has(version) == api.is_flexible(version), api.name


def test_annotations_say_what_the_wire_type_holds() -> None:
    python_types = {"?": bool, "d": float, "16s": bytes, "string": str, "bytes": bytes, "records": Buffer}

    def expected(wire_type: schema.WireType) -> object:
        match wire_type:
            case schema.Fixed(code=code):
                return python_types.get(code, int)
            case schema.Variable(kind=kind):
                return python_types[kind]
            case schema.Array(element=element):
                return list[expected(element)]  # type: ignore[misc]
            case _:
                return wire_type

    for cls in declared_classes():
        annotations = get_type_hints(cls)
        for name, spec in schema.field_specs(cls).items():
            wanted = expected(spec.wire_type)
            if spec.nullable != schema.NO_VERSIONS or spec.default is None:
                wanted = wanted | None  # type: ignore[operator]
            assert annotations[name] == wanted, (cls, name)


@pytest.mark.parametrize(("count", "version"), [(2**31 - 1, 8), (2**31 - 1, 9), (2_000_000, 8)])
def test_a_claimed_length_beyond_the_buffer_allocates_nothing(count: int, version: int) -> None:
    claim = struct.pack(">i", count) if version == 8 else b"\xff\xff\xff\xff\x07"
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            read_message(MetadataRequest, version, claim + bytes(1000))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "encoded",
    [
        b"\xff\xff\xff\xff\xff\x00",  # a varint of more than 32 bits
        b"\xff\xff\xff\xff\x1f",  # a fifth byte that says more than 32 bits
        b"\x80",  # ends within a varint
    ],
)
def test_a_varint_that_is_none_is_refused(encoded: bytes) -> None:
    with pytest.raises(DecodeError, match="varint"):
        read_message(MetadataRequest, 12, encoded)


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(DecodeError):
        read_message(MetadataRequest, 1, b"\x00\x00\x00\x01" + b"\x00\x02\xff\xfe")


def test_null_where_it_may_not_be_is_refused() -> None:
    with pytest.raises(DecodeError, match="null"):
        read_message(MetadataRequest, 0, b"\xff\xff\xff\xff")
    with pytest.raises(DecodeError, match="null"):
        read_message(MetadataRequest, 1, b"\x00\x00\x00\x01" + b"\xff\xff")


@pytest.mark.parametrize(
    "message",
    [
        MetadataResponse(brokers=None),  # type: ignore[arg-type]
        MetadataResponse(brokers=[MetadataResponseBroker(port=2**31)]),
        MetadataResponse(brokers=[MetadataResponseBroker(host="x" * 40_000)]),
        MetadataResponse(brokers=[MetadataResponseBroker(host=None)]),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(message: MetadataResponse) -> None:
    with pytest.raises(ValueError):
        write_message(message, 12)


def test_an_error_code_goes_out_as_its_number() -> None:
    response = FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    assert read_message(FetchResponse, 12, write_message(response, 12))[0].error_code == 70


def test_a_version_that_a_message_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="FetchRequest has no version 19"):
        write_message(FetchRequest(), 19)


def test_bytes_are_copied_from_the_buffer_but_records_are_a_view_into_it() -> None:
    join = JoinGroupRequest(protocols=[JoinGroupRequestProtocol(metadata=b"kept")])
    join_bytes = bytearray(write_message(join, 0))
    read_join, _ = read_message(JoinGroupRequest, 0, join_bytes)
    join_bytes[-4:] = b"gone"
    assert read_join.protocols[0].metadata == b"kept"
    produce = ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[PartitionProduceData(records=b"kept")])])
    produce_bytes = bytearray(write_message(produce, 3))
    read_produce, _ = read_message(ProduceRequest, 3, produce_bytes)
    produce_bytes[-4:] = b"gone"
    assert read_produce.topic_data[0].partition_data[0].records == b"gone"


def test_unknown_tags_are_skipped() -> None:
    """KIP-482: a reader skips tags it does not know (pitfall 10)."""
    plain = write_message(FetchRequest(rack_id="r"), 12)
    assert plain.endswith(b"\x00")
    tagged = plain[:-1] + b"\x02" + b"\x05\x03abc" + b"\xc8\x01\x00"
    assert read_message(FetchRequest, 12, tagged) == (FetchRequest(rack_id="r"), len(tagged))


def test_a_tag_of_a_later_version_is_skipped_in_an_earlier_one() -> None:
    later = FetchRequest(replica_id=-1, replica_state=ReplicaState(replica_id=3, replica_epoch=4))
    encoded = struct.pack(">i", -1) + write_message(later, 15)
    read, end = read_message(FetchRequest, 14, encoded)
    assert end == len(encoded)
    assert read.replica_state == ReplicaState()


def test_a_tagged_field_with_its_default_is_omitted() -> None:
    """Pitfall 10: defaults must be omitted on write; also the default of 2**63 - 1 and of a struct."""
    assert write_message(FetchRequest(cluster_id=None, replica_state=ReplicaState()), 18).endswith(b"\x00")
    assert not write_message(FetchRequest(cluster_id=""), 18).endswith(b"\x00")


def test_a_tagged_struct_has_its_length_before_it_and_a_tag_section_of_its_own() -> None:
    """Pitfall 9."""
    encoded = write_message(FetchRequest(replica_state=ReplicaState(replica_id=1, replica_epoch=2)), 15)
    assert encoded.endswith(b"\x01" + b"\x01\x0d" + struct.pack(">iq", 1, 2) + b"\x00")


def test_a_known_tag_must_fill_its_size() -> None:
    encoded = write_message(FetchRequest(replica_state=ReplicaState(replica_id=1, replica_epoch=2)), 15)
    with pytest.raises(DecodeError, match="does not fill"):
        read_message(FetchRequest, 15, encoded.replace(b"\x01\x0d", b"\x01\x0e") + b"\x00")


def test_a_nullable_struct_has_a_byte_that_says_whether_it_is_there() -> None:
    """KIP-893."""
    without = write_message(DescribeTopicPartitionsRequest(), 0)
    assert without.endswith(b"\xff\x00")
    cursor = Cursor(topic_name="t", partition_index=3)
    encoded = write_message(DescribeTopicPartitionsRequest(cursor=cursor), 0)
    assert encoded.endswith(b"\x01" + b"\x02t" + struct.pack(">i", 3) + b"\x00" + b"\x00")
    assert read_message(DescribeTopicPartitionsRequest, 0, encoded)[0].cursor == cursor


def test_metadata_says_all_topics_with_null_from_version_1_on() -> None:
    """Pitfall 11: version 0 has no null, there the empty list means all."""
    assert read_message(MetadataRequest, 0, bytes(4))[0].topics == []
    assert read_message(MetadataRequest, 1, b"\xff\xff\xff\xff")[0].topics is None
    assert write_message(MetadataRequest(topics=None), 1) == b"\xff\xff\xff\xff"
    with pytest.raises(ValueError):
        write_message(MetadataRequest(topics=None), 0)


def test_offset_fetch_says_all_topics_with_null_from_version_2_on() -> None:
    assert read_message(OffsetFetchRequest, 2, b"\x00\x01g\xff\xff\xff\xff")[0].topics is None
    with pytest.raises(DecodeError):
        read_message(OffsetFetchRequest, 1, b"\x00\x01g\xff\xff\xff\xff")


def test_two_phase_commit_fields_are_in_the_unstable_version_only() -> None:
    """Pitfall 7: InitProducerId 6 is declared, and not in the registry."""
    assert APIS[22].max_version == 5
    assert write_message(InitProducerIdRequest(enable_2pc=True), 5) == write_message(InitProducerIdRequest(), 5)
    assert write_message(InitProducerIdRequest(enable_2pc=True), 6) != write_message(InitProducerIdRequest(), 6)


def test_a_versioned_value_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(DecodeError, match="no version 99"):
        read_versioned(coordinator_records.OffsetCommitValue, b"\x00\x63")


def test_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(FetchRequest(max_wait_ms=5)) == "FetchRequest(max_wait_ms=5)"
