"""What a cluster says about itself, asked over Kafka's protocol of every node at once: brokers, quorum, topics.

Invariants
- A node that does not answer in time is part of the answer (its view is None), never an error.
- Of several views the one of the highest quorum epoch counts; nodes that were cut off may believe in an older one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import trio

from cluster.layout import HOST, ClusterLayout, NodeLayout
from raftkafka.base.errors import PeerError
from raftkafka.client.connection import BrokerConnection, RequestFailed, connect
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from raftkafka.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    RequestPartitionData,
    RequestTopicData,
)
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataResponse

METADATA_TOPIC = "__cluster_metadata"
_READY_POLL_S = 0.02
_ANSWER_TIMEOUT_S = 3.0


@attrs.frozen(kw_only=True)
class QuorumView:
    """The quorum as one node sees it; `end_offsets` are known to the leader alone."""

    leader_id: int
    leader_epoch: int
    high_watermark: int
    end_offsets: Mapping[int, int]


@attrs.frozen(kw_only=True)
class PartitionView:
    """One partition as the metadata says."""

    topic: str
    partition: int
    leader_id: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]

    @property
    def healthy(self) -> bool:
        """Whether it has a leader and all its replicas are in sync."""
        return self.leader_id >= 0 and len(self.isr) == len(self.replicas)


@attrs.frozen(kw_only=True)
class NodeView:
    """The cluster as one node sees it: which brokers are fenced, the quorum, the partitions (when they were asked for)."""

    fenced: Mapping[int, bool]
    quorum: QuorumView
    partitions: tuple[PartitionView, ...] = ()

    def all_unfenced(self, node_ids: Sequence[int]) -> bool:
        """Whether each of these nodes is registered and unfenced."""
        return all(self.fenced.get(node_id) is False for node_id in node_ids)


async def view_of(node: NodeLayout, *, with_partitions: bool, timeout_s: float = _ANSWER_TIMEOUT_S) -> NodeView | None:
    """What one node says; None when it does not answer."""
    try:
        with trio.move_on_after(timeout_s):
            async with connect(HOST, node.port, client_id="raftkafka-cluster", timeout_s=timeout_s) as connection:
                fenced = await _fenced(connection)
                quorum = await _quorum(connection)
                partitions = await _partitions(connection) if with_partitions else ()
                return NodeView(fenced=fenced, quorum=quorum, partitions=partitions)
    except (RequestFailed, PeerError):
        return None
    return None


async def all_views(nodes: Sequence[NodeLayout], *, with_partitions: bool = True) -> dict[int, NodeView | None]:
    """The views of all nodes, asked at the same time, by node id."""
    views: dict[int, NodeView | None] = {}

    async def ask(node: NodeLayout) -> None:
        views[node.node_id] = await view_of(node, with_partitions=with_partitions)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(ask, node)
    return dict(sorted(views.items()))


def best_view(views: Mapping[int, NodeView | None]) -> NodeView | None:
    """The view to believe: of the highest epoch, with the leader's own (it alone knows the followers' offsets) before others."""
    answered = [(node_id, view) for node_id, view in views.items() if view is not None]
    if not answered:
        return None
    return max(answered, key=lambda each: (each[1].quorum.leader_epoch, each[1].quorum.leader_id == each[0]))[1]


async def wait_until_ready(layout: ClusterLayout, nodes: Sequence[NodeLayout], *, timeout_s: float) -> bool:
    """Whether each of `nodes` comes to see all of `nodes` unfenced within the time given."""
    wanted = [node.node_id for node in nodes]

    async def wait_for(node: NodeLayout) -> None:
        while True:
            view = await _brokers_only(node)
            if view is not None and all(view.get(node_id) is False for node_id in wanted):
                return
            await trio.sleep(_READY_POLL_S)

    with trio.move_on_after(timeout_s) as scope:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(wait_for, node)
    return not scope.cancelled_caught


async def _brokers_only(node: NodeLayout) -> dict[int, bool] | None:
    try:
        async with connect(HOST, node.port, client_id="raftkafka-cluster", timeout_s=_ANSWER_TIMEOUT_S) as connection:
            return await _fenced(connection)
    except (RequestFailed, PeerError):
        return None


async def _fenced(connection: BrokerConnection) -> dict[int, bool]:
    response: DescribeClusterResponse = await connection.request(DescribeClusterRequest(include_fenced_brokers=True))
    return {broker.broker_id: broker.is_fenced for broker in response.brokers}


async def _quorum(connection: BrokerConnection) -> QuorumView:
    topic = RequestTopicData(topic_name=METADATA_TOPIC, partitions=[RequestPartitionData(partition_index=0)])
    response: DescribeQuorumResponse = await connection.request(DescribeQuorumRequest(topics=[topic]))
    for described in response.topics:
        for partition in described.partitions:
            return QuorumView(
                leader_id=partition.leader_id,
                leader_epoch=partition.leader_epoch,
                high_watermark=partition.high_watermark,
                end_offsets={each.replica_id: each.log_end_offset for each in partition.current_voters},
            )
    return QuorumView(leader_id=-1, leader_epoch=-1, high_watermark=-1, end_offsets={})


async def _partitions(connection: BrokerConnection) -> tuple[PartitionView, ...]:
    response: MetadataResponse = await connection.request(MetadataRequest(topics=None))
    return tuple(
        PartitionView(
            topic=topic.name or "",
            partition=partition.partition_index,
            leader_id=partition.leader_id,
            replicas=tuple(partition.replica_nodes),
            isr=tuple(partition.isr_nodes),
        )
        for topic in sorted(response.topics, key=lambda each: each.name or "")
        for partition in sorted(topic.partitions, key=lambda each: each.partition_index)
    )
