"""Settings of topics, brokers, groups, client metrics and loggers: shown with where each value comes from, set and deleted."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ApiError
from raftkafka.client.cluster import ClusterClient, Unsupported
from raftkafka.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult
from raftkafka.protocol.messages.incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from raftkafka.protocol.messages.list_config_resources import ListConfigResourcesRequest
from raftkafka.protocol.messages.list_groups import ListGroupsRequest
from raftkafka.tools.configs.entities import BROKER_LOGGERS, BROKERS, CLIENT_METRICS, GROUPS, TOPICS, Entities
from raftkafka.tools.configs.settings_text import Change
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import raise_refusal
from raftkafka.tools.java_order import in_hash_map_order, string_hash

_RESOURCE_TYPES = {TOPICS: 2, BROKERS: 4, BROKER_LOGGERS: 8, CLIENT_METRICS: 16, GROUPS: 32}
_SOURCES = (
    "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG",
    "DYNAMIC_BROKER_LOGGER_CONFIG",
    "DYNAMIC_CLIENT_METRICS_CONFIG",
    "DYNAMIC_GROUP_CONFIG",
)
_DYNAMIC_SOURCES = {TOPICS: 1, BROKERS: 2, CLIENT_METRICS: 7, GROUPS: 8}
_DYNAMIC_DEFAULT_BROKER_CONFIG = 3
_SET, _DELETE = 0, 1


async def describe_resources(cluster: ClusterClient, entities: Entities, *, with_all: bool) -> None:
    """Prints the settings of the named entity, or of all of its type: those that were set dynamically, or all."""
    entity_type = entities.first_type
    if not entities.names:
        names = await _all_names(cluster, entity_type)
    else:
        names = [entities.names[0]]
        if not with_all and not await _exists(cluster, entity_type, names[0]):
            print(f"The {entity_type[:-1]} '{names[0]}' doesn't exist and doesn't have dynamic config.")
            return
    for name in names:
        if name or entity_type != BROKERS:
            print(f"{'All' if with_all else 'Dynamic'} configs for {entity_type[:-1]} {name} are:")
        else:
            print(f"Default configs for {entity_type} in the cluster are:")
        for entry in await _settings(cluster, entity_type, name, with_all=with_all):
            print(_line(entry))


async def alter_resource(cluster: ClusterClient, entity_type: str, name: str, change: Change) -> None:
    """Sets and deletes settings of one entity."""
    if entity_type == BROKER_LOGGERS:
        await _check_loggers(cluster, name, change)
    configs = [AlterableConfig(name=key, config_operation=_SET, value=value) for key, value in change.added.items()]
    configs += [AlterableConfig(name=key, config_operation=_DELETE, value="") for key in change.deleted]
    resource = AlterConfigsResource(resource_type=_RESOURCE_TYPES[entity_type], resource_name=name, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[resource])
    try:
        broker_id = _broker_of(entity_type, name)
        response = await (cluster.ask_controller(request) if broker_id is None else cluster.ask(request, broker_id))
    except Unsupported:
        raise ToolError(
            "The INCREMENTAL_ALTER_CONFIGS API is not supported by the cluster. The API is supported starting from version 2.3.0. You may "
            "want to use an older version of this tool to interact with your cluster, or upgrade your brokers to version 2.3.0 or newer to "
            "avoid this error."
        ) from None
    for result in response.responses:
        raise_refusal(result.error_code, result.error_message)


def _line(entry: DescribeConfigsResourceResult) -> str:
    synonyms = ", ".join(f"{_source(each.source)}:{each.name}={_value(each.value)}" for each in entry.synonyms)
    return f"  {entry.name}={_value(entry.value)} sensitive={str(entry.is_sensitive).lower()} synonyms={{{synonyms}}}"


def _value(value: str | None) -> str:
    return "null" if value is None else value


def _source(number: int) -> str:
    return _SOURCES[number] if 0 <= number < len(_SOURCES) else _SOURCES[0]


def _broker_of(entity_type: str, name: str) -> int | None:
    """The broker that alone knows and checks these settings; None when any does."""
    return int(name) if name and entity_type in (BROKERS, BROKER_LOGGERS) else None


async def _settings(cluster: ClusterClient, entity_type: str, name: str, *, with_all: bool) -> list[DescribeConfigsResourceResult]:
    resource = DescribeConfigsResource(resource_type=_RESOURCE_TYPES[entity_type], resource_name=name, configuration_keys=None)
    request = DescribeConfigsRequest(resources=[resource], include_synonyms=True)
    response = await cluster.ask(request, _broker_of(entity_type, name))
    found: list[DescribeConfigsResourceResult] = []
    for result in response.results:
        raise_refusal(result.error_code, result.error_message)
        found.extend(result.configs)
    source = _DYNAMIC_DEFAULT_BROKER_CONFIG if entity_type == BROKERS and not name else _DYNAMIC_SOURCES.get(entity_type)
    if not with_all and source is not None:
        found = [entry for entry in found if entry.config_source == source]
    return sorted(found, key=lambda entry: entry.name)


async def _check_loggers(cluster: ClusterClient, name: str, change: Change) -> None:
    known = {entry.name for entry in await _settings(cluster, BROKER_LOGGERS, name, with_all=True)}
    unknown = [key for key in (*change.deleted, *change.added) if key not in known]
    if unknown:
        raise ToolError(f"Invalid broker logger(s): {','.join(unknown)}")


# --- which there are


async def _exists(cluster: ClusterClient, entity_type: str, name: str) -> bool:
    if entity_type == TOPICS:
        _check_topic_name(name)
    return not name or name in await _all_names(cluster, entity_type)


def _check_topic_name(name: str) -> None:
    from raftkafka.controller.topic_control import refuse_topic_name

    try:
        refuse_topic_name(name)
    except ApiError as refusal:
        raise ToolError(refusal.message) from None


async def _all_names(cluster: ClusterClient, entity_type: str) -> Sequence[str]:
    if entity_type == TOPICS:
        return await _topics(cluster)
    if entity_type in (BROKERS, BROKER_LOGGERS):
        return [*(str(broker.node_id) for broker in await cluster.brokers()), ""]
    configured = await _configured(cluster, entity_type)
    return configured if entity_type != GROUPS else list(dict.fromkeys([*await _groups(cluster), *configured]))


async def _topics(cluster: ClusterClient) -> list[str]:
    return in_hash_map_order([topic.name or "" for topic in (await cluster.metadata()).topics], string_hash)


async def _groups(cluster: ClusterClient) -> list[str]:
    names: dict[str, None] = {}
    for broker in await cluster.brokers():
        response = await cluster.ask(ListGroupsRequest(), broker.node_id)
        raise_refusal(response.error_code)
        names.update(dict.fromkeys(group.group_id for group in response.groups))
    return in_hash_map_order(names, string_hash)


async def _configured(cluster: ClusterClient, entity_type: str) -> list[str]:
    """The entities that have dynamic settings, by the cluster's own list; none where a broker does not have such a list."""
    try:
        response = await cluster.ask(ListConfigResourcesRequest(resource_types=[_RESOURCE_TYPES[entity_type]]))
    except Unsupported:
        if entity_type == GROUPS:
            return []
        raise
    raise_refusal(response.error_code)
    return [each.resource_name for each in response.config_resources if each.resource_type == _RESOURCE_TYPES[entity_type]]
