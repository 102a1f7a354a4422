"""--generate: new replicas for topics, placed over the brokers as a controller places those of new topics."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from raftkafka.base.errors import ApiError
from raftkafka.base.ids import NodeId, TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.controller.placement import UsableBroker, place
from raftkafka.tools.options import Options
from raftkafka.tools.reassign_partitions.cluster_state import current_directories, replicas_of_topics
from raftkafka.tools.reassign_partitions.failure import Failed
from raftkafka.tools.reassign_partitions.plan_json import Replica, parse_brokers, parse_topics, plan_as_json, read_json_file


async def generate(cluster: ClusterClient, options: Options) -> None:
    """Prints the replicas of the topics as they are, to go back to, and as they could be."""
    text = read_json_file(options.required("topics-to-move-json-file"))
    chosen = parse_brokers(options.required("broker-list"))
    topics = parse_topics(text)
    current = await replicas_of_topics(cluster, topics)
    brokers = await _usable(cluster, chosen, with_racks=not options.has("disable-rack-aware"))
    proposed = _proposed(topics, current, brokers)
    directories = await current_directories(
        cluster, [Replica(broker_id, *partition) for partition, replicas in current.items() for broker_id in replicas]
    )
    print(f"Current partition replica assignment\n{plan_as_json(current, directories)}\n")
    print(f"Proposed partition reassignment configuration\n{plan_as_json(proposed, {})}")


async def _usable(cluster: ClusterClient, chosen: Sequence[int], *, with_racks: bool) -> list[UsableBroker]:
    brokers = [
        UsableBroker(node_id=NodeId(broker.node_id), rack=broker.rack if with_racks else None, is_live=True)
        for broker in await cluster.brokers()
        if broker.node_id in chosen
    ]
    rackless = sum(broker.rack is None for broker in brokers)
    if with_racks and 0 < rackless < len(brokers):
        raise Failed(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack "
            "information."
        )
    return brokers


def _proposed(
    topics: Sequence[str], current: Mapping[TopicPartition, Sequence[int]], brokers: Sequence[UsableBroker]
) -> dict[TopicPartition, Sequence[int]]:
    rng = random.Random()
    proposed: dict[TopicPartition, Sequence[int]] = {}
    for topic in topics:
        partitions = sorted(partition for partition in current if partition.topic == topic)
        try:
            placed = place(brokers, partition_count=len(partitions), replication_factor=len(current[partitions[0]]), rng=rng)
        except ApiError as refusal:
            raise Failed(refusal.message.partition(" time(s): ")[2] or refusal.message) from None
        proposed.update(zip(partitions, placed, strict=True))
    return proposed
