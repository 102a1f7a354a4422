"""DescribeTopicPartitions (75), version 0: topics with ISR, ELR and last known leaders, page by page (KIP-966).

- Topics come in the order of their names; `response_partition_limit` (at most `max.request.partition.size.limit`) bounds a page, and the
  cursor says where the next begins. An empty list asks for all topics. kafka-topics --describe uses this API.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE
from raftkafka.broker.authorized_operations import TOPIC_OPERATIONS
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.broker.topic_creation import is_internal
from raftkafka.metadata.topics import PartitionRegistration, TopicImage
from raftkafka.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

API_KEY = 75


def handle(services: Services, request: DescribeTopicPartitionsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers one page."""
    cursor = request.cursor
    names = sorted({topic.name for topic in request.topics} or services.image.topics.by_name)
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
    left = max(1, min(request.response_partition_limit, services.config.max_request_partition_size_limit))
    alive: set[int] = {broker.node_id for broker in services.alive_brokers()}
    response = DescribeTopicPartitionsResponse()
    for name in names:
        topic = services.image.topics.by_name.get(name)
        if topic is None:
            response.topics.append(_unknown(name))
            continue
        first = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        if left == 0:
            response.next_cursor = Cursor(topic_name=name, partition_index=first)
            break
        indexes = [index for index in sorted(topic.partitions) if index >= first]
        response.topics.append(_topic(topic, indexes[:left], alive))
        if len(indexes) > left:
            response.next_cursor = Cursor(topic_name=name, partition_index=indexes[left])
            break
        left -= len(indexes)
    respond(response)


def refuse(request: DescribeTopicPartitionsRequest, error: ApiError, version: int) -> DescribeTopicPartitionsResponse:
    """The error for every topic."""
    return DescribeTopicPartitionsResponse(
        topics=[DescribeTopicPartitionsResponseTopic(error_code=error.code, name=topic.name) for topic in request.topics]
    )


def _unknown(name: str) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name=name, is_internal=is_internal(name))


def _topic(topic: TopicImage, indexes: list[int], alive: set[int]) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=is_internal(topic.name),
        partitions=[_partition(index, topic.partitions[index], alive) for index in indexes],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _partition(index: int, partition: PartitionRegistration, alive: set[int]) -> DescribeTopicPartitionsResponsePartition:
    has_leader = partition.leader in alive
    return DescribeTopicPartitionsResponsePartition(
        error_code=ErrorCode.NONE if has_leader else ErrorCode.LEADER_NOT_AVAILABLE,
        partition_index=index,
        leader_id=partition.leader if has_leader else NO_NODE,
        leader_epoch=partition.leader_epoch,
        replica_nodes=list(partition.replicas),
        isr_nodes=list(partition.isr),
        eligible_leader_replicas=list(partition.elr),
        last_known_elr=list(partition.last_known_elr),
        offline_replicas=[replica for replica in partition.replicas if replica not in alive],
    )
