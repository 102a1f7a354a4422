"""The range assignor, as the leader of a group computes it: of each topic, each member gets a run of neighbouring partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.protocol.framing import read_versioned, write_versioned
from raftkafka.protocol.messages.consumer_protocol import (
    AssignedTopicPartition,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)
from raftkafka.simulation.workload.known_cluster import Slot

PROTOCOL_VERSION = 1


def encode_subscription(topics: Sequence[str]) -> bytes:
    """What a member tells the leader of its group."""
    return write_versioned(ConsumerProtocolSubscription(topics=list(topics)), PROTOCOL_VERSION)


def encode_assignment(slots: Sequence[Slot]) -> bytes:
    """What the leader tells a member."""
    topics: dict[str, list[int]] = {}
    for topic, partition in slots:
        topics.setdefault(topic, []).append(partition)
    parts = [AssignedTopicPartition(topic=topic, partitions=partitions) for topic, partitions in topics.items()]
    return write_versioned(ConsumerProtocolAssignment(assigned_partitions=parts), PROTOCOL_VERSION)


def decode_assignment(data: bytes) -> list[Slot]:
    """The partitions that the leader gave; empty bytes are none."""
    if not data:
        return []
    assignment, _ = read_versioned(ConsumerProtocolAssignment, data)
    return [(part.topic, partition) for part in assignment.assigned_partitions for partition in part.partitions]


def assign_range(subscriptions: Mapping[str, bytes], partition_counts: Mapping[str, int]) -> dict[str, list[Slot]]:
    """The partitions of each member, by its id. The ids' order decides who gets the odd ones."""
    members = sorted(subscriptions)
    assigned: dict[str, list[Slot]] = {member: [] for member in members}
    topics_of = {member: read_versioned(ConsumerProtocolSubscription, subscriptions[member])[0].topics for member in members}
    for topic, count in sorted(partition_counts.items()):
        interested = [member for member in members if topic in topics_of[member]]
        if not interested:
            continue
        share, rest = divmod(count, len(interested))
        start = 0
        for index, member in enumerate(interested):
            size = share + (index < rest)
            assigned[member] += [(topic, partition) for partition in range(start, start + size)]
            start += size
    return assigned
