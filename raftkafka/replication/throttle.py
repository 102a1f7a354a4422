"""Replication throttles: how fast replicas that are not in sync may be filled, so that a reassignment leaves room for the clients.

A rate holds for the partitions that a topic names (`leader.` and `follower.replication.throttled.replicas`), and at both ends: a leader
gives all throttled followers together no more than `leader.replication.throttled.rate`, a follower takes from all leaders together no
more than `follower.replication.throttled.rate`. Members of the ISR are never throttled, and what they fetch does not count. (Kafka counts
it, so that a busy topic may stop a move altogether.)

Invariants
- Over any time a rate lets pass at most what it says, one second's worth that was saved up, and one batch, since batches are not cut.
- Without a rate, or without a topic that names throttled replicas, nothing is looked at: `limits_leader`, `limits_follower` are false.

Sources: KIP-73; S431 ReplicationQuotaManager (which measures over eleven windows of a second).
"""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.base.ids import NodeId
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ConfigsImage, ResourceType
from raftkafka.replication.values import FAR_FUTURE_MS

LEADER_RATE = "leader.replication.throttled.rate"
FOLLOWER_RATE = "follower.replication.throttled.rate"
LEADER_REPLICAS = "leader.replication.throttled.replicas"
FOLLOWER_REPLICAS = "follower.replication.throttled.replicas"
NO_LIMIT = 2**63 - 1
MS_PER_SECOND = 1_000
SAVED_MS = 1_000
"""How long a rate that is not used saves up."""

Throttled = frozenset[int] | None
"""Partitions of a topic; None stands for all."""


class ByteRate:
    """Bytes that may pass in a second. What passes is spent from a balance that grows with time, and may go below zero by a batch."""

    __slots__ = ("_balance", "_limit", "_since_ms")

    def __init__(self) -> None:
        self._limit = NO_LIMIT
        self._balance = 0  # bytes times 1000, so that a millisecond adds a whole number
        self._since_ms = 0

    @property
    def limit(self) -> int:
        """Bytes in a second; `NO_LIMIT` when there is none."""
        return self._limit

    def set_limit(self, limit: int, now_ms: int) -> None:
        """Another rate from now on; what is owed under the old one is forgiven."""
        if limit != self._limit:
            self._limit = limit
            self._balance = 0
            self._since_ms = now_ms

    def available(self, now_ms: int) -> int:
        """How many bytes may pass now; 0 or less: none."""
        if self._limit == NO_LIMIT:
            return NO_LIMIT
        self._grow(now_ms)
        return -(-self._balance // MS_PER_SECOND) if self._balance > 0 else self._balance // MS_PER_SECOND

    def spend(self, size_bytes: int, now_ms: int) -> None:
        """So many bytes have passed."""
        if self._limit != NO_LIMIT:
            self._grow(now_ms)
            self._balance -= size_bytes * MS_PER_SECOND

    def ready_ms(self, now_ms: int) -> int:
        """When something may pass again: now, or later."""
        if self.available(now_ms) > 0:
            return now_ms
        if self._limit <= 0:
            return FAR_FUTURE_MS
        return now_ms + 1 + -self._balance // self._limit

    def _grow(self, now_ms: int) -> None:
        grown = self._balance + self._limit * (now_ms - self._since_ms)
        self._balance = min(grown, self._limit * SAVED_MS)
        self._since_ms = now_ms


class ReplicationThrottle:
    """The throttles of one broker. `now_ms` is kept by the replica manager."""

    __slots__ = (
        "_follower_topics",
        "_leader_topics",
        "_node_id",
        "follower",
        "leader",
        "limits_follower",
        "limits_leader",
        "now_ms",
        "read_bytes",
    )

    def __init__(self, node_id: NodeId) -> None:
        self._node_id = node_id
        self._leader_topics: dict[str, Throttled] = {}
        self._follower_topics: dict[str, Throttled] = {}
        self.leader = ByteRate()
        self.follower = ByteRate()
        self.limits_leader = False
        self.limits_follower = False
        self.now_ms = 0
        self.read_bytes = 0
        """What has been read for throttled followers, for the answer in the making: spent when it is sent, if it is."""

    def configure(self, configs: ConfigsImage, resource_type: int, name: str, now_ms: int) -> None:
        """Takes over changed settings of a topic, or of brokers."""
        if resource_type == ResourceType.TOPIC:
            overrides = configs.get(ResourceType.TOPIC, name)
            self._configure_topic(self._leader_topics, name, overrides.get(LEADER_REPLICAS, ""))
            self._configure_topic(self._follower_topics, name, overrides.get(FOLLOWER_REPLICAS, ""))
        elif resource_type == ResourceType.BROKER:
            layers = (configs.get(ResourceType.BROKER, str(self._node_id)), configs.get(ResourceType.BROKER, CLUSTER_DEFAULT))
            self.leader.set_limit(_rate(layers, LEADER_RATE), now_ms)
            self.follower.set_limit(_rate(layers, FOLLOWER_RATE), now_ms)
        self.limits_leader = bool(self._leader_topics) and self.leader.limit != NO_LIMIT
        self.limits_follower = bool(self._follower_topics) and self.follower.limit != NO_LIMIT

    def _configure_topic(self, topics: dict[str, Throttled], name: str, text: str) -> None:
        throttled = _throttled_on(self._node_id, text)
        if throttled is None or throttled:
            topics[name] = throttled
        else:
            topics.pop(name, None)

    def covers_leader(self, topic: str, partition: int) -> bool:
        """Whether this broker, as leader, gives throttled followers of the partition no more than the rate."""
        return _covers(self._leader_topics, topic, partition)

    def covers_follower(self, topic: str, partition: int) -> bool:
        """Whether this broker, as follower that is not in sync, takes no more than the rate."""
        return _covers(self._follower_topics, topic, partition)


def _covers(topics: Mapping[str, Throttled], topic: str, partition: int) -> bool:
    if topic not in topics:
        return False
    partitions = topics[topic]
    return partitions is None or partition in partitions


def _rate(layers: tuple[Mapping[str, str], ...], name: str) -> int:
    for layer in layers:
        if name in layer:
            return int(layer[name])
    return NO_LIMIT


def _throttled_on(node_id: NodeId, text: str) -> Throttled:
    """The partitions whose replica on this broker is named: `partition:broker,...`, or `*` for all."""
    if text.strip() == "*":
        return None
    pairs = [pair.split(":") for pair in text.split(",") if ":" in pair]
    return frozenset(int(partition) for partition, broker in pairs if int(broker) == node_id)
