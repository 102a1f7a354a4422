"""DescribeConfigs (32), versions 1 to 4: settings with where each value comes from (KIP-226, KIP-569).

- Resource types: TOPIC (2); BROKER (4): the broker itself answers for its own file, an empty name means the cluster-wide defaults;
  BROKER_LOGGER (8): the levels of this broker's loggers; CLIENT_METRICS (16) and GROUP (32): all keys, whether anything was set or not.
- No names of keys, or an empty list, mean all. Values of sensitive keys, and of keys that nobody knows, are null.
Not implemented: documentation texts are null.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.broker.config_changes import broker_layers, describe_log_levels
from raftkafka.broker.context import RequestContext
from raftkafka.broker.handlers.responder import Respond
from raftkafka.broker.services import Services
from raftkafka.controller.topic_control import refuse_topic_name
from raftkafka.metadata.config_defs import ConfigType
from raftkafka.metadata.config_layers import (
    ConfigSource,
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_cluster_defaults,
    describe_group,
    describe_topic,
)
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
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


def _describe(services: Services, resource: DescribeConfigsResource) -> Sequence[DescribedConfig]:
    names = resource.configuration_keys
    name = resource.resource_name
    configs = services.image.configs
    match resource.resource_type:
        case ResourceType.TOPIC:
            refuse_topic_name(name)
            if name not in services.image.topics.by_name:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return describe_topic(configs.get(ResourceType.TOPIC, name), broker_layers(services), names=names)
        case ResourceType.BROKER:
            if name == CLUSTER_DEFAULT:
                return describe_cluster_defaults(configs.get(ResourceType.BROKER, CLUSTER_DEFAULT), names=names)
            _require_this_broker(services, name, also=" or empty string,")
            return describe_broker(broker_layers(services), names=names)
        case ResourceType.BROKER_LOGGER:
            _require_this_broker(services, name, also="")
            return [_log_level(*item) for item in describe_log_levels(services.log_levels).items() if not names or item[0] in names]
        case ResourceType.CLIENT_METRICS:
            if not name:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty")
            return describe_client_metrics(configs.get(ResourceType.CLIENT_METRICS, name), names=names)
        case ResourceType.GROUP:
            if not name:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
            return describe_group(configs.get(ResourceType.GROUP, name), broker_layers(services), names=names)
        case _:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {resource.resource_type}")


def _require_this_broker(services: Services, name: str, *, also: str) -> None:
    if not name:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    if not name.removeprefix("-").isdecimal():
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}")
    if int(name) != services.node_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {services.node_id}{also} but received {name}")


def _log_level(logger: str, level: str) -> DescribedConfig:
    return DescribedConfig(
        name=logger,
        value=level,
        type=ConfigType.UNKNOWN,
        source=ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG,
        read_only=False,
        sensitive=False,
        synonyms=(),
    )


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
