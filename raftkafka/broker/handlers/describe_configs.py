"""DescribeConfigs (32), versions 1 to 4: the settings of topics and brokers with where each value comes from (KIP-226, KIP-569).

- Resource types: TOPIC (2), BROKER (4; the broker itself answers for its own file; an empty name means the cluster-wide defaults),
  GROUP (32; settings that were given). Values of sensitive keys are null.
Not implemented: BROKER_LOGGER (8) and CLIENT_METRICS (16) are refused with INVALID_REQUEST; documentation texts are null.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.metadata.config_layers import BrokerLayers, DescribedConfig, describe_broker, describe_cluster_defaults, describe_topic
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

API_KEY = 32


def handle(services: Services, request: DescribeConfigsRequest, context: RequestContext, respond: Respond) -> None:
    """Answers each resource for itself."""
    results = []
    for resource in request.resources:
        try:
            described = _describe(services, resource)
            configs = [_config(config, synonyms=request.include_synonyms) for config in described]
            results.append(_result(resource, configs=configs))
        except ApiError as error:
            results.append(_result(resource, error=error))
    respond(DescribeConfigsResponse(results=results))


def refuse(request: DescribeConfigsRequest, error: ApiError, version: int) -> DescribeConfigsResponse:
    """The error for every resource."""
    return DescribeConfigsResponse(results=[_result(resource, error=error) for resource in request.resources])


def broker_layers(services: Services) -> BrokerLayers:
    """The settings of this broker by layer."""
    configs = services.image.configs
    return BrokerLayers(
        dynamic=configs.get(ResourceType.BROKER, str(services.node_id)),
        cluster=configs.get(ResourceType.BROKER, ""),
        static=services.config.static,
    )


def _describe(services: Services, resource: DescribeConfigsResource) -> Sequence[DescribedConfig]:
    names = resource.configuration_keys
    name = resource.resource_name
    configs = services.image.configs
    if resource.resource_type == ResourceType.TOPIC:
        if name not in services.image.topics.by_name:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
        return describe_topic(configs.get(ResourceType.TOPIC, name), broker_layers(services), names=names)
    if resource.resource_type == ResourceType.BROKER:
        if name == "":
            return describe_cluster_defaults(configs.get(ResourceType.BROKER, ""), names=names)
        if name != str(services.node_id):
            raise ApiError(ErrorCode.INVALID_REQUEST, f"broker {services.node_id} cannot describe the settings of broker {name}")
        return describe_broker(broker_layers(services), names=names)
    raise ApiError(ErrorCode.INVALID_REQUEST, f"settings of resource type {resource.resource_type} are not kept by this version")


def _config(config: DescribedConfig, *, synonyms: bool) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=config.name,
        value=config.value,
        read_only=config.read_only,
        config_source=config.source,
        is_sensitive=config.sensitive,
        synonyms=[DescribeConfigsSynonym(name=s.name, value=s.value, source=s.source) for s in config.synonyms] if synonyms else [],
        config_type=config.type,
        documentation=None,
    )


def _result(
    resource: DescribeConfigsResource, *, configs: list[DescribeConfigsResourceResult] | None = None, error: ApiError | None = None
) -> DescribeConfigsResult:
    return DescribeConfigsResult(
        error_code=error.code if error is not None else ErrorCode.NONE,
        error_message=error.message if error is not None else None,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=configs or [],
    )
