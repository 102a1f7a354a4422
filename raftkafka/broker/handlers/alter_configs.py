"""AlterConfigs (33), versions 0 to 2: all settings of a resource are replaced (the older form of IncrementalAlterConfigs)."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse

API_KEY = 33


def handle(services: Services, request: AlterConfigsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, AlterConfigsResponse, refuse, context, respond)


def refuse(request: AlterConfigsRequest, error: ApiError, version: int) -> AlterConfigsResponse:
    """The error instead of an answer."""
    return AlterConfigsResponse(
        responses=[
            AlterConfigsResourceResponse(
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
                error_code=error.code,
                error_message=error.message or None,
            )
            for resource in request.resources
        ]
    )
