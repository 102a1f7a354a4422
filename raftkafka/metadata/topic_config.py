"""The settings of a topic that are in effect: overrides, the broker's layers and defaults to typed values.

Invariant: values were checked when they were set (`config_defs`), so resolving never refuses.

Sources: Apache Kafka's ServerTopicConfigSynonyms (which broker key stands behind a topic key); KIP-226 for the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.metadata.config_defs import BROKER_DEFS, TOPIC_DEFS, parse_value
from raftkafka.metadata.config_layers import BrokerLayers, effective_broker_value, effective_topic_value
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ConfigsImage, ResourceType
from raftkafka.storage.config import LogConfig, TimestampType


@attrs.frozen(kw_only=True)
class TopicSettings:
    """What a topic's partitions go by."""

    min_insync_replicas: int
    unclean_leader_election_enable: bool
    log: LogConfig


_LOG_ATTRIBUTES: Mapping[str, str] = {
    "segment.bytes": "segment_bytes",
    "segment.ms": "segment_ms",
    "segment.jitter.ms": "segment_jitter_ms",
    "segment.index.bytes": "segment_index_bytes",
    "index.interval.bytes": "index_interval_bytes",
    "max.message.bytes": "max_message_bytes",
    "retention.ms": "retention_ms",
    "retention.bytes": "retention_bytes",
    "cleanup.policy": "cleanup_policy",
    "delete.retention.ms": "delete_retention_ms",
    "min.compaction.lag.ms": "min_compaction_lag_ms",
    "max.compaction.lag.ms": "max_compaction_lag_ms",
    "min.cleanable.dirty.ratio": "min_cleanable_dirty_ratio",
    "file.delete.delay.ms": "file_delete_delay_ms",
    "flush.messages": "flush_messages",
    "flush.ms": "flush_ms",
    "message.timestamp.before.max.ms": "before_max_ms",
    "message.timestamp.after.max.ms": "after_max_ms",
    "compression.type": "compression_type",
    "compression.gzip.level": "compression_gzip_level",
    "compression.lz4.level": "compression_lz4_level",
    "compression.zstd.level": "compression_zstd_level",
    "preallocate": "preallocate",
}


def topic_settings(overrides: Mapping[str, str], layers: BrokerLayers) -> TopicSettings:
    """The settings of a topic with these overrides on a broker with these layers."""

    def value(name: str) -> Any:
        text = effective_topic_value(name, overrides, layers)
        return None if text is None else parse_value(TOPIC_DEFS[name], text)

    log = {attribute: value(name) for name, attribute in _LOG_ATTRIBUTES.items()}
    small_segments = value("internal.segment.bytes")
    if small_segments is not None and small_segments > 0:
        log["segment_bytes"] = small_segments
    expiration_key = "producer.id.expiration.ms"
    expiration = parse_value(BROKER_DEFS[expiration_key], effective_broker_value(expiration_key, layers) or "")
    return TopicSettings(
        min_insync_replicas=value("min.insync.replicas"),
        unclean_leader_election_enable=value("unclean.leader.election.enable"),
        log=LogConfig(
            **log,
            timestamp_type=TimestampType(value("message.timestamp.type")),
            producer_id_expiration_ms=cast(int, expiration),
        ),
    )


class TopicConfigResolver:
    """Resolves topics against the current image; topics with equal overrides share one `TopicSettings`."""

    def __init__(self, *, node_id: NodeId, static: Mapping[str, str]) -> None:
        self._node_id = node_id
        self._static = static
        self._configs: ConfigsImage | None = None
        self._layers = BrokerLayers(static=static)
        self._known: dict[tuple[tuple[str, str], ...], TopicSettings] = {}

    def layers(self, configs: ConfigsImage) -> BrokerLayers:
        """This broker's layers under an image."""
        if configs is not self._configs:
            self._configs = configs
            layers = BrokerLayers(
                dynamic=configs.get(ResourceType.BROKER, str(self._node_id)),
                cluster=configs.get(ResourceType.BROKER, CLUSTER_DEFAULT),
                static=self._static,
            )
            if layers != self._layers:
                self._layers = layers
                self._known.clear()
        return self._layers

    def settings(self, configs: ConfigsImage, topic: str) -> TopicSettings:
        """The settings in effect for a topic by name (also one that does not exist yet: the defaults)."""
        layers = self.layers(configs)
        overrides = configs.get(ResourceType.TOPIC, topic)
        key = tuple(sorted(overrides.items()))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = topic_settings(overrides, layers)
        return known
