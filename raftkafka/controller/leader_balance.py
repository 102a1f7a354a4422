"""Preferred-leader balance: leadership goes back to the first replica of each partition when that one is in the ISR again.

After a broker was away, others lead what it led. Every `leader.imbalance.check.interval.seconds` the controller has all partitions that
could be led by their preferred replica, and are not, elect it.

Invariant: leadership moves only to a member of the ISR that is live, and never to nobody; at most `MAX_MOVES` partitions in one decision.
Sources: KIP-460 (preferred elections), S431 ReplicationControlManager.
"""

from __future__ import annotations

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.base.observed import observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.leader_changes import active_brokers, may_lead, observe_changes
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import PartitionChangeRecord
from raftkafka.metadata.topics import PartitionRegistration

MAX_MOVES = 1_000


def decide_preferred_balance(image: MetadataImage, settings: ControllerSettings) -> Decision:
    """The moves of one round; no records when every preferred replica that could lead does."""
    live = active_brokers(image)
    policy = TopicPolicy(image, settings)
    changes: list[PartitionChangeRecord] = []
    for topic in image.topics.by_id.values():
        for index, partition in topic.partitions.items():
            if not _could_move(partition, live) or len(changes) == MAX_MOVES:
                continue
            change = change_partition(
                PartitionKey(topic.topic_id, index),
                partition,
                PartitionTarget(),
                min_isr=policy.min_isr(topic.name, len(partition.replicas)),
                election=Election.PREFERRED,
                may_lead=may_lead(image, partition, live),
                disabled_rules=settings.disabled_rules,
            )
            if change is not None:
                changes.append(change)
    if not changes:
        return Decision()
    told = [observed("leaders-go-home", count=len(changes), why="their preferred replicas are in sync again")]
    return Decision(records=changes, observed=[*told, *observe_changes(image, changes)])


def _could_move(partition: PartitionRegistration, live: frozenset[NodeId]) -> bool:
    preferred = partition.replicas[0]
    return partition.leader != preferred and preferred in partition.isr and preferred in live
