"""Raft's messages as plain lists for msgpack: `[type, epoch, ...]` in the order of the fields.

A list may be longer than this version knows: the rest is ignored, so that fields can be added at the end during a rolling upgrade.
Everything else that is not as declared raises `PeerError`.
"""

from __future__ import annotations

from typing import Any

import attrs

from raftkafka.base.errors import PeerError
from raftkafka.raft.messages import (
    AppendRequest,
    AppendResponse,
    Entry,
    EntryKind,
    LeaderHint,
    ObserveRequest,
    RaftMessage,
    Resigned,
    SnapshotRequest,
    SnapshotResponse,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)

_TYPES: tuple[type[RaftMessage], ...] = (
    VoteRequest,
    VoteResponse,
    AppendRequest,
    AppendResponse,
    ObserveRequest,
    SnapshotRequest,
    SnapshotResponse,
    TimeoutNow,
    Resigned,
    LeaderHint,
)
"""A message's number is its place here; new ones go at the end."""

_NUMBERS = {cls: number for number, cls in enumerate(_TYPES)}
_BY_NUMBER: dict[Any, type[RaftMessage]] = dict(enumerate(_TYPES))
_FIELDS = {cls: tuple((field.name, str(field.type)) for field in attrs.fields(cls)) for cls in _TYPES}
_REQUIRED = {cls: sum(1 for field in attrs.fields(cls) if field.default is attrs.NOTHING) for cls in _TYPES}
"""How many fields a message has at least; those with a default were added later."""
_CHECKED: dict[str, Any] = {"int": int, "bool": bool, "bytes": bytes}
_WIRE_TYPES = {cls: tuple(_CHECKED.get(declared) for _, declared in fields) for cls, fields in _FIELDS.items()}
_KINDS = {int(kind): kind for kind in EntryKind}
_ENTRIES = "tuple[Entry, ...]"
_MAY_BE_MINUS_ONE = ("diverging_epoch", "diverging_end_offset")
_HIGHEST_INT = (1 << 64) - 1


def encode_message(message: RaftMessage) -> list[Any]:
    """The list of a message."""
    encoded: list[Any] = [_NUMBERS[type(message)]]
    for name, declared in _FIELDS[type(message)]:
        value = getattr(message, name)
        encoded.append([[e.epoch, int(e.kind), e.data, e.ends_batch] for e in value] if declared == _ENTRIES else value)
    return encoded


def decode_message(encoded: Any) -> RaftMessage:
    """The message of a list that another node sent; `PeerError` when it is none."""
    if not isinstance(encoded, list | tuple) or not encoded or type(encoded[0]) is not int or encoded[0] not in _BY_NUMBER:
        raise PeerError("not a Raft message")
    cls = _BY_NUMBER[encoded[0]]
    fields = _FIELDS[cls]
    if len(encoded) <= _REQUIRED[cls]:
        raise PeerError(f"{cls.__name__} has {len(encoded) - 1} fields, not {len(fields)}")
    values: dict[str, Any] = {}
    for (name, declared), wire_type, value in zip(fields, _WIRE_TYPES[cls], encoded[1:], strict=False):
        if type(value) is wire_type and (wire_type is not int or 0 <= value <= _HIGHEST_INT):
            values[name] = value
        else:
            values[name] = _decode_entries(value, values["base_offset"]) if declared == _ENTRIES else _check(cls, name, declared, value)
    return cls(**values)


def _check(cls: type[RaftMessage], name: str, declared: str, value: Any) -> Any:
    if type(value) is not _CHECKED[declared]:
        raise PeerError(f"{cls.__name__}.{name} is not {declared}")
    if declared == "int" and not (-1 if name in _MAY_BE_MINUS_ONE else 0) <= value <= _HIGHEST_INT:
        raise PeerError(f"{cls.__name__}.{name} is out of range")
    return value


def _decode_entries(encoded: Any, base_offset: int) -> tuple[Entry, ...]:
    if not isinstance(encoded, list | tuple):
        raise PeerError("the entries are not a list")
    entries = [_decode_entry(offset, item) for offset, item in enumerate(encoded, base_offset)]
    if entries and not entries[-1].ends_batch:
        raise PeerError("the last batch is cut off")
    return tuple(entries)


def _decode_entry(offset: int, encoded: Any) -> Entry:
    if not isinstance(encoded, list | tuple) or [type(field) for field in encoded[:4]] != [int, int, bytes, bool]:
        raise PeerError(f"entry {offset} is malformed")
    epoch, kind, data, ends_batch = encoded[:4]
    if not 0 < epoch <= _HIGHEST_INT or kind not in _KINDS:
        raise PeerError(f"entry {offset} has epoch {epoch} and kind {kind}")
    return Entry(offset, epoch, _KINDS[kind], data, ends_batch)
