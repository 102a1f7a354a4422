"""Leaderships that are to move to certain replicas, as one decision: for balance, which nobody asked for.

Invariant: leadership moves only to a live member of the ISR whose log directory works; where that does not hold (any more) nothing moves.
Sources: KIP-460 (preferred elections), of which this is one with another wanted leader.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import Rule
from raftkafka.controller.decision import Decision
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.leader_changes import active_brokers, may_lead
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import PartitionChangeRecord


@attrs.frozen(kw_only=True)
class WantedLeader:
    """A partition, who shall lead it, and why."""

    key: PartitionKey
    target: NodeId
    why: str


def decide_leader_moves(image: MetadataImage, wanted: Sequence[WantedLeader], settings: ControllerSettings) -> Decision:
    """The moves that are possible, with a line for each that says why."""
    live = active_brokers(image)
    policy = TopicPolicy(image, settings)
    disabled_rules = settings.disabled_rules
    if Rule.MOVE_INSIDE_ISR in disabled_rules:
        disabled_rules |= {Rule.ELECT_FROM_ISR}
    changes: list[PartitionChangeRecord] = []
    lines: list[Observed] = []
    for each in wanted:
        topic = image.topics.by_id[each.key.topic_id]
        partition = topic.partitions[each.key.partition]
        change = change_partition(
            each.key,
            partition,
            PartitionTarget(wanted_leader=each.target),
            min_isr=policy.min_isr(topic.name, len(partition.replicas)),
            election=Election.PREFERRED,
            may_lead=may_lead(image, partition, live),
            disabled_rules=disabled_rules,
        )
        if change is None or change.leader != each.target:
            continue
        changes.append(change)
        lines.append(
            observed(
                "leader-moved",
                partition=f"{topic.name}-{each.key.partition}",
                source=partition.leader,
                target=each.target,
                leader_epoch=partition.leader_epoch + 1,
                why=each.why,
            )
        )
    return Decision(records=changes, observed=lines)
