"""Where a configuration value comes from, and what DescribeConfigs says about it.

Invariants
- Precedence: topic override, then per broker key in order of its fallbacks: dynamic of this broker, dynamic default of the cluster,
  static (server.properties), default.
- A sensitive value never leaves: it is described as None.

Sources: KIP-226; the order and the trimming of synonyms are those that Apache Kafka 4.3.1's kafka-configs prints.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

import attrs

from raftkafka.metadata.config_defs import (
    BROKER_DEFS,
    BROKER_KEY_FALLBACKS,
    CLIENT_METRICS_DEFS,
    DYNAMIC_ONLY_DEFS,
    GROUP_DEFS,
    OWN_DEFS,
    TOPIC_DEFS,
    ConfigDef,
    ConfigType,
    DynamicMode,
    dynamic_broker_def,
    value_in_ms,
)


class ConfigSource(enum.IntEnum):
    """Where a value was set; the number is DescribeConfigs' `config_source`."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    CLIENT_METRICS_CONFIG = 7
    GROUP_CONFIG = 8


@attrs.frozen
class ConfigSynonym:
    """One place where a key, or a key it falls back to, has a value."""

    name: str
    value: str | None
    source: ConfigSource


@attrs.frozen(kw_only=True)
class DescribedConfig:
    """One line of DescribeConfigs. `synonyms` are in order of precedence; the first is the one in effect."""

    name: str
    value: str | None
    type: ConfigType
    source: ConfigSource
    read_only: bool
    sensitive: bool
    synonyms: tuple[ConfigSynonym, ...]


@attrs.frozen(kw_only=True)
class BrokerLayers:
    """The settings of one broker by layer: `dynamic` of this broker, `cluster` (the dynamic default), `static` (its properties file)."""

    dynamic: Mapping[str, str] = attrs.field(factory=dict)
    cluster: Mapping[str, str] = attrs.field(factory=dict)
    static: Mapping[str, str] = attrs.field(factory=dict)

    def by_precedence(self) -> tuple[tuple[Mapping[str, str], ConfigSource], ...]:
        """The layers with their names, strongest first."""
        return (
            (self.dynamic, ConfigSource.DYNAMIC_BROKER_CONFIG),
            (self.cluster, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
            (self.static, ConfigSource.STATIC_BROKER_CONFIG),
        )

    def lookup(self, name: str) -> str | None:
        """The value that was set for a broker key in the strongest layer; None when it was set nowhere."""
        for layer, _ in self.by_precedence():
            if name in layer:
                return layer[name]
        return None


def effective_topic_value(name: str, overrides: Mapping[str, str], layers: BrokerLayers) -> str | None:
    """The text in effect for a topic key; durations of coarser broker keys are given in milliseconds."""
    if name in overrides:
        return overrides[name]
    definition = TOPIC_DEFS[name]
    for synonym in definition.broker_synonyms:
        value = layers.lookup(synonym)
        if value is not None:
            return value_for_topics(definition, synonym, value)
    return definition.default


def effective_broker_value(name: str, layers: BrokerLayers) -> str | None:
    """The text in effect for a broker key, its own value or default only."""
    value = layers.lookup(name)
    return BROKER_DEFS[name].default if value is None else value


def describe_topic(
    overrides: Mapping[str, str], layers: BrokerLayers, *, names: Collection[str] | None = None
) -> tuple[DescribedConfig, ...]:
    """All topic keys, or those asked for, sorted by name; keys that do not exist are left out, as Kafka does."""
    return tuple(
        _describe_topic_key(definition, overrides, layers)
        for name, definition in sorted(TOPIC_DEFS.items())
        if (name in names if names else not definition.internal or name in overrides)
    )


def describe_broker(layers: BrokerLayers, *, names: Collection[str] | None = None) -> tuple[DescribedConfig, ...]:
    """All keys of a broker, or those asked for, sorted by name; and what was set dynamically beside them. Keys that Kafka lacks are shown
    where they are set, or asked for."""
    described = [
        _describe_broker_key(definition, layers)
        for name, definition in BROKER_DEFS.items()
        if (name in names if names else not definition.internal and (name not in OWN_DEFS or name in layers.static))
    ]
    for layer, source in layers.by_precedence()[:2]:
        for name, value in layer.items():
            of_another_broker = source is ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG and (
                name in DYNAMIC_ONLY_DEFS or name in layers.dynamic
            )
            if name not in BROKER_DEFS and not of_another_broker and (not names or name in names):
                described.append(_describe_as_set(name, value, source))
    return tuple(sorted(described, key=lambda each: each.name))


def describe_cluster_defaults(cluster: Mapping[str, str], *, names: Collection[str] | None = None) -> tuple[DescribedConfig, ...]:
    """The dynamic defaults of all brokers (resource BROKER with an empty name): only what is set."""
    return tuple(
        _describe_as_set(name, value, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
        for name, value in sorted(cluster.items())
        if not names or name in names
    )


def describe_group(
    overrides: Mapping[str, str], layers: BrokerLayers, *, names: Collection[str] | None = None
) -> tuple[DescribedConfig, ...]:
    """All keys of a group, whether it exists or not, or those asked for, sorted by name."""
    described = []
    for name, definition in sorted(GROUP_DEFS.items()):
        if names and name not in names:
            continue
        if definition.broker_synonyms:
            synonyms = _broker_synonyms(definition.broker_synonyms[0], layers)
        else:
            synonyms = (ConfigSynonym(name, definition.default, ConfigSource.DEFAULT_CONFIG),)
        if name in overrides:
            synonyms = (ConfigSynonym(name, overrides[name], ConfigSource.GROUP_CONFIG), *synonyms)
        described.append(_of_synonyms(definition, synonyms))
    return tuple(described)


def describe_client_metrics(overrides: Mapping[str, str], *, names: Collection[str] | None = None) -> tuple[DescribedConfig, ...]:
    """All keys of a client metrics subscription, or those asked for, sorted by name."""
    described = []
    for name, definition in sorted(CLIENT_METRICS_DEFS.items()):
        if names and name not in names:
            continue
        own = (ConfigSynonym(name, overrides[name], ConfigSource.CLIENT_METRICS_CONFIG),) if name in overrides else ()
        described.append(_of_synonyms(definition, own))
    return tuple(described)


def _of_synonyms(definition: ConfigDef, synonyms: tuple[ConfigSynonym, ...]) -> DescribedConfig:
    """A key of which the first synonym is in effect; without any, its default is."""
    return DescribedConfig(
        name=definition.name,
        value=synonyms[0].value if synonyms else definition.default,
        type=definition.type,
        source=synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG,
        read_only=False,
        sensitive=definition.sensitive,
        synonyms=synonyms,
    )


def _describe_as_set(name: str, value: str, source: ConfigSource) -> DescribedConfig:
    """A key in the one place where it is set. What nobody knows may be a secret, and is read-only, as all beside the known keys."""
    definition = dynamic_broker_def(name)
    sensitive = definition is None or definition.sensitive
    shown = None if sensitive else value
    return DescribedConfig(
        name=name,
        value=shown,
        type=definition.type if definition is not None else ConfigType.UNKNOWN,
        source=source,
        read_only=definition is None or definition.name != name,
        sensitive=sensitive,
        synonyms=(ConfigSynonym(name, shown, source),),
    )


def _describe_topic_key(definition: ConfigDef, overrides: Mapping[str, str], layers: BrokerLayers) -> DescribedConfig:
    synonyms: tuple[ConfigSynonym, ...] = ()
    if definition.broker_synonyms:
        synonyms = _broker_synonyms(definition.broker_synonyms[0], layers)
    if definition.name in overrides:
        own = ConfigSynonym(definition.name, overrides[definition.name], ConfigSource.DYNAMIC_TOPIC_CONFIG)
        synonyms = (own, *synonyms)
    return DescribedConfig(
        name=definition.name,
        value=effective_topic_value(definition.name, overrides, layers),
        type=definition.type,
        source=synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG,
        read_only=False,
        sensitive=definition.sensitive,
        synonyms=synonyms,
    )


def _describe_broker_key(definition: ConfigDef, layers: BrokerLayers) -> DescribedConfig:
    synonyms = _broker_synonyms(definition.name, layers)
    return DescribedConfig(
        name=definition.name,
        value=None if definition.sensitive else effective_broker_value(definition.name, layers),
        type=definition.type,
        source=synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG,
        read_only=definition.mode is DynamicMode.READ_ONLY,
        sensitive=definition.sensitive,
        synonyms=synonyms,
    )


def _broker_synonyms(name: str, layers: BrokerLayers) -> tuple[ConfigSynonym, ...]:
    """Every value of a broker key and its fallbacks, from the first that bears the key's own name on (what stands before it is trimmed)."""
    names = BROKER_KEY_FALLBACKS.get(name, (name,))
    found: list[ConfigSynonym] = []
    for layer, source in layers.by_precedence():
        found.extend(ConfigSynonym(key, _shown(key, layer[key]), source) for key in names if key in layer)
    for key in names:
        default = BROKER_DEFS[key].default
        if default is not None:
            found.append(ConfigSynonym(key, _shown(key, default), ConfigSource.DEFAULT_CONFIG))
    while found and found[0].name != name:
        found.pop(0)
    return tuple(found)


def _shown(name: str, value: str) -> str | None:
    return None if BROKER_DEFS[name].sensitive else value


def value_for_topics(definition: ConfigDef, synonym: str, value: str) -> str:
    """What the value of a broker key means for the topic key that falls back to it: in its unit, and -1 for any retention without limit."""
    if definition.name.endswith(".ms") and synonym.endswith((".hours", ".minutes")):
        return str(value_in_ms(BROKER_DEFS[synonym], int(value)))
    if definition.name == "retention.ms" and int(value) < 0:
        return "-1"
    return value
