"""Moves replicas as an operator's tools do: looks where they are, plans, asks for throttled reassignments in batches, lifts throttles.

Any step may be lost or refused while machines fail: it is repeated until what was wanted is there, so it does not matter how far it got.

Invariant: a partition keeps its number of replicas. What a broker says may be old: a partition that was being moved then has more of them,
and a plan made of that would keep them all. So the lowest number that was ever seen counts, and other placements are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.controller.replica_balance import drain, fair_share
from raftkafka.controller.replica_plan import PlacedBroker, PlacedPartition, ReplicaMove
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from raftkafka.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from raftkafka.protocol.messages.metadata import MetadataRequest
from raftkafka.simulation.client import (
    ALTER_PARTITION_REASSIGNMENTS_KEY,
    INCREMENTAL_ALTER_CONFIGS_KEY,
    LIST_PARTITION_REASSIGNMENTS_KEY,
    METADATA_KEY,
    Address,
    RequestLost,
    SimClient,
)
from raftkafka.simulation.workload.reassigner import throttle_resources
from raftkafka.simulation.workload.recording import Recording, error_name
from raftkafka.simulation.world import CLIENT_PORT

TIMEOUT_MS = 2_000
LOOK_EVERY_MS = 100
PATIENCE = 30
"""How often it is looked before a throttle is taken for the reason that a batch does not end."""
BATCH = 4
"""How many partitions move at a time."""
RATES = ("50000", "500000", None)
"""Bytes in a second of a throttled reassignment."""


class Placement:
    """Brokers and partitions as one broker knew them."""

    def __init__(self, brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition]) -> None:
        self.brokers = brokers
        self.partitions = partitions

    @property
    def live(self) -> list[NodeId]:
        return [broker.node_id for broker in self.brokers if broker.is_live]

    def on(self, node_id: NodeId) -> list[str]:
        """The partitions that have a replica there."""
        return [partition.name for partition in self.partitions if node_id in partition.replicas]


class ReplicaMover:
    """The steps of one administrator."""

    def __init__(self, client: SimClient, recording: Recording) -> None:
        self._client = client
        self._recording = recording
        self._replica_counts: dict[PartitionKey, int] = {}

    async def placement(self) -> Placement:
        """Where everything is while nothing moves. Brokers that are fenced, or not registered, are not there."""
        while True:
            placement = await self._ask_placement()
            counts = self._replica_counts
            for each in placement.partitions:
                counts[each.key] = min(len(each.replicas), counts.get(each.key, len(each.replicas)))
            if all(len(each.replicas) == counts[each.key] for each in placement.partitions):
                return placement
            await self._client.heap.sleep(LOOK_EVERY_MS)

    async def _ask_placement(self) -> Placement:
        request = MetadataRequest(topics=None, allow_auto_topic_creation=False)
        response = await self.ask(METADATA_KEY, request)
        brokers = [PlacedBroker(node_id=NodeId(broker.node_id), rack=broker.rack) for broker in response.brokers]
        partitions = [
            PlacedPartition(
                key=PartitionKey(TopicId(topic.topic_id), each.partition_index),
                name=f"{topic.name}-{each.partition_index}",
                replicas=tuple(map(NodeId, each.replica_nodes)),
                leader=NodeId(each.leader_id),
            )
            for topic in response.topics
            for each in topic.partitions
        ]
        return Placement(brokers, partitions)

    async def share(self, node_id: NodeId) -> None:
        """A broker that has come gets its share."""
        placement = await self.placement()
        if node_id in placement.live:
            await self._carry_out(fair_share(placement.brokers, placement.partitions).moves, placement.live)

    async def drain(self, node_id: NodeId) -> None:
        """Until nothing is on a broker any more; topics may be created there meanwhile."""
        while (placement := await self.placement()).on(node_id):
            others = [broker for broker in placement.brokers if broker.node_id != node_id]
            brokers = [*others, PlacedBroker(node_id=node_id, is_live=False, takes_replicas=False)]
            try:
                plan = drain(node_id, brokers, placement.partitions)
            except ApiError as error:
                self._note(f"cannot drain {node_id} yet: {error}")
                await self._client.heap.sleep(LOOK_EVERY_MS)
                continue
            await self._carry_out(plan.moves, placement.live)

    async def _carry_out(self, moves: Sequence[ReplicaMove], nodes: Sequence[NodeId]) -> None:
        """In batches, with a throttle on these nodes, or without."""
        if not moves:
            return
        topics = list(dict.fromkeys(move.name.rpartition("-")[0] for move in moves))
        rate = self._client.rng.choice(RATES)
        if rate is not None:
            await self._throttle(nodes, topics, rate)
        for start in range(0, len(moves), BATCH):
            batch = moves[start : start + BATCH]
            await self._begin(batch)
            looked = 0
            while await self._are_moving(batch):
                looked += 1
                if looked == PATIENCE and rate is not None:  # more may be written than is copied
                    await self._throttle(nodes, topics, None)
                    rate = None
                await self._client.heap.sleep(LOOK_EVERY_MS)
        if rate is not None:
            await self._throttle(nodes, topics, None)

    async def _begin(self, moves: Sequence[ReplicaMove]) -> None:
        """Asks for one batch. What is refused is left: who wanted it looks again."""
        by_topic: dict[str, list[ReassignablePartition]] = {}
        for move in moves:
            partition = ReassignablePartition(partition_index=move.key.partition, replicas=list(move.new_replicas))
            by_topic.setdefault(move.name.rpartition("-")[0], []).append(partition)
        topics = [ReassignableTopic(name=topic, partitions=partitions) for topic, partitions in by_topic.items()]
        request = AlterPartitionReassignmentsRequest(timeout_ms=TIMEOUT_MS, allow_replication_factor_change=False, topics=topics)
        response = await self.ask(ALTER_PARTITION_REASSIGNMENTS_KEY, request, done=lambda response: not response.error_code)
        codes = [each.error_code for topic in response.responses for each in topic.partitions]
        text = ", ".join(f"{move.name} {list(move.old_replicas)} to {list(move.new_replicas)}" for move in moves)
        self._note(f"move {text}: {' '.join(map(error_name, codes))}")

    async def _are_moving(self, moves: Sequence[ReplicaMove]) -> bool:
        names = {move.name: None for move in moves}
        request = ListPartitionReassignmentsRequest(timeout_ms=TIMEOUT_MS, topics=None)
        response = await self.ask(LIST_PARTITION_REASSIGNMENTS_KEY, request, done=lambda response: not response.error_code)
        return any(f"{topic.name}-{each.partition_index}" in names for topic in response.topics for each in topic.partitions)

    async def _throttle(self, nodes: Sequence[NodeId], topics: Sequence[str], rate: str | None) -> None:
        """Each broker is asked for its own, unless it has gone for good."""
        for node_id in nodes:
            address = Address(f"n{node_id}", CLIENT_PORT)
            request = IncrementalAlterConfigsRequest(resources=throttle_resources(node_id, rate, topics))
            codes = ""
            while address in self._client.bootstrap and not codes:
                try:
                    response = await self._client.ask(address, INCREMENTAL_ALTER_CONFIGS_KEY, request)
                except RequestLost:
                    await self._client.retry_pause()
                    continue
                codes = " ".join(error_name(each.error_code) for each in response.responses) if _is_decided(response) else ""
                if not codes:
                    await self._client.retry_pause()
            self._note(f"{f'throttle broker {node_id} to {rate}' if rate else f'lift the throttle of broker {node_id}'}: {codes}")

    async def ask(self, api_key: int, request: object, *, done: Callable[[Any], bool] = lambda response: True) -> Any:
        """The first response that is `done`, of some broker."""
        while True:
            try:
                response = await self._client.ask_any(api_key, request)
                if done(response):
                    return response
            except RequestLost:
                pass
            await self._client.retry_pause()

    def _note(self, text: str) -> None:
        self._recording.note(self._client.name, text)


def _is_decided(response: Any) -> bool:
    """Whether each resource was changed, or is not there any more."""
    gone = (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return all(each.error_code in gone for each in response.responses)
