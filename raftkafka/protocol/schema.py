"""How a message of Kafka's protocol is declared: one attrs class for all its versions.

    @struct
    class FetchTopic:
        topic: str = field(STRING, "4-12")
        topic_id: bytes = field(UUID, "13+")

    @message("4-18", flexible="12+")
    class FetchRequest:
        topics: list[FetchTopic] = field(array(FetchTopic), "4+")

Every field has a default, so `FetchRequest()` works; a field that a version lacks keeps its default when that version is read and is
left out when it is written. `compiler` makes a reader and a writer of a declaration for one version.

Invariants
- Declarations are facts: names (in snake case), types, versions, tags and defaults are Apache Kafka's.
- Two messages are equal when they are of the same class and all their fields are.

Sources: the message definitions of Apache Kafka 4.4; KIP-482.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, dataclass_transform

import attrs

from raftkafka.base.ids import ZERO_ID

T = TypeVar("T")

LAST_POSSIBLE_VERSION = 0x7FFF


class Versions(NamedTuple):
    """A range of versions, both ends inclusive; empty when `first` is above `last`."""

    first: int
    last: int

    def has(self, version: int) -> bool:
        return self.first <= version <= self.last


NO_VERSIONS = Versions(0, -1)


def versions(text: str) -> Versions:
    """The range that Kafka's notation says: `3`, `3-7`, `3+` or `none`."""
    if text == "none":
        return NO_VERSIONS
    if text.endswith("+"):
        return Versions(int(text[:-1]), LAST_POSSIBLE_VERSION)
    first, _, last = text.partition("-")
    return Versions(int(first), int(last or first))


@attrs.frozen
class Fixed:
    """A type of fixed size. `code` is its `struct` format, `default` the value a field has when nothing else is said."""

    code: str
    default: Any


@attrs.frozen
class Variable:
    """A string, bytes or records: a length and that many bytes."""

    kind: str
    default: Any


@attrs.frozen
class Array:
    """Elements of one type."""

    element: WireType


WireType = Fixed | Variable | Array | type

BOOL = Fixed("?", False)
INT8 = Fixed("b", 0)
INT16 = Fixed("h", 0)
INT32 = Fixed("i", 0)
INT64 = Fixed("q", 0)
UINT16 = Fixed("H", 0)
FLOAT64 = Fixed("d", 0.0)
UUID = Fixed("16s", ZERO_ID)
STRING = Variable("string", "")
BYTES = Variable("bytes", b"")
RECORDS = Variable("records", None)


def array(element: WireType) -> Array:
    """The type of an array of `element`, which is another type or a class declared with `struct`."""
    return Array(element)


@attrs.frozen
class FieldSpec:
    """The wire side of one field. With a `tag` it is a tagged field in all its versions."""

    wire_type: WireType
    versions: Versions
    nullable: Versions
    tag: int | None
    default: Any


@attrs.frozen
class MessageSpec:
    """The versions of a top-level message and those of them that are flexible."""

    versions: Versions
    flexible: Versions


_NO_DEFAULT: Any = object()
_FIELDS: dict[type, Mapping[str, FieldSpec]] = {}
_MESSAGES: dict[type, MessageSpec] = {}


def field(wire_type: WireType, in_versions: str, *, nullable: str = "none", tag: int | None = None, default: Any = _NO_DEFAULT) -> Any:
    """Declares a field of a struct or message; without a `default` it has that of its type."""
    factory: Callable[[], Any] | None = None
    if default is _NO_DEFAULT:
        match wire_type:
            case Fixed() | Variable():
                default = wire_type.default
            case Array():
                factory = list
            case _:
                factory = wire_type
    spec = FieldSpec(wire_type, versions(in_versions), versions(nullable), tag, factory() if factory else default)
    return attrs.field(default=attrs.Factory(factory) if factory else default, metadata={"spec": spec})


@dataclass_transform(kw_only_default=True)
def struct(cls: type[T]) -> type[T]:
    """Declares a nested struct: an attrs class with keyword-only fields."""
    # One shared equality and repr for all: generating them for 200 classes would double the import time.
    cls.__eq__ = _equal  # type: ignore[method-assign]
    cls.__repr__ = _repr  # type: ignore[method-assign]
    declared = attrs.define(kw_only=True, eq=False, repr=False, match_args=False, getstate_setstate=False)(cls)
    attributes = attrs.fields(declared)  # type: ignore[arg-type]
    _FIELDS[declared] = {attribute.name: attribute.metadata["spec"] for attribute in attributes}
    return declared


@dataclass_transform(kw_only_default=True)
def message(in_versions: str, *, flexible: str) -> Callable[[type[T]], type[T]]:
    """Declares a top-level message: a struct that knows its versions."""
    spec = MessageSpec(versions(in_versions), versions(flexible))

    def declare(cls: type[T]) -> type[T]:
        declared: type[T] = struct(cls)
        _MESSAGES[declared] = spec
        return declared

    return declare


def message_spec(cls: type) -> MessageSpec:
    """The versions of a class declared with `message`."""
    return _MESSAGES[cls]


def field_specs(cls: type[Any]) -> Mapping[str, FieldSpec]:
    """The fields of a declared class by attribute name, in wire order."""
    return _FIELDS[cls]


def _equal(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in field_specs(type(self)))


def _repr(self: Any) -> str:
    """Only what differs from the defaults: most fields of most messages do not."""
    values = ((name, spec.default, getattr(self, name)) for name, spec in field_specs(type(self)).items())
    shown = (f"{name}={value!r}" for name, default, value in values if value != default)
    return f"{type(self).__name__}({', '.join(shown)})"
