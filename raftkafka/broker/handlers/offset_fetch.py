"""OffsetFetch (9), versions 1 to 10: the committed offsets of a group.

- From version 8 of several groups; version 10 names topics by id.
- `require_stable` changes nothing as long as there are no transactions.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup

API_KEY = 9


def handle(services: Services, request: OffsetFetchRequest, context: RequestContext, respond: Respond) -> None:
    """The group's coordinator decides; NOT_COORDINATOR when that is another broker."""
    services.groups.offset_fetch(request, context, respond, now_ms=context.now_ms, wall_ms=context.wall_ms)


def refuse(request: OffsetFetchRequest, error: ApiError, version: int) -> OffsetFetchResponse:
    """The error instead of an answer."""
    if version >= 8:
        groups = [OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code) for group in request.groups]
        return OffsetFetchResponse(groups=groups)
    return OffsetFetchResponse(error_code=error.code)
