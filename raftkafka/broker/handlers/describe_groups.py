"""DescribeGroups (15), versions 0 to 6: state, members and assignments of groups.

- Version 6 answers GROUP_ID_NOT_FOUND where older ones showed a dead group (KIP-1043).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse

API_KEY = 15


def handle(services: Services, request: DescribeGroupsRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.describe_groups(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: DescribeGroupsRequest, error: ApiError, version: int) -> DescribeGroupsResponse:
    """The error instead of an answer."""
    return DescribeGroupsResponse(groups=[DescribedGroup(group_id=group_id, error_code=error.code) for group_id in request.groups])
