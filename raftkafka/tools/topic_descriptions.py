"""What kafka-topics shows: the list of topics, and their partitions with leaders, replicas, ISR and ELR.

Topics, and the settings of a topic, are shown in the order in which Apache's tool shows them, which is that of a hash table.

Sources: KIP-966 (DescribeTopicPartitions, ELR); KIP-455 (reassignments); the lines are those of kafka-topics of Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import ZERO_ID, TopicPartition, id_to_text
from raftkafka.client.cluster import ClusterClient, Unsupported
from raftkafka.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult
from raftkafka.protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest, TopicRequest
from raftkafka.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
    OngoingPartitionReassignment,
)
from raftkafka.tools.java_errors import ILLEGAL_ARGUMENT, JavaError, raise_refusal
from raftkafka.tools.java_order import in_hash_map_order, string_hash
from raftkafka.tools.options import Options
from raftkafka.tools.topic_filter import INTERNAL_TOPICS, TopicFilter

DEFAULT_PARTITION_LIMIT = 2000
_DESCRIBE_TOPIC_PARTITIONS_KEY = 75
_TOPIC_RESOURCE = 2
_DEFAULT_CONFIG = 5
_REPORTS = ("under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions")


@attrs.frozen(kw_only=True)
class PartitionDescription:
    """One partition. `leader_id` is None without a leader, `elr` and `last_known_elr` None when the broker does not tell them."""

    partition: int
    leader_id: int | None
    replicas: Sequence[int]
    isr: Sequence[int]
    elr: Sequence[int] | None = None
    last_known_elr: Sequence[int] | None = None


@attrs.frozen(kw_only=True)
class TopicDescription:
    """One topic with its partitions in order."""

    name: str
    topic_id: bytes
    partitions: Sequence[PartitionDescription]


async def topic_names(cluster: ClusterClient, *, exclude_internal: bool = False) -> list[str]:
    """The names of all topics, sorted."""
    metadata = await cluster.metadata()
    return sorted(topic.name or "" for topic in metadata.topics if not (exclude_internal and topic.name in INTERNAL_TOPICS))


async def matching_topics(cluster: ClusterClient, options: Options) -> list[str]:
    """The topics that `--topic` means, all without it; refuses when there is none, unless `--if-exists` is given."""
    exclude_internal = options.has("exclude-internal")
    names = await topic_names(cluster, exclude_internal=exclude_internal)
    expression = options.text("topic")
    if expression is None:
        return names
    wanted = TopicFilter(expression)
    found = [name for name in names if wanted.allows(name, exclude_internal=exclude_internal)]
    if expression and not found and not options.has("if-exists") and not options.has("list"):
        raise JavaError(ILLEGAL_ARGUMENT, f"Topic '{expression}' does not exist as expected")
    return found


async def list_topics(cluster: ClusterClient, options: Options) -> None:
    """Prints the names, one a line; an empty line when there is none."""
    print("\n".join(await matching_topics(cluster, options)))


async def describe_topics(cluster: ClusterClient, options: Options) -> None:
    """Prints a line for each topic and one for each of its partitions, or only those that a report asks for."""
    limit = options.number("partition-size-limit-per-response") or DEFAULT_PARTITION_LIMIT
    topics = await descriptions_of(cluster, await _topics_to_describe(cluster, options), partition_limit=limit)
    configs = await _configs_of(cluster, [topic.name for topic in topics])
    live = {broker.broker_id for broker in (await cluster.cluster()).brokers}
    moving = await _reassignments_of(cluster, topics)
    report_only = any(options.has(report) for report in _REPORTS)
    by_name = {topic.name: topic for topic in topics}
    copied = int(len(topics) / 0.75 + 1)  # The capacity of a HashMap that is a copy of another.
    for topic in (by_name[name] for name in in_hash_map_order(by_name, string_hash, capacity=copied)):
        its_configs = configs[topic.name]
        overridden = any(each.config_source != _DEFAULT_CONFIG for each in its_configs)
        if not report_only and (overridden or not options.has("topics-with-overrides")):
            print(_topic_line(topic, its_configs, moving))
        if options.has("topics-with-overrides"):
            continue
        for partition in topic.partitions:
            its_move = moving.get(TopicPartition(topic.name, partition.partition))
            if not report_only or _is_reported(options, partition, its_move, _min_isr(its_configs), live):
                print(_partition_line(topic.name, partition, its_move))


async def descriptions_of(
    cluster: ClusterClient, topics: Sequence[str], *, partition_limit: int = DEFAULT_PARTITION_LIMIT
) -> list[TopicDescription]:
    """The topics of these names in their order; a refusal when one is gone."""
    if not topics:
        return []
    if not cluster.serves(_DESCRIBE_TOPIC_PARTITIONS_KEY):
        return await _descriptions_from_metadata(cluster, topics)
    live = {broker.node_id for broker in await cluster.brokers()}
    found: dict[str, tuple[bytes, list[PartitionDescription]]] = {}
    request = DescribeTopicPartitionsRequest(topics=[TopicRequest(name=name) for name in topics], response_partition_limit=partition_limit)
    while True:
        response = await cluster.ask(request)
        for topic in response.topics:
            raise_refusal(topic.error_code)
            partitions = found.setdefault(topic.name, (topic.topic_id, []))[1]
            partitions.extend(
                PartitionDescription(
                    partition=each.partition_index,
                    leader_id=each.leader_id if each.leader_id in live else None,
                    replicas=each.replica_nodes,
                    isr=each.isr_nodes,
                    elr=each.eligible_leader_replicas,
                    last_known_elr=each.last_known_elr,
                )
                for each in topic.partitions
            )
        cursor = response.next_cursor
        if cursor is None:
            break
        left = [name for name in topics if name >= cursor.topic_name]
        request = DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name=name) for name in left], response_partition_limit=partition_limit, cursor=cursor
        )
    return [_sorted(name, *found[name]) for name in topics if name in found]


async def _descriptions_from_metadata(cluster: ClusterClient, topics: Sequence[str]) -> list[TopicDescription]:
    metadata = await cluster.metadata(topics)
    live = {broker.node_id for broker in metadata.brokers}
    described = {}
    for topic in metadata.topics:
        raise_refusal(topic.error_code)
        partitions = [
            PartitionDescription(
                partition=each.partition_index,
                leader_id=each.leader_id if each.leader_id in live else None,
                replicas=each.replica_nodes,
                isr=each.isr_nodes,
            )
            for each in topic.partitions
        ]
        described[topic.name] = _sorted(topic.name or "", topic.topic_id, partitions)
    return [described[name] for name in topics if name in described]


def _sorted(name: str, topic_id: bytes, partitions: list[PartitionDescription]) -> TopicDescription:
    return TopicDescription(name=name, topic_id=topic_id, partitions=sorted(partitions, key=lambda each: each.partition))


async def _topics_to_describe(cluster: ClusterClient, options: Options) -> list[str]:
    wanted = options.text("topic-id")
    if wanted is None or wanted == id_to_text(ZERO_ID):
        return await matching_topics(cluster, options)
    metadata = await cluster.metadata()
    found = [topic.name or "" for topic in metadata.topics if id_to_text(topic.topic_id) == wanted]
    if not found and not options.has("if-exists"):
        raise JavaError(ILLEGAL_ARGUMENT, f"TopicId '{wanted}' does not exist as expected")
    return found


async def _configs_of(cluster: ClusterClient, topics: Sequence[str]) -> dict[str, list[DescribeConfigsResourceResult]]:
    if not topics:
        return {}
    resources = [DescribeConfigsResource(resource_type=_TOPIC_RESOURCE, resource_name=name, configuration_keys=None) for name in topics]
    response = await cluster.ask(DescribeConfigsRequest(resources=resources))
    for result in response.results:
        raise_refusal(result.error_code, result.error_message)
    return {result.resource_name: _in_order(result.configs) for result in response.results}


def _in_order(configs: Sequence[DescribeConfigsResourceResult]) -> list[DescribeConfigsResourceResult]:
    by_name = {each.name: each for each in configs}
    return [by_name[name] for name in in_hash_map_order(by_name, string_hash)]


async def _reassignments_of(
    cluster: ClusterClient, topics: Sequence[TopicDescription]
) -> dict[TopicPartition, OngoingPartitionReassignment]:
    """The partitions that are being moved; none when the broker cannot tell."""
    request = ListPartitionReassignmentsRequest(
        topics=[
            ListPartitionReassignmentsTopics(name=topic.name, partition_indexes=[each.partition for each in topic.partitions])
            for topic in topics
        ]
    )
    try:
        response = await cluster.ask_controller(request)
    except Unsupported:
        return {}
    if response.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
        return {}
    raise_refusal(response.error_code, response.error_message)
    return {TopicPartition(topic.name, partition.partition_index): partition for topic in response.topics for partition in topic.partitions}


def _topic_line(
    topic: TopicDescription,
    configs: Sequence[DescribeConfigsResourceResult],
    moving: Mapping[TopicPartition, OngoingPartitionReassignment],
) -> str:
    first = topic.partitions[0]
    fields = [f"Topic: {topic.name}"]
    if topic.topic_id != ZERO_ID:
        fields.append(f"TopicId: {id_to_text(topic.topic_id)}")
    fields += [
        f"PartitionCount: {len(topic.partitions)}",
        f"ReplicationFactor: {_replication_factor(first, moving.get(TopicPartition(topic.name, first.partition)))}",
        "Configs: " + ",".join(f"{each.name}={each.value}" for each in configs if each.config_source != _DEFAULT_CONFIG),
    ]
    return "\t".join(fields)


def _partition_line(topic: str, partition: PartitionDescription, move: OngoingPartitionReassignment | None) -> str:
    fields = [
        f"\tTopic: {topic}",
        f"Partition: {partition.partition}",
        f"Leader: {'none' if partition.leader_id is None else partition.leader_id}",
        f"Replicas: {_ids(partition.replicas)}",
        f"Isr: {_ids(partition.isr)}",
    ]
    if move is not None:
        fields += [f"Adding Replicas: {_ids(move.adding_replicas)}", f"Removing Replicas: {_ids(move.removing_replicas)}"]
    fields += [f"Elr: {_ids(partition.elr)}", f"LastKnownElr: {_ids(partition.last_known_elr)}"]
    return "\t".join(fields)


def _ids(ids: Sequence[int] | None) -> str:
    return "N/A" if ids is None else ",".join(str(each) for each in ids)


def _is_reported(
    options: Options, partition: PartitionDescription, move: OngoingPartitionReassignment | None, min_isr: int, live: set[int]
) -> bool:
    """Whether a report that is asked for shows the partition."""
    in_sync = len(partition.isr)
    return (
        (options.has("under-replicated-partitions") and _replication_factor(partition, move) > in_sync)
        or (options.has("unavailable-partitions") and partition.leader_id not in live)
        or (options.has("under-min-isr-partitions") and (partition.leader_id is None or in_sync < min_isr))
        or (options.has("at-min-isr-partitions") and in_sync == min_isr)
    )


def _replication_factor(partition: PartitionDescription, move: OngoingPartitionReassignment | None) -> int:
    """The number of replicas; while they move, the number that there will be without those being added."""
    if move is None or not set(partition.replicas) & {*move.adding_replicas, *move.removing_replicas}:
        return len(partition.replicas)
    return len(move.replicas) - len(move.adding_replicas)


def _min_isr(configs: Sequence[DescribeConfigsResourceResult]) -> int:
    return next((int(each.value or 1) for each in configs if each.name == "min.insync.replicas"), 1)
