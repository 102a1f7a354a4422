"""Heartbeat (12), versions 0 to 4: a member says that it lives; the answer says whether a rebalance is under way."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

API_KEY = 12


def handle(services: Services, request: HeartbeatRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.heartbeat(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: HeartbeatRequest, error: ApiError, version: int) -> HeartbeatResponse:
    """The error instead of an answer."""
    return HeartbeatResponse(error_code=error.code)
