"""Where partitions begin and end, and where a time falls in them (ListOffsets), for kafka-consumer-groups."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient, PartitionsUnavailable
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from raftkafka.tools.consumer_groups.failure import CommandFailed, raise_for, refused

EARLIEST = -2
LATEST = -1

_UNKNOWN_OFFSET = -1
_ANY_REPLICA = -1


async def log_offsets(cluster: ClusterClient, partitions: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int | None]:
    """The offset of each partition at a time, or at `EARLIEST` or `LATEST`; None where no record is as young as that."""
    if not partitions:
        return {}

    def build(its_partitions: Sequence[TopicPartition]) -> ListOffsetsRequest:
        topics: dict[str, ListOffsetsTopic] = {}
        for topic, number in its_partitions:
            entry = topics.setdefault(topic, ListOffsetsTopic(name=topic, partitions=[]))
            entry.partitions.append(ListOffsetsPartition(partition_index=number, timestamp=timestamp_ms))
        return ListOffsetsRequest(replica_id=_ANY_REPLICA, topics=list(topics.values()))

    try:
        answers = await cluster.ask_leaders(partitions, build)
    except PartitionsUnavailable as error:
        raise _missing(error) from None
    found: dict[TopicPartition, int | None] = {}
    for final, response in answers:
        of_leader = {
            TopicPartition(topic.name, partition.partition_index): partition for topic in response.topics for partition in topic.partitions
        }
        for each in final:
            raise_for(of_leader[each].error_code, wrapped=True)
            offset = of_leader[each].offset
            found[each] = None if offset == _UNKNOWN_OFFSET else offset
    return {partition: found[partition] for partition in partitions}


async def leaderless_partitions(cluster: ClusterClient, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
    """Those of the partitions that exist and have no leader now."""
    topics = list(dict.fromkeys(partition.topic for partition in partitions))
    if not topics:
        return []
    without_leader = {
        TopicPartition(topic.name or "", partition.partition_index)
        for topic in (await cluster.metadata(topics)).topics
        for partition in topic.partitions
        if partition.leader_id < 0
    }
    return [partition for partition in partitions if partition in without_leader]


def _missing(error: PartitionsUnavailable) -> CommandFailed:
    partition, code = next(iter(error.partitions.items()))
    if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        text = f"Failed to fetch metadata for partition {partition} because metadata for topic `{partition.topic}` could not be found"
        return refused(code, text, wrapped=True)
    return refused(code, wrapped=True)
