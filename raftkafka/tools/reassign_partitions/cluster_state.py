"""What kafka-reassign-partitions asks a cluster: moves under way, replicas, brokers, and where replicas lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from raftkafka.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from raftkafka.tools.java_errors import JavaError, exception_name, raise_refusal
from raftkafka.tools.java_order import in_hash_map_order, partition_hash
from raftkafka.tools.reassign_partitions.plan_json import Replica


@attrs.frozen(kw_only=True)
class Moving:
    """A partition whose replicas change: all of them, and which come and go."""

    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Place:
    """The log directory of a replica, and the one to which it moves; None where there is none."""

    current: str | None = None
    future: str | None = None


async def partition_reassignments(cluster: ClusterClient) -> dict[TopicPartition, Moving]:
    """All moves between brokers that are under way."""
    response = await cluster.ask_controller(ListPartitionReassignmentsRequest(topics=None))
    raise_refusal(response.error_code, response.error_message)
    return {
        TopicPartition(topic.name, each.partition_index): Moving(
            replicas=tuple(each.replicas), adding=tuple(each.adding_replicas), removing=tuple(each.removing_replicas)
        )
        for topic in response.topics
        for each in topic.partitions
    }


async def known_replicas(cluster: ClusterClient, topics: Iterable[str]) -> dict[str, dict[TopicPartition, tuple[int, ...]]]:
    """The replicas of the partitions of each topic that exists."""
    names = list(dict.fromkeys(topics))
    if not names:
        return {}
    found = {}
    for topic in (await cluster.metadata(names)).topics:
        if topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            continue
        raise_refusal(topic.error_code)
        name = topic.name or ""
        found[name] = {TopicPartition(name, each.partition_index): tuple(each.replica_nodes) for each in topic.partitions}
    return found


async def replicas_of_topics(cluster: ClusterClient, topics: Sequence[str]) -> dict[TopicPartition, tuple[int, ...]]:
    """The replicas of all partitions of topics that must exist."""
    known = await known_replicas(cluster, topics)
    for topic in topics:
        if topic not in known:
            raise JavaError(exception_name(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), f"Topic {topic} not found.")
    return {partition: replicas for topic in topics for partition, replicas in known[topic].items()}


async def replicas_of_partitions(cluster: ClusterClient, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, ...]]:
    """The replicas of partitions that must exist."""
    known = await replicas_of_topics(cluster, list(dict.fromkeys(partition.topic for partition in partitions)))
    missing = [partition for partition in partitions if partition not in known]
    if missing:
        named = ", ".join(map(str, in_hash_map_order(missing, partition_hash)))
        raise JavaError(exception_name(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), f"Unable to find partition: {named}")
    return {partition: known[partition] for partition in partitions}


async def live_brokers(cluster: ClusterClient) -> list[int]:
    """The ids of the brokers that are alive."""
    return [broker.node_id for broker in await cluster.brokers()]


async def places(cluster: ClusterClient, replicas: Iterable[Replica]) -> dict[Replica, Place]:
    """Where replicas lie, as their brokers say; a replica of a broker that is not alive lies nowhere."""
    by_broker: dict[int, list[Replica]] = {}
    for replica in replicas:
        by_broker.setdefault(replica.broker_id, []).append(replica)
    found: dict[Replica, Place] = {replica: Place() for its_replicas in by_broker.values() for replica in its_replicas}
    alive = await live_brokers(cluster) if by_broker else []
    for broker_id, its_replicas in by_broker.items():
        if broker_id not in alive:
            continue
        response = await cluster.ask(DescribeLogDirsRequest(topics=_topics(its_replicas)), broker_id)
        raise_refusal(response.error_code)
        for result in response.results:
            for topic in result.topics:
                for each in topic.partitions:
                    replica = Replica(broker_id, topic.name, each.partition_index)
                    if replica in found:
                        changed = {"future": result.log_dir} if each.is_future_key else {"current": result.log_dir}
                        found[replica] = attrs.evolve(found[replica], **changed)
    return found


async def current_directories(cluster: ClusterClient, replicas: Iterable[Replica]) -> dict[Replica, str]:
    """The log directories of replicas, of those that have one."""
    return {replica: place.current for replica, place in (await places(cluster, replicas)).items() if place.current is not None}


def _topics(replicas: Sequence[Replica]) -> list[DescribableLogDirTopic]:
    topics: dict[str, DescribableLogDirTopic] = {}
    for replica in replicas:
        topics.setdefault(replica.topic, DescribableLogDirTopic(topic=replica.topic, partitions=[])).partitions.append(replica.partition)
    return list(topics.values())
