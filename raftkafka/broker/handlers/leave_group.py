"""LeaveGroup (13), versions 0 to 5: members leave at once instead of by time-out.

- From version 3 several members are named, also static ones by their instance id (KIP-345).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

API_KEY = 13


def handle(services: Services, request: LeaveGroupRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.leave_group(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: LeaveGroupRequest, error: ApiError, version: int) -> LeaveGroupResponse:
    """The error instead of an answer."""
    return LeaveGroupResponse(error_code=error.code)
