"""DeleteGroups (42), versions 0 to 3: empty groups are removed with their offsets."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse

API_KEY = 42


def handle(services: Services, request: DeleteGroupsRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.delete_groups(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: DeleteGroupsRequest, error: ApiError, version: int) -> DeleteGroupsResponse:
    """The error instead of an answer."""
    return DeleteGroupsResponse(results=[DeletableGroupResult(group_id=name, error_code=error.code) for name in request.groups_names])
