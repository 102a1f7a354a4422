"""DeleteRecords (21), versions 0 to 2: the records before an offset are deleted, in the partitions that this broker leads.

- An offset of -1 means the high watermark; one above it is OFFSET_OUT_OF_RANGE.
- Answered when every live replica has moved the start of its log, with the lowest of them, or with REQUEST_TIMED_OUT after `timeout_ms`.
- Topics of coordinators are refused with INVALID_TOPIC_EXCEPTION, topics that are only compacted with POLICY_VIOLATION.
- The bytes go with the segment that holds them, when retention is next looked at; consumers do not see them from the answer on.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.broker.topic_creation import is_internal
from raftkafka.protocol.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from raftkafka.replication.delete_records import UNKNOWN_LOW_WATERMARK, DeletedRecords

API_KEY = 21


def handle(services: Services, request: DeleteRecordsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers now, or when the followers have followed."""
    topics: list[DeleteRecordsTopicResult] = []
    entries: list[tuple[PartitionKey, int]] = []
    waiting: list[DeleteRecordsPartitionResult] = []
    for topic in request.topics:
        results = []
        image = services.image.topics.by_name.get(topic.name)
        for partition in topic.partitions:
            result = _result(partition.partition_index)
            results.append(result)
            if image is None or partition.partition_index not in image.partitions:
                result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif is_internal(topic.name):
                result.error_code = ErrorCode.INVALID_TOPIC_EXCEPTION
            else:
                entries.append((PartitionKey(image.topic_id, partition.partition_index), partition.offset))
                waiting.append(result)
        topics.append(DeleteRecordsTopicResult(name=topic.name, partitions=results))

    def done(deleted: list[DeletedRecords]) -> None:
        for result, each in zip(waiting, deleted, strict=True):
            result.error_code = each.error_code
            result.low_watermark = UNKNOWN_LOW_WATERMARK if each.error_code else each.low_watermark
        respond(DeleteRecordsResponse(topics=topics))

    services.replicas.delete_records(entries, timeout_ms=request.timeout_ms, now_ms=context.now_ms, done=done)


def refuse(request: DeleteRecordsRequest, error: ApiError, version: int) -> DeleteRecordsResponse:
    """The error for every partition."""
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(name=topic.name, partitions=[_result(each.partition_index, error.code) for each in topic.partitions])
            for topic in request.topics
        ]
    )


def _result(partition_index: int, error_code: int = ErrorCode.NONE) -> DeleteRecordsPartitionResult:
    return DeleteRecordsPartitionResult(partition_index=partition_index, low_watermark=UNKNOWN_LOW_WATERMARK, error_code=error_code)
