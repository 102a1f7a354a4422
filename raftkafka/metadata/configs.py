"""The configs aspect of the metadata image: dynamic configs by resource.

Precedence and defaults are not here: this holds only what was set (`metadata.topic_config` resolves).
Sources: KIP-226 (dynamic broker configs), KIP-339 (incremental alter).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from raftkafka.metadata.records import ConfigRecord

_NONE: Mapping[str, str] = MappingProxyType({})


class ResourceType(enum.IntEnum):
    """Kafka's config resource types. The broker with the empty name holds the cluster-wide defaults."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


CLUSTER_DEFAULT = ""
"""The resource name of the cluster-wide broker defaults."""

ConfigResource = tuple[int, str]
"""(resource type, resource name)."""


@attrs.frozen(kw_only=True)
class ConfigsImage:
    """What was set, by (resource type, name)."""

    by_resource: Mapping[ConfigResource, Mapping[str, str]] = attrs.field(factory=dict)

    def get(self, resource_type: int, name: str) -> Mapping[str, str]:
        """The dynamic configs of a resource; empty when none are set."""
        return self.by_resource.get((int(resource_type), name), _NONE)


class ConfigsReplay:
    """Replays config records onto copies of what they touch."""

    __slots__ = ("_base", "_touched")

    def __init__(self, base: ConfigsImage) -> None:
        self._base = base
        self._touched: dict[ConfigResource, dict[str, str]] = {}

    @property
    def changed(self) -> dict[ConfigResource, None]:
        return dict.fromkeys(self._touched)

    def set(self, record: ConfigRecord) -> None:
        configs = self._touch((record.resource_type, record.resource_name))
        if record.value is None:
            configs.pop(record.name, None)
        else:
            configs[record.name] = record.value

    def remove_resource(self, resource_type: int, name: str) -> None:
        """Removes all configs of a resource that ceased to exist."""
        resource = (int(resource_type), name)
        if resource in self._touched or resource in self._base.by_resource:
            self._touch(resource).clear()

    def _touch(self, resource: ConfigResource) -> dict[str, str]:
        configs = self._touched.get(resource)
        if configs is None:
            configs = self._touched[resource] = dict(self._base.by_resource.get(resource, _NONE))
        return configs

    def finish(self) -> ConfigsImage:
        if not self._touched:
            return self._base
        by_resource = dict(self._base.by_resource)
        for resource, configs in self._touched.items():
            if configs:
                by_resource[resource] = configs
            else:
                by_resource.pop(resource, None)
        return ConfigsImage(by_resource=by_resource)
