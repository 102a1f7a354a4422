"""The metadata image: everything that the metadata log says, up to an offset, as one immutable value.

Records become an image (`apply`), and a `MetadataDelta` says what they changed. Each aspect (brokers, topics, configs) has its own file.
The active controller decides against a *pending* image beside the *committed* one that every node holds; losing leadership is dropping it.

Invariants
- An image and everything in it is never changed after it was made; what a batch does not touch is shared with the image before.
- The same records give an equal image, however they are grouped into batches (D15), and `from_snapshot(to_snapshot(i)) == i`.
- Replaying never refuses: a record that does not fit is a bug, and fails an assertion or a lookup.
Sources: KIP-500, KIP-631 (records and image), KIP-868 (a decision takes effect as a whole).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never

import attrs
import msgpack

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.metadata.brokers import BrokerRegistration, BrokersReplay, Endpoint
from raftkafka.metadata.client_quotas import ClientQuotasImage, ClientQuotasReplay
from raftkafka.metadata.configs import ConfigResource, ConfigsImage, ConfigsReplay, ResourceType
from raftkafka.metadata.records import (
    BrokerDirectoriesRecord,
    BrokerRegistrationChangeRecord,
    ClientQuotaRecord,
    ConfigRecord,
    FeatureLevelRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    Record,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
    UnregisterBrokerRecord,
    decode_batch,
    encode_batch,
)
from raftkafka.metadata.topics import PartitionRegistration, TopicImage, TopicsImage, TopicsReplay

__all__ = [
    "BrokerRegistration",
    "Endpoint",
    "ImageEntry",
    "MetadataDelta",
    "MetadataImage",
    "PartitionRegistration",
    "TopicImage",
    "TopicsImage",
    "from_snapshot",
    "read_snapshot",
    "to_snapshot",
]

_SNAPSHOT_VERSION = 0


class ImageEntry(NamedTuple):
    """One committed entry of the metadata log: its offset, its Raft epoch, and its records (none for a leader-change entry)."""

    offset: int
    epoch: int
    records: Sequence[Record]


@attrs.frozen(kw_only=True)
class MetadataDelta:
    """What a step from one image to the next changed; dictionaries with None values are ordered sets."""

    changed_partitions: Mapping[PartitionKey, None]
    """Created or changed, and still there."""
    created_topics: Mapping[TopicId, TopicImage]
    removed_topics: Mapping[TopicId, TopicImage]
    """With their old image."""
    changed_brokers: Mapping[NodeId, None]
    """Registered, unregistered, fenced or unfenced."""
    changed_configs: Mapping[ConfigResource, None]
    features_changed: bool
    quotas_changed: bool = False


@attrs.frozen(kw_only=True)
class MetadataImage:
    """The cluster's metadata after the entry at `offset` (inclusive; -1 before the first), which has Raft epoch `epoch`."""

    cluster_id: str
    offset: int = -1
    epoch: int = 0
    brokers: Mapping[NodeId, BrokerRegistration] = attrs.field(factory=dict)
    topics: TopicsImage = attrs.field(factory=TopicsImage)
    configs: ConfigsImage = attrs.field(factory=ConfigsImage)
    features: Mapping[str, int] = attrs.field(factory=dict)
    next_producer_id: int = 0
    quotas: ClientQuotasImage = attrs.field(factory=ClientQuotasImage)

    def partition(self, key: PartitionKey) -> PartitionRegistration | None:
        return self.topics.partition(key)

    def apply(self, records: Sequence[Record], offset: int, epoch: int) -> tuple[MetadataImage, MetadataDelta]:
        """The image after one entry, and what changed."""
        return self.apply_entries([ImageEntry(offset, epoch, records)])

    def apply_entries(self, entries: Sequence[ImageEntry]) -> tuple[MetadataImage, MetadataDelta]:
        """The image after several consecutive entries, for the price of one copy of what they touch."""
        replay = _Replay(self)
        for entry in entries:
            for record in entry.records:
                replay.record(record, entry.offset)
        last = entries[-1] if entries else ImageEntry(self.offset, self.epoch, ())
        return replay.finish(last)


class _Replay:
    """The image in the making."""

    __slots__ = ("_base", "_brokers", "_configs", "_features", "_next_producer_id", "_quotas", "_topics")

    def __init__(self, base: MetadataImage) -> None:
        self._base = base
        self._brokers = BrokersReplay(base.brokers)
        self._topics = TopicsReplay(base.topics)
        self._configs = ConfigsReplay(base.configs)
        self._features: dict[str, int] | None = None
        self._next_producer_id = base.next_producer_id
        self._quotas = ClientQuotasReplay(base.quotas)

    def record(self, record: Record, offset: int) -> None:
        match record:
            case PartitionChangeRecord():
                self._topics.change_partition(record)
            case PartitionRecord():
                self._topics.add_partition(record)
            case TopicRecord():
                self._topics.add_topic(record)
            case RemoveTopicRecord():
                self._configs.remove_resource(ResourceType.TOPIC, self._topics.remove_topic(record))
            case RegisterBrokerRecord():
                self._brokers.register(record, offset)
            case UnregisterBrokerRecord():
                self._brokers.unregister(record)
            case BrokerRegistrationChangeRecord():
                self._brokers.change(record)
            case BrokerDirectoriesRecord():
                self._brokers.change_directories(record)
            case ConfigRecord():
                self._configs.set(record)
            case FeatureLevelRecord():
                self._set_feature(record)
            case ProducerIdsRecord():
                self._next_producer_id = record.next_producer_id
            case ClientQuotaRecord():
                self._quotas.set(record)
            case NoOpRecord():
                pass
            case _:
                assert_never(record)

    def _set_feature(self, record: FeatureLevelRecord) -> None:
        if self._features is None:
            self._features = dict(self._base.features)
        if record.level == 0:
            self._features.pop(record.name, None)
        else:
            self._features[record.name] = record.level

    def finish(self, last: ImageEntry) -> tuple[MetadataImage, MetadataDelta]:
        base = self._base
        image = MetadataImage(
            cluster_id=base.cluster_id,
            offset=last.offset,
            epoch=last.epoch,
            brokers=self._brokers.finish(),
            topics=self._topics.finish(),
            configs=self._configs.finish(),
            features=base.features if self._features is None else self._features,
            next_producer_id=self._next_producer_id,
            quotas=self._quotas.finish(),
        )
        delta = MetadataDelta(
            changed_partitions=self._topics.changed_partitions,
            created_topics={topic_id: image.topics.by_id[topic_id] for topic_id in self._topics.created},
            removed_topics={topic_id: base.topics.by_id[topic_id] for topic_id in self._topics.removed},
            changed_brokers=self._brokers.changed,
            changed_configs=self._configs.changed,
            features_changed=self._features is not None,
            quotas_changed=image.quotas is not base.quotas,
        )
        return image, delta


def to_snapshot(image: MetadataImage) -> bytes:
    """The image as bytes: a version, its position, and the records that recreate it."""
    head = [_SNAPSHOT_VERSION, image.offset, image.epoch, image.cluster_id]
    data: bytes = msgpack.packb([*head, encode_batch(list(_records_of(image)))])
    return data


def from_snapshot(data: Buffer) -> MetadataImage:
    """The image in these bytes; `DecodeError` when they are no snapshot of a known version."""
    snapshot = read_snapshot(data)
    image, _ = MetadataImage(cluster_id=snapshot.cluster_id).apply(snapshot.records, snapshot.offset, snapshot.epoch)
    return image


class SnapshotContent(NamedTuple):
    """What a snapshot says: the position of the image, and the records that recreate it."""

    offset: int
    epoch: int
    cluster_id: str
    records: list[Record]


def read_snapshot(data: Buffer) -> SnapshotContent:
    """The content of a snapshot, not replayed; `DecodeError` as in `from_snapshot`."""
    try:
        version, offset, epoch, cluster_id, records = msgpack.unpackb(data, use_list=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise DecodeError(f"not a metadata snapshot: {error}") from None
    if version != _SNAPSHOT_VERSION:
        raise DecodeError(f"metadata snapshot of unknown version {version!r}")
    return SnapshotContent(offset, epoch, cluster_id, decode_batch(records))


def _records_of(image: MetadataImage) -> Iterator[Record]:
    for name in sorted(image.features):
        yield FeatureLevelRecord(name=name, level=image.features[name])
    for broker in image.brokers.values():
        yield RegisterBrokerRecord(
            node_id=broker.node_id,
            broker_epoch=broker.broker_epoch,
            incarnation_id=broker.incarnation_id,
            endpoints=tuple((e.name, e.host, e.port, e.security_protocol) for e in broker.endpoints),
            rack=broker.rack,
            fenced=broker.fenced,
            in_controlled_shutdown=broker.in_controlled_shutdown,
            directories=broker.directories,
        )
        if broker.cordoned:
            yield BrokerDirectoriesRecord(
                node_id=broker.node_id, broker_epoch=broker.broker_epoch, directories=broker.directories, cordoned=broker.cordoned
            )
    for topic in image.topics.by_id.values():
        yield TopicRecord(name=topic.name, topic_id=topic.topic_id)
        for index, partition in topic.partitions.items():
            yield partition.to_record(PartitionKey(topic.topic_id, index))
    for (resource_type, resource_name), configs in image.configs.by_resource.items():
        for name, value in configs.items():
            yield ConfigRecord(resource_type=resource_type, resource_name=resource_name, name=name, value=value)
    for entity, quotas in image.quotas.by_entity.items():
        for key, quota in quotas.items():
            yield ClientQuotaRecord(entity=entity, key=key, value=quota)
    if image.next_producer_id:
        yield ProducerIdsRecord(node_id=NodeId(-1), broker_epoch=-1, next_producer_id=image.next_producer_id)
