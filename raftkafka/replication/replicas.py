"""What the parts of the replica manager share: the hosted partitions, the metadata they were told, what was touched, what goes out."""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_TOPIC_ID, NodeId, PartitionKey, TopicId
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.metadata.image import BrokerRegistration, MetadataImage
from raftkafka.replication.partition import Partition
from raftkafka.replication.throttle import ReplicationThrottle
from raftkafka.replication.traffic import TrafficMeter
from raftkafka.replication.values import ReplicaOutput


class Replicas:
    """The hosted partitions by key. `touched` are those whose offsets or role changed since the last `settle`."""

    __slots__ = (
        "_requires_active",
        "_requires_broker_epoch",
        "broker_epoch",
        "by_key",
        "checks_divergence",
        "disabled_rules",
        "gone",
        "image",
        "log_starts_moved",
        "node_id",
        "outputs",
        "rack_aware",
        "serves_uncommitted",
        "throttle",
        "touched",
        "traffic",
        "watched",
    )

    def __init__(self, node_id: NodeId, *, rack_aware: bool = False, disabled_rules: Rules = NO_RULES) -> None:
        self.node_id = node_id
        self.disabled_rules = disabled_rules
        self.checks_divergence = self.applies(Rule.CHECK_DIVERGENCE)
        self.serves_uncommitted = not self.applies(Rule.SERVE_BELOW_HIGH_WATERMARK)
        self._requires_active = self.applies(Rule.REFUSE_FENCED_IN_ISR)
        self._requires_broker_epoch = self.applies(Rule.REQUIRE_BROKER_EPOCH)
        self.rack_aware = rack_aware
        self.broker_epoch = -1
        self.throttle = ReplicationThrottle(node_id)
        self.image = MetadataImage(cluster_id="")
        self.by_key: dict[PartitionKey, Partition] = {}
        self.gone: dict[NodeId, None] = {}
        """Brokers whose process has certainly ended and has not been seen again, whatever the metadata still says."""
        self.traffic = TrafficMeter()
        self.touched: dict[Partition, None] = {}
        self.watched: dict[PartitionKey, None] = {}
        self.outputs: list[ReplicaOutput] = []
        self.log_starts_moved = False
        """Whether records were deleted on request since this was last noticed: the new log starts are to be on disk soon."""

    def applies(self, rule: Rule) -> bool:
        """Whether the rule is in force; asked when something is made, not for each request."""
        return rule not in self.disabled_rules

    @property
    def brokers(self) -> Mapping[NodeId, BrokerRegistration]:
        return self.image.brokers

    def find(self, key: PartitionKey) -> Partition:
        """The hosted partition; refuses with the reason when there is none."""
        partition = self.by_key.get(key)
        if partition is None:
            if self.image.partition(key) is not None:
                raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this broker has no replica of the partition")
            if key.topic_id != NO_TOPIC_ID and key.topic_id not in self.image.topics.by_id:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID, "no topic has this id")
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "there is no such partition")
        return partition

    def leader_hint(self, key: PartitionKey) -> tuple[int, int] | None:
        """The leader and leader epoch that the metadata knows, for KIP-951; None when there is no leader."""
        registration = self.image.partition(key)
        if registration is None or registration.leader < 0:
            return None
        return registration.leader, registration.leader_epoch

    def topic_id(self, topic: str) -> TopicId:
        """The id of a topic by name; NO_TOPIC_ID when there is no such topic."""
        image = self.image.topics.by_name.get(topic)
        return NO_TOPIC_ID if image is None else image.topic_id

    def is_alive(self, node_id: NodeId) -> bool:
        """Whether the metadata takes a broker for alive."""
        broker = self.image.brokers.get(node_id)
        return broker is not None and not broker.fenced

    def may_join_isr(self, node_id: NodeId, fetched_broker_epoch: int, key: PartitionKey) -> bool:
        """Whether a broker is unfenced, stays, and fetched as the incarnation that the metadata knows (KIP-841, KIP-903), and the log
        directory of its replica works (KIP-858)."""
        broker = self.image.brokers.get(node_id)
        if broker is None or not (broker.is_active or not self._requires_active):
            return False
        registration = self.image.partition(key)
        if registration is not None and registration.directories and not broker.has_online(registration.directory(node_id)):
            return False
        return fetched_broker_epoch in (broker.broker_epoch, -1) or not self._requires_broker_epoch


LEADER_HINT_ERRORS = frozenset({ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH})
"""The errors with which a client is told the leader (KIP-951)."""
