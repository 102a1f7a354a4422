"""The topics aspect of the metadata image: topics, their partitions, and how partition records change them.

Invariants (ids of reference/replication-rules.md)
- D8: ISR and ELR are disjoint parts of the replicas; the leader is in the ISR or there is none (-1).
- D10: leader epoch and partition epoch never decrease; every change bumps the partition epoch; a named leader bumps the leader epoch.
Sources: KIP-497, KIP-631, KIP-704 (leader recovery state), KIP-966 (eligible leader replicas).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from raftkafka.base.ids import NO_DIRECTORY_ID, DirectoryId, NodeId, PartitionKey, TopicId
from raftkafka.metadata.records import (
    NO_LEADER_CHANGE,
    NO_STATE_CHANGE,
    PartitionChangeRecord,
    PartitionRecord,
    RemoveTopicRecord,
    TopicRecord,
)

RECOVERED = 0
RECOVERING = 1
"""Leader recovery state (KIP-704): `RECOVERING` after an unclean election, until the leader says that it has recovered."""


@attrs.frozen(kw_only=True)
class PartitionRegistration:
    """The state of one partition. `leader` is -1 when it has none; `replicas[0]` is the preferred leader."""

    replicas: tuple[NodeId, ...]
    isr: tuple[NodeId, ...]
    leader: NodeId
    leader_epoch: int
    partition_epoch: int
    leader_recovery_state: int = RECOVERED
    elr: tuple[NodeId, ...] = ()
    last_known_elr: tuple[NodeId, ...] = ()
    removing_replicas: tuple[NodeId, ...] = ()
    adding_replicas: tuple[NodeId, ...] = ()
    directories: tuple[DirectoryId, ...] = ()
    """Where each of `replicas` has its log; empty when none of them has said (their brokers have one directory each)."""

    @property
    def staying_replicas(self) -> tuple[NodeId, ...]:
        """Those that no reassignment is about to take away."""
        return tuple(replica for replica in self.replicas if replica not in self.removing_replicas)

    def directory(self, node_id: NodeId) -> DirectoryId:
        """The log directory of a replica on its broker; `NO_DIRECTORY_ID` while that is not known."""
        if not self.directories or node_id not in self.replicas:
            return NO_DIRECTORY_ID
        return self.directories[self.replicas.index(node_id)]

    @classmethod
    def from_record(cls, record: PartitionRecord) -> PartitionRegistration:
        return cls(
            replicas=record.replicas,
            isr=record.replicas if record.isr == record.replicas else record.isr,
            leader=record.leader,
            leader_epoch=record.leader_epoch,
            partition_epoch=record.partition_epoch,
            leader_recovery_state=record.leader_recovery_state,
            elr=record.elr,
            last_known_elr=record.last_known_elr,
            removing_replicas=record.removing_replicas,
            adding_replicas=record.adding_replicas,
            directories=record.directories,
        )

    def to_record(self, key: PartitionKey) -> PartitionRecord:
        """The record that recreates this state, for snapshots."""
        return PartitionRecord(
            topic_id=key.topic_id,
            partition=key.partition,
            replicas=self.replicas,
            isr=self.isr,
            leader=self.leader,
            leader_epoch=self.leader_epoch,
            partition_epoch=self.partition_epoch,
            leader_recovery_state=self.leader_recovery_state,
            removing_replicas=self.removing_replicas,
            adding_replicas=self.adding_replicas,
            elr=self.elr,
            last_known_elr=self.last_known_elr,
            directories=self.directories,
        )

    def changed_by(self, record: PartitionChangeRecord) -> PartitionRegistration:
        """This partition after a change record."""
        leader_changes = record.leader != NO_LEADER_CHANGE
        return PartitionRegistration(
            replicas=self.replicas if record.replicas is None else record.replicas,
            isr=self.isr if record.isr is None else record.isr,
            leader=record.leader if leader_changes else self.leader,
            leader_epoch=self.leader_epoch + 1 if leader_changes else self.leader_epoch,
            partition_epoch=self.partition_epoch + 1,
            leader_recovery_state=(
                self.leader_recovery_state if record.leader_recovery_state == NO_STATE_CHANGE else record.leader_recovery_state
            ),
            elr=self.elr if record.elr is None else record.elr,
            last_known_elr=self.last_known_elr if record.last_known_elr is None else record.last_known_elr,
            removing_replicas=self.removing_replicas if record.removing_replicas is None else record.removing_replicas,
            adding_replicas=self.adding_replicas if record.adding_replicas is None else record.adding_replicas,
            directories=self._directories_after(record),
        )

    def _directories_after(self, record: PartitionChangeRecord) -> tuple[DirectoryId, ...]:
        """Replicas that stay keep their directory, those that come have none yet."""
        if record.directories is not None:
            return record.directories
        if record.replicas is None or not self.directories:
            return self.directories
        return tuple(self.directory(node_id) for node_id in record.replicas)


@attrs.frozen(kw_only=True)
class TopicImage:
    """A topic and its partitions, in the order of their indexes."""

    topic_id: TopicId
    name: str
    partitions: Mapping[int, PartitionRegistration]


@attrs.frozen(kw_only=True)
class TopicsImage:
    """All topics, by id and by name."""

    by_id: Mapping[TopicId, TopicImage] = attrs.field(factory=dict)
    by_name: Mapping[str, TopicImage] = attrs.field(factory=dict)

    def partition(self, key: PartitionKey) -> PartitionRegistration | None:
        topic = self.by_id.get(key.topic_id)
        return None if topic is None else topic.partitions.get(key.partition)

    def partitions(self) -> Iterator[tuple[PartitionKey, PartitionRegistration]]:
        """Every partition of every topic, in a stable order."""
        for topic_id, topic in self.by_id.items():
            for index, registration in topic.partitions.items():
                yield PartitionKey(topic_id, index), registration


class TopicsReplay:
    """Replays topic and partition records; what a batch touches is copied once, however many records touch it."""

    __slots__ = ("_base", "_partitions", "_topics", "changed_partitions", "created", "removed")

    def __init__(self, base: TopicsImage) -> None:
        self._base = base
        self._topics: dict[TopicId, str] = {}  # the names of created topics
        self._partitions: dict[TopicId, dict[int, PartitionRegistration]] = {}
        self.changed_partitions: dict[PartitionKey, None] = {}
        self.created: dict[TopicId, None] = {}
        self.removed: dict[TopicId, None] = {}

    def add_topic(self, record: TopicRecord) -> None:
        self._topics[record.topic_id] = record.name
        self._partitions[record.topic_id] = {}
        self.created[record.topic_id] = None

    def remove_topic(self, record: RemoveTopicRecord) -> str:
        """Removes it and returns its name (its configs go too)."""
        topic_id = record.topic_id
        for index in self._partitions.pop(topic_id, {}):
            self.changed_partitions.pop(PartitionKey(topic_id, index), None)
        if topic_id in self.created:
            del self.created[topic_id]
            return self._topics.pop(topic_id)
        self.removed[topic_id] = None
        return self._base.by_id[topic_id].name

    def add_partition(self, record: PartitionRecord) -> None:
        self._touch(record.topic_id)[record.partition] = PartitionRegistration.from_record(record)
        self.changed_partitions[PartitionKey(record.topic_id, record.partition)] = None

    def change_partition(self, record: PartitionChangeRecord) -> None:
        partitions = self._touch(record.topic_id)
        partitions[record.partition] = partitions[record.partition].changed_by(record)
        self.changed_partitions[PartitionKey(record.topic_id, record.partition)] = None

    def _touch(self, topic_id: TopicId) -> dict[int, PartitionRegistration]:
        partitions = self._partitions.get(topic_id)
        if partitions is None:
            partitions = self._partitions[topic_id] = dict(self._base.by_id[topic_id].partitions)
        return partitions

    def finish(self) -> TopicsImage:
        if not self._partitions and not self.removed:
            return self._base
        by_id = dict(self._base.by_id)
        by_name = dict(self._base.by_name)
        for topic_id in self.removed:
            del by_name[by_id.pop(topic_id).name]
        for topic_id, partitions in self._partitions.items():
            name = self._topics[topic_id] if topic_id in self._topics else by_id[topic_id].name
            topic = TopicImage(topic_id=topic_id, name=name, partitions=partitions)
            by_id[topic_id] = topic
            by_name[name] = topic
        return TopicsImage(by_id=by_id, by_name=by_name)
