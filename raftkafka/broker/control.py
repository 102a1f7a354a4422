"""Frames between nodes: Raft messages, registration, heartbeats, ISR changes and forwarded client requests, on the controller listener.

A frame is `length:u32 | xxh3_64:u64 | msgpack [version, kind, correlation_id, body]`; the length counts what follows it. The first frame in
each direction of a connection is `Hello`, which says who speaks, for which cluster, and from which process (its incarnation).

Invariants
- A frame whose checksum, version or shape is wrong is a `PeerError`: the connection is closed, nothing of it is acted on.
- Kinds are only ever added, and fields only appended with a default, so that nodes of two versions understand each other during a roll.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import msgpack
import xxhash

from raftkafka.base.errors import ErrorCode, PeerError
from raftkafka.base.ids import NodeId
from raftkafka.metadata import control_messages as values
from raftkafka.raft.codec import decode_message as decode_raft
from raftkafka.raft.codec import encode_message as encode_raft
from raftkafka.raft.messages import RaftMessage

VERSION = 1
MAX_FRAME_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 12


@attrs.frozen(kw_only=True)
class Hello:
    """Who is on the other side of this connection."""

    cluster_id: str
    node_id: NodeId
    incarnation_id: bytes


@attrs.frozen(kw_only=True)
class RaftFrame:
    """A message of the metadata quorum."""

    message: RaftMessage


@attrs.frozen(kw_only=True)
class Forward:
    """A client's request that the active controller must decide: its body in `api_version`."""

    api_key: int
    api_version: int
    client_id: str | None
    client_host: str
    body: bytes


@attrs.frozen(kw_only=True)
class ForwardReply:
    """The response body in the version of the request; `error` (NOT_CONTROLLER ...) means that nothing was decided."""

    error: ErrorCode = ErrorCode.NONE
    body: bytes = b""


ControlRequest = (
    values.RegisterBroker | values.BrokerHeartbeat | values.AlterPartition | values.AllocateProducerIds | values.AssignReplicas | Forward
)
ControlReply = (
    values.RegisterBrokerReply
    | values.BrokerHeartbeatReply
    | values.AlterPartitionReply
    | values.AllocateProducerIdsReply
    | values.AssignReplicasReply
    | ForwardReply
)
ControlMessage = Hello | RaftFrame | values.MetadataApplied | ControlRequest | ControlReply

_KINDS: dict[int, type[Any]] = {
    1: Hello,
    3: values.RegisterBroker,
    4: values.RegisterBrokerReply,
    5: values.BrokerHeartbeat,
    6: values.BrokerHeartbeatReply,
    7: values.MetadataApplied,
    8: values.AlterPartition,
    9: values.AlterPartitionReply,
    10: values.AllocateProducerIds,
    11: values.AllocateProducerIdsReply,
    12: Forward,
    13: ForwardReply,
    14: values.AssignReplicas,
    15: values.AssignReplicasReply,
}
_RAFT_KIND = 2
_PLAIN = frozenset({int, bytes, str, bool, type(None)})
_KIND_OF = {cls: kind for kind, cls in _KINDS.items()}
_NESTED: dict[tuple[type[Any], str], type[Any]] = {
    (values.RegisterBroker, "listeners"): values.ListenerEndpoint,
    (values.BrokerHeartbeat, "traffic"): values.PartitionTraffic,
    (values.AssignReplicas, "replicas"): values.AssignedReplica,
    (values.AlterPartition, "partitions"): values.AlterPartitionItem,
    (values.AlterPartitionItem, "new_isr"): values.IsrMember,
    (values.AlterPartitionReply, "partitions"): values.AlterPartitionResult,
}

Value = TypeVar("Value")


def encode_control(message: ControlMessage, *, correlation_id: int = 0) -> bytes:
    """The whole frame, length included."""
    if isinstance(message, RaftFrame):
        kind, body = _RAFT_KIND, encode_raft(message.message)
    else:
        kind, body = _KIND_OF[type(message)], _to_list(message)
    payload: bytes = msgpack.packb([VERSION, kind, correlation_id, body])
    digest = xxhash.xxh3_64_intdigest(payload)
    return (len(payload) + 8).to_bytes(4, "big") + digest.to_bytes(8, "big") + payload


def decode_control(frame: memoryview) -> tuple[ControlMessage, int]:
    """The message and its correlation id; `frame` is without its length. Raises `PeerError` for anything that no correct node sends."""
    if len(frame) < 9:
        raise PeerError(f"a control frame of {len(frame)} bytes is too short")
    payload = frame[8:]
    if xxhash.xxh3_64_intdigest(payload) != int.from_bytes(frame[:8], "big"):
        raise PeerError("a control frame fails its checksum")
    try:
        parts = msgpack.unpackb(payload, use_list=False, strict_map_key=False)
        version, kind, correlation_id, body = parts
        if version != VERSION:
            raise PeerError(f"control frame version {version} is not known here")
        if kind == _RAFT_KIND:
            return RaftFrame(message=decode_raft(body)), int(correlation_id)
        if kind not in _KINDS:
            raise PeerError(f"control frame kind {kind} is not known here")
        return _from_list(_KINDS[kind], body), int(correlation_id)
    except PeerError:
        raise
    except Exception as error:
        raise PeerError(f"a control frame cannot be read: {error}") from error


def _to_list(value: Any) -> list[Any]:
    return [item if type(item) in _PLAIN else _plain(item) for item in _shape(type(value)).items(value)]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [item if type(item) in _PLAIN else _plain(item) for item in value]
    return _to_list(value) if attrs.has(type(value)) else value


def _from_list(cls: type[Value], body: Any) -> Value:
    shape = _shape(cls)
    keywords = dict(zip(shape.names, body, strict=False))
    for name, nested in shape.nested.items():
        if name in keywords:
            keywords[name] = tuple([_from_list(nested, part) for part in keywords[name]])
    if "error" in keywords:
        keywords["error"] = ErrorCode(keywords["error"])
    return cls(**keywords)


@attrs.frozen(kw_only=True)
class _Shape:
    """The fields of a class in their order, how to take them from a value, and those that hold further values."""

    names: tuple[str, ...]
    items: Callable[[Any], tuple[Any, ...]]
    nested: Mapping[str, type[Any]]


_SHAPES: dict[type[Any], _Shape] = {}
"""Made once for each class: a heartbeat may hold a thousand values of one."""


def _shape(cls: type[Any]) -> _Shape:
    shape = _SHAPES.get(cls)
    if shape is None:
        shape = _SHAPES[cls] = _make_shape(cls)
    return shape


def _make_shape(cls: type[Any]) -> _Shape:
    names = tuple(field.name for field in attrs.fields(cls))
    take = operator.attrgetter(*names)
    items = take if len(names) > 1 else lambda value: (take(value),)
    return _Shape(names=names, items=items, nested={name: _NESTED[cls, name] for name in names if (cls, name) in _NESTED})
