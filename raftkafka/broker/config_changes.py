"""Changes of settings as the broker that was asked sees them, before the controller does: checks that need this broker, and its log levels.

A change of a broker's own settings is checked by that broker, which knows what it runs with; Kafka's clients send it there. Log levels are
changed here and nowhere else. What is left is for the active controller.

Sources: KIP-226, KIP-412; S431 ConfigAdminManager. Codes and wording are those of a running Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.log_levels import LEVELS, LOGGERS, ROOT, LogLevels
from raftkafka.broker.services import Services
from raftkafka.controller.config_control import ConfigChange, Operation, changed_configs
from raftkafka.metadata.config_checks import check_broker_configs, check_group_bounds, check_group_configs, check_thread_counts
from raftkafka.metadata.config_layers import BrokerLayers, effective_broker_value
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType

CORDONED_LOG_DIRS = "cordoned.log.dirs"
LISTENER_KEYS = ("listeners", "listener.security.protocol.map")
AnyResource = TypeVar("AnyResource", bound="Resource")
AnyAnswer = TypeVar("AnyAnswer")
_TYPES = frozenset(int(each) for each in ResourceType if each is not ResourceType.UNKNOWN)


def broker_layers(services: Services) -> BrokerLayers:
    """The settings of this broker by layer. Its id counts as set under both names, as in Kafka."""
    configs = services.image.configs
    own_id = str(services.node_id)
    return BrokerLayers(
        dynamic=configs.get(ResourceType.BROKER, own_id),
        cluster=configs.get(ResourceType.BROKER, CLUSTER_DEFAULT),
        static={"node.id": own_id, "broker.id": own_id, **services.config.static},
    )


class Resource(Protocol):
    """What a request would change."""

    resource_type: int
    resource_name: str


def divide(
    resources: Sequence[AnyResource],
    decide: Callable[[AnyResource], AnyAnswer | None],
    refused: Callable[[AnyResource, ApiError], AnyAnswer],
) -> tuple[list[AnyAnswer | None], list[AnyResource]]:
    """What this broker answers for each resource by itself, with None where the controller decides; and the resources left for it.

    `decide` answers, gives None, or refuses. A resource that is named more than once is refused each time.
    """
    names = [(resource.resource_type, resource.resource_name) for resource in resources]
    repeated = frozenset(name for name in names if names.count(name) > 1)
    answers: list[AnyAnswer | None] = []
    left: list[AnyResource] = []
    for resource, name in zip(resources, names, strict=True):
        try:
            if name in repeated:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
            answers.append(decide(resource))
            if answers[-1] is None:
                left.append(resource)
        except ApiError as refusal:
            answers.append(refused(resource, refusal))
    return answers, left


def merge(answers: Sequence[AnyAnswer | None], decided: Sequence[AnyAnswer]) -> list[AnyAnswer]:
    """The answers in the order of the request, with those of the controller where there is None."""
    rest = iter(decided)
    return [next(rest) if each is None else each for each in answers]


def check_change(services: Services, resource_type: int, resource_name: str, changes: Sequence[ConfigChange]) -> None:
    """Refuses a change that this broker knows to be wrong; the controller decides about the rest."""
    if resource_type not in _TYPES:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}")
    if len({change.name for change in changes}) < len(changes):
        raise ApiError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    without_value = [change.name for change in changes if change.value is None and change.operation != Operation.DELETE]
    if without_value:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {','.join(without_value)}")
    if resource_type == ResourceType.BROKER:
        _check_broker(services, resource_name, changes)
    elif resource_type == ResourceType.GROUP and resource_name:
        after = changed_configs(resource_type, services.image.configs.get(resource_type, resource_name), changes)
        layers = broker_layers(services)
        check_group_configs(after)
        check_group_bounds(after, lambda key: effective_broker_value(key, layers) or "")


def _check_broker(services: Services, resource_name: str, changes: Sequence[ConfigChange]) -> None:
    if resource_name != CLUSTER_DEFAULT:
        if not _is_number(resource_name):
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {resource_name}")
        if int(resource_name) != services.node_id:
            reason = f"Unexpected broker id, expected {services.node_id}, but received {resource_name}"
            raise ApiError(ErrorCode.INVALID_REQUEST, reason)
    for change in changes:
        if change.operation == Operation.APPEND and not (change.value or "").strip():
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Configuration '{change.name}' values must not be empty.")
    before = services.image.configs.get(ResourceType.BROKER, resource_name)
    after = changed_configs(ResourceType.BROKER, before, changes)
    check_broker_configs(after, per_broker=resource_name != CLUSTER_DEFAULT)
    _check_cordoned(services, after.get(CORDONED_LOG_DIRS, ""))
    layers = broker_layers(services)
    _check_listeners(after, layers)
    altered = {name: value for name, value in after.items() if before.get(name) != value}
    check_thread_counts(altered, lambda name: int(effective_broker_value(name, layers) or 0))


def _check_listeners(after: Mapping[str, str], layers: BrokerLayers) -> None:
    """Sockets are opened at the start only: what would not act is not taken."""
    for name in LISTENER_KEYS:
        if name in after and after[name] != layers.static.get(name):
            reason = f"{name} cannot be changed while this broker runs. Change its file, and start it again."
            raise ApiError(ErrorCode.INVALID_REQUEST, reason)


def _check_cordoned(services: Services, text: str) -> None:
    missing = [item for item in text.split(",") if item and item != "*" and item not in services.config.log_dirs]
    if missing:
        reason = "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries"
        raise ApiError(ErrorCode.INVALID_REQUEST, f"requirement failed: {reason} : {', '.join(missing)}")


def change_log_levels(levels: LogLevels, node_id: int, resource_name: str, changes: Sequence[ConfigChange], *, validate_only: bool) -> None:
    """Gives loggers other levels, or (DELETE) the root's again; all of them or, when one is refused, none."""
    if not _is_number(resource_name):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {resource_name}")
    if int(resource_name) != node_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Unexpected node id. Expected {node_id}, but received {resource_name}")
    for change in changes:
        _check_log_level(change)
    if validate_only:
        return
    for change in changes:
        if change.operation == Operation.DELETE:
            levels.reset(change.name)
        else:
            levels.set(change.name, change.value or "")


def _check_log_level(change: ConfigChange) -> None:
    if change.operation not in (Operation.SET, Operation.DELETE):
        known = {int(each): each.name for each in Operation}
        verb = known.get(change.operation, str(change.operation))
        raise ApiError(ErrorCode.INVALID_REQUEST, f"{verb} operation is not allowed for the BROKER_LOGGER resource")
    if change.name not in LOGGERS:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"Logger {change.name} does not exist!")
    if change.operation == Operation.SET and change.value not in LEVELS:
        reason = f"Cannot set the log level of {change.name} to {change.value} as it is not a supported log level."
        raise ApiError(ErrorCode.INVALID_CONFIG, f"{reason} Valid log levels are {', '.join(LEVELS)}")
    if change.operation == Operation.DELETE and change.name == ROOT:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")


def describe_log_levels(levels: LogLevels) -> Mapping[str, str]:
    """Every logger with its level in effect."""
    return {logger: levels.level_of(logger) for logger in sorted(LOGGERS)}


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
