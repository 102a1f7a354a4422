"""Messages as the JSON that Apache Kafka's tools print of them.

Invariants
- Names are Kafka's (camel case), in the order of the declaration; a field that the version lacks is left out, and so is a tagged field that
  has its default.
- Bytes are base64, ids are their 22-character text: what Kafka's generated JSON converters write.
"""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

from raftkafka.base.ids import id_to_text
from raftkafka.protocol.schema import UUID, Array, FieldSpec, WireType, field_specs


def to_json(message: object, version: int) -> dict[str, Any]:
    """The fields of a message in a version."""
    named: dict[str, Any] = {}
    for name, spec in field_specs(type(message)).items():
        value = getattr(message, name)
        if _is_written(spec, value, version):
            named[camel_case(name)] = _value(spec.wire_type, value, version)
    return named


def compact(value: object) -> str:
    """JSON on one line without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _is_written(spec: FieldSpec, value: object, version: int) -> bool:
    return spec.versions.has(version) and not (spec.tag is not None and value == spec.default)


def _value(wire_type: WireType, value: Any, version: int) -> Any:
    if value is None:
        return None
    if isinstance(wire_type, Array):
        return [_value(wire_type.element, element, version) for element in value]
    if isinstance(wire_type, type):
        return to_json(value, version)
    if wire_type is UUID:
        return id_to_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return value


@functools.cache
def camel_case(name: str) -> str:
    """Kafka's form of an attribute's name."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
