"""AlterConfigs (33), versions 0 to 2: all settings of a resource are replaced (the older form of IncrementalAlterConfigs).

- Loggers are not among the resources (KIP-412).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.config_changes import check_change, divide, merge
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.controller.config_control import ConfigChange, Operation
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

API_KEY = 33


def handle(services: Services, request: AlterConfigsRequest, context: RequestContext, respond: Respond) -> None:
    """What passes this broker's checks is decided by the active controller; the answer names the resources in their order."""

    def decide(resource: AlterConfigsResource) -> None:
        if resource.resource_type == ResourceType.BROKER_LOGGER:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource.resource_type}")
        changes = [ConfigChange(name=each.name, operation=Operation.SET, value=each.value) for each in resource.configs]
        check_change(services, resource.resource_type, resource.resource_name, changes)

    answers, left = divide(request.resources, decide, _response)

    def decided(response: AlterConfigsResponse) -> None:
        respond(AlterConfigsResponse(throttle_time_ms=response.throttle_time_ms, responses=merge(answers, response.responses)))

    if not left:
        decided(AlterConfigsResponse())
        return
    forwarded = AlterConfigsRequest(resources=left, validate_only=request.validate_only)
    forward(services, forwarded, AlterConfigsResponse, refuse, context, decided)


def refuse(request: AlterConfigsRequest, error: ApiError, version: int) -> AlterConfigsResponse:
    """The error instead of an answer."""
    return AlterConfigsResponse(responses=[_response(resource, error) for resource in request.resources])


def _response(resource: AlterConfigsResource, error: ApiError) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        error_code=error.code,
        error_message=error.message or None,
    )
