"""Metadata (3), versions 0 to 13: brokers, topics and who leads what.

- Version 0: an empty list asks for all topics; from version 1 null asks for all and an empty list for none.
- Topics can be asked for by id only from version 12; versions 10 and 11 carry an id that must be null (KAFKA-10774).
- An unknown topic is created when `auto.create.topics.enable` and the client allow it; the answer waits until the topic is usable.
- An answer that would name a leader whose connection to this broker has just ended waits a moment for the election (`broker.suspects`).
- A partition without a leader carries LEADER_NOT_AVAILABLE, one whose leader lacks this listener LISTENER_NOT_FOUND.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE, NO_TOPIC_ID, NodeId, TopicId
from raftkafka.broker.authorized_operations import cluster_operations, topic_operations
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.broker.topic_creation import create_topics, is_internal
from raftkafka.metadata.topics import PartitionRegistration, TopicImage
from raftkafka.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

API_KEY = 3


def handle(services: Services, request: MetadataRequest, context: RequestContext, respond: Respond) -> None:
    """Answers at once, or after the topics that had to be created exist."""
    if context.api_version < 12 and any(asked.name is None or asked.topic_id != NO_TOPIC_ID for asked in request.topics or []):
        raise ApiError(ErrorCode.INVALID_REQUEST, "topics can be asked for by id only from version 12")
    missing = _topics_to_create(services, request, context)

    def answer() -> None:
        respond(_describe(services, request, context, {}))

    if not missing:
        if request.topics and len(services.image.brokers) > 1:
            services.suspects.hold(lambda: _leaders(services, request), answer, context.now_ms)
        else:
            answer()
        return

    def created(errors: dict[str, ApiError]) -> None:
        respond(_describe(services, request, context, errors))

    create_topics(services, missing, created, now_ms=context.now_ms)


def refuse(request: MetadataRequest, error: ApiError, version: int) -> MetadataResponse:
    """From version 13 the response has an error of its own; before, each topic carries it."""
    topics = [
        MetadataResponseTopic(error_code=error.code, name=topic.name, topic_id=topic.topic_id)
        for topic in (request.topics or [])
        if topic.name is not None or version >= 12
    ]
    return MetadataResponse(topics=topics, error_code=error.code)


def _leaders(services: Services, request: MetadataRequest) -> set[NodeId]:
    """The leaders that the answer to a request for certain topics would name."""
    topics = services.image.topics
    asked = [topics.by_name.get(topic.name) if topic.name else topics.by_id.get(TopicId(topic.topic_id)) for topic in request.topics or []]
    return {partition.leader for topic in asked if topic is not None for partition in topic.partitions.values()}


def _topics_to_create(services: Services, request: MetadataRequest, context: RequestContext) -> list[str]:
    if not request.topics or not request.allow_auto_topic_creation or not services.config.auto_create_topics_enable:
        return []
    by_name = services.image.topics.by_name
    return [topic.name for topic in request.topics if topic.name is not None and topic.name not in by_name]


def _describe(services: Services, request: MetadataRequest, context: RequestContext, errors: dict[str, ApiError]) -> MetadataResponse:
    brokers = []
    for broker in services.alive_brokers():
        address = broker.endpoint(context.listener)
        if address is not None:
            brokers.append(MetadataResponseBroker(node_id=broker.node_id, host=address.host, port=address.port, rack=broker.rack))
    return MetadataResponse(
        brokers=brokers,
        cluster_id=services.cluster_id,
        cluster_authorized_operations=cluster_operations(request.include_cluster_authorized_operations),
        controller_id=_controller_id(services, brokers),
        topics=_topics(services, request, context, errors, {broker.node_id for broker in brokers}),
    )


def _controller_id(services: Services, brokers: list[MetadataResponseBroker]) -> int:
    """The active controller when it is a broker that this client can reach; else any such broker: each forwards (KIP-590)."""
    ids = [broker.node_id for broker in brokers]
    controller = services.channel.controller
    if controller in ids:
        return controller
    return ids[0] if ids else NO_NODE


def _topics(
    services: Services,
    request: MetadataRequest,
    context: RequestContext,
    errors: dict[str, ApiError],
    reachable: set[int],
) -> list[MetadataResponseTopic]:
    topics = services.image.topics
    wants_all = request.topics is None or (context.api_version == 0 and not request.topics)
    if wants_all:
        listed = [_topic(topic, reachable) for _, topic in sorted(topics.by_name.items())]
    else:
        listed = [_asked_topic(services, asked, errors, reachable) for asked in request.topics or []]
    for topic in listed:
        if topic.error_code == ErrorCode.NONE:
            topic.topic_authorized_operations = topic_operations(request.include_topic_authorized_operations)
    return listed


def _asked_topic(
    services: Services, asked: MetadataRequestTopic, errors: dict[str, ApiError], reachable: set[int]
) -> MetadataResponseTopic:
    topics = services.image.topics
    if asked.name is None:
        by_id = topics.by_id.get(TopicId(asked.topic_id))
        if by_id is None:
            return MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=asked.topic_id)
        return _topic(by_id, reachable)
    topic = topics.by_name.get(asked.name)
    if topic is not None:
        return _topic(topic, reachable)
    error = errors.get(asked.name)
    code = error.code if error is not None else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return MetadataResponseTopic(error_code=code, name=asked.name, is_internal=is_internal(asked.name))


def _topic(topic: TopicImage, reachable: set[int]) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=is_internal(topic.name),
        partitions=[_partition(index, partition, reachable) for index, partition in sorted(topic.partitions.items())],
    )


def _partition(index: int, partition: PartitionRegistration, reachable: set[int]) -> MetadataResponsePartition:
    leader = partition.leader
    code = ErrorCode.NONE
    if leader not in reachable:
        code = ErrorCode.LEADER_NOT_AVAILABLE if leader == NO_NODE else ErrorCode.LISTENER_NOT_FOUND
        leader = NO_NODE
    return MetadataResponsePartition(
        error_code=code,
        partition_index=index,
        leader_id=leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=list(partition.replicas),
        isr_nodes=list(partition.isr),
        offline_replicas=[replica for replica in partition.replicas if replica not in reachable],
    )
