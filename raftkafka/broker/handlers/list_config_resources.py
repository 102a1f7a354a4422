"""ListConfigResources (74), versions 0 to 1: the names of the resources that have settings (KIP-1000, KIP-1142).

- Version 0 knows client metrics only. From 1 on the request names the types, or none for all: groups and client metrics that have
  settings, every registered broker (itself and its loggers), every topic.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.list_config_resources import ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse

API_KEY = 74
LISTED_TYPES = (ResourceType.GROUP, ResourceType.CLIENT_METRICS, ResourceType.BROKER_LOGGER, ResourceType.BROKER, ResourceType.TOPIC)
"""In the order of the answer."""


def handle(services: Services, request: ListConfigResourcesRequest, context: RequestContext, respond: Respond) -> None:
    """Answers from the image."""
    if context.api_version == 0:
        wanted = [int(ResourceType.CLIENT_METRICS)]
    else:
        wanted = request.resource_types or [int(each) for each in LISTED_TYPES]
    for resource_type in wanted:
        if resource_type not in LISTED_TYPES:
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"resources of type {resource_type} are not listed")
    resources = [
        ConfigResource(resource_type=resource_type, resource_name=name)
        for resource_type in LISTED_TYPES
        if resource_type in wanted
        for name in _names(services, resource_type)
    ]
    respond(ListConfigResourcesResponse(config_resources=resources))


def refuse(request: ListConfigResourcesRequest, error: ApiError, version: int) -> ListConfigResourcesResponse:
    """The error instead of an answer."""
    return ListConfigResourcesResponse(error_code=error.code)


def _names(services: Services, resource_type: ResourceType) -> list[str]:
    image = services.image
    match resource_type:
        case ResourceType.TOPIC:
            return sorted(image.topics.by_name)
        case ResourceType.BROKER | ResourceType.BROKER_LOGGER:
            return [str(node_id) for node_id in sorted(image.brokers)]
        case _:
            return sorted(name for kind, name in image.configs.by_resource if kind == resource_type)
