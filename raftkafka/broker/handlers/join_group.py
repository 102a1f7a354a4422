"""JoinGroup (11), versions 0 to 9: a member enters a group or a rebalance (classic protocol).

- From version 4 a member without an id is given one first (MEMBER_ID_REQUIRED, KIP-394); from 5 static members (KIP-345); 8 carries a
  reason; 9 can skip the assignment.
- The answer waits until all members have joined or the rebalance time-out has passed; other requests of the connection wait behind it.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse

API_KEY = 11


def handle(services: Services, request: JoinGroupRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.join_group(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: JoinGroupRequest, error: ApiError, version: int) -> JoinGroupResponse:
    """The error instead of an answer."""
    return JoinGroupResponse(error_code=error.code, member_id=request.member_id, protocol_name="" if version < 7 else None)
