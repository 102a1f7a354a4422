"""The whole of a cluster at one moment, asked over Kafka's protocol: brokers, partitions with the moves under way, sizes, voters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import attrs

from cluster.layout import ClusterError, ClusterLayout
from cluster.processes import ProcessState, process_state
from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey, TopicId, TopicPartition
from raftkafka.client.cluster import ClusterClient, Unreachable, open_cluster
from raftkafka.client.connection import RequestFailed
from raftkafka.controller.replica_plan import PlacedBroker, PlacedPartition
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from raftkafka.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from raftkafka.protocol.messages.describe_quorum import DescribeQuorumRequest, RequestPartitionData, RequestTopicData
from raftkafka.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest

CLIENT_TIMEOUT_S = 20.0
_DISKS_TIMEOUT_S = 3.0
_METADATA_TOPIC = "__cluster_metadata"


@attrs.frozen(kw_only=True)
class Broker:
    """A registered broker. It is cordoned when none of its log directories takes new replicas (known only where sizes were asked for)."""

    node_id: int
    rack: str | None
    is_fenced: bool
    is_cordoned: bool = False


@attrs.frozen(kw_only=True)
class Partition:
    """A partition and the move of it that is under way, if one is. `size` in bytes, of its biggest replica."""

    key: PartitionKey
    id: TopicPartition
    leader: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()
    size: int = 0

    @property
    def target(self) -> tuple[int, ...]:
        """Its replicas once the move under way is done."""
        return tuple(replica for replica in self.replicas if replica not in self.removing)

    @property
    def is_whole(self) -> bool:
        """Whether it has a leader and every replica is in sync."""
        return self.leader >= 0 and len(self.isr) == len(self.replicas)


@attrs.frozen(kw_only=True)
class Voter:
    """A replica of the metadata log that votes."""

    node_id: int
    directory_id: bytes
    log_end_offset: int


@attrs.frozen(kw_only=True)
class ClusterView:
    """What a cluster says of itself."""

    brokers: tuple[Broker, ...]
    partitions: tuple[Partition, ...]
    voters: tuple[Voter, ...]
    quorum_leader: int
    quorum_high_watermark: int

    @property
    def live(self) -> tuple[int, ...]:
        """The brokers that are not fenced."""
        return tuple(broker.node_id for broker in self.brokers if not broker.is_fenced)

    def voter(self, node_id: int) -> Voter | None:
        return next((voter for voter in self.voters if voter.node_id == node_id), None)

    def on(self, node_id: int) -> tuple[Partition, ...]:
        """The partitions that have a replica on a broker, or are about to."""
        return tuple(partition for partition in self.partitions if node_id in partition.replicas)

    def placed_brokers(self, *, leaving: Sequence[int] = ()) -> list[PlacedBroker]:
        """The brokers for a planner; those that leave, or are cordoned, take nothing."""
        return [
            PlacedBroker(
                node_id=NodeId(broker.node_id),
                rack=broker.rack,
                is_live=not broker.is_fenced,
                takes_replicas=not broker.is_cordoned and broker.node_id not in leaving,
            )
            for broker in self.brokers
        ]

    def placed_partitions(self) -> list[PlacedPartition]:
        """The partitions for a planner, as they will be when the moves under way are done."""
        return [
            PlacedPartition(
                key=partition.key,
                name=str(partition.id),
                replicas=tuple(NodeId(replica) for replica in partition.target),
                leader=NodeId(partition.leader),
                size=partition.size,
            )
            for partition in self.partitions
            if partition.target
        ]


@asynccontextmanager
async def client_of(layout: ClusterLayout) -> AsyncIterator[ClusterClient]:
    """A client of the nodes that run now; `ClusterError` when none does, or none answers."""
    running = [node.address for node in layout.nodes if process_state(node) is ProcessState.RUNNING]
    if not running:
        raise ClusterError(f"no node of cluster {layout.name} runs. Start it with `make cluster`.")
    try:
        async with open_cluster(",".join(running), client_id="raftkafka-elastic", timeout_s=CLIENT_TIMEOUT_S) as client:
            yield client
    except Unreachable as error:
        raise ClusterError(f"{error} `make cluster-status` shows the nodes.") from None


async def look(client: ClusterClient, *, with_sizes: bool = False) -> ClusterView:
    """The cluster as it is now."""
    described: DescribeClusterResponse = await client.ask(DescribeClusterRequest(include_fenced_brokers=True))
    require(described.error_code, described.error_message)
    live = sorted(each.broker_id for each in described.brokers if not each.is_fenced)
    disks = await look_at_disks(client, live) if with_sizes else Disks()
    brokers = tuple(
        Broker(node_id=each.broker_id, rack=each.rack, is_fenced=each.is_fenced, is_cordoned=each.broker_id in disks.cordoned)
        for each in sorted(described.brokers, key=lambda each: each.broker_id)
    )
    voters, leader, high_watermark = await _quorum(client)
    return ClusterView(
        brokers=brokers,
        partitions=await _partitions(client, disks.sizes),
        voters=voters,
        quorum_leader=leader,
        quorum_high_watermark=high_watermark,
    )


@attrs.frozen(kw_only=True)
class Disks:
    """The bytes of each replica, and the brokers that are cordoned."""

    sizes: Mapping[tuple[TopicPartition, int], int] = attrs.field(factory=dict)
    cordoned: tuple[int, ...] = ()


async def look_at_disks(client: ClusterClient, brokers: Sequence[int]) -> Disks:
    """What is on the disks of these brokers; one that does not answer (it is about to be fenced) is left out."""
    sizes: dict[tuple[TopicPartition, int], int] = {}
    cordoned = []
    for node_id in brokers:
        try:
            response: DescribeLogDirsResponse = await client.ask(DescribeLogDirsRequest(topics=None), node_id, _DISKS_TIMEOUT_S)
        except RequestFailed:
            continue
        require(response.error_code)
        if response.results and all(result.is_cordoned for result in response.results):
            cordoned.append(node_id)
        for result in response.results:
            for topic in result.topics:
                for each in topic.partitions:
                    if not each.is_future_key:
                        sizes[TopicPartition(topic.name, each.partition_index), node_id] = each.partition_size
    return Disks(sizes=sizes, cordoned=tuple(cordoned))


def require(code: int, message: str | None = None) -> None:
    """`ClusterError` with what the cluster says, when that is an error."""
    if code != ErrorCode.NONE:
        raise ClusterError(f"the cluster refuses it: {ErrorCode(code).name}{f' ({message})' if message else ''}")


async def _quorum(client: ClusterClient) -> tuple[tuple[Voter, ...], int, int]:
    topic = RequestTopicData(topic_name=_METADATA_TOPIC, partitions=[RequestPartitionData(partition_index=0)])
    response = await client.ask_controller(DescribeQuorumRequest(topics=[topic]))
    require(response.error_code, response.error_message)
    quorum = response.topics[0].partitions[0]
    require(quorum.error_code, quorum.error_message)
    voters = tuple(
        Voter(node_id=each.replica_id, directory_id=each.replica_directory_id, log_end_offset=each.log_end_offset)
        for each in quorum.current_voters
    )
    return voters, quorum.leader_id, quorum.high_watermark


async def _partitions(client: ClusterClient, sizes: Mapping[tuple[TopicPartition, int], int]) -> tuple[Partition, ...]:
    moving = await client.ask_controller(ListPartitionReassignmentsRequest(topics=None))
    require(moving.error_code, moving.error_message)
    moves = {TopicPartition(topic.name, each.partition_index): each for topic in moving.topics for each in topic.partitions}
    found = []
    for topic in (await client.metadata()).topics:
        for each in topic.partitions:
            partition = TopicPartition(topic.name or "", each.partition_index)
            move = moves.get(partition)
            found.append(
                Partition(
                    key=PartitionKey(TopicId(topic.topic_id), each.partition_index),
                    id=partition,
                    leader=each.leader_id,
                    replicas=tuple(each.replica_nodes),
                    isr=tuple(each.isr_nodes),
                    adding=tuple(move.adding_replicas) if move else (),
                    removing=tuple(move.removing_replicas) if move else (),
                    size=max((sizes.get((partition, replica), 0) for replica in each.replica_nodes), default=0),
                )
            )
    return tuple(sorted(found, key=lambda each: each.id))
