"""The options of kafka-configs, and which of them go together."""

from __future__ import annotations

import ipaddress
import socket

from raftkafka.tools.configs.entities import (
    BROKER_LOGGERS,
    BROKERS,
    CLIENTS,
    DEFAULT_FLAGS,
    ENTITY_FLAGS,
    ENTITY_TYPES,
    IPS,
    USERS,
    Entities,
)
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.options import OptionParser, Options, flag, value

PARSER = OptionParser(
    script="kafka-configs",
    summary="This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group",
    examples=(
        "kafka-configs.sh --bootstrap-server localhost:9092 --describe --topic my-topic",
        "kafka-configs.sh --bootstrap-server localhost:9092 --alter --topic my-topic --add-config min.insync.replicas=2",
        "kafka-configs.sh --bootstrap-server localhost:9092 --broker 0 --all --describe",
    ),
    options=(
        value("bootstrap-server", "The Kafka servers to connect to.", argument="server to connect to"),
        value("bootstrap-controller", "The Kafka controllers to connect to.", argument="controller to connect to"),
        value("command-config", "Properties file with settings of the client.", argument="command config property file"),
        flag("alter", "Alter the configuration for the entity."),
        flag("describe", "List configs for the given entity."),
        flag("all", "List all configs for the given entity, including static configs if available."),
        value("entity-type", f"Type of entity ({'/'.join(ENTITY_TYPES)}).", argument="type"),
        value(
            "entity-name",
            "Name of entity (topic name/client id/user principal name/broker id/ip/client metrics/group id).",
            argument="name",
        ),
        flag("entity-default", "The default entity of clients/users/brokers/ips, of the entity type before it."),
        value(
            "add-config",
            "Key value pairs of configs to add. Square brackets group values which contain commas: 'k1=v1,k2=[v1,v2,v2],k3=v3'. "
            "Users and clients may be named together, for the quotas of a client of a user.",
            argument="k=v,...",
        ),
        value("add-config-file", "Properties file with configs to add.", argument="file"),
        value("delete-config", "Config keys to remove 'k1,k2'.", argument="k,...", separator=","),
        value("topic", "The topic's name.", argument="name"),
        value("client", "The client's ID.", argument="id"),
        flag("client-defaults", "The config defaults for all clients."),
        value("user", "The user's principal name.", argument="name"),
        flag("user-defaults", "The config defaults for all users."),
        value("broker", "The broker's ID.", argument="id"),
        flag("broker-defaults", "The config defaults for all brokers."),
        value("broker-logger", "The broker's ID for its logger config.", argument="id"),
        value("ip", "The IP address.", argument="address"),
        flag("ip-defaults", "The config defaults for all IPs."),
        value("group", "The group's ID.", argument="id"),
        value("client-metrics", "The client metrics config resource name.", argument="name"),
    ),
)

_WITH_DEFAULTS = (USERS, CLIENTS, BROKERS, IPS)


def check(options: Options, entities: Entities) -> None:
    """`UsageError` or `ToolError`, as Apache's tool shows its help or not, when the options do not go together."""
    if options.has("alter") == options.has("describe"):
        raise UsageError("Command must include exactly one action: --describe, --alter")
    options.refuse("describe", "add-config", "delete-config")
    if not options.has("bootstrap-server") and not options.has("bootstrap-controller"):
        raise ToolError("Either --bootstrap-server or --bootstrap-controller must be specified.")
    _check_types(options, entities)
    if options.has("bootstrap-server") and options.has("bootstrap-controller"):
        raise ToolError("Only one of --bootstrap-server or --bootstrap-controller can be specified")
    _check_names(options, entities)
    if options.has("describe"):
        _check_describe(options, entities)
    else:
        _check_alter(options, entities)


def _check_types(options: Options, entities: Entities) -> None:
    types = entities.types
    repeated = [each for index, each in enumerate(types) if each in types[:index]]
    if repeated:
        raise ToolError(f"Duplicate entity type(s) specified: {','.join(repeated)}")
    for each in types:
        if each not in ENTITY_TYPES:
            raise ToolError(
                f"Invalid entity type {each}, the entity type must be one of {', '.join(ENTITY_TYPES)} with a "
                "--bootstrap-server or --bootstrap-controller argument"
            )
    if not types:
        raise ToolError("At least one entity type must be specified")
    if len(types) > 1 and sorted(types) != [CLIENTS, USERS]:
        raise ToolError(f"Only '{USERS}' and '{CLIENTS}' entity types may be specified together")
    spelled_out = any(options.has(name) for name in ("entity-name", "entity-type", "entity-default"))
    if spelled_out and any(options.has(name) for name in (*ENTITY_FLAGS, *DEFAULT_FLAGS)):
        raise ToolError("--entity-{type,name,default} should not be used in conjunction with specific entity flags")


def _check_names(options: Options, entities: Entities) -> None:
    names = [name for name in entities.names if name]
    for name in names:
        if entities.first_type in (BROKERS, BROKER_LOGGERS) and not _is_integer(name):
            raise ToolError(f"The entity name for {entities.first_type} must be a valid integer broker id, but it is: {name}")
        if entities.first_type == IPS and not _is_address(name):
            raise ToolError(f"The entity name for {entities.first_type} must be a valid IP or resolvable host, but it is: {name}")


def _check_describe(options: Options, entities: Entities) -> None:
    shown = ",".join(entities.types)
    if options.has("entity-default") and not any(each in _WITH_DEFAULTS for each in entities.types):
        raise ToolError(f"--entity-default must not be specified with --describe of {shown}")
    if BROKER_LOGGERS in entities.types and not any(entities.names):
        raise ToolError(f"An entity name must be specified with --describe of {shown}")


def _check_alter(options: Options, entities: Entities) -> None:
    if any(each in _WITH_DEFAULTS for each in entities.types):
        if not entities.names:
            raise ToolError("An entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
    elif not any(entities.names):
        raise ToolError(f"An entity name must be specified with --alter of {','.join(entities.types)}")
    if options.has("add-config") and options.has("add-config-file"):
        raise ToolError("Only one of --add-config or --add-config-file must be specified")
    if not any(options.has(name) for name in ("add-config", "add-config-file", "delete-config")):
        raise ToolError("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")


def _is_integer(text: str) -> bool:
    try:
        return -(1 << 31) <= int(text) < 1 << 31
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        try:
            socket.getaddrinfo(text, None)
        except (OSError, UnicodeError):
            return False
    return True
