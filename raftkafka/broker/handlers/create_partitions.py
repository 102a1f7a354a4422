"""CreatePartitions (37), versions 0 to 3: a topic gets more partitions by the active controller."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult

API_KEY = 37


def handle(services: Services, request: CreatePartitionsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, CreatePartitionsResponse, refuse, context, respond)


def refuse(request: CreatePartitionsRequest, error: ApiError, version: int) -> CreatePartitionsResponse:
    """The error instead of an answer."""
    return CreatePartitionsResponse(
        results=[
            CreatePartitionsTopicResult(name=topic.name, error_code=error.code, error_message=error.message or None)
            for topic in request.topics
        ]
    )
