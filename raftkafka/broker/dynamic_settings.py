"""Settings of a broker that act as soon as they are changed while it runs.

What topics fall back to (log.*, message.max.bytes, min.insync.replicas, ...) is resolved for each topic from the image
(`metadata.topic_config`), and the throttles of replication from there too; here is the rest: the cleaner's settings and the limits of
connections. `Services.config` is always the configuration in effect.

Sources: KIP-226.
"""

from __future__ import annotations

from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.parts import Parts, cleaner_settings
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.metadata.image import MetadataDelta, MetadataImage
from raftkafka.storage.config import LONG_MAX

MOVE_RATE = "replica.alter.log.dirs.io.max.bytes.per.second"


class DynamicSettings:
    """Brings the settings of the image into effect, over those that the process was started with."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started_with: BrokerConfig = parts.services.config

    def apply(self, image: MetadataImage, delta: MetadataDelta) -> None:
        """Takes over what changed."""
        services = self._parts.services
        if any(resource_type == ResourceType.BROKER for resource_type, _ in delta.changed_configs):
            own = image.configs.get(ResourceType.BROKER, str(services.node_id))
            services.config = self._started_with.dynamic({**image.configs.get(ResourceType.BROKER, CLUSTER_DEFAULT), **own})
            self._parts.logs.cleaner.configure(cleaner_settings(services.config))
            self._parts.logs.placement.cordon(services.config.cordoned_log_dirs)
            self._parts.logs.moves.limit(int(own.get(MOVE_RATE, LONG_MAX)))
            services.connections.configure(services.config, image.quotas)
        if delta.quotas_changed:
            services.quotas.configure(image.quotas)
            services.connections.configure(services.config, image.quotas)
