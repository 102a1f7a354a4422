"""Whether dynamic settings may be set: what is refused of a topic, a broker, a group or a client metrics subscription, in Kafka's words.

Each check gets all that the resource would have after the change. Settings that make no sense together are refused too.

Sources: KIP-226, KIP-1142; codes and wording are those of a running Apache Kafka 4.3.1, which tools print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import cast

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.metadata.config_defs import (
    BROKER_DEFS,
    CLIENT_METRICS_DEFS,
    GROUP_DEFS,
    LISTENER_PREFIX,
    TOPIC_DEFS,
    ConfigDef,
    ConfigType,
    ConfigValue,
    DynamicMode,
    InvalidValue,
    dynamic_broker_def,
    parse_value,
)
from raftkafka.metadata.config_layers import value_for_topics

MIN_PUSH_INTERVAL_MS, MAX_PUSH_INTERVAL_MS = 100, 3_600_000
MATCHABLE = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
)
"""What a client metrics subscription may be limited to."""

_PER_LISTENER_KEYS = frozenset(
    f"ssl.{name}"
    for name in (
        "key.password",
        "keystore.certificate.chain",
        "keystore.key",
        "keystore.location",
        "keystore.password",
        "keystore.type",
        "truststore.certificates",
        "truststore.location",
        "truststore.password",
        "truststore.type",
    )
)
_OFFSET_RESET = re.compile(r"earliest|latest|by_duration:P\S+")
_THREAD_COUNTS = (
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
)


def check_topic_configs(configs: Mapping[str, str]) -> None:
    """Refuses (INVALID_CONFIG) keys that topics do not have, values that they do not allow, and settings that contradict each other."""
    _check_names(configs, TOPIC_DEFS, "topic")
    values = {name: _parsed(TOPIC_DEFS[name], text, ErrorCode.INVALID_CONFIG) for name, text in configs.items()}
    if values.get("remote.storage.enable"):
        reason = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
        raise ApiError(ErrorCode.INVALID_CONFIG, reason)
    least = cast(int, values.get("min.compaction.lag.ms", 0))
    most = cast(int, values.get("max.compaction.lag.ms", 2**63 - 1))
    if least > most:
        reason = f"conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
        raise ApiError(ErrorCode.INVALID_CONFIG, reason)


def check_broker_configs(configs: Mapping[str, str], *, per_broker: bool) -> None:
    """Refuses (INVALID_REQUEST) what may not be set on a running broker, or (`per_broker` false) as the default of all brokers.

    A key that Kafka does not know is accepted, as Kafka does (plugins have keys of their own).
    """
    read_only = [name for name in configs if name in BROKER_DEFS and BROKER_DEFS[name].mode is DynamicMode.READ_ONLY]
    if read_only:
        raise _broker_refusal(f"Cannot update these configs dynamically: [{', '.join(sorted(read_only))}]")
    bare = [name for name in configs if name in _PER_LISTENER_KEYS]
    if bare:
        reason = "These security configs can be dynamically updated only per-listener using the listener prefix"
        raise _broker_refusal(f"{reason}: [{', '.join(sorted(bare))}]")
    for name, text in configs.items():
        definition = dynamic_broker_def(name)
        if definition is not None:
            value = _parsed(definition, text, ErrorCode.INVALID_REQUEST)
            _check_broker_value(name, value)
            _check_for_topics(name, text)
    if not per_broker:
        own = [name for name in configs if name.startswith(LISTENER_PREFIX) or _mode(name) is DynamicMode.PER_BROKER]
        if own:
            reason = "Cannot update these configs at default cluster level, broker id must be specified"
            raise _broker_refusal(f"{reason}: [{', '.join(sorted(own))}]")


def check_thread_counts(configs: Mapping[str, str], current: Callable[[str], int]) -> None:
    """Refuses (INVALID_REQUEST) thread counts that are more than double, or less than half, of the current ones."""
    for name in _THREAD_COUNTS:
        if name in configs:
            count, now = int(configs[name]), current(name)
            what = f"Dynamic thread count update validation failed for {name}={count}, value should"
            if count > 2 * now:
                raise _dynamic_refusal(f"{what} not be greater than double the current value {now}")
            if count < now // 2:
                raise _dynamic_refusal(f"{what} be at least half the current value {now}")
    if "log.cleaner.threads" in configs:
        count, now = int(configs["log.cleaner.threads"]), current("log.cleaner.threads")
        if count < 1:
            raise _dynamic_refusal("Log cleaner threads should be at least 1")
        if count > 2 * now:
            raise _dynamic_refusal(f"Log cleaner threads cannot be increased to more than double the current value {now}")
        if count < now // 2:
            raise _dynamic_refusal(f"Log cleaner threads cannot be reduced to less than half the current value {now}")


def check_group_configs(configs: Mapping[str, str]) -> None:
    """Refuses (INVALID_CONFIG) keys that groups do not have, and values that they do not allow anywhere."""
    _check_names(configs, GROUP_DEFS, "group")
    for name, text in configs.items():
        _parsed(GROUP_DEFS[name], text, ErrorCode.INVALID_CONFIG)
        if name == "share.auto.offset.reset" and not _OFFSET_RESET.fullmatch(text):
            wanted = "The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
            reason = f"Invalid value {text} for configuration {name}: Invalid value `{text}` for configuration {name}. {wanted}"
            raise ApiError(ErrorCode.INVALID_CONFIG, reason)


def check_group_bounds(configs: Mapping[str, str], broker_value: Callable[[str], str]) -> None:
    """Refuses (INVALID_CONFIG) settings of a group outside of the bounds of a broker, whose values stand for what is not set."""
    for name, text in configs.items():
        if GROUP_DEFS[name].type is ConfigType.INT:
            _check_bounds(name, int(text), broker_value)
    for kind in ("consumer", "share", "streams"):
        heartbeat, session = f"{kind}.heartbeat.interval.ms", f"{kind}.session.timeout.ms"
        heartbeat_ms, session_ms = (int(configs.get(name) or broker_value(f"group.{name}")) for name in (heartbeat, session))
        if heartbeat_ms >= session_ms and (heartbeat in configs or session in configs):
            raise ApiError(ErrorCode.INVALID_CONFIG, f"{session} must be greater than {heartbeat}")


def check_client_metrics_configs(configs: Mapping[str, str]) -> None:
    """Refuses what a client metrics subscription cannot have (KIP-714); the codes are Kafka's, one for each check."""
    for name, text in configs.items():
        definition = CLIENT_METRICS_DEFS.get(name)
        if definition is None:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {name}")
        value = _parsed(definition, text, ErrorCode.INVALID_REQUEST)
        if isinstance(value, int) and not MIN_PUSH_INTERVAL_MS <= value <= MAX_PUSH_INTERVAL_MS:
            bounds = f"interval must be between {MIN_PUSH_INTERVAL_MS} and {MAX_PUSH_INTERVAL_MS} (1 hour)"
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Invalid value {text} for {name}, {bounds}")
        if name == "match" and isinstance(value, tuple):
            for pattern in value:
                _check_match(pattern)


def _check_names(configs: Mapping[str, str], known: Mapping[str, ConfigDef], kind: str) -> None:
    for name in configs:
        if name not in known:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"Unknown {kind} config name: {name}")


def _parsed(definition: ConfigDef, text: str, code: ErrorCode) -> ConfigValue:
    try:
        return parse_value(definition, text)
    except InvalidValue as error:
        raise ApiError(code, str(error)) from None


def _mode(name: str) -> DynamicMode | None:
    return BROKER_DEFS[name].mode if name in BROKER_DEFS else None


def _check_broker_value(name: str, value: ConfigValue) -> None:
    """What the types of values do not say."""
    if name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours") and value == 0:
        raise _broker_refusal(f"requirement failed: {name} must be unlimited (-1) or, greater than or equal to 1")
    if name == "log.cleaner.dedupe.buffer.size" and cast(int, value) < 1 << 20:
        raise _broker_refusal("requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")
    if name == "max.connections.per.ip.overrides":
        parse_connection_overrides(cast(str, value))
    definition = BROKER_DEFS.get(name)
    if definition is not None and definition.type is ConfigType.CLASS and value:
        raise _broker_refusal(f"Invalid value {value} for configuration {name}: Class {value} could not be found.")


def refusal_of_broker_value(name: str, text: str) -> str:
    """Why a broker key cannot have this value, though its type allows it; empty when it can, or when its type does not."""
    try:
        _check_broker_value(name, parse_value(BROKER_DEFS[name], text))
        _check_for_topics(name, text)
    except InvalidValue:
        return ""
    except ApiError as refusal:
        return refusal.message
    return ""


def _check_for_topics(name: str, text: str) -> None:
    """What topics fall back to must be allowed for them: a broker's own key may allow more."""
    for definition in TOPIC_DEFS.values():
        if name in definition.broker_synonyms:
            try:
                parse_value(definition, value_for_topics(definition, name, text))
            except InvalidValue as error:
                raise _broker_refusal(str(error)) from None


def parse_connection_overrides(text: str) -> dict[str, int]:
    """The limits of `max.connections.per.ip.overrides` (`host:count,...`); INVALID_REQUEST when it is not of that form."""
    limits = {}
    for item in text.split(","):
        if item.strip():
            host, colon, count = item.strip().rpartition(":")
            if not colon or not host or not count.strip().isdecimal():
                reason = f"{item.strip()} is not of the form host:count"
                raise _broker_refusal(f"Error parsing configuration property 'max.connections.per.ip.overrides': {reason}")
            limits[host.strip()] = int(count)
    return limits


def _broker_refusal(reason: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REQUEST, reason)


def _dynamic_refusal(reason: str) -> ApiError:
    """As Kafka words what the parts of a running broker refuse."""
    exception = "org.apache.kafka.common.config.ConfigException"
    return _broker_refusal(f"Invalid value {exception}: {reason} for configuration Invalid dynamic configuration")


def _check_bounds(name: str, value: int, broker_value: Callable[[str], str]) -> None:
    kind, _, rest = name.partition(".")
    rest = rest.removeprefix("num.")
    least, most = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest}"
    if least in BROKER_DEFS and value < int(broker_value(least)):
        raise ApiError(ErrorCode.INVALID_CONFIG, f"{name} must be greater than or equal to {least}")
    if most in BROKER_DEFS and value > int(broker_value(most)):
        raise ApiError(ErrorCode.INVALID_CONFIG, f"{name} must be less than or equal to {most}")


def _check_match(pattern: str) -> None:
    name, equals, expression = pattern.partition("=")
    try:
        re.compile(expression)
    except re.error:
        equals = ""
    if not equals or name.strip() not in MATCHABLE:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"Illegal client matching pattern: {pattern}")
