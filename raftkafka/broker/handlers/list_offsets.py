"""ListOffsets (2), versions 1 to 11: the offset of a time stamp, of the log's start or end, or of its largest time stamp.

Timestamps: -1 latest (the high watermark, or the last stable offset for read_committed), -2 earliest, -3 (from version 7) the record with
the largest time stamp, -4 earliest local (from 8; nothing is tiered, so the log start), -5 latest tiered (from 9; none: offset -1).

Not implemented: tiered storage (-5 and -6 answer that there is nothing).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from raftkafka.replication.offset_queries import EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST_TIERED, MAX_TIMESTAMP

API_KEY = 2
_FIRST_VERSION_OF = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
"""Timestamps that older clients do not know."""


def handle(services: Services, request: ListOffsetsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers each partition for itself."""
    topics = []
    for topic in request.topics:
        seen: dict[int, int] = {}
        for partition in topic.partitions:
            seen[partition.partition_index] = seen.get(partition.partition_index, 0) + 1
        results = []
        for partition in topic.partitions:
            try:
                if seen[partition.partition_index] > 1:
                    raise ApiError(ErrorCode.INVALID_REQUEST, "the request names this partition twice")
                results.append(_lookup(services, topic.name, partition, request, context.api_version))
            except ApiError as error:
                results.append(ListOffsetsPartitionResponse(partition_index=partition.partition_index, error_code=error.code))
        topics.append(ListOffsetsTopicResponse(name=topic.name, partitions=results))
    respond(ListOffsetsResponse(topics=topics))


def refuse(request: ListOffsetsRequest, error: ApiError, version: int) -> ListOffsetsResponse:
    """The error for every partition."""
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    ListOffsetsPartitionResponse(partition_index=partition.partition_index, error_code=error.code)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _lookup(
    services: Services, name: str, partition: ListOffsetsPartition, request: ListOffsetsRequest, version: int
) -> ListOffsetsPartitionResponse:
    topic = services.image.topics.by_name.get(name)
    if topic is None or partition.partition_index not in topic.partitions:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {name}-{partition.partition_index}")
    if version < _FIRST_VERSION_OF.get(partition.timestamp, 1):
        raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"timestamp {partition.timestamp} is not of version {version}")
    found = services.replicas.list_offsets(
        PartitionKey(topic.topic_id, partition.partition_index),
        partition.timestamp,
        isolation_level=request.isolation_level,
        current_leader_epoch=partition.current_leader_epoch,
        replica_id=request.replica_id,
    )
    return ListOffsetsPartitionResponse(
        partition_index=partition.partition_index, timestamp=found.timestamp, offset=found.offset, leader_epoch=found.leader_epoch
    )
