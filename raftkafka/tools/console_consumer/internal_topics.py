"""The records of internal topics as JSON: Kafka's formatters for offsets, groups and transactions.

As in Kafka nothing stands between two records, not even the end of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from confluent_kafka import Message

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.json_form import compact
from raftkafka.tools.console_consumer.errors import FormatError
from raftkafka.tools.coordinator_json import (
    KEY_CLASSES,
    TRANSACTION_KEY_CLASSES,
    Classes,
    UnknownRecordType,
    key_json,
    record_type,
    value_json,
)

_SHOWN: Mapping[str, tuple[Classes, frozenset[int]]] = {
    "OffsetsMessageFormatter": (KEY_CLASSES, frozenset({0, 1})),
    "GroupMetadataMessageFormatter": (KEY_CLASSES, frozenset({2})),
    "TransactionLogMessageFormatter": (TRANSACTION_KEY_CLASSES, frozenset({0})),
}
"""What each formatter shows: records of the topic with these classes, of these types."""


def internal_topic_formatter(name: str) -> Callable[[Message], bytes]:
    """The formatter of that name; records of other types than its own are passed over."""
    classes, types = _SHOWN[name]

    def format(message: Message) -> bytes:
        key, value = message.key(), message.value()
        if key is None:
            return b""
        assert isinstance(key, bytes) and not isinstance(value, str)
        try:
            if record_type(key) not in types:
                return b""
            named = key_json(key, classes)
            shown = {"key": {"type": int(named["type"]), "data": named["data"]}, "value": None}
            if value is not None:
                opened = value_json(key, value, classes, embedded=False)
                shown["value"] = {"version": int(opened["version"]), "data": opened["data"]}
        except UnknownRecordType:
            return b""
        except DecodeError as error:
            raise FormatError(f"java.lang.RuntimeException: Could not read record at offset {message.offset()} due to: {error}") from None
        return compact(shown).encode()

    return format
