"""SyncGroup (14), versions 0 to 5: a member asks for its assignment; the leader brings all of them.

- The answer waits for the leader.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

API_KEY = 14


def handle(services: Services, request: SyncGroupRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.sync_group(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: SyncGroupRequest, error: ApiError, version: int) -> SyncGroupResponse:
    """The error instead of an answer."""
    return SyncGroupResponse(error_code=error.code)
