"""ListGroups (16), versions 0 to 5: the groups that this broker coordinates.

- Filters by state (version 4, KIP-518) and by type (version 5, KIP-848); all groups here are classic.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse

API_KEY = 16


def handle(services: Services, request: ListGroupsRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.list_groups(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: ListGroupsRequest, error: ApiError, version: int) -> ListGroupsResponse:
    """The error instead of an answer."""
    return ListGroupsResponse(error_code=error.code)
