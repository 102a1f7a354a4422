"""AlterReplicaLogDirs (34), versions 1 to 2: moves replicas of this broker to other log directories (KIP-113).

The answer says that a move has begun; DescribeLogDirs shows how far it is. LOG_DIR_NOT_FOUND when this broker has no such directory,
KAFKA_STORAGE_ERROR when it, or the log, is offline. A partition that this broker has no replica of is answered with
REPLICA_NOT_AVAILABLE, and its directory is remembered: a replica that comes later (a reassignment does that) is created there.

Not implemented: authorization.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)

API_KEY = 34


def handle(services: Services, request: AlterReplicaLogDirsRequest, context: RequestContext, respond: Respond) -> None:
    """Begins the moves; each partition is answered for itself."""
    respond(_response(request, lambda place, path: _moved(services, place, path)))


def refuse(request: AlterReplicaLogDirsRequest, error: ApiError, version: int) -> AlterReplicaLogDirsResponse:
    """The error for every partition."""
    return _response(request, lambda place, path: error.code)


def _response(request: AlterReplicaLogDirsRequest, answer: Callable[[TopicPartition, str], ErrorCode]) -> AlterReplicaLogDirsResponse:
    """Grouped by topic, in the order of the request."""
    topics: dict[str, list[AlterReplicaLogDirPartitionResult]] = {}
    for directory in request.dirs:
        for topic in directory.topics:
            for index in topic.partitions:
                code = answer(TopicPartition(topic.name, index), directory.path)
                topics.setdefault(topic.name, []).append(AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code))
    return AlterReplicaLogDirsResponse(
        results=[AlterReplicaLogDirTopicResult(topic_name=name, partitions=partitions) for name, partitions in topics.items()]
    )


def _moved(services: Services, place: TopicPartition, path: str) -> ErrorCode:
    try:
        services.logs.move(place, path)
    except ApiError as error:
        return error.code
    return ErrorCode.NONE
