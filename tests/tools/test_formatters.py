"""What kafka-console-consumer prints of a record: the formatters of Kafka and its deserializers, without a cluster."""

from __future__ import annotations

import struct

import pytest
from confluent_kafka import Message

from raftkafka.group.records import CommittedOffset, GroupMetadata, group_record, offset_record
from raftkafka.tools.console_consumer.deserializers import SerializationError, deserializer
from raftkafka.tools.console_consumer.errors import FormatError
from raftkafka.tools.console_consumer.formatters import make_formatter, shows_only_values

DEFAULT = "org.apache.kafka.tools.consumer.DefaultMessageFormatter"


def message(value: bytes | None = b"v", key: bytes | None = None, headers: list[tuple[str, bytes | None]] | None = None) -> Message:
    return Message(topic="t", partition=3, offset=7, value=value, key=key, headers=headers, timestamp=(1, 1_795_493_172_320))  # type: ignore[arg-type]


def shown(record: Message, **properties: str) -> str:
    return make_formatter(DEFAULT, {name.replace("_", "."): value for name, value in properties.items()})(record).decode()


def test_columns_come_in_kafkas_order() -> None:
    everything = dict.fromkeys(("print_" + name for name in ("timestamp", "partition", "offset", "epoch", "headers", "key")), "true")
    assert shown(message(key=b"k"), **everything) == (
        "CreateTime:1795493172320\tPartition:3\tOffset:7\tEpoch:NOT_PRESENT\tNO_HEADERS\tk\tv\n"
    )
    with_headers = message(headers=[("a", b"1"), ("b", None)])
    assert shown(with_headers, print_headers="true", print_value="false", headers_separator=";") == "a:1;b:null\n"
    assert shown(message(), print_value="false") == ""


def test_separators_and_the_word_for_null_can_be_chosen() -> None:
    assert shown(message(value=None), print_key="true", key_separator=":", line_separator="|") == "null:null|"
    assert shown(message(value=None), print_key="true", null_literal="-") == "-\t-\n"


def test_plain_values_take_the_short_way() -> None:
    assert shows_only_values(DEFAULT, {}) == b"\n"
    assert shows_only_values(DEFAULT, {"line.separator": "|"}) == b"|"
    assert shows_only_values(DEFAULT, {"print.key": "true"}) is None
    assert shows_only_values(DEFAULT, {"value.deserializer": "org.apache.kafka.common.serialization.LongDeserializer"}) is None


def test_offsets_and_groups_are_json_and_others_are_passed_over() -> None:
    committed = offset_record("g", "t", 2, CommittedOffset(offset=5, commit_timestamp_ms=1))
    group = group_record("g", GroupMetadata(protocol_type="consumer"))
    offsets = make_formatter("org.apache.kafka.tools.consumer.OffsetsMessageFormatter", {})
    assert offsets(message(committed.value, committed.key)).decode() == (
        '{"key":{"type":1,"data":{"group":"g","topic":"t","partition":2}},'
        '"value":{"version":4,"data":{"offset":5,"leaderEpoch":-1,"metadata":"","commitTimestamp":1}}}'
    )
    assert offsets(message(None, committed.key)).decode().endswith('"value":null}')
    assert offsets(message(group.value, group.key)) == b""
    assert offsets(message(b"x", struct.pack(">h", 99))) == b""
    groups = make_formatter("kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter", {})
    assert groups(message(committed.value, committed.key)) == b""
    assert groups(message(group.value, group.key)).decode().startswith('{"key":{"type":2,"data":{"group":"g"}},"value":{"version":3')
    with pytest.raises(FormatError, match="Could not read record at offset 7 due to"):
        offsets(message(b"", committed.key))


def test_only_kafkas_formatters_are_known() -> None:
    assert make_formatter("org.apache.kafka.tools.consumer.NoOpMessageFormatter", {})(message()) == b""
    with pytest.raises(KeyError):
        make_formatter("my.Formatter", {})


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("StringDeserializer", "글".encode(), "글"),
        ("ShortDeserializer", struct.pack(">h", -2), "-2"),
        ("IntegerDeserializer", struct.pack(">i", 7), "7"),
        ("LongDeserializer", struct.pack(">q", 1 << 40), "1099511627776"),
        ("DoubleDeserializer", struct.pack(">d", 0.1), "0.1"),
        ("DoubleDeserializer", struct.pack(">d", 1e7), "1.0E7"),
        ("DoubleDeserializer", struct.pack(">d", 123456789.125), "1.23456789125E8"),
        ("DoubleDeserializer", struct.pack(">d", 1e-5), "1.0E-5"),
        ("FloatDeserializer", struct.pack(">f", 0.1), "0.1"),
        ("FloatDeserializer", struct.pack(">f", 100.0), "100.0"),
        ("BooleanDeserializer", b"\1", "true"),
        ("UUIDDeserializer", b"00112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff"),
    ],
)
def test_numbers_are_written_as_java_writes_them(name: str, data: bytes, text: str) -> None:
    decode = deserializer("org.apache.kafka.common.serialization." + name)
    assert decode is not None
    assert decode(data).decode() == text


def test_bytes_of_a_wrong_size_are_refused_in_kafkas_words() -> None:
    decode = deserializer("LongDeserializer")
    assert decode is not None
    with pytest.raises(SerializationError, match=r"^Size of data received by LongDeserializer is not 8$"):
        decode(b"null")
