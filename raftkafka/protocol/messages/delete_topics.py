"""DeleteTopics (key 20), versions 1 to 6."""

from __future__ import annotations

from raftkafka.protocol.schema import INT16, INT32, STRING, UUID, array, field, message, struct


@struct
class DeleteTopicState:
    name: str | None = field(STRING, "6+", nullable="6+", default=None)
    topic_id: bytes = field(UUID, "6+")


@message("1-6", flexible="4+")
class DeleteTopicsRequest:
    topics: list[DeleteTopicState] = field(array(DeleteTopicState), "6+")
    topic_names: list[str] = field(array(STRING), "0-5")
    timeout_ms: int = field(INT32, "0+")


@struct
class DeletableTopicResult:
    name: str | None = field(STRING, "0+", nullable="6+")
    topic_id: bytes = field(UUID, "6+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "5+", nullable="5+", default=None)


@message("1-6", flexible="4+")
class DeleteTopicsResponse:
    throttle_time_ms: int = field(INT32, "1+")
    responses: list[DeletableTopicResult] = field(array(DeletableTopicResult), "0+")
