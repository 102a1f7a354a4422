"""What the balancer sees at one moment: the live brokers and the partitions with traffic, out of the metadata and the reports of load.

It is made for a round and dropped after it. Its cost is that of the partitions with traffic, never of the idle ones.

Invariant: a *candidate* for a leadership may lead the partition now (live, its log directory works), is in the ISR, and is not a broker
whose directories are all cordoned: that one is being emptied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from raftkafka.base.ids import NO_NODE, NodeId, PartitionKey
from raftkafka.base.rules import NO_RULES, Rules
from raftkafka.controller.leader_balance import candidates
from raftkafka.controller.leader_changes import active_brokers, may_lead
from raftkafka.controller.load_balance import LoadedPartition, PartitionLoad
from raftkafka.controller.reassignment import is_reassigning
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.topics import PartitionRegistration

UNMOVED_TOPICS = frozenset({"__consumer_offsets"})
"""Their load counts, but they do not move because of load: whoever leads such a partition coordinates groups, which would have to find him
again. They only go home."""


class Loads(Protocol):
    """What brokers have reported (`controller.load_reports`)."""

    def is_settled(self, brokers: Collection[NodeId]) -> bool: ...

    def load_of(self, key: PartitionKey) -> PartitionLoad: ...

    def size_of(self, key: PartitionKey) -> int: ...

    def loaded(self) -> Iterator[tuple[PartitionKey, PartitionLoad]]: ...

    def rest_of(self, node_id: NodeId) -> PartitionLoad: ...


class LoadView:
    """See the module. `resting` are the partitions that moved lately."""

    def __init__(self, image: MetadataImage, loads: Loads, resting: Collection[PartitionKey], disabled_rules: Rules = NO_RULES) -> None:
        self.image = image
        self._disabled_rules = disabled_rules
        self.size_of = loads.size_of
        self.live = active_brokers(image)
        self.brokers = sorted(self.live)
        self._takers = frozenset(node_id for node_id in self.brokers if image.brokers[node_id].takes_replicas)
        self.partitions: list[LoadedPartition] = []
        for key, load in loads.loaded():
            topic = image.topics.by_id.get(key.topic_id)
            partition = None if topic is None else topic.partitions.get(key.partition)
            if topic is None or partition is None:
                continue
            self.partitions.append(self._loaded(key, partition, load, rests=key in resting))
        self.rest = {node_id: loads.rest_of(node_id).of_leader(1) for node_id in self.brokers}
        self.racks = {node_id: image.brokers[node_id].rack for node_id in self.brokers}
        self.is_settled = loads.is_settled(self.brokers)

    def topic_name(self, key: PartitionKey) -> str:
        """The name of a partition's topic."""
        return self.image.topics.by_id[key.topic_id].name

    def _loaded(self, key: PartitionKey, partition: PartitionRegistration, load: PartitionLoad, *, rests: bool) -> LoadedPartition:
        """One partition as the planner sees it; one without a leader, or in a reassignment, stays as it is."""
        can_lead = may_lead(self.image, partition, self.live)
        topic = self.topic_name(key)
        others = candidates(partition, self._disabled_rules) if topic not in UNMOVED_TOPICS else ()
        return LoadedPartition(
            key=key,
            name=f"{topic}-{key.partition}",
            leader=partition.leader,
            replicas=partition.replicas,
            candidates=tuple(other for other in others if can_lead(other) and (other == partition.leader or other in self._takers)),
            load=load,
            resting=rests or partition.leader == NO_NODE or is_reassigning(partition),
        )
