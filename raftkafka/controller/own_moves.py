"""Replicas that the controller moves by itself, one partition at a time: an ordinary reassignment with a throttle and a mark.

The decision that begins a move holds the reassignment, a throttle of the broker that gets the copy, and the *mark*: a dynamic config of all
brokers, `leader.rebalance.replica.move`, which says what was begun. By the mark any later controller knows whose move it is, and lifts
the throttle when it has ended, whoever ended it. If the broker that gets the copy goes away, the move is cancelled.

Invariants
- Nothing is begun while a broker is away, anything is being reassigned, or the topic or the broker has a throttle: those are an
  administrator's.
- What is lifted is what was set: an entry of the topic's list, and the broker's rate if it still is the one that was set.
- There is at most one mark; reassignment, throttle and mark begin in one entry of the metadata log.

Sources: KIP-455 (reassignment), KIP-73 (throttles); docs/balancing.md.
"""

from __future__ import annotations

import attrs

from raftkafka.base.ids import NodeId, PartitionKey, TopicId, id_from_text, id_to_text
from raftkafka.base.observed import observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.reassignment import decide_alter_reassignments, is_reassigning
from raftkafka.controller.replica_plan import ReplicaMove
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import ConfigRecord, NodeIds
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)

MARK = "leader.rebalance.replica.move"
FOLLOWER_RATE = "follower.replication.throttled.rate"
FOLLOWER_REPLICAS = "follower.replication.throttled.replicas"
CATCH_UP_FACTOR = 2
"""The throttle begins at so many times what is written to the partition at least: else the copy would never catch up."""
SLACK_FACTOR = 1.5
"""When more is written than begun with, and the throttle is below so many times of it, it is raised."""


@attrs.frozen(kw_only=True)
class OwnMove:
    """A move that is under way: who gets the copy, and the rate that was set there."""

    key: PartitionKey
    added: NodeId
    rate: int

    @property
    def text(self) -> str:
        """As the mark says it."""
        return f"{id_to_text(self.key.topic_id)}:{self.key.partition}:{self.added}:{self.rate}"

    @property
    def entry(self) -> str:
        """As a topic's list of throttled replicas says it."""
        return f"{self.key.partition}:{self.added}"


def own_move(image: MetadataImage) -> OwnMove | None:
    """The move that a controller has begun by itself and not ended."""
    mark = image.configs.get(ResourceType.BROKER, CLUSTER_DEFAULT).get(MARK)
    if mark is None:
        return None
    try:
        topic_id, partition, added, rate = mark.split(":")
        key = PartitionKey(TopicId(id_from_text(topic_id)), int(partition))
        return OwnMove(key=key, added=NodeId(int(added)), rate=int(rate))
    except ValueError:
        return None  # whoever wrote that, it was no controller


def why_no_move(image: MetadataImage) -> str:
    """Why no replica may be moved now, whichever it is; empty when one may."""
    under_way = own_move(image)
    if under_way is not None:
        topic = image.topics.by_id.get(under_way.key.topic_id)
        return f"{topic.name if topic else '?'}-{under_way.key.partition} is being copied to broker {under_way.added}"
    away = [node_id for node_id, broker in image.brokers.items() if not broker.is_active]
    if away:
        return f"no replica is moved while broker {away[0]} is away"
    if any(is_reassigning(partition) for _, partition in image.topics.partitions()):
        return "no replica is moved while an administrator's reassignment is under way"
    return ""


def why_not_this(image: MetadataImage, move: ReplicaMove) -> str:
    """Why this move must not be made: a throttle that somebody has set would be touched."""
    topic = image.topics.by_id[move.key.topic_id].name
    if FOLLOWER_REPLICAS in image.configs.get(ResourceType.TOPIC, topic):
        return f"{topic} has throttled replicas, which are an administrator's"
    for added in move.added:
        if FOLLOWER_RATE in image.configs.get(ResourceType.BROKER, str(added)):
            return f"broker {added} has a replication throttle, which is an administrator's"
    return ""


def decide_begin(
    image: MetadataImage, move: ReplicaMove, settings: ControllerSettings, *, bytes_in: float, why: str, now_ms: int
) -> Decision:
    """Begins a move of one replica; the caller has asked `why_no_move` and `why_not_this`."""
    topic = image.topics.by_id[move.key.topic_id].name
    decision = _reassign(image, topic, move.key.partition, move.new_replicas, settings, now_ms)
    if not decision.records:
        return Decision()
    rate = max(settings.balance.replica_throttle_bytes_per_second, round(CATCH_UP_FACTOR * bytes_in))
    own = OwnMove(key=move.key, added=move.added[0], rate=rate)
    configs = [
        _config(ResourceType.BROKER, CLUSTER_DEFAULT, MARK, own.text),
        _config(ResourceType.BROKER, str(own.added), FOLLOWER_RATE, str(rate)),
        _config(ResourceType.TOPIC, topic, FOLLOWER_REPLICAS, own.entry),
    ]
    line = observed(
        "replica-moving",
        partition=f"{topic}-{move.key.partition}",
        source=move.removed[0],
        target=own.added,
        size=move.size,
        rate=rate,
        why=why,
    )
    return attrs.evolve(decision, records=[*configs, *decision.records], observed=[line, *decision.observed], applied_by_ms=None)


def decide_end(image: MetadataImage, settings: ControllerSettings, *, bytes_in: float = 0.0, now_ms: int) -> Decision:
    """Lifts the throttle and takes the mark away when the move has ended; cancels it when it cannot end. While it goes on nothing is
    decided but a higher throttle, when `bytes_in` says that too much is written for the one that was set.
    """
    own = own_move(image)
    if own is None:
        return Decision()
    topic = image.topics.by_id.get(own.key.topic_id)
    partition = None if topic is None else topic.partitions.get(own.key.partition)
    target = image.brokers.get(own.added)
    if topic is not None and partition is not None and own.added in partition.adding_replicas:
        if target is not None and target.is_active:
            return _keep_up(image, own, topic.name, bytes_in)
        cancelled = _reassign(image, topic.name, own.key.partition, None, settings, now_ms)
        line = observed("replica-move-cancelled", partition=f"{topic.name}-{own.key.partition}", why=f"broker {own.added} is away")
        return Decision(records=cancelled.records, observed=[line, *cancelled.observed] if cancelled.records else ())
    records = [_config(ResourceType.BROKER, CLUSTER_DEFAULT, MARK, None)]
    if image.configs.get(ResourceType.BROKER, str(own.added)).get(FOLLOWER_RATE) == str(own.rate):
        records.append(_config(ResourceType.BROKER, str(own.added), FOLLOWER_RATE, None))
    if topic is not None:
        listed = image.configs.get(ResourceType.TOPIC, topic.name).get(FOLLOWER_REPLICAS, "").split(",")
        if own.entry in listed:
            left = ",".join(entry for entry in listed if entry != own.entry)
            records.append(_config(ResourceType.TOPIC, topic.name, FOLLOWER_REPLICAS, left or None))
    name = f"{topic.name if topic else '?'}-{own.key.partition}"
    has_it = partition is not None and own.added in partition.replicas and not is_reassigning(partition)
    return Decision(records=records, observed=[observed("replica-move-ended", partition=name, target=own.added, done=has_it)])


def _reassign(
    image: MetadataImage, topic: str, partition: int, replicas: NodeIds | None, settings: ControllerSettings, now_ms: int
) -> Decision:
    wanted = ReassignablePartition(partition_index=partition, replicas=None if replicas is None else list(replicas))
    request = AlterPartitionReassignmentsRequest(topics=[ReassignableTopic(name=topic, partitions=[wanted])])
    return decide_alter_reassignments(image, request, settings, now_ms)


def _keep_up(image: MetadataImage, own: OwnMove, topic: str, bytes_in: float) -> Decision:
    """A higher throttle, if the one that was set is still there and too low; the mark says the new one."""
    set_rate = image.configs.get(ResourceType.BROKER, str(own.added)).get(FOLLOWER_RATE)
    if SLACK_FACTOR * bytes_in <= own.rate or set_rate != str(own.rate):
        return Decision()
    faster = attrs.evolve(own, rate=round(CATCH_UP_FACTOR * bytes_in))
    records = [
        _config(ResourceType.BROKER, CLUSTER_DEFAULT, MARK, faster.text),
        _config(ResourceType.BROKER, str(own.added), FOLLOWER_RATE, str(faster.rate)),
    ]
    line = observed("replica-move-hastened", partition=f"{topic}-{own.key.partition}", target=own.added, was=own.rate, rate=faster.rate)
    return Decision(records=records, observed=[line])


def _config(resource_type: ResourceType, resource_name: str, name: str, value: str | None) -> ConfigRecord:
    return ConfigRecord(resource_type=int(resource_type), resource_name=resource_name, name=name, value=value)
