"""The partition changes that follow when a broker leaves, comes back or restarts: all of them, for one decision.

Invariant: the records of a broker's fencing and of every leadership it loses are one entry of the metadata log, so that no node ever
sees a fenced broker lead (rule K-registration of reference/replication-rules.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from raftkafka.base.ids import NO_NODE, DirectoryId, NodeId, PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import NO_LEADER_CHANGE, PartitionChangeRecord, Record
from raftkafka.metadata.topics import PartitionRegistration, TopicImage

MAX_LINES = 50
"""How many leader changes of one decision are reported one by one."""


def is_active(image: MetadataImage, node_id: NodeId) -> bool:
    """Registered, unfenced and not shutting down: it may lead and be in an ISR."""
    broker = image.brokers.get(node_id)
    return broker is not None and broker.is_active


def active_brokers(image: MetadataImage) -> frozenset[NodeId]:
    """All brokers that may lead and be in an ISR."""
    return frozenset(node_id for node_id, broker in image.brokers.items() if broker.is_active)


def may_lead(image: MetadataImage, partition: PartitionRegistration, live: frozenset[NodeId]) -> Callable[[NodeId], bool]:
    """Who may lead this partition: those of the live brokers whose log directory of it works (KIP-858)."""
    if not partition.directories:
        return live.__contains__
    return lambda node_id: node_id in live and image.brokers[node_id].has_online(partition.directory(node_id))


def changes_without(image: MetadataImage, settings: ControllerSettings, node_id: NodeId, *, unclean: bool) -> list[PartitionChangeRecord]:
    """The broker leaves all ISRs; `unclean`: it also may have lost unsynced records, and leaves all ELRs."""

    def concerns(partition: PartitionRegistration) -> bool:
        return node_id in partition.isr or partition.leader == node_id or (unclean and node_id in partition.elr)

    def target(partition: PartitionRegistration) -> PartitionTarget:
        isr = tuple(replica for replica in partition.isr if replica != node_id)
        return PartitionTarget(isr=isr, unclean_shutdown=(node_id,) if unclean else ())

    return _changes(image, settings, concerns, target, live=active_brokers(image) - {node_id})


def changes_with(image: MetadataImage, settings: ControllerSettings, node_id: NodeId) -> list[PartitionChangeRecord]:
    """The broker is (or becomes) live: partitions without a leader that it may lead get it."""

    def concerns(partition: PartitionRegistration) -> bool:
        return partition.leader == NO_NODE and node_id in partition.replicas

    return _changes(image, settings, concerns, _no_target, live=active_brokers(image) | {node_id})


def changes_in_directories(
    image: MetadataImage, settings: ControllerSettings, node_id: NodeId, failed: Sequence[DirectoryId]
) -> list[PartitionChangeRecord]:
    """`image` already has these directories out of the broker's registration: what it has there leaves all ISRs, and leads no more."""

    def concerns(partition: PartitionRegistration) -> bool:
        return node_id in partition.isr and partition.directory(node_id) in failed

    def target(partition: PartitionRegistration) -> PartitionTarget:
        return PartitionTarget(isr=tuple(replica for replica in partition.isr if replica != node_id))

    return _changes(image, settings, concerns, target, live=active_brokers(image))


def changes_of_policy(image: MetadataImage, settings: ControllerSettings, topics: Iterable[TopicImage]) -> list[PartitionChangeRecord]:
    """`image` already has other `min.insync.replicas` or unclean settings for these topics: ELRs that are no longer needed go, and
    partitions without a leader may get one. An ELR must not outlive its reason: with a smaller minimum the high watermark moves again."""

    def concerns(partition: PartitionRegistration) -> bool:
        return partition.leader == NO_NODE or bool(partition.elr)

    return _changes(image, settings, concerns, _no_target, live=active_brokers(image), topics=topics)


def _no_target(partition: PartitionRegistration) -> PartitionTarget:
    return PartitionTarget()


def _changes(
    image: MetadataImage,
    settings: ControllerSettings,
    concerns: Callable[[PartitionRegistration], bool],
    target: Callable[[PartitionRegistration], PartitionTarget],
    *,
    live: frozenset[NodeId],
    topics: Iterable[TopicImage] | None = None,
) -> list[PartitionChangeRecord]:
    policy = TopicPolicy(image, settings)
    changes = []
    for topic in image.topics.by_id.values() if topics is None else topics:
        for index, partition in topic.partitions.items():
            if not concerns(partition):
                continue
            change = change_partition(
                PartitionKey(topic.topic_id, index),
                partition,
                target(partition),
                min_isr=policy.min_isr(topic.name, len(partition.replicas)),
                election=Election.UNCLEAN if policy.unclean_election(topic.name) else Election.ONLINE,
                may_lead=may_lead(image, partition, live),
                disabled_rules=settings.disabled_rules,
            )
            if change is not None:
                changes.append(change)
    return changes


def without_epoch_bumps(image: MetadataImage, records: Sequence[Record]) -> list[Record]:
    """The records, with whole partitions in place of changes whose replay would bump a leader epoch: only where that rule is broken."""
    kept: list[Record] = []
    for record in records:
        if isinstance(record, PartitionChangeRecord) and record.leader != NO_LEADER_CHANGE:
            key = PartitionKey(record.topic_id, record.partition)
            old = image.partition(key)
            assert old is not None, "a decision changes a partition that is not there"
            kept.append(attrs.evolve(old.changed_by(record).to_record(key), leader_epoch=old.leader_epoch))
        else:
            kept.append(record)
    return kept


def observe_changes(image: MetadataImage, changes: Sequence[PartitionChangeRecord]) -> Iterator[Observed]:
    """One line per partition whose leader changes; beyond `MAX_LINES` only how many more there are."""
    elected = [change for change in changes if change.leader != NO_LEADER_CHANGE]
    for change in elected[:MAX_LINES]:
        topic = image.topics.by_id[change.topic_id]
        old = topic.partitions[change.partition]
        yield observed(
            "leader-elected" if change.leader != NO_NODE else "partition-offline",
            partition=f"{topic.name}-{change.partition}",
            leader=change.leader,
            old_leader=old.leader,
            leader_epoch=old.leader_epoch + 1,
            isr=list(old.isr if change.isr is None else change.isr),
        )
    if len(elected) > MAX_LINES:
        yield observed("more-leaders-changed", count=len(elected) - MAX_LINES)
