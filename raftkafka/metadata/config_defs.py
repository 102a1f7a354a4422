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

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.metadata.config_table import BROKER_ROWS, TOPIC_ROWS

ConfigValue = bool | int | float | str | tuple[str, ...]

OUR_DEFAULTS: Mapping[str, str] = {
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "controller.quorum.election.timeout.ms": "600",
    "group.coordinator.rebalance.protocols": "classic",
    "leader.imbalance.check.interval.seconds": "10",
    "listeners": "PLAINTEXT://127.0.0.1:9092",
    "log.dir": "/tmp/raftkafka-logs",
    "replica.fetch.backoff.ms": "50",
}
"""Broker keys whose default is ours. The reasons are in docs/configuration.md."""


class ConfigType(enum.IntEnum):
    """The type of a value; the number is DescribeConfigs' `config_type`."""

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


def _broker_defs() -> dict[str, ConfigDef]:
    defs = {}
    for marked_name, default, type_name, mode, allowed in BROKER_ROWS:
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


def _topic_defs() -> dict[str, ConfigDef]:
    defs = {}
    for marked_name, default, type_name, synonyms, allowed in TOPIC_ROWS:
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


BROKER_DEFS: Mapping[str, ConfigDef] = _broker_defs()
TOPIC_DEFS: Mapping[str, ConfigDef] = _topic_defs()

BROKER_KEY_FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "log.roll.ms": ("log.roll.ms", "log.roll.hours"),
    "log.roll.jitter.ms": ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    "log.flush.interval.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    "log.retention.ms": ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    "log.dirs": ("log.dirs", "log.dir"),
}
"""Broker keys that fall back to others in coarser units, in order."""

_MS_PER_UNIT = {".hours": 3_600_000, ".minutes": 60_000}
_INTEGER_RANGES = {
    ConfigType.SHORT: (-(2**15), 2**15 - 1),
    ConfigType.INT: (-(2**31), 2**31 - 1),
    ConfigType.LONG: (-(2**63), 2**63 - 1),
}


def parse_value(definition: ConfigDef, text: str) -> ConfigValue:
    """The typed value of `text`; `InvalidValue` when it is of the wrong type or not allowed."""
    value = _parse_type(definition, text.strip())
    reason = _refusal(definition.allowed, value, text.strip())
    if reason:
        raise _invalid(definition, text, reason)
    return value


def value_in_ms(definition: ConfigDef, value: int) -> int:
    """A duration in milliseconds, whatever unit the key ends with; negative (no limit) stays -1."""
    for suffix, unit_ms in _MS_PER_UNIT.items():
        if definition.name.endswith(suffix):
            return -1 if value < 0 else value * unit_ms
    return value


def validate_topic_config(name: str, value: str | None) -> None:
    """Refuses (INVALID_CONFIG) a topic key that does not exist, or a value that it does not allow."""
    definition = TOPIC_DEFS.get(name)
    if definition is None:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"Unknown topic config name: {name}")
    _validate(definition, value)


def validate_broker_config(name: str, value: str | None, *, per_broker: bool = True) -> None:
    """Refuses what may not be set dynamically on a broker, or (`per_broker` false) as the default of all brokers.

    A key that Kafka does not know is accepted, as Kafka does (plugins have keys of their own).
    """
    definition = BROKER_DEFS.get(name)
    if definition is None:
        return
    if definition.mode is DynamicMode.READ_ONLY:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Cannot update these configs dynamically: Set({name})")
    if not per_broker and definition.mode is DynamicMode.PER_BROKER:
        message = f"Cannot update these configs at default cluster level, broker id must be specified: Set({name})"
        raise ApiError(ErrorCode.INVALID_REQUEST, message)
    _validate(definition, value)


def nearest_names(name: str, known: Iterable[str], *, limit: int = 1) -> list[str]:
    """The known names that look most like `name`, best first; empty when none is near."""
    return difflib.get_close_matches(name, list(known), n=limit, cutoff=0.75)


def _validate(definition: ConfigDef, value: str | None) -> None:
    if value is None:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"Null value not supported for : {definition.name}")
    try:
        parse_value(definition, value)
    except InvalidValue as error:
        raise ApiError(ErrorCode.INVALID_CONFIG, str(error)) from None


def _invalid(definition: ConfigDef, text: str, reason: str) -> InvalidValue:
    shown = "[hidden]" if definition.sensitive else text
    return InvalidValue(f"Invalid value {shown} for configuration {definition.name}: {reason}")


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
        case ConfigType.STRING | ConfigType.CLASS | ConfigType.PASSWORD:
            return text


def _refusal(allowed: str, value: ConfigValue, text: str) -> str:
    """Why `value` is not allowed, or an empty string. `allowed` is the notation of `config_table`."""
    if not allowed or allowed == "non-null string":
        return ""
    if allowed.startswith("non-empty"):
        return "" if text else "must not be empty"
    if allowed.startswith("[partitionId]"):
        return _throttle_refusal(text)
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


def _throttle_refusal(text: str) -> str:
    if text in ("", "*", "none") or re.fullmatch(r"([0-9]+:[0-9]+)(,[0-9]+:[0-9]+)*", text):
        return ""
    return "must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
