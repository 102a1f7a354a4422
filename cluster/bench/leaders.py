"""Who leads what, of either system, changed and read as an administrator does: over Kafka's own protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import trio
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cluster.bench.systems import System, wait_until
from raftkafka.client.cluster import ClusterClient, open_cluster
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions

PREFERRED = 0
CHANGE_TIMEOUT_S = 60

T = TypeVar("T")


def leaders_of(client: AdminClient, topic: str) -> dict[int, int]:
    """The leader of each partition as a client sees it; -1 where there is none. Empty when nobody answers."""
    try:
        return {index: each.leader for index, each in client.list_topics(topic, timeout=5).topics[topic].partitions.items()}
    except KafkaException:
        return {}


def prefer(system: System, client: AdminClient, topic: str, orders: Mapping[int, Sequence[int]]) -> None:
    """Gives partitions another order of the same replicas, so that another one is preferred. Nothing moves by that."""
    partitions = [ReassignablePartition(partition_index=index, replicas=list(order)) for index, order in orders.items()]
    request = AlterPartitionReassignmentsRequest(topics=[ReassignableTopic(name=topic, partitions=partitions)])

    async def ask(cluster: ClusterClient) -> None:
        response = await cluster.ask_controller(request)
        refused = [each for part in response.responses for each in part.partitions if each.error_code]
        if response.error_code or refused:
            raise TimeoutError(f"{system.name} refuses the order: {response.error_message or refused[0].error_message}")

    _with_cluster(system, ask)

    def has_order() -> bool:
        found = client.list_topics(topic, timeout=10).topics[topic].partitions
        return all(list(found[index].replicas) == list(order) for index, order in orders.items())

    wait_until(has_order, timeout_s=CHANGE_TIMEOUT_S, what=f"the order of the replicas of {topic}")


def elect_preferred(system: System, topic: str, partitions: Sequence[int]) -> None:
    """Has the preferred replicas elected; that they lead already is no error."""
    request = ElectLeadersRequest(election_type=PREFERRED, topic_partitions=[TopicPartitions(topic=topic, partitions=list(partitions))])

    async def ask(cluster: ClusterClient) -> None:
        await cluster.ask_controller(request)

    _with_cluster(system, ask)


def replica_order(first: int, node_ids: Sequence[int]) -> list[int]:
    """All nodes, that one first."""
    at = list(node_ids).index(first)
    return [*node_ids[at:], *node_ids[:at]]


def _with_cluster(system: System, work: Callable[[ClusterClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_cluster(system.bootstrap, client_id="bench", timeout_s=CHANGE_TIMEOUT_S) as cluster:
            return await work(cluster)

    return trio.run(run)
