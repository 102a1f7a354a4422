"""How the leader of a group gives partitions to its members.

Range (eager): of each topic, each member gets a run of neighbouring partitions; before, everybody has given up everything.
Cooperative-sticky (KIP-429): members keep what they own, up to a fair share. What has to move is given to nobody in this generation: its
owner gives it up and joins again, and the next generation gives it to somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.protocol.framing import read_versioned, write_versioned
from raftkafka.protocol.messages.consumer_protocol import (
    AssignedTopicPartition,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    OwnedTopicPartition,
)
from raftkafka.simulation.workload.known_cluster import Slot

PROTOCOL_VERSION = 1


def encode_subscription(topics: Sequence[str], owned: Sequence[Slot]) -> bytes:
    """What a member tells the leader of its group."""
    parts = [OwnedTopicPartition(topic=topic, partitions=partitions) for topic, partitions in _by_topic(owned).items()]
    return write_versioned(ConsumerProtocolSubscription(topics=list(topics), owned_partitions=parts), PROTOCOL_VERSION)


def encode_assignment(slots: Sequence[Slot]) -> bytes:
    """What the leader tells a member."""
    parts = [AssignedTopicPartition(topic=topic, partitions=partitions) for topic, partitions in _by_topic(slots).items()]
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


def assign_cooperative(subscriptions: Mapping[str, bytes], partition_counts: Mapping[str, int]) -> dict[str, list[Slot]]:
    """The partitions of each member in this generation, by its id. All members want the same topics."""
    members = sorted(subscriptions)
    slots = [(topic, partition) for topic, count in sorted(partition_counts.items()) for partition in range(count)]
    owner: dict[Slot, str] = {}
    for member in members:
        subscription, _ = read_versioned(ConsumerProtocolSubscription, subscriptions[member])
        for part in subscription.owned_partitions:
            for partition in part.partitions:
                owner.setdefault((part.topic, partition), member)
    share, rest = divmod(len(slots), len(members))
    assigned: dict[str, list[Slot]] = {member: [] for member in members}
    free: list[Slot] = []
    for slot in slots:
        member = owner.get(slot, "")
        if not member:
            free.append(slot)
        elif len(assigned[member]) < share + (rest > 0):
            assigned[member].append(slot)
            rest -= len(assigned[member]) > share
    for slot in free:
        member = min(members, key=lambda each: len(assigned[each]))
        assigned[member].append(slot)
    return assigned


def _by_topic(slots: Sequence[Slot]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for topic, partition in slots:
        topics.setdefault(topic, []).append(partition)
    return topics
