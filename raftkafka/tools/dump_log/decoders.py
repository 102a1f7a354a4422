"""What keys and values mean, as text: strings and numbers, or the records of an internal topic as JSON.

A decoder gives the texts of a record's key and value; None leaves one out. It raises `CorruptRecord` where Apache's tool gives up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from raftkafka.base.errors import CorruptRecord, DecodeError
from raftkafka.protocol import json_form
from raftkafka.storage.record_batch import Record
from raftkafka.tools.coordinator_json import KEY_CLASSES, TRANSACTION_KEY_CLASSES, UnknownRecordType, key_json, value_json

RecordDecoder = Callable[[Record], tuple[str | None, str | None]]
FieldDecoder = Callable[[bytes], str]

DEFAULT_DECODER = "org.apache.kafka.tools.api.StringDecoder"
_PACKAGES = ("org.apache.kafka.tools.api.", "kafka.serializer.")
"""Where Kafka's decoders are, and where they were before Kafka 4."""


def field_decoder(class_name: str) -> FieldDecoder:
    """The decoder that one of Kafka's class names stands for; `KeyError` when it is none of them."""
    for package in _PACKAGES:
        class_name = class_name.removeprefix(package)
    return _FIELD_DECODERS[class_name]


def plain_decoder(key_decoder: FieldDecoder, value_decoder: FieldDecoder) -> RecordDecoder:
    """Decodes keys and values each by itself."""

    def decode(record: Record) -> tuple[str | None, str | None]:
        key = None if record.key is None else key_decoder(record.key)
        return key, None if record.value is None else value_decoder(record.value)

    return decode


def decode_offsets(record: Record) -> tuple[str | None, str | None]:
    """A record of `__consumer_offsets`."""
    return _decode_coordinator_record(record, KEY_CLASSES)


def decode_transaction(record: Record) -> tuple[str | None, str | None]:
    """A record of `__transaction_state`."""
    return _decode_coordinator_record(record, TRANSACTION_KEY_CLASSES)


def decode_kraft_metadata(record: Record) -> tuple[str | None, str | None]:
    """A record of a metadata log that Apache Kafka wrote: its type and version; what it says is left as hexadecimal digits."""
    try:
        frame_version, position = _unsigned_varint(record.value or b"", 0, "frame version")
        if frame_version != 1:
            raise DecodeError(f"Could not deserialize metadata record with frame version {frame_version}")
        number, position = _unsigned_varint(record.value or b"", position, "type")
        version, position = _unsigned_varint(record.value or b"", position, "version")
    except DecodeError as error:
        return None, f"Error at {record.offset}, skipping. {error}"
    data = (record.value or b"")[position:].hex()
    return None, json_form.compact({"type": _KRAFT_TYPES.get(number, str(number)), "version": version, "hex": data})


def _decode_coordinator_record(record: Record, classes: Mapping[int, tuple[type, type]]) -> tuple[str | None, str | None]:
    if record.key is None:
        raise CorruptRecord(f"Failed to decode message at offset {record.offset} using the specified decoder (message had a missing key)")
    try:
        key = json_form.compact(key_json(record.key, classes))
        value = "<DELETE>" if record.value is None else json_form.compact(value_json(record.key, record.value, classes))
    except UnknownRecordType as error:
        return f"Unknown record type {error.number} at offset {record.offset}, skipping.", None
    except DecodeError as error:
        return f"Error at offset {record.offset}, skipping. {error}", None
    return key, value


def _string(data: bytes) -> str:
    return data.decode(errors="replace")


def _number(format: str) -> FieldDecoder:
    size = struct.calcsize(format)

    def decode(data: bytes) -> str:
        if len(data) < size:
            raise CorruptRecord(f"A number of {size} bytes cannot be read from {len(data)} bytes.")
        return str(struct.unpack_from(format, data)[0])

    return decode


_FIELD_DECODERS: Mapping[str, FieldDecoder] = {
    "StringDecoder": _string,
    "DefaultDecoder": lambda data: data.hex(" "),
    "IntegerDecoder": _number(">i"),
    "LongDecoder": _number(">q"),
}


DECODER_NAMES = tuple(_FIELD_DECODERS)
"""The decoders of keys and values, without their package."""


def _unsigned_varint(data: bytes, position: int, what: str) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > 0x7FFF:
                raise DecodeError(f"Value for {what} was too large.")
            return value, position
        shift += 7
    raise DecodeError(f"Error while reading {what}")


_KRAFT_TYPES = {
    0: "REGISTER_BROKER_RECORD",
    1: "UNREGISTER_BROKER_RECORD",
    2: "TOPIC_RECORD",
    3: "PARTITION_RECORD",
    4: "CONFIG_RECORD",
    5: "PARTITION_CHANGE_RECORD",
    7: "FENCE_BROKER_RECORD",
    8: "UNFENCE_BROKER_RECORD",
    9: "REMOVE_TOPIC_RECORD",
    10: "DELEGATION_TOKEN_RECORD",
    11: "USER_SCRAM_CREDENTIAL_RECORD",
    12: "FEATURE_LEVEL_RECORD",
    14: "CLIENT_QUOTA_RECORD",
    15: "PRODUCER_IDS_RECORD",
    17: "BROKER_REGISTRATION_CHANGE_RECORD",
    18: "ACCESS_CONTROL_ENTRY_RECORD",
    19: "REMOVE_ACCESS_CONTROL_ENTRY_RECORD",
    20: "NO_OP_RECORD",
    21: "ZK_MIGRATION_STATE_RECORD",
    22: "REMOVE_USER_SCRAM_CREDENTIAL_RECORD",
    23: "BEGIN_TRANSACTION_RECORD",
    24: "END_TRANSACTION_RECORD",
    25: "ABORT_TRANSACTION_RECORD",
    26: "REMOVE_DELEGATION_TOKEN_RECORD",
    27: "REGISTER_CONTROLLER_RECORD",
    28: "CLEAR_ELR_RECORD",
}
