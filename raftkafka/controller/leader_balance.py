"""Preferred-leader balance: leadership goes back to the first replica of each partition when that one is in the ISR again.

After a broker was away, others lead what it led. A partition is *away* while its first replica does not lead it, though it could. Whether
a broker's partitions go home depends on how many of those that prefer it are led by others: more than
`leader.imbalance.per.broker.percentage`, as Kafka computed it before KRaft (0: every one goes home).

A broker that returns joins its ISRs one by one. `Homecomings` waits until it is in all of those that prefer it, or for `BATCH_MS`, so
that its leaderships move in one decision.

Sources: KIP-460 (preferred elections), S431 ReplicationControlManager; the imbalance of a broker as Kafka 3's KafkaController had it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.controller.leader_changes import active_brokers, may_lead
from raftkafka.controller.sessions import FAR_FUTURE_MS
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import NodeIds, PartitionChangeRecord, Record
from raftkafka.metadata.topics import PartitionRegistration

BATCH_MS = 1_000
"""So long a broker that returns is waited for until it is in all of its ISRs."""


@attrs.frozen(kw_only=True)
class AwayLeader:
    """A partition that its first replica could lead, and another one does."""

    key: PartitionKey
    partition: PartitionRegistration

    @property
    def home(self) -> NodeId:
        return self.partition.replicas[0]


def away_leaders(image: MetadataImage, *, imbalance_percentage: int = 0, disabled_rules: Rules = NO_RULES) -> list[AwayLeader]:
    """The partitions that should go home, of the brokers that are imbalanced enough."""
    live = active_brokers(image)
    away: dict[NodeId, list[AwayLeader]] = {}
    preferred_count: dict[NodeId, int] = {}
    away_count: dict[NodeId, int] = {}
    for key, partition in image.topics.partitions():
        home = partition.replicas[0]
        preferred_count[home] = preferred_count.get(home, 0) + 1
        if partition.leader == home:
            continue
        away_count[home] = away_count.get(home, 0) + 1
        if home in candidates(partition, disabled_rules) and may_lead(image, partition, live)(home):
            away.setdefault(home, []).append(AwayLeader(key=key, partition=partition))
    going: list[AwayLeader] = []
    for home in sorted(away):
        if 100 * away_count[home] > imbalance_percentage * preferred_count[home]:
            going.extend(away[home])
    return going


def candidates(partition: PartitionRegistration, disabled_rules: Rules) -> NodeIds:
    """To whom a leadership may move for balance, if he may lead at all."""
    return partition.isr if Rule.MOVE_INSIDE_ISR not in disabled_rules else partition.replicas


class Homecomings:
    """The brokers that are joining the ISRs of partitions that prefer them."""

    def __init__(self) -> None:
        self._missing: dict[NodeId, set[PartitionKey]] = {}
        self._due_ms: dict[NodeId, int] = {}

    def clear(self) -> None:
        self._missing.clear()
        self._due_ms.clear()

    def isr_changed(self, image: MetadataImage, records: Sequence[Record], now_ms: int) -> None:
        """What is about to become of `image`: who joins the ISR of a partition that prefers it, and does not lead it, is coming home."""
        for record in records:
            if not isinstance(record, PartitionChangeRecord) or record.isr is None:
                continue
            key = PartitionKey(record.topic_id, record.partition)
            old = image.partition(key)
            assert old is not None, "a decision changes a partition that is not there"
            new = old.changed_by(record)
            home = new.replicas[0]
            if home not in new.isr or home in old.isr or home == new.leader:
                continue
            if home not in self._due_ms:
                self._missing[home] = _missing_home(image, home)
                self._due_ms[home] = now_ms + BATCH_MS
            self._missing[home].discard(key)
            if not self._missing[home]:
                self._due_ms[home] = now_ms

    def next_due_ms(self) -> int:
        """When the next broker's leaderships should move."""
        return min(self._due_ms.values(), default=FAR_FUTURE_MS)

    def take_due(self, now_ms: int) -> bool:
        """Whether one is due; it is then no longer awaited."""
        due = [node_id for node_id, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for node_id in due:
            del self._due_ms[node_id], self._missing[node_id]
        return bool(due)


def _missing_home(image: MetadataImage, home: NodeId) -> set[PartitionKey]:
    return {key for key, partition in image.topics.partitions() if partition.replicas[0] == home and home not in partition.isr}
