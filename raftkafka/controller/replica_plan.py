"""What a planner of replicas sees and what it answers: brokers, partitions, and the moves with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.controller.load_balance import PartitionLoad
from raftkafka.metadata.records import NodeIds


@attrs.frozen(kw_only=True)
class PlacedBroker:
    """A registered broker. One that is not live, or takes no replicas (it is drained, or cordoned), keeps what it has."""

    node_id: NodeId
    rack: str | None = None
    is_live: bool = True
    takes_replicas: bool = True


@attrs.frozen(kw_only=True)
class PlacedPartition:
    """A partition, its replicas with the preferred leader first. `resting` when its replicas may not be moved now. `size` in bytes."""

    key: PartitionKey
    name: str
    replicas: NodeIds
    leader: NodeId
    size: int = 0
    load: PartitionLoad = attrs.field(factory=PartitionLoad)
    resting: bool = False

    def load_on(self, replica: NodeId) -> float:
        """What one of its replicas costs its broker, in bytes a second."""
        return self.load.of_leader(len(self.replicas)) if replica == self.leader else self.load.of_follower


@attrs.frozen(kw_only=True)
class ReplicaMove:
    """New replicas of a partition: others, or the same in another order. `why` is for people."""

    key: PartitionKey
    name: str
    old_replicas: NodeIds
    new_replicas: NodeIds
    size: int
    why: str

    @property
    def added(self) -> NodeIds:
        """The brokers that get a copy."""
        return tuple(replica for replica in self.new_replicas if replica not in self.old_replicas)

    @property
    def removed(self) -> NodeIds:
        """The brokers that give theirs up."""
        return tuple(replica for replica in self.old_replicas if replica not in self.new_replicas)

    @property
    def copied_bytes(self) -> int:
        """How much is copied for it."""
        return self.size * len(self.added)


@attrs.frozen(kw_only=True)
class BrokerShare:
    """What a broker has: replicas, preferred leaderships, bytes on disk, load in bytes a second."""

    replicas: int = 0
    preferred: int = 0
    size: int = 0
    load: float = 0.0


@attrs.frozen(kw_only=True)
class ReplicaPlan:
    """The moves in the order of the partitions, the shares of the brokers before and after, and why there are no further moves."""

    moves: tuple[ReplicaMove, ...]
    before: Mapping[NodeId, BrokerShare]
    after: Mapping[NodeId, BrokerShare]
    verdict: str


def shares_of(brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition]) -> dict[NodeId, BrokerShare]:
    """What each of these brokers has now."""
    shares = {broker.node_id: BrokerShare() for broker in sorted(brokers, key=lambda each: each.node_id)}
    for partition in partitions:
        for position, replica in enumerate(partition.replicas):
            if replica in shares:
                share = shares[replica]
                shares[replica] = BrokerShare(
                    replicas=share.replicas + 1,
                    preferred=share.preferred + (position == 0),
                    size=share.size + partition.size,
                    load=share.load + partition.load_on(replica),
                )
    return shares


def moved(partitions: Sequence[PlacedPartition], moves: Sequence[ReplicaMove]) -> list[PlacedPartition]:
    """The partitions after the moves; one whose leader goes is led by its first replica then."""
    targets = {move.key: move.new_replicas for move in moves}
    result = []
    for partition in partitions:
        replicas = targets.get(partition.key, partition.replicas)
        leader = partition.leader if partition.leader in replicas else replicas[0]
        result.append(attrs.evolve(partition, replicas=replicas, leader=leader))
    return result


def takers(brokers: Sequence[PlacedBroker]) -> list[NodeId]:
    """The brokers that replicas may be moved to, in the order of their ids."""
    return sorted(broker.node_id for broker in brokers if broker.is_live and broker.takes_replicas)


class Racks:
    """How far apart replicas are. Brokers that say nothing of their rack share one."""

    def __init__(self, brokers: Sequence[PlacedBroker]) -> None:
        self._rack_of = {broker.node_id: broker.rack for broker in brokers}

    def count(self, replicas: Sequence[NodeId]) -> int:
        """In how many racks these replicas are."""
        return len({self._rack_of.get(replica) for replica in replicas})


def replaced(replicas: NodeIds, source: NodeId, target: NodeId) -> NodeIds:
    """The replicas with one at the place of another."""
    return tuple(target if replica == source else replica for replica in replicas)
