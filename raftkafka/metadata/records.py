"""The records of the metadata log: values named as KRaft's, and their bytes.

A record is msgpack `[type, version, field, ...]` with the fields in declared order. One entry of the Raft log is a *decision*: a
msgpack list of records that take effect together or not at all (`encode_batch`, `decode_batch`).

Invariants
- A type number, and the order of a type's fields, never change; new fields are added at the end with a default and a new version.
- A record of a newer version or an unknown type is refused (`DecodeError`): a node must not go on with half of the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import attrs
import msgpack

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NO_NODE, DirectoryId, NodeId, TopicId

NO_LEADER_CHANGE = NodeId(-2)
"""`PartitionChangeRecord.leader`: the leader and its epoch stay. Any other value, also the same leader, bumps the leader epoch."""

NO_STATE_CHANGE = -1
"""`PartitionChangeRecord.leader_recovery_state`: unchanged."""

NodeIds = tuple[NodeId, ...]

QuotaEntity = tuple[tuple[str, str | None], ...]
"""(type, name) of whom a quota is for; see `metadata.client_quotas`."""


@attrs.frozen(kw_only=True)
class RegisterBrokerRecord:
    """A broker's registration. `broker_epoch` -1 means "the offset of this record"; endpoints are (name, host, port, protocol)."""

    node_id: NodeId
    broker_epoch: int = -1
    incarnation_id: bytes
    endpoints: tuple[tuple[str, str, int, str], ...]
    rack: str | None = None
    fenced: bool = True
    in_controlled_shutdown: bool = False
    directories: tuple[DirectoryId, ...] = ()


@attrs.frozen(kw_only=True)
class UnregisterBrokerRecord:
    node_id: NodeId
    broker_epoch: int


@attrs.frozen(kw_only=True)
class BrokerRegistrationChangeRecord:
    """Fences or unfences (`fenced` None: unchanged); `in_controlled_shutdown` only ever becomes true, until the next registration."""

    node_id: NodeId
    broker_epoch: int
    fenced: bool | None = None
    in_controlled_shutdown: bool = False


@attrs.frozen(kw_only=True)
class BrokerDirectoriesRecord:
    """The log directories of a registered broker that work, and those of them that take no new replicas (KIP-858, KIP-1066)."""

    node_id: NodeId
    broker_epoch: int
    directories: tuple[DirectoryId, ...]
    cordoned: tuple[DirectoryId, ...] = ()


@attrs.frozen(kw_only=True)
class TopicRecord:
    name: str
    topic_id: TopicId


@attrs.frozen(kw_only=True)
class RemoveTopicRecord:
    """Removes a topic with its partitions and its configs."""

    topic_id: TopicId


@attrs.frozen(kw_only=True)
class PartitionRecord:
    """A new partition, or its whole state in a snapshot. Empty `directories` means that each broker chooses its own."""

    topic_id: TopicId
    partition: int
    replicas: NodeIds
    isr: NodeIds
    leader: NodeId = NO_NODE
    leader_epoch: int = 0
    partition_epoch: int = 0
    leader_recovery_state: int = 0
    removing_replicas: NodeIds = ()
    adding_replicas: NodeIds = ()
    elr: NodeIds = ()
    last_known_elr: NodeIds = ()
    directories: tuple[DirectoryId, ...] = ()


@attrs.frozen(kw_only=True)
class PartitionChangeRecord:
    """What changes in a partition; None, `NO_LEADER_CHANGE` and `NO_STATE_CHANGE` leave a field as it is. Bumps the partition epoch."""

    topic_id: TopicId
    partition: int
    isr: NodeIds | None = None
    leader: NodeId = NO_LEADER_CHANGE
    elr: NodeIds | None = None
    last_known_elr: NodeIds | None = None
    leader_recovery_state: int = NO_STATE_CHANGE
    replicas: NodeIds | None = None
    removing_replicas: NodeIds | None = None
    adding_replicas: NodeIds | None = None
    directories: tuple[DirectoryId, ...] | None = None


@attrs.frozen(kw_only=True)
class ConfigRecord:
    """Sets a dynamic config of a resource, or removes it (`value` None). `resource_type` is Kafka's (2 topic, 4 broker ...)."""

    resource_type: int
    resource_name: str
    name: str
    value: str | None


@attrs.frozen(kw_only=True)
class FeatureLevelRecord:
    """Finalizes a feature at a level; level 0 removes it."""

    name: str
    level: int


@attrs.frozen(kw_only=True)
class ProducerIdsRecord:
    """A block of producer ids was given to a broker; the next block begins at `next_producer_id`."""

    node_id: NodeId
    broker_epoch: int
    next_producer_id: int


@attrs.frozen(kw_only=True)
class ClientQuotaRecord:
    """Sets a quota of an entity, or removes it (`value` None)."""

    entity: QuotaEntity
    key: str
    value: float | None


@attrs.frozen(kw_only=True)
class NoOpRecord:
    """Changes nothing."""


Record = (
    RegisterBrokerRecord
    | UnregisterBrokerRecord
    | BrokerRegistrationChangeRecord
    | TopicRecord
    | RemoveTopicRecord
    | PartitionRecord
    | PartitionChangeRecord
    | ConfigRecord
    | FeatureLevelRecord
    | ProducerIdsRecord
    | NoOpRecord
    | BrokerDirectoriesRecord
    | ClientQuotaRecord
)

_VERSION = 0
_TYPES: dict[int, type[Any]] = {
    1: RegisterBrokerRecord,
    2: UnregisterBrokerRecord,
    3: BrokerRegistrationChangeRecord,
    4: TopicRecord,
    5: RemoveTopicRecord,
    6: PartitionRecord,
    7: PartitionChangeRecord,
    8: ConfigRecord,
    9: FeatureLevelRecord,
    10: ProducerIdsRecord,
    11: NoOpRecord,
    13: BrokerDirectoriesRecord,
    12: ClientQuotaRecord,
}
_NUMBERS = {cls: number for number, cls in _TYPES.items()}
_FIELDS = {cls: tuple(attribute.name for attribute in attrs.fields(cls)) for cls in _NUMBERS}
_VALUES: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {cls: attrgetter(*names) for cls, names in _FIELDS.items() if len(names) > 1}


def encode(record: Record) -> bytes:
    """The bytes of one record."""
    return _pack(_to_list(record))


def decode(data: Buffer) -> Record:
    """The record in these bytes; `DecodeError` when they are none, or of a type or version that this node does not know."""
    return _from_list(_unpack(data))


def encode_batch(records: Sequence[Record]) -> bytes:
    """One Raft entry: the records of one decision."""
    return _pack([_to_list(record) for record in records])


def decode_batch(data: Buffer) -> list[Record]:
    """The records of one Raft entry, in order."""
    unpacked = _unpack(data)
    if not isinstance(unpacked, tuple):
        raise DecodeError("a metadata entry is not a list of records")
    return [_from_list(item) for item in unpacked]


def _to_list(record: Record) -> list[Any]:
    cls = type(record)
    values = _VALUES.get(cls)
    if values is not None:  # the fast way for all but the smallest records
        return [_NUMBERS[cls], _VERSION, *values(record)]
    return [_NUMBERS[cls], _VERSION, *(getattr(record, name) for name in _FIELDS[cls])]


def _from_list(item: Any) -> Record:
    if not isinstance(item, tuple) or len(item) < 2:
        raise DecodeError("a metadata record is not a list that begins with its type and version")
    number, version = item[0], item[1]
    cls = _TYPES.get(number) if isinstance(number, int) else None
    if cls is None or version != _VERSION:
        raise DecodeError(f"metadata record of unknown type {number!r} version {version!r}; a newer node wrote it")
    names = _FIELDS[cls]
    if len(item) - 2 != len(names):
        raise DecodeError(f"{cls.__name__} has {len(item) - 2} fields in place of {len(names)}")
    record: Record = cls(**dict(zip(names, item[2:], strict=True)))
    return record


def _pack(value: list[Any]) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


def _unpack(data: Buffer) -> Any:
    try:
        return msgpack.unpackb(data, use_list=False)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise DecodeError(f"metadata record is not msgpack: {error}") from None
