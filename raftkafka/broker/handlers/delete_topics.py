"""DeleteTopics (20), versions 1 to 6: topics are deleted by the active controller, by name or (version 6) by id."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse

API_KEY = 20


def handle(services: Services, request: DeleteTopicsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, DeleteTopicsResponse, refuse, context, respond)


def refuse(request: DeleteTopicsRequest, error: ApiError, version: int) -> DeleteTopicsResponse:
    """The error instead of an answer."""
    results = [DeletableTopicResult(name=name, error_code=error.code) for name in request.topic_names]
    if version >= 6:
        results = [DeletableTopicResult(name=topic.name, topic_id=topic.topic_id, error_code=error.code) for topic in request.topics]
    return DeleteTopicsResponse(responses=results)
