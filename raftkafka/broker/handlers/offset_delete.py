"""OffsetDelete (47), versions 0: committed offsets are removed (KIP-496).

- Never flexible. Topics that an active member subscribes to are refused.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse

API_KEY = 47


def handle(services: Services, request: OffsetDeleteRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.offset_delete(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: OffsetDeleteRequest, error: ApiError, version: int) -> OffsetDeleteResponse:
    """The error instead of an answer."""
    return OffsetDeleteResponse(error_code=error.code)
