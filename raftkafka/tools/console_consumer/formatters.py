"""What is printed of a record: Kafka's message formatters by their class names.

A formatter gives the bytes for a batch of records, so that nothing is done per record that a plain value does not need.

Sources: the formatters' properties as `kafka-console-consumer --help` of Apache Kafka 4.3.1 tells them, and their output as it prints it.

Not implemented: formatters of the user's own. Byte arrays are shown as their bytes, where Java shows an object's address.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Message

from raftkafka.tools.console_consumer.deserializers import Deserializer, SerializationError, deserializer
from raftkafka.tools.console_consumer.errors import FormatError

PACKAGE = "org.apache.kafka.tools.consumer."
DEFAULT_FORMATTER = PACKAGE + "DefaultMessageFormatter"

Formatter = Callable[[Message], bytes]


_OLD_PACKAGES = ("kafka.tools.", "kafka.coordinator.group.GroupMetadataManager$", "kafka.coordinator.transaction.TransactionLog$")
_TIMESTAMP_TYPES = {TIMESTAMP_CREATE_TIME: b"CreateTime", TIMESTAMP_LOG_APPEND_TIME: b"LogAppendTime"}
_COLUMNS = ("timestamp", "partition", "offset", "delivery", "epoch", "headers", "key", "value")


def make_formatter(class_name: str, properties: Mapping[str, str]) -> Formatter:
    """The formatter of that class, also by the names that it had before Kafka 4; `KeyError` when it is not one of Kafka's."""
    name = class_name
    for package in (PACKAGE, *_OLD_PACKAGES):
        name = name.removeprefix(package)
    match name:
        case "DefaultMessageFormatter" | "LoggingMessageFormatter":
            return _default(properties)
        case "NoOpMessageFormatter":
            return lambda _: b""
        case "OffsetsMessageFormatter" | "GroupMetadataMessageFormatter" | "TransactionLogMessageFormatter":
            from raftkafka.tools.console_consumer.internal_topics import internal_topic_formatter

            return internal_topic_formatter(name)
    raise KeyError(class_name)


def shows_only_values(class_name: str, properties: Mapping[str, str]) -> bytes | None:
    """The line separator, when the formatter prints values as they are and nothing else; such records need no work at all."""
    if not class_name.endswith(("DefaultMessageFormatter", "LoggingMessageFormatter")):
        return None
    plain = _columns_shown(properties) == ["value"] and "value.deserializer" not in properties
    return _text(properties, "line.separator", "\n") if plain else None


def null_literal(properties: Mapping[str, str]) -> bytes:
    """What is shown in place of null."""
    return _text(properties, "null.literal", "null")


def _default(properties: Mapping[str, str]) -> Formatter:
    """Cells with the key separator between them, and the line separator at the end."""
    makers: Mapping[str, Callable[[], Formatter]] = {
        "timestamp": lambda: _timestamp,
        "partition": lambda: lambda message: b"Partition:%d" % (message.partition() or 0),
        "offset": lambda: lambda message: b"Offset:%d" % (message.offset() or 0),
        "delivery": lambda: lambda _: b"Delivery:NOT_PRESENT",
        "epoch": lambda: lambda _: b"Epoch:NOT_PRESENT",
        "headers": lambda: _headers(properties),
        "key": lambda: _field(Message.key, properties, "key.deserializer"),
        "value": lambda: _field(Message.value, properties, "value.deserializer"),
    }
    cells = [makers[name]() for name in _columns_shown(properties)]
    between, end = _text(properties, "key.separator", "\t"), _text(properties, "line.separator", "\n")
    return lambda message: between.join([cell(message) for cell in cells]) + end if cells else b""


def _columns_shown(properties: Mapping[str, str]) -> list[str]:
    """The names of the columns, in the order in which they are printed."""
    wanted = {"print.value": "true", **properties}
    return [name for name in _COLUMNS if wanted.get(f"print.{name}", "").strip().lower() == "true"]


def _timestamp(message: Message) -> bytes:
    kind, time = message.timestamp()
    name = _TIMESTAMP_TYPES.get(kind)
    return b"NO_TIMESTAMP" if name is None else b"%s:%d" % (name, time)


def _headers(properties: Mapping[str, str]) -> Formatter:
    separator, null = _text(properties, "headers.separator", ","), null_literal(properties)
    decode = _wanted(properties, "headers.deserializer")

    def format(message: Message) -> bytes:
        headers: Iterable[tuple[str, bytes | str | None]] = message.headers() or ()  # type: ignore[assignment]
        return separator.join([name.encode() + b":" + _shown(value, null, decode) for name, value in headers]) or b"NO_HEADERS"

    return format


def _field(field: Callable[[Message], bytes | str | None], properties: Mapping[str, str], name: str) -> Formatter:
    """The key or the value; Java gives the word for null to the deserializer too."""
    null, decode = null_literal(properties), _wanted(properties, name)
    return lambda message: _shown(field(message), null, decode)


def _shown(data: bytes | str | None, null: bytes, decode: Deserializer | None) -> bytes:
    shown = null if data is None else data.encode() if isinstance(data, str) else data
    try:
        return shown if decode is None else decode(shown)
    except SerializationError as error:
        raise FormatError(f"org.apache.kafka.common.errors.SerializationException: {error}") from None


def _wanted(properties: Mapping[str, str], name: str) -> Deserializer | None:
    class_name = properties.get(name)
    if class_name is None:
        return None
    found = deserializer(class_name)
    if found is None:
        print(f"Unable to instantiate a deserializer from {class_name}: this tool knows Kafka's own only.", file=sys.stderr)
    return found


def _text(properties: Mapping[str, str], name: str, default: str) -> bytes:
    return properties.get(name, default).encode()
