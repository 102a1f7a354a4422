"""UnregisterBroker (64), version 0: a broker that is gone for good is forgotten."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse

API_KEY = 64


def handle(services: Services, request: UnregisterBrokerRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, UnregisterBrokerResponse, refuse, context, respond)


def refuse(request: UnregisterBrokerRequest, error: ApiError, version: int) -> UnregisterBrokerResponse:
    """The error instead of an answer."""
    return UnregisterBrokerResponse(error_code=error.code, error_message=error.message or None)
