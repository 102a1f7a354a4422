"""CreateTopics (19), versions 2 to 7: topics are created by the active controller.

- The answer leaves when all live brokers have applied the new topics: a client may use them at once.
- `validate_only` checks everything and creates nothing.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse

API_KEY = 19


def handle(services: Services, request: CreateTopicsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, CreateTopicsResponse, refuse, context, respond)


def refuse(request: CreateTopicsRequest, error: ApiError, version: int) -> CreateTopicsResponse:
    """The error instead of an answer."""
    return CreateTopicsResponse(
        topics=[
            CreatableTopicResult(name=topic.name, error_code=error.code, error_message=error.message or None) for topic in request.topics
        ]
    )
