"""IncrementalAlterConfigs and AlterConfigs: dynamic configs of topics, brokers, groups and client metrics.

Each resource of a request is answered on its own and changes as a whole or not at all. A changed `min.insync.replicas` or
`unclean.leader.election.enable` is followed by the partition changes that it makes necessary, in the same decision.
Sources: KIP-226, KIP-339, KIP-966 (`min.insync.replicas` only per topic and cluster-wide); S431 ConfigurationControlManager.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.base.observed import observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.leader_changes import changes_of_policy, observe_changes
from raftkafka.controller.policy import MIN_INSYNC_REPLICAS, UNCLEAN_LEADER_ELECTION
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.config_checks import (
    check_broker_configs,
    check_client_metrics_configs,
    check_group_configs,
    check_topic_configs,
)
from raftkafka.metadata.config_defs import (
    CLIENT_METRICS_DEFS,
    GROUP_DEFS,
    TOPIC_DEFS,
    ConfigDef,
    ConfigType,
    canonical_text,
    dynamic_broker_def,
)
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import ConfigRecord, Record
from raftkafka.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from raftkafka.protocol.messages.alter_configs import AlterConfigsResourceResponse as LegacyResourceResponse
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

MAX_VALUE_BYTES = 32_767


class Operation(enum.IntEnum):
    """What an incremental change does to a config."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@attrs.frozen(kw_only=True)
class ConfigChange:
    """A config of a resource as the request wants it."""

    name: str
    operation: int
    value: str | None


def decide_incremental_alter_configs(
    image: MetadataImage, request: IncrementalAlterConfigsRequest, settings: ControllerSettings
) -> Decision:
    """Sets, deletes, appends to or subtracts from single configs."""
    alteration = _Alteration(image)
    responses = []
    for resource in request.resources:
        changes = [ConfigChange(name=config.name, operation=config.config_operation, value=config.value) for config in resource.configs]
        refusal = alteration.add(resource.resource_type, resource.resource_name, changes)
        responses.append(
            AlterConfigsResourceResponse(
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
                error_code=ErrorCode.NONE if refusal is None else refusal.code,
                error_message=None if refusal is None else refusal.message,
            )
        )
    return alteration.decision(IncrementalAlterConfigsResponse(responses=responses), settings, validate_only=request.validate_only)


def decide_alter_configs(image: MetadataImage, request: AlterConfigsRequest, settings: ControllerSettings) -> Decision:
    """The legacy form: what is given becomes all that the resource has."""
    alteration = _Alteration(image)
    responses = []
    for resource in request.resources:
        given = {config.name for config in resource.configs}
        changes = [ConfigChange(name=config.name, operation=Operation.SET, value=config.value) for config in resource.configs]
        for name in image.configs.get(resource.resource_type, resource.resource_name):
            if name not in given and not _must_stay(resource.resource_type, resource.resource_name, name):
                changes.append(ConfigChange(name=name, operation=Operation.DELETE, value=None))
        refusal = alteration.add(resource.resource_type, resource.resource_name, changes)
        responses.append(
            LegacyResourceResponse(
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
                error_code=ErrorCode.NONE if refusal is None else refusal.code,
                error_message=None if refusal is None else refusal.message,
            )
        )
    return alteration.decision(AlterConfigsResponse(responses=responses), settings, validate_only=request.validate_only)


class _Alteration:
    """The resources of one request."""

    def __init__(self, image: MetadataImage) -> None:
        self._image = image
        self._seen: set[tuple[int, str]] = set()
        self._records: list[ConfigRecord] = []

    def add(self, resource_type: int, resource_name: str, changes: Sequence[ConfigChange]) -> ApiError | None:
        """Adds the records of one resource, or returns why not."""
        resource = (resource_type, resource_name)
        try:
            if resource in self._seen:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate resource.")
            self._seen.add(resource)
            _refuse_resource(self._image, resource_type, resource_name)
            self._records += _records_of(self._image, resource_type, resource_name, changes)
        except ApiError as refusal:
            return refusal
        return None

    def decision(self, reply: object, settings: ControllerSettings, *, validate_only: bool) -> Decision:
        if validate_only or not self._records:
            return Decision(reply=reply)
        records: list[Record] = list(self._records)
        observations = [
            observed("config-changed", resource=f"{ResourceType(r.resource_type).name.lower()}:{r.resource_name}", name=r.name)
            for r in self._records
        ]
        changed_policy = [record for record in self._records if record.name in (MIN_INSYNC_REPLICAS, UNCLEAN_LEADER_ELECTION)]
        if changed_policy:
            after, _ = self._image.apply(records, self._image.offset, self._image.epoch)
            topics = list(after.topics.by_id.values())
            if all(record.resource_type == ResourceType.TOPIC for record in changed_policy):
                topics = [after.topics.by_name[name] for name in dict.fromkeys(record.resource_name for record in changed_policy)]
            changes = changes_of_policy(after, settings, topics)
            records += changes
            observations += observe_changes(after, changes)
        return Decision(reply=reply, records=records, observed=observations)


def _refuse_resource(image: MetadataImage, resource_type: int, resource_name: str) -> None:
    match resource_type:
        case ResourceType.TOPIC:
            if not resource_name:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed.")
            if resource_name not in image.topics.by_name:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{resource_name}' does not exist.")
        case ResourceType.BROKER:
            if resource_name != CLUSTER_DEFAULT and not resource_name.isdecimal():
                raise ApiError(ErrorCode.INVALID_REQUEST, "Unable to parse broker name as a base 10 number.")
            if resource_name != CLUSTER_DEFAULT and NodeId(int(resource_name)) not in image.brokers:
                raise ApiError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"No broker with id {resource_name} found.")
        case ResourceType.GROUP:
            if not resource_name:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
        case ResourceType.CLIENT_METRICS:
            if not resource_name:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty")
        case _:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unexpected resource type {resource_type}.")


def _records_of(image: MetadataImage, resource_type: int, resource_name: str, changes: Sequence[ConfigChange]) -> list[ConfigRecord]:
    current = image.configs.get(resource_type, resource_name)
    after = changed_configs(resource_type, current, changes)
    for change in changes:
        _refuse_min_isr(resource_type, resource_name, change.name, after.get(change.name))
    check_configs(resource_type, resource_name, after)
    return [
        ConfigRecord(resource_type=resource_type, resource_name=resource_name, name=name, value=after.get(name))
        for name in dict.fromkeys(change.name for change in changes)
        if current.get(name) != after.get(name)
    ]


def changed_configs(resource_type: int, current: Mapping[str, str], changes: Iterable[ConfigChange]) -> dict[str, str]:
    """All settings of a resource after these changes; refuses changes that cannot be made, whatever the values."""
    after = dict(current)
    seen: set[str] = set()
    for change in changes:
        if not change.name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "a config has no name")
        if change.name in seen:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
        seen.add(change.name)
        value = _new_value(resource_type, change, current)
        if value is None:
            after.pop(change.name, None)
        else:
            after[change.name] = value
    return after


def check_configs(resource_type: int, resource_name: str, configs: Mapping[str, str]) -> None:
    """Refuses settings that no resource of its kind may have."""
    for value in configs.values():
        if len(value.encode()) > MAX_VALUE_BYTES:
            reason = f"The configuration value cannot be added because it exceeds the maximum value size of {MAX_VALUE_BYTES} bytes."
            raise ApiError(ErrorCode.INVALID_CONFIG, reason)
    match resource_type:
        case ResourceType.TOPIC:
            check_topic_configs(configs)
        case ResourceType.BROKER:
            check_broker_configs(configs, per_broker=resource_name != CLUSTER_DEFAULT)
        case ResourceType.CLIENT_METRICS:
            check_client_metrics_configs(configs)
        case _:
            check_group_configs(configs)


def _definition(resource_type: int, name: str) -> ConfigDef | None:
    match resource_type:
        case ResourceType.TOPIC:
            return TOPIC_DEFS.get(name)
        case ResourceType.BROKER:
            return dynamic_broker_def(name)
        case ResourceType.CLIENT_METRICS:
            return CLIENT_METRICS_DEFS.get(name)
        case _:
            return GROUP_DEFS.get(name)


def _new_value(resource_type: int, change: ConfigChange, current: Mapping[str, str]) -> str | None:
    definition = _definition(resource_type, change.name)
    match change.operation:
        case Operation.SET:
            if change.value is None:
                kind = ResourceType(resource_type).name.lower()
                raise ApiError(ErrorCode.INVALID_CONFIG, f"Null value not supported for {kind} configs: {change.name}")
            return canonical_text(definition, change.value)
        case Operation.DELETE:
            return None
        case Operation.APPEND | Operation.SUBTRACT:
            if definition is None or definition.type is not ConfigType.LIST:
                verb = Operation(change.operation).name
                raise ApiError(ErrorCode.INVALID_CONFIG, f"Can't {verb} to key {change.name} because its type is not LIST.")
            old = _items(current.get(change.name, definition.default or ""))
            given = _items(change.value or "")
            if change.operation == Operation.APPEND:
                return ",".join(dict.fromkeys([*old, *given]))
            return ",".join(item for item in old if item not in given)
        case _:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"unknown config operation {change.operation}")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _must_stay(resource_type: int, resource_name: str, name: str) -> bool:
    """The cluster-wide minimum that the elections rest on is not removed by leaving it out."""
    return resource_type == ResourceType.BROKER and resource_name == CLUSTER_DEFAULT and name == MIN_INSYNC_REPLICAS


def _refuse_min_isr(resource_type: int, resource_name: str, name: str, value: str | None) -> None:
    if resource_type != ResourceType.BROKER or name != MIN_INSYNC_REPLICAS:
        return
    if resource_name != CLUSTER_DEFAULT:
        raise ApiError(ErrorCode.INVALID_CONFIG, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.")
    if value is None:
        raise ApiError(ErrorCode.INVALID_CONFIG, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")
