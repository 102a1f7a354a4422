"""Kafka's deserializers by their class names, each giving the text that Java shows of the value.

Sources: org.apache.kafka.common.serialization of Apache Kafka 4.3 (big-endian numbers of a fixed size; what a wrong size is answered with).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping

PACKAGE = "org.apache.kafka.common.serialization."

Deserializer = Callable[[bytes], bytes]


class SerializationError(Exception):
    """The bytes are not what the deserializer expects; the text is Kafka's."""


def deserializer(class_name: str) -> Deserializer | None:
    """The deserializer of that class; None when it is not one of Kafka's."""
    return _DESERIALIZERS.get(class_name.removeprefix(PACKAGE))


def _string(data: bytes) -> bytes:
    return data.decode(errors="replace").encode()


def _number(name: str, format: str) -> Deserializer:
    size = struct.calcsize(format)

    def decode(data: bytes) -> bytes:
        if len(data) != size:
            raise SerializationError(f"Size of data received by {name} is not {size}")
        return str(struct.unpack(format, data)[0]).encode()

    return decode


def _real(name: str, format: str, digits: int) -> Deserializer:
    size = struct.calcsize(format)

    def decode(data: bytes) -> bytes:
        if len(data) != size:
            raise SerializationError(f"Size of data received by {name} is not {size}")
        return _java_real(struct.unpack(format, data)[0], digits).encode()

    return decode


def _java_real(value: float, digits: int) -> str:
    """A floating-point number as Java writes it: plain from a thousandth to ten millions, else with an exponent."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value) if digits == 17 else _shortest(value, "f")
    mantissa, _, exponent = (f"{value:e}" if digits != 17 else _scientific(value)).partition("e")
    mantissa = mantissa.rstrip("0")
    return f"{mantissa}{'0' if mantissa.endswith('.') else ''}E{int(exponent)}"


def _scientific(value: float) -> str:
    for digits in range(1, 18):
        text = f"{value:.{digits}e}"
        if float(text) == value:
            return text
    return f"{value:e}"


def _shortest(value: float, kind: str) -> str:
    """The shortest decimal that gives the same number of 32 bits."""
    for digits in range(1, 10):
        text = f"{value:.{digits}{kind}}"
        if struct.pack(">f", float(text)) == struct.pack(">f", value):
            return text
    return f"{value:{kind}}"


def _boolean(data: bytes) -> bytes:
    if len(data) != 1:
        raise SerializationError("Size of data received by BooleanDeserializer is not 1")
    if data[0] > 1:
        raise SerializationError(f"Unexpected byte received by BooleanDeserializer: {data[0]}")
    return b"true" if data[0] else b"false"


def _uuid(data: bytes) -> bytes:
    try:
        return str(uuid.UUID(data.decode())).encode()
    except (ValueError, UnicodeDecodeError):
        raise SerializationError("Error parsing data into UUID") from None


def _void(data: bytes) -> bytes:
    raise SerializationError("Data should be null for a VoidDeserializer.")


_DESERIALIZERS: Mapping[str, Deserializer] = {
    "StringDeserializer": _string,
    "ByteArrayDeserializer": lambda data: data,
    "ByteBufferDeserializer": lambda data: data,
    "BytesDeserializer": lambda data: data,
    "ShortDeserializer": _number("ShortDeserializer", ">h"),
    "IntegerDeserializer": _number("IntegerDeserializer", ">i"),
    "LongDeserializer": _number("LongDeserializer", ">q"),
    "FloatDeserializer": _real("FloatDeserializer", ">f", 9),
    "DoubleDeserializer": _real("DoubleDeserializer", ">d", 17),
    "BooleanDeserializer": _boolean,
    "UUIDDeserializer": _uuid,
    "VoidDeserializer": _void,
}
