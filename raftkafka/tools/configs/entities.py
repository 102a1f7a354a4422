"""Which entities a command line of kafka-configs means.

`--topic t` is short for `--entity-type topics --entity-name t`, `--broker-defaults` for `--entity-type brokers --entity-default`. The name
of a default entity is the empty string.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.tools.options import Options

TOPICS, CLIENTS, USERS, BROKERS, IPS = "topics", "clients", "users", "brokers", "ips"
CLIENT_METRICS, GROUPS, BROKER_LOGGERS = "client-metrics", "groups", "broker-loggers"

ENTITY_TYPES = (TOPICS, CLIENTS, USERS, BROKERS, IPS, CLIENT_METRICS, GROUPS, BROKER_LOGGERS)

ENTITY_FLAGS = {
    "topic": TOPICS,
    "client": CLIENTS,
    "user": USERS,
    "broker": BROKERS,
    "broker-logger": BROKER_LOGGERS,
    "ip": IPS,
    "client-metrics": CLIENT_METRICS,
    "group": GROUPS,
}
DEFAULT_FLAGS = {"client-defaults": CLIENTS, "user-defaults": USERS, "broker-defaults": BROKERS, "ip-defaults": IPS}


@attrs.frozen(kw_only=True)
class Entities:
    """The entity types of a command line, and the names that belong to the first of them; fewer names than types mean all of a type."""

    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def first_type(self) -> str:
        return self.types[0]


def named_entities(arguments: Sequence[str], options: Options) -> Entities:
    """The entities in the order in which Apache's tool takes them: --entity-... as they stand, then the short options."""
    names = iter(options.texts("entity-name"))
    spelled = [argument.lstrip("-").partition("=")[0] for argument in arguments if argument.startswith("-")]
    in_order = [next(names, "") if each == "entity-name" else "" for each in spelled if each in ("entity-name", "entity-default")]
    flags = [name for name in ENTITY_FLAGS if options.has(name)]
    defaults = [name for name in DEFAULT_FLAGS if options.has(name)]
    return Entities(
        types=(*options.texts("entity-type"), *(ENTITY_FLAGS[name] for name in flags), *(DEFAULT_FLAGS[name] for name in defaults)),
        names=(*in_order, *(options.required(name) for name in flags), *("" for _ in defaults)),
    )
