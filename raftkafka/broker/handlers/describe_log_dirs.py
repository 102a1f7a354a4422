"""DescribeLogDirs (35), versions 1 to 5: what lies in the log directories of this broker, and how much space they have (KIP-113, KIP-827).

All directories are named, also empty ones; one that has failed is answered with KAFKA_STORAGE_ERROR. A log that is being moved appears
twice: where it is, and as a future replica where it is going, with the offsets that the copy still lacks. The metadata log is left out, as
Kafka does.

Not implemented: authorization.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.errors import ApiError, DiskError, ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from raftkafka.storage.log_directory import LogDirectory
from raftkafka.storage.partition_log import PartitionLog

API_KEY = 35
UNKNOWN_BYTES = -1


def handle(services: Services, request: DescribeLogDirsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers for the partitions asked for, or for all of them."""
    asked = None
    if request.topics is not None:
        asked = {TopicPartition(topic.topic, index) for topic in request.topics for index in topic.partitions}
    wanted = _all if asked is None else asked.__contains__
    results = [_result(services, directory, wanted) for directory in services.logs.placement.directories]
    respond(DescribeLogDirsResponse(error_code=0, results=results))


def refuse(request: DescribeLogDirsRequest, error: ApiError, version: int) -> DescribeLogDirsResponse:
    """The error for the whole request."""
    return DescribeLogDirsResponse(error_code=error.code, results=[])


def _all(place: TopicPartition) -> bool:
    return True


def _result(services: Services, directory: LogDirectory, wanted: Callable[[TopicPartition], bool]) -> DescribeLogDirsResult:
    logs = services.logs
    is_cordoned = logs.placement.is_cordoned(directory)
    if directory.offline_reason is not None:
        return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=directory.path, topics=[], is_cordoned=is_cordoned)
    topics: dict[str, list[DescribeLogDirsPartition]] = {}
    for key in logs.placement.keys_in(directory):
        log = logs.get(key)
        if log is not None and wanted(TopicPartition(log.topic, log.partition)):
            lag = max(0, logs.checkpointed_high_watermark(key) - log.log_end_offset)
            topics.setdefault(log.topic, []).append(_partition(log, lag=lag, is_future=False))
    for move in logs.moves:
        if move.target is directory and wanted(move.place):
            topics.setdefault(move.log.topic, []).append(_partition(move.copy, lag=max(0, move.lag), is_future=True))
    total_bytes, usable_bytes = _space(services, directory)
    return DescribeLogDirsResult(
        error_code=0,
        log_dir=directory.path,
        topics=[DescribeLogDirsTopic(name=name, partitions=partitions) for name, partitions in topics.items()],
        total_bytes=total_bytes,
        usable_bytes=usable_bytes,
        is_cordoned=is_cordoned,
    )


def _partition(log: PartitionLog, *, lag: int, is_future: bool) -> DescribeLogDirsPartition:
    return DescribeLogDirsPartition(partition_index=log.partition, partition_size=log.size_bytes, offset_lag=lag, is_future_key=is_future)


def _space(services: Services, directory: LogDirectory) -> tuple[int, int]:
    try:
        return services.logs.space(directory)
    except DiskError:
        return UNKNOWN_BYTES, UNKNOWN_BYTES
