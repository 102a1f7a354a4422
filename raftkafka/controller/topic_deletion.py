"""DeleteTopics, by name or by id.

Sources: KIP-4, KIP-516 (deletion by id); `delete.topic.enable`.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_TOPIC_ID, TopicId
from raftkafka.base.observed import observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage, TopicImage
from raftkafka.metadata.records import RemoveTopicRecord
from raftkafka.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState


def decide_delete_topics(image: MetadataImage, request: DeleteTopicsRequest, settings: ControllerSettings, now_ms: int) -> Decision:
    """Removes topics with their partitions and configs; the answer leaves when all live brokers have removed them."""
    wanted = [*request.topics, *(DeleteTopicState(name=name) for name in request.topic_names)]
    results = []
    removed: dict[TopicId, TopicImage] = {}
    for state in wanted:
        result = DeletableTopicResult(name=state.name, topic_id=state.topic_id)
        results.append(result)
        try:
            topic = _find(image, state, settings)
            if topic.topic_id in removed:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name." if state.name is not None else "Duplicate topic id.")
        except ApiError as refusal:
            result.error_code, result.error_message = refusal.code, refusal.message or None
            continue
        removed[topic.topic_id] = topic
        result.name, result.topic_id = topic.name, topic.topic_id
    return Decision(
        reply=DeleteTopicsResponse(responses=results),
        records=[RemoveTopicRecord(topic_id=topic_id) for topic_id in removed],
        observed=[observed("topic-deleted", topic=topic.name) for topic in removed.values()],
        applied_by_ms=now_ms + max(request.timeout_ms, 0) if removed else None,
    )


def _find(image: MetadataImage, state: DeleteTopicState, settings: ControllerSettings) -> TopicImage:
    if not settings.delete_topic_enable:
        raise ApiError(ErrorCode.TOPIC_DELETION_DISABLED, "Topic deletion is disabled.")
    has_id = state.topic_id != NO_TOPIC_ID
    if state.name is not None and has_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, "You may not specify both topic name and topic id.")
    if state.name is None and not has_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
    if state.name is not None:
        topic = image.topics.by_name.get(state.name)
        if topic is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
        return topic
    topic = image.topics.by_id.get(TopicId(state.topic_id))
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
    return topic
