"""Makes the reader and the writer of a declared message for one version, on first use, by composing closures.

Fields of fixed size that follow one another become one `struct` step. No code is generated as text: a closure costs some tens of
nanoseconds more a step, and starts in microseconds.

Invariants
- Unknown tags are skipped on reading; a known tag must fill exactly the size it claims. Tagged fields that hold their default are
  omitted on writing, in ascending order of tag otherwise (KIP-482).
- A nested struct is read and written with its message's version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from raftkafka.base.errors import DecodeError
from raftkafka.protocol import schema
from raftkafka.protocol.primitives import (
    Codec,
    Reader,
    Writer,
    array_codec,
    bytes_codec,
    fixed_array_codec,
    fixed_codec,
    nullable_struct_codec,
    read_unsigned_varint,
    string_codec,
    write_unsigned_varint,
)

NamedSpec = tuple[str, schema.FieldSpec]


_CODECS: dict[tuple[type, int], Codec] = {}


def message_codec(cls: type[Any], version: int) -> Codec:
    """The codec of a message class in a version; `ValueError` when the message has no such version."""
    codec = _CODECS.get((cls, version))
    if codec is None:
        spec = schema.message_spec(cls)
        if not spec.versions.has(version):
            raise ValueError(f"{cls.__name__} has no version {version}")
        codec = _CODECS[cls, version] = _struct_codec(cls, version, spec.flexible.has(version))
    return codec


def _struct_codec(cls: type, version: int, flexible: bool) -> Codec:
    present = [(name, spec) for name, spec in schema.field_specs(cls).items() if spec.versions.has(version)]
    plain = [(name, spec) for name, spec in present if spec.tag is None]
    tagged = [(name, spec) for name, spec in present if spec.tag is not None]
    assert flexible or not tagged, f"{cls.__name__} has tagged fields in version {version}, which is not flexible"
    runs = _runs(plain)
    codecs = [_run_codec(run, version, flexible) for run in runs]
    names = tuple(name for name, _ in plain)
    getters = [attrgetter(*(name for name, _ in run)) for run in runs]
    return Codec(
        _struct_reader(cls, names, [codec.read for codec in codecs], _tag_reader(tagged, version) if flexible else None),
        _struct_writer(
            [(get, codec.write) for get, codec in zip(getters, codecs, strict=True)], _tag_writer(tagged, version) if flexible else None
        ),
        sum(codec.min_size_bytes for codec in codecs) + flexible,
    )


def _runs(fields: Sequence[NamedSpec]) -> list[list[NamedSpec]]:
    """Splits fields into runs: neighbours of fixed size together, every other field alone."""
    runs: list[list[NamedSpec]] = []
    for named in fields:
        if runs and isinstance(named[1].wire_type, schema.Fixed) and isinstance(runs[-1][0][1].wire_type, schema.Fixed):
            runs[-1].append(named)
        else:
            runs.append([named])
    return runs


def _run_codec(run: Sequence[NamedSpec], version: int, flexible: bool) -> Codec:
    if len(run) == 1:
        return _field_codec(run[0][1], version, flexible)
    codes = "".join(spec.wire_type.code for _, spec in run if isinstance(spec.wire_type, schema.Fixed))
    return fixed_codec(codes, run=True)


def _field_codec(spec: schema.FieldSpec, version: int, flexible: bool) -> Codec:
    nullable = spec.nullable.has(version)
    if nullable and spec.tag is not None and isinstance(spec.wire_type, type):
        return nullable_struct_codec(_struct_codec(spec.wire_type, version, flexible), tagged=True)
    return _type_codec(spec.wire_type, version, flexible=flexible, nullable=nullable)


def _type_codec(wire_type: schema.WireType, version: int, *, flexible: bool, nullable: bool) -> Codec:
    match wire_type:
        case schema.Fixed(code=code):
            return fixed_codec(code)
        case schema.Variable(kind="string"):
            return string_codec(compact=flexible, nullable=nullable)
        case schema.Variable(kind=kind):
            return bytes_codec(compact=flexible, nullable=nullable, borrow=kind == "records")
        case schema.Array(element=schema.Fixed(code=code)) if len(code) == 1:
            return fixed_array_codec(code, compact=flexible, nullable=nullable)
        case schema.Array(element=element):
            return array_codec(_type_codec(element, version, flexible=flexible, nullable=False), compact=flexible, nullable=nullable)
        case _:
            codec = _struct_codec(wire_type, version, flexible)
            return nullable_struct_codec(codec, tagged=False) if nullable else codec


def _struct_reader(cls: type, names: tuple[str, ...], steps: Sequence[Reader], read_tags: TagReader | None) -> Reader:
    def read(buffer: memoryview, offset: int, into: list[Any]) -> int:
        values: list[Any] = []
        for step in steps:
            offset = step(buffer, offset, values)
        made = cls(**dict(zip(names, values, strict=True)))
        into.append(made)
        if read_tags is not None:
            if offset < len(buffer) and not buffer[offset]:
                return offset + 1
            return read_tags(buffer, offset, made)
        return offset

    return read


def _struct_writer(steps: Sequence[tuple[Callable[[Any], Any], Writer]], write_tags: Writer | None) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        for get, step in steps:
            step(out, get(value))
        if write_tags is not None:
            write_tags(out, value)

    return write


TagReader = Callable[[memoryview, int, Any], int]
"""Reads a tag section at an offset into an object's attributes and returns the offset after it."""


def _tag_reader(tagged: Sequence[NamedSpec], version: int) -> TagReader:
    known = {spec.tag: (name, _field_codec(spec, version, True).read) for name, spec in tagged}

    def read(buffer: memoryview, offset: int, made: Any) -> int:
        count, offset = read_unsigned_varint(buffer, offset)
        for _ in range(count):
            tag, offset = read_unsigned_varint(buffer, offset)
            size, offset = read_unsigned_varint(buffer, offset)
            end = offset + size
            if end > len(buffer):
                raise DecodeError(f"tagged field {tag} of {size} bytes at byte {offset} goes beyond the buffer")
            if tag in known:
                name, read_value = known[tag]
                values: list[Any] = []
                if read_value(buffer[:end], offset, values) != end:
                    raise DecodeError(f"tagged field {tag} at byte {offset} does not fill its {size} bytes")
                setattr(made, name, values[0])
            offset = end
        return offset

    return read


def _tag_writer(tagged: Sequence[NamedSpec], version: int) -> Writer:
    in_order = sorted(tagged, key=lambda named: named[1].tag or 0)
    fields = [(spec.tag, attrgetter(name), spec.default, _field_codec(spec, version, True).write) for name, spec in in_order]

    def write(out: bytearray, value: Any) -> None:
        sections: list[tuple[int, bytearray]] = []
        for tag, get, default, write_value in fields:
            field_value = get(value)
            if field_value != default:
                section = bytearray()
                write_value(section, field_value)
                sections.append((tag or 0, section))
        write_unsigned_varint(out, len(sections))
        for tag, section in sections:
            write_unsigned_varint(out, tag)
            write_unsigned_varint(out, len(section))
            out += section

    return write
