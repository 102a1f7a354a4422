"""What is printed of a record: Kafka's message formatters by their class names.

A formatter gives the bytes for a batch of records, so that nothing is done per record that a plain value does not need.

Sources: the formatters' properties as `kafka-console-consumer --help` of Apache Kafka 4.3.1 tells them, and their output as it prints it.

Not implemented: formatters of the user's own. Byte arrays are shown as their bytes, where Java shows an object's address.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

import attrs
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Message

from raftkafka.base.errors import DecodeError
from raftkafka.protocol.json_form import compact
from raftkafka.tools.console_consumer.deserializers import Deserializer, SerializationError, deserializer
from raftkafka.tools.coordinator_json import (
    KEY_CLASSES,
    TRANSACTION_KEY_CLASSES,
    Classes,
    UnknownRecordType,
    key_json,
    record_type,
    value_json,
)

PACKAGE = "org.apache.kafka.tools.consumer."
DEFAULT_FORMATTER = PACKAGE + "DefaultMessageFormatter"

Formatter = Callable[[Message], bytes]


class FormatError(Exception):
    """A record cannot be shown; the text is an exception's class and message, as Java prints them."""


_OLD_PACKAGES = ("kafka.tools.", "kafka.coordinator.group.GroupMetadataManager$", "kafka.coordinator.transaction.TransactionLog$")
_TIMESTAMP_TYPES = {TIMESTAMP_CREATE_TIME: "CreateTime", TIMESTAMP_LOG_APPEND_TIME: "LogAppendTime"}


@attrs.frozen(kw_only=True)
class _Columns:
    """The properties of the default formatter."""

    timestamp: bool
    partition: bool
    offset: bool
    delivery: bool
    epoch: bool
    headers: bool
    key: bool
    value: bool
    key_separator: bytes
    line_separator: bytes
    headers_separator: bytes
    null_literal: bytes
    key_deserializer: Deserializer | None
    value_deserializer: Deserializer | None
    headers_deserializer: Deserializer | None


def make_formatter(class_name: str, properties: Mapping[str, str]) -> Formatter:
    """The formatter of that class, also by the names that it had before Kafka 4; `KeyError` when it is not one of Kafka's."""
    name = class_name
    for package in (PACKAGE, *_OLD_PACKAGES):
        name = name.removeprefix(package)
    match name:
        case "DefaultMessageFormatter" | "LoggingMessageFormatter":
            return _default(_columns(properties))
        case "NoOpMessageFormatter":
            return lambda _: b""
        case "OffsetsMessageFormatter":
            return _coordinator(KEY_CLASSES, frozenset({0, 1}))
        case "GroupMetadataMessageFormatter":
            return _coordinator(KEY_CLASSES, frozenset({2}))
        case "TransactionLogMessageFormatter":
            return _coordinator(TRANSACTION_KEY_CLASSES, frozenset({0}))
    raise KeyError(class_name)


def shows_only_values(class_name: str, properties: Mapping[str, str]) -> bytes | None:
    """The line separator, when the formatter prints values as they are and nothing else; such records need no work at all."""
    if not class_name.endswith(("DefaultMessageFormatter", "LoggingMessageFormatter")):
        return None
    columns = _columns(properties)
    others = (columns.timestamp, columns.partition, columns.offset, columns.delivery, columns.epoch, columns.headers, columns.key)
    return columns.line_separator if columns.value and not any(others) and columns.value_deserializer is None else None


def null_literal(properties: Mapping[str, str]) -> bytes:
    """What is shown in place of null."""
    return properties.get("null.literal", "null").encode()


def _columns(properties: Mapping[str, str]) -> _Columns:
    def is_on(name: str, default: str = "false") -> bool:
        return properties.get(name, default).strip().lower() == "true"

    return _Columns(
        timestamp=is_on("print.timestamp"),
        partition=is_on("print.partition"),
        offset=is_on("print.offset"),
        delivery=is_on("print.delivery"),
        epoch=is_on("print.epoch"),
        headers=is_on("print.headers"),
        key=is_on("print.key"),
        value=is_on("print.value", "true"),
        key_separator=properties.get("key.separator", "\t").encode(),
        line_separator=properties.get("line.separator", "\n").encode(),
        headers_separator=properties.get("headers.separator", ",").encode(),
        null_literal=null_literal(properties),
        key_deserializer=_wanted(properties, "key.deserializer"),
        value_deserializer=_wanted(properties, "value.deserializer"),
        headers_deserializer=_wanted(properties, "headers.deserializer"),
    )


def _wanted(properties: Mapping[str, str], name: str) -> Deserializer | None:
    class_name = properties.get(name)
    if class_name is None:
        return None
    found = deserializer(class_name)
    if found is None:
        print(f"Unable to instantiate a deserializer from {class_name}: this tool knows Kafka's own only.", file=sys.stderr)
    return found


def _default(columns: _Columns) -> Formatter:
    """Each column ends with the key separator, the last one with the line separator."""

    def show(data: bytes | str | None, decode: Deserializer | None) -> bytes:
        shown = columns.null_literal if data is None else data.encode() if isinstance(data, str) else data
        try:
            return shown if decode is None else decode(shown)
        except SerializationError as error:
            raise FormatError(f"org.apache.kafka.common.errors.SerializationException: {error}") from None

    def format(message: Message) -> bytes:
        cells: list[bytes] = []
        if columns.timestamp:
            kind, time = message.timestamp()
            name = _TIMESTAMP_TYPES.get(kind)
            cells.append(b"NO_TIMESTAMP" if name is None else b"%s:%d" % (name.encode(), time))
        if columns.partition:
            cells.append(b"Partition:%d" % (message.partition() or 0))
        if columns.offset:
            cells.append(b"Offset:%d" % (message.offset() or 0))
        if columns.delivery:
            cells.append(b"Delivery:NOT_PRESENT")
        if columns.epoch:
            cells.append(b"Epoch:NOT_PRESENT")
        if columns.headers:
            headers: Iterable[tuple[str, bytes | str | None]] = message.headers() or ()  # type: ignore[assignment]
            shown = [name.encode() + b":" + show(value, columns.headers_deserializer) for name, value in headers]
            cells.append(columns.headers_separator.join(shown) if shown else b"NO_HEADERS")
        if columns.key:
            cells.append(show(message.key(), columns.key_deserializer))
        if columns.value:
            cells.append(show(message.value(), columns.value_deserializer))
        return columns.key_separator.join(cells) + columns.line_separator if cells else b""

    return format


def _coordinator(classes: Classes, types: frozenset[int]) -> Formatter:
    """Records of an internal topic of these types as JSON; others are passed over. As in Kafka there is nothing between two of them."""

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
