"""From committed entries of the metadata log to the image, and from the image to everything that lives by it.

Invariants
- The image holds exactly the committed entries, each applied once, in order (D15).
- The controller on this node becomes active when the image has reached the first entry of its own epoch: then it holds everything that any
  earlier controller was promised (Raft, section 8).
- Replicas and groups see their first image when it holds this broker's own registration, as if everything in it had just changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import observed
from raftkafka.base.rules import Rule
from raftkafka.broker.dynamic_settings import DynamicSettings
from raftkafka.broker.parts import Parts
from raftkafka.group.coordinator import OFFSETS_TOPIC
from raftkafka.metadata.image import ImageEntry, MetadataDelta, MetadataImage, from_snapshot, to_snapshot
from raftkafka.metadata.records import decode_batch
from raftkafka.raft import effects
from raftkafka.raft.messages import EntryKind

MetadataEffect = effects.Committed | effects.SnapshotLoaded | effects.LeadershipGained | effects.LeadershipLost


class MetadataFlow:
    """Gathers what the Raft node reports (`take`) and applies it at once (`settle`)."""

    def __init__(self, parts: Parts) -> None:
        self.serving = False
        """Whether clients may be answered: since the image has first held this broker's own registration, unfenced."""
        self._parts = parts
        self._settings = DynamicSettings(parts)
        self._entries: list[ImageEntry] = []
        self._gained: effects.LeadershipGained | None = None
        self._active = False
        self._publishing = False
        self._applied_late: dict[PartitionKey, None] = {}
        """Partitions that changed while logs were still to be created: only then is known where those are."""
        self._bytes_since_snapshot = 0
        self._snapshot_ms: int | None = None
        """When the last snapshot was taken, or the first entry was applied."""

    def take(self, effect: MetadataEffect, now_ms: int) -> None:
        """Remembers an effect; only a snapshot and the loss of leadership act at once."""
        match effect:
            case effects.Committed():
                for entry in effect.entries:
                    records = decode_batch(entry.data) if entry.kind is EntryKind.DATA else ()
                    self._entries.append(ImageEntry(entry.offset, entry.epoch, records))
                    self._bytes_since_snapshot += len(entry.data)
            case effects.SnapshotLoaded():
                self._entries.clear()
                self._publish(from_snapshot(effect.data), None, now_ms)
            case effects.LeadershipGained():
                self._gained = effect
            case effects.LeadershipLost():
                self._gained = None
                self._active = False
                if self._parts.controller is not None:
                    self._parts.controller.lost_leadership(now_ms)

    def settle(self, now_ms: int) -> bool:
        """Applies what was gathered; whether the image changed or the controller became active."""
        moved = False
        if self._entries:
            entries, self._entries = self._entries, []
            image, delta = self._parts.services.image.apply_entries(entries)
            self._publish(image, delta, now_ms)
            self._maybe_snapshot(now_ms)
            moved = True
        gained = self._gained
        if gained is not None and not self._active and self._may_control(gained.start_offset):
            self._active = True
            assert self._parts.controller is not None
            self._parts.controller.gained_leadership(gained.epoch, self._parts.services.image, now_ms)
            moved = True
        if not self._publishing and self._holds_own_registration():
            self._publishing = True
            self._publish_to_broker(self._parts.services.image, everything(self._parts.services.image), now_ms)
            moved = True
        if self._publishing and not self.serving:
            broker = self._parts.services.image.brokers.get(self._parts.services.config.node_id)
            self.serving = broker is not None and not broker.fenced
        services = self._parts.services
        if services.applied_offset != services.image.offset and self._parts.replicas.has_applied_all:
            services.applied_offset = services.image.offset
            self._look_at_directories(self._applied_late)
            self._applied_late = {}
            moved = True
        return moved

    def _publish(self, image: MetadataImage, delta: MetadataDelta | None, now_ms: int) -> None:
        """`delta` is None when a snapshot replaced the image: then everything may have changed."""
        before = self._parts.services.image
        self._parts.services.image = image
        self._parts.services.suspects.image_changed(image)
        if self._active and self._parts.controller is not None:
            self._parts.controller.committed(image, image.offset, now_ms)
        if self._publishing:
            self._publish_to_broker(image, delta or replaced(before, image), now_ms)

    def _publish_to_broker(self, image: MetadataImage, delta: MetadataDelta, now_ms: int) -> None:
        parts = self._parts
        offsets_topic = image.topics.by_name.get(OFFSETS_TOPIC)
        parts.group_log.topic_id = offsets_topic.topic_id if offsets_topic is not None else None
        parts.replicas.apply_metadata(image, delta, now_ms)
        self._look_at_directories(delta.changed_partitions)
        if not parts.replicas.has_applied_all:
            self._applied_late.update(delta.changed_partitions)
        self._settings.apply(image, delta)
        if delta.removed_topics:
            names = frozenset(topic.name for topic in delta.removed_topics.values())
            parts.groups.topics_deleted(names, now_ms=now_ms, wall_ms=now_ms + parts.group_log.wall_offset_ms)

    def _look_at_directories(self, keys: Mapping[PartitionKey, None]) -> None:
        if self._parts.directories is not None and keys:
            self._parts.directories.metadata_changed(keys)

    def _may_control(self, start_offset: int) -> bool:
        services = self._parts.services
        return services.image.offset >= start_offset or Rule.CATCH_UP_BEFORE_CONTROLLING in services.config.disabled_rules

    def _holds_own_registration(self) -> bool:
        lifecycle = self._parts.lifecycle
        return lifecycle is not None and 0 <= lifecycle.broker_epoch <= self._parts.services.image.offset

    def _maybe_snapshot(self, now_ms: int) -> None:
        """By size, or by age as soon as there is something new: a log in which nothing happens needs no other snapshot."""
        config = self._parts.services.config
        if self._snapshot_ms is None:
            self._snapshot_ms = now_ms
        interval_ms = config.metadata_log_max_snapshot_interval_ms
        is_old = interval_ms > 0 and now_ms - self._snapshot_ms >= interval_ms
        if self._bytes_since_snapshot < config.metadata_log_max_record_bytes_between_snapshots and not is_old:
            return
        image = self._parts.services.image
        self._bytes_since_snapshot = 0
        self._snapshot_ms = now_ms
        self._parts.raft.save_snapshot(image.offset + 1, image.epoch, to_snapshot(image), now_ms)
        self._parts.emit(observed("metadata-snapshot", end_offset=image.offset + 1))


def everything(image: MetadataImage) -> MetadataDelta:
    """A delta that says that all of an image is new."""
    return MetadataDelta(
        changed_partitions={key: None for key, _ in image.topics.partitions()},
        created_topics=image.topics.by_id,
        removed_topics={},
        changed_brokers=dict.fromkeys(image.brokers),
        changed_configs=dict.fromkeys(image.configs.by_resource),
        features_changed=True,
        quotas_changed=True,
    )


def replaced(before: MetadataImage, after: MetadataImage) -> MetadataDelta:
    """A delta from one image to another that did not come from it record by record."""
    whole = everything(after)
    return MetadataDelta(
        changed_partitions=whole.changed_partitions,
        created_topics={topic_id: topic for topic_id, topic in after.topics.by_id.items() if topic_id not in before.topics.by_id},
        removed_topics={topic_id: topic for topic_id, topic in before.topics.by_id.items() if topic_id not in after.topics.by_id},
        changed_brokers=dict.fromkeys((*before.brokers, *after.brokers)),
        changed_configs=dict.fromkeys((*before.configs.by_resource, *after.configs.by_resource)),
        features_changed=True,
        quotas_changed=True,
    )
