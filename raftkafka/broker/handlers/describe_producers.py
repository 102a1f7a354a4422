"""DescribeProducers (61), version 0: the producers that a partition's leader remembers (KIP-664)."""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

API_KEY = 61


def handle(services: Services, request: DescribeProducersRequest, context: RequestContext, respond: Respond) -> None:
    """Answers each partition for itself."""
    topics = []
    for topic in request.topics:
        partitions = []
        for index in topic.partition_indexes:
            try:
                partitions.append(PartitionResponse(partition_index=index, active_producers=_producers(services, topic.name, index)))
            except ApiError as error:
                partitions.append(_refused(index, error))
        topics.append(TopicResponse(name=topic.name, partitions=partitions))
    respond(DescribeProducersResponse(topics=topics))


def refuse(request: DescribeProducersRequest, error: ApiError, version: int) -> DescribeProducersResponse:
    """The error for every partition."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(name=topic.name, partitions=[_refused(index, error) for index in topic.partition_indexes])
            for topic in request.topics
        ]
    )


def _producers(services: Services, name: str, index: int) -> list[ProducerState]:
    topic = services.image.topics.by_name.get(name)
    if topic is None or index not in topic.partitions:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {name}-{index}")
    return [
        ProducerState(
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            last_sequence=producer.last_sequence,
            last_timestamp=producer.last_timestamp_ms,
            coordinator_epoch=producer.coordinator_epoch,
            current_txn_start_offset=-1 if producer.current_txn_first_offset is None else producer.current_txn_first_offset,
        )
        for producer in services.replicas.describe_producers(PartitionKey(topic.topic_id, index))
    ]


def _refused(index: int, error: ApiError) -> PartitionResponse:
    return PartitionResponse(partition_index=index, error_code=error.code, error_message=error.message or None)
