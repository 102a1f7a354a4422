"""The records of `__consumer_offsets` and `__transaction_state` as JSON: what their keys and values say.

A key is its type (int16) and its fields, a value its version (int16) and its fields.

Not implemented: the records of share groups (types 10 to 15) and streams groups (17 to 23); they are of unknown type here.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.framing import read_message, read_versioned
from raftkafka.protocol.json_form import to_json
from raftkafka.protocol.messages import consumer_group_records as consumer_group
from raftkafka.protocol.messages import coordinator_records as classic
from raftkafka.protocol.messages import transaction_records as transaction
from raftkafka.protocol.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription

Classes = Mapping[int, tuple[type[Any], type[Any]]]

KEY_CLASSES: Classes = {
    0: (classic.LegacyOffsetCommitKey, classic.LegacyOffsetCommitValue),
    1: (classic.OffsetCommitKey, classic.OffsetCommitValue),
    2: (classic.GroupMetadataKey, classic.GroupMetadataValue),
    3: (consumer_group.ConsumerGroupMetadataKey, consumer_group.ConsumerGroupMetadataValue),
    4: (consumer_group.ConsumerGroupPartitionMetadataKey, consumer_group.ConsumerGroupPartitionMetadataValue),
    5: (consumer_group.ConsumerGroupMemberMetadataKey, consumer_group.ConsumerGroupMemberMetadataValue),
    6: (consumer_group.ConsumerGroupTargetAssignmentMetadataKey, consumer_group.ConsumerGroupTargetAssignmentMetadataValue),
    7: (consumer_group.ConsumerGroupTargetAssignmentMemberKey, consumer_group.ConsumerGroupTargetAssignmentMemberValue),
    8: (consumer_group.ConsumerGroupCurrentMemberAssignmentKey, consumer_group.ConsumerGroupCurrentMemberAssignmentValue),
    16: (consumer_group.ConsumerGroupRegularExpressionKey, consumer_group.ConsumerGroupRegularExpressionValue),
}
"""The classes of key and value by the type that the key begins with, in `__consumer_offsets`."""

TRANSACTION_KEY_CLASSES: Classes = {0: (transaction.TransactionLogKey, transaction.TransactionLogValue)}
"""The same in `__transaction_state`."""

_TYPE = struct.Struct(">h")


class UnknownRecordType(Exception):
    """The key is of a type that is not known here."""

    def __init__(self, number: int) -> None:
        super().__init__(f"unknown record type {number}")
        self.number = number


def record_type(key: bytes) -> int:
    """The type that a key begins with; `DecodeError` when it is too short to have one."""
    if len(key) < _TYPE.size:
        raise DecodeError(f"a record key of {len(key)} bytes, shorter than its type")
    number: int = _TYPE.unpack_from(key)[0]
    return number


def key_json(key: bytes, classes: Classes) -> dict[str, Any]:
    """`{"type": ..., "data": ...}` of a key. Raises `DecodeError`, `UnknownRecordType`."""
    number = record_type(key)
    message, _ = read_message(_classes(number, classes)[0], 0, key, _TYPE.size)
    return {"type": str(number), "data": to_json(message, 0)}


def value_json(key: bytes, value: bytes, classes: Classes, *, embedded: bool = True) -> dict[str, Any]:
    """`{"version": ..., "data": ...}` of the value that belongs to a key, with `embedded` also what consumers put into it.

    Raises as `key_json`.
    """
    message, version = read_versioned(_classes(record_type(key), classes)[1], value)
    data = to_json(message, version)
    if embedded and isinstance(message, classic.GroupMetadataValue) and message.protocol_type == "consumer":
        for member in data["members"]:
            _open_embedded(member, "subscription", ConsumerProtocolSubscription)
            _open_embedded(member, "assignment", ConsumerProtocolAssignment)
    return {"version": str(version), "data": data}


def _classes(number: int, classes: Classes) -> tuple[type[Any], type[Any]]:
    found = classes.get(number)
    if found is None:
        raise UnknownRecordType(number)
    return found


def _open_embedded(member: dict[str, Any], name: str, cls: type[Any]) -> None:
    """Puts what a member's bytes say in their place; they stay as they are where they cannot be read."""
    try:
        message, version = read_versioned(cls, base64.b64decode(member[name]))
    except DecodeError:
        return
    member[name] = to_json(message, version)
