"""The two topic settings that elections depend on, as the metadata says them.

Precedence: topic override, then the cluster-wide dynamic default, then this controller's own property. A per-broker
`min.insync.replicas` does not exist here, as in Kafka with eligible leader replicas: all nodes must agree on it (KIP-966).
"""

from __future__ import annotations

from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.metadata.image import MetadataImage

MIN_INSYNC_REPLICAS = "min.insync.replicas"
UNCLEAN_LEADER_ELECTION = "unclean.leader.election.enable"


class TopicPolicy:
    """Answers for the topics of one image; remembers them, as one decision asks for every partition of a topic."""

    __slots__ = ("_image", "_min_isr", "_settings", "_unclean")

    def __init__(self, image: MetadataImage, settings: ControllerSettings) -> None:
        self._image = image
        self._settings = settings
        self._min_isr: dict[str, int] = {}
        self._unclean: dict[str, bool] = {}

    def min_isr(self, topic: str, replication_factor: int) -> int:
        """The effective `min.insync.replicas`: never more than there are replicas."""
        configured = self._min_isr.get(topic)
        if configured is None:
            text = self._dynamic(topic, MIN_INSYNC_REPLICAS)
            configured = self._min_isr[topic] = self._settings.min_insync_replicas if text is None else int(text)
        return min(configured, replication_factor)

    def unclean_election(self, topic: str) -> bool:
        """Whether a replica that may lack committed records may become leader when nobody else can."""
        allowed = self._unclean.get(topic)
        if allowed is None:
            text = self._dynamic(topic, UNCLEAN_LEADER_ELECTION)
            allowed = self._settings.unclean_leader_election_enable if text is None else text.strip().lower() == "true"
            self._unclean[topic] = allowed
        return allowed

    def _dynamic(self, topic: str, name: str) -> str | None:
        configs = self._image.configs
        override = configs.get(ResourceType.TOPIC, topic).get(name)
        return configs.get(ResourceType.BROKER, CLUSTER_DEFAULT).get(name) if override is None else override
