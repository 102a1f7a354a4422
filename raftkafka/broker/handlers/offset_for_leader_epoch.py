"""OffsetForLeaderEpoch (23), versions 2 to 4: where a leader epoch ends in the leader's log (KIP-101, KIP-279, KIP-320).

Consumers use it to find out that the log was truncated below their position; followers truncate by the diverging epoch in Fetch instead.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)

API_KEY = 23


def handle(services: Services, request: OffsetForLeaderEpochRequest, context: RequestContext, respond: Respond) -> None:
    """Answers each partition for itself."""
    topics = []
    for topic in request.topics:
        results = []
        for partition in topic.partitions:
            try:
                results.append(_lookup(services, topic.topic, partition))
            except ApiError as error:
                results.append(EpochEndOffset(partition=partition.partition, error_code=error.code))
        topics.append(OffsetForLeaderTopicResult(topic=topic.topic, partitions=results))
    respond(OffsetForLeaderEpochResponse(topics=topics))


def refuse(request: OffsetForLeaderEpochRequest, error: ApiError, version: int) -> OffsetForLeaderEpochResponse:
    """The error for every partition."""
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[EpochEndOffset(partition=p.partition, error_code=error.code) for p in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _lookup(services: Services, name: str, asked: OffsetForLeaderPartition) -> EpochEndOffset:
    topic = services.image.topics.by_name.get(name)
    if topic is None or asked.partition not in topic.partitions:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {name}-{asked.partition}")
    epoch, end_offset = services.replicas.offset_for_leader_epoch(
        PartitionKey(topic.topic_id, asked.partition), current_leader_epoch=asked.current_leader_epoch, epoch=asked.leader_epoch
    )
    return EpochEndOffset(partition=asked.partition, leader_epoch=epoch, end_offset=end_offset)
