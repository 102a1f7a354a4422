"""IncrementalAlterConfigs (44), versions 0 to 1: settings of topics, brokers, groups and client metrics are changed one by one (KIP-339).

- A broker's own settings are changed by asking that broker; those of all brokers (no name) by asking any.
- BROKER_LOGGER changes the levels of this broker's loggers until it stops (KIP-412): `root`, `raftkafka.node`, `raftkafka.peers`,
  `raftkafka.server`.

Not implemented: other `listeners` while a broker runs (refused).
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.config_changes import change_log_levels, check_change, divide, merge
from raftkafka.broker.context import RequestContext
from raftkafka.broker.forwarding import forward
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.controller.config_control import ConfigChange
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

API_KEY = 44


def handle(services: Services, request: IncrementalAlterConfigsRequest, context: RequestContext, respond: Respond) -> None:
    """What passes this broker's checks is decided by the active controller; the answer names the resources in their order."""

    def decide(resource: AlterConfigsResource) -> AlterConfigsResourceResponse | None:
        return _response(resource) if _done_here(services, resource, validate_only=request.validate_only) else None

    answers, left = divide(request.resources, decide, _response)

    def decided(response: IncrementalAlterConfigsResponse) -> None:
        merged = merge(answers, response.responses)
        respond(IncrementalAlterConfigsResponse(throttle_time_ms=response.throttle_time_ms, responses=merged))

    if not left:
        decided(IncrementalAlterConfigsResponse())
        return
    forwarded = IncrementalAlterConfigsRequest(resources=left, validate_only=request.validate_only)
    forward(services, forwarded, IncrementalAlterConfigsResponse, refuse, context, decided)


def refuse(request: IncrementalAlterConfigsRequest, error: ApiError, version: int) -> IncrementalAlterConfigsResponse:
    """The error instead of an answer."""
    return IncrementalAlterConfigsResponse(responses=[_response(resource, error) for resource in request.resources])


def _done_here(services: Services, resource: AlterConfigsResource, *, validate_only: bool) -> bool:
    """Checks a resource; whether it is one of this broker alone, and then changed."""
    changes = [ConfigChange(name=each.name, operation=each.config_operation, value=each.value) for each in resource.configs]
    check_change(services, resource.resource_type, resource.resource_name, changes)
    if resource.resource_type != ResourceType.BROKER_LOGGER:
        return False
    change_log_levels(services.log_levels, services.node_id, resource.resource_name, changes, validate_only=validate_only)
    return True


def _response(resource: AlterConfigsResource, error: ApiError | None = None) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        error_code=ErrorCode.NONE if error is None else error.code,
        error_message=None if error is None else error.message or None,
    )
