"""What each configuration key is: type, default, allowed values, dynamic mode; parsing and refusing values; the nearest known key.

Invariants
- A value is kept and sent as the text that was given; `parse_value` turns it into a typed value where it acts.
- A default that differs from Apache Kafka's on purpose stands in `OUR_DEFAULTS` and nowhere else (docs/configuration.md says why).

Sources: `config_table` (Apache Kafka 4.3.1); KIP-226 (dynamic broker settings); the wording of refusals follows Kafka's, which tools print.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable, Mapping

import attrs

from raftkafka.metadata.config_table import BROKER_ROWS, TOPIC_ROWS, BrokerRow, TopicRow
from raftkafka.metadata.own_config_table import OWN_ROWS
from raftkafka.metadata.resource_config_table import CLIENT_METRICS_ROWS, DYNAMIC_ONLY_ROWS, GROUP_ROWS

ConfigValue = bool | int | float | str | tuple[str, ...]

OUR_DEFAULTS: Mapping[str, str] = {
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "controller.quorum.election.timeout.ms": "600",
    "controller.quorum.fetch.timeout.ms": "1200",
    "controller.quorum.retry.backoff.ms": "100",
    "group.coordinator.rebalance.protocols": "classic",
    "leader.imbalance.check.interval.seconds": "10",
    "listeners": "PLAINTEXT://127.0.0.1:9092",
    "log.dir": "/tmp/raftkafka-logs",
    "replica.fetch.backoff.ms": "50",
}
"""Broker keys whose default is ours. The reasons are in docs/configuration.md."""


class ConfigType(enum.IntEnum):
    """The type of a value; the number is DescribeConfigs' `config_type`."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class DynamicMode(enum.Enum):
    """Whether a broker key may be changed while the broker runs, and for whom (KIP-226)."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


@attrs.frozen(kw_only=True)
class ConfigDef:
    """One key. `broker_synonyms` are the broker keys that a topic key falls back to, in order; `default` None means there is none."""

    name: str
    type: ConfigType
    default: str | None
    allowed: str = ""
    mode: DynamicMode = DynamicMode.READ_ONLY
    internal: bool = False
    broker_synonyms: tuple[str, ...] = ()

    @property
    def sensitive(self) -> bool:
        """Whether the value is never shown."""
        return self.type is ConfigType.PASSWORD


class InvalidValue(ValueError):
    """A value that its key does not allow; the text is a whole sentence that names both."""


def _broker_defs(rows: Iterable[BrokerRow]) -> dict[str, ConfigDef]:
    defs = {}
    for marked_name, default, type_name, mode, allowed in rows:
        name = marked_name.lstrip("~")
        defs[name] = ConfigDef(
            name=name,
            type=ConfigType[type_name],
            default=OUR_DEFAULTS.get(name, default),
            allowed=allowed,
            mode=DynamicMode(mode),
            internal=marked_name.startswith("~"),
        )
    return defs


def _defs_with_synonyms(rows: Iterable[TopicRow]) -> dict[str, ConfigDef]:
    defs = {}
    for marked_name, default, type_name, synonyms, allowed in rows:
        name = marked_name.lstrip("~")
        defs[name] = ConfigDef(
            name=name,
            type=ConfigType[type_name],
            default=default,
            allowed=allowed,
            internal=marked_name.startswith("~"),
            broker_synonyms=tuple(synonyms.split()),
        )
    return defs


OWN_DEFS: Mapping[str, ConfigDef] = _broker_defs(OWN_ROWS)
"""Those of the broker keys that Apache Kafka does not have."""
BROKER_DEFS: Mapping[str, ConfigDef] = {**_broker_defs(BROKER_ROWS), **OWN_DEFS}
TOPIC_DEFS: Mapping[str, ConfigDef] = _defs_with_synonyms(TOPIC_ROWS)
GROUP_DEFS: Mapping[str, ConfigDef] = _defs_with_synonyms(GROUP_ROWS)
CLIENT_METRICS_DEFS: Mapping[str, ConfigDef] = _defs_with_synonyms(CLIENT_METRICS_ROWS)
DYNAMIC_ONLY_DEFS: Mapping[str, ConfigDef] = _broker_defs(DYNAMIC_ONLY_ROWS)
"""Broker keys that no properties file may hold."""

LISTENER_PREFIX = "listener.name."


def dynamic_broker_def(name: str) -> ConfigDef | None:
    """What is known of a key that was set on a broker while it runs; `listener.name.<listener>.` before a key makes no other key of it."""
    if name.startswith(LISTENER_PREFIX):
        name = name.removeprefix(LISTENER_PREFIX).partition(".")[2]
    return BROKER_DEFS.get(name) or DYNAMIC_ONLY_DEFS.get(name)


BROKER_KEY_FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "log.roll.ms": ("log.roll.ms", "log.roll.hours"),
    "log.roll.jitter.ms": ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    "log.flush.interval.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    "log.retention.ms": ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
}
"""Broker keys that fall back to others in coarser units, in order."""

_THROTTLED_REPLICAS = "[partitionId]"
_MS_PER_UNIT = {".hours": 3_600_000, ".minutes": 60_000}
_INTEGER_RANGES = {
    ConfigType.SHORT: (-(2**15), 2**15 - 1),
    ConfigType.INT: (-(2**31), 2**31 - 1),
    ConfigType.LONG: (-(2**63), 2**63 - 1),
}


def parse_value(definition: ConfigDef, text: str) -> ConfigValue:
    """The typed value of `text`; `InvalidValue` when it is of the wrong type or not allowed."""
    value = _parse_type(definition, text.strip())
    reason = _refusal(definition, value, text.strip())
    if reason:
        raise _invalid(definition, _shown_in_refusal(definition, value, text), reason)
    return value


def canonical_text(definition: ConfigDef | None, text: str) -> str:
    """The text that is kept of a value that was given: without blanks around it, or around the items of a list."""
    if definition is not None and definition.type is ConfigType.LIST:
        return ",".join(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
    return text.strip()


def value_in_ms(definition: ConfigDef, value: int) -> int:
    """A duration in milliseconds, whatever unit the key ends with; negative (no limit) stays -1."""
    for suffix, unit_ms in _MS_PER_UNIT.items():
        if definition.name.endswith(suffix):
            return -1 if value < 0 else value * unit_ms
    return value


def nearest_names(name: str, known: Iterable[str], *, limit: int = 1, likeness: float = 0.75) -> list[str]:
    """The known names that look most like `name`, best first; empty when none is so like it (1.0 is the same)."""
    return difflib.get_close_matches(name, list(known), n=limit, cutoff=likeness)


def _invalid(definition: ConfigDef, text: str, reason: str) -> InvalidValue:
    shown = "[hidden]" if definition.sensitive else text
    return InvalidValue(f"Invalid value {shown} for configuration {definition.name}: {reason}")


def _shown_in_refusal(definition: ConfigDef, value: ConfigValue, text: str) -> str:
    """As Kafka prints what it has parsed."""
    if isinstance(value, tuple) and definition.allowed.startswith(_THROTTLED_REPLICAS):
        return f"[{', '.join(value)}]"
    return str(value) if isinstance(value, float) else text


def _parse_type(definition: ConfigDef, text: str) -> ConfigValue:
    match definition.type:
        case ConfigType.BOOLEAN:
            if text.lower() not in ("true", "false"):
                raise _invalid(definition, text, "Expected value to be either true or false")
            return text.lower() == "true"
        case ConfigType.INT | ConfigType.SHORT | ConfigType.LONG:
            low, high = _INTEGER_RANGES[definition.type]
            if not re.fullmatch(r"[+-]?[0-9]{1,20}", text) or not low <= int(text) <= high:
                raise _invalid(definition, text, f"Not a number of type {definition.type.name}")
            return int(text)
        case ConfigType.DOUBLE:
            if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
                raise _invalid(definition, text, "Not a number of type DOUBLE")
            return float(text)
        case ConfigType.LIST:
            return tuple(item.strip() for item in text.split(",")) if text else ()
        case ConfigType.STRING | ConfigType.CLASS | ConfigType.PASSWORD | ConfigType.UNKNOWN:
            return text


def _refusal(definition: ConfigDef, value: ConfigValue, text: str) -> str:
    """Why `value` is not allowed, or an empty string. `allowed` is the notation of `config_table`."""
    allowed = definition.allowed
    if not allowed or allowed == "non-null string":
        return ""
    if allowed.startswith("non-empty"):
        return "" if text else "must not be empty"
    if allowed.startswith(_THROTTLED_REPLICAS):
        return _throttle_refusal(definition.name, text)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return _range_refusal(allowed, value)
    return _choice_refusal(allowed, value if isinstance(value, tuple) else (text,))


def _range_refusal(allowed: str, value: float) -> str:
    bounds, _, exception = allowed.partition(" or ")
    if exception and value == int(exception):
        return ""
    parts = bounds.strip("[]").split(",")
    low, high = float(parts[0]), float(parts[-1]) if parts[-1] != "..." else None
    if exception and not (low <= value and (high is None or value <= high)):
        return f"Value must be between {parts[0]} and {parts[-1]} or equal to {exception}"
    if value < low:
        return f"Value must be at least {parts[0]}"
    if high is not None and value > high:
        return f"Value must be no more than {parts[-1]}"
    return ""


def _choice_refusal(allowed: str, items: tuple[str, ...]) -> str:
    folded = allowed.startswith("(case insensitive)")
    choices = [choice.strip() for choice in allowed.removeprefix("(case insensitive)").strip(" []").split(",")]
    known = {choice.lower() for choice in choices} if folded else set(choices)
    for item in items:
        if (item.lower() if folded else item) not in known:
            return f"String must be one of: {', '.join(choices)}"
    return ""


def _throttle_refusal(name: str, text: str) -> str:
    if text in ("", "*") or re.fullmatch(r"([0-9]+:[0-9]+)(,[0-9]+:[0-9]+)*", text):
        return ""
    wanted = "the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    return f"{name} must be {wanted}"
