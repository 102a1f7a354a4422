"""The partitions that --topic names: `topic`, or `topic:0,1,2`."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.metadata import MetadataResponseTopic
from raftkafka.tools.consumer_groups.failure import CommandFailed, raise_for
from raftkafka.tools.errors import UsageError
from raftkafka.tools.java_errors import default_message


def split_topics(arguments: Sequence[str]) -> tuple[list[TopicPartition], list[str]]:
    """The partitions that are named one by one, and the topics that are meant as a whole; `UsageError` when a partition is none."""
    partitions: list[TopicPartition] = []
    topics: list[str] = []
    for argument in arguments:
        if ":" not in argument:
            topics.append(argument)
            continue
        parts = argument.rstrip(":").split(":")
        if len(parts) != 2:
            raise UsageError(f"Invalid topic arg '{argument}', expected topic name and partitions")
        for number in parts[1].split(","):
            if not number.isdecimal():
                raise UsageError(f"Invalid partition '{number}' specified in topic arg '{argument}''")
            partitions.append(TopicPartition(parts[0], int(number)))
    return partitions, topics


async def known_topics(cluster: ClusterClient, names: Sequence[str]) -> dict[str, MetadataResponseTopic]:
    """The topics of these names as brokers describe them, also those that do not exist (`error_code` says so)."""
    if not names:
        return {}
    return {topic.name or "": topic for topic in (await cluster.metadata(list(dict.fromkeys(names)))).topics}


async def named_partitions(cluster: ClusterClient, arguments: Sequence[str]) -> list[TopicPartition]:
    """The partitions of all --topic options; `CommandFailed` when a topic does not exist."""
    partitions, topics = split_topics(arguments)
    if "" in topics:
        raise CommandFailed("The given topic name '' cannot be represented in a request.")
    known = await known_topics(cluster, topics)
    for name in topics:
        code = known[name].error_code
        if code != ErrorCode.NONE:
            raise CommandFailed(default_message(code))
    whole = [TopicPartition(name, each.partition_index) for name in topics for each in known[name].partitions]
    return list(dict.fromkeys([*partitions, *whole]))


async def check_partitions(cluster: ClusterClient, partitions: Sequence[TopicPartition]) -> None:
    """`CommandFailed` when some of the partitions do not exist or have no leader."""
    known = await known_topics(cluster, [partition.topic for partition in partitions])
    for topic in known.values():
        raise_for(topic.error_code, wrapped=True)
    leaders = {
        TopicPartition(name, partition.partition_index): partition.leader_id
        for name, topic in known.items()
        for partition in topic.partitions
    }
    _check("do not exist", [partition for partition in partitions if partition not in leaders])
    _check("have no leader", [partition for partition in partitions if leaders[partition] < 0])


def _check(fault: str, partitions: Sequence[TopicPartition]) -> None:
    if partitions:
        raise CommandFailed(f'The partitions "{",".join(map(str, partitions))}" {fault}')
