"""OffsetCommit (8), versions 2 to 10: a group commits offsets.

- The answer leaves when the offsets are replicated. Version 10 names topics by id.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

API_KEY = 8


def handle(services: Services, request: OffsetCommitRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.offset_commit(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: OffsetCommitRequest, error: ApiError, version: int) -> OffsetCommitResponse:
    """The error instead of an answer."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=error.code)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
