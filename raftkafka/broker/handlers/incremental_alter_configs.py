"""IncrementalAlterConfigs (44), versions 0 to 1: settings of topics, brokers and groups are changed one by one (KIP-339)."""

from __future__ import annotations

from raftkafka.base.errors import ApiError
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

API_KEY = 44


def handle(services: Services, request: IncrementalAlterConfigsRequest, context: RequestContext, respond: Respond) -> None:
    """The active controller decides."""
    forward(services, request, IncrementalAlterConfigsResponse, refuse, context, respond)


def refuse(request: IncrementalAlterConfigsRequest, error: ApiError, version: int) -> IncrementalAlterConfigsResponse:
    """The error instead of an answer."""
    return IncrementalAlterConfigsResponse(
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
