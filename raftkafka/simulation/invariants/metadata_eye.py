"""Looks at the newest committed metadata whenever a node has applied more of it, and calls the invariants of `metadata`."""

from __future__ import annotations

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage, PartitionRegistration
from raftkafka.simulation.invariants import balance, directories, metadata, replicas
from raftkafka.simulation.invariants.memory import ClusterMemory, is_unclean

KEPT_IMAGES = 256
"""How far a node may lag behind and still be compared."""


class MetadataEye:
    """Of a whole world. `settings` are those of every controller."""

    def __init__(self, memory: ClusterMemory, settings: ControllerSettings) -> None:
        self._memory = memory
        self._settings = settings

    def look(self, node_id: NodeId, image: MetadataImage) -> None:
        """A node has this image now."""
        memory = self._memory
        known = memory.images.get(image.offset)
        if known is not None:
            metadata.metadata_is_a_prefix(node_id, image, known)
            return
        memory.images[image.offset] = image
        if len(memory.images) > KEPT_IMAGES:
            del memory.images[next(iter(memory.images))]
        if image.offset > memory.image.offset:
            self._newer(memory.image, image)

    def _newer(self, before: MetadataImage, after: MetadataImage) -> None:
        memory = self._memory
        memory.image = after
        for node_id in memory.retired:
            metadata.nothing_refers_to_a_removed_broker(node_id, after, [voter for voter, _ in memory.raft.voters])
        restarted: dict[NodeId, bool] = {}
        if after.brokers is not before.brokers:
            for node_id, broker in before.brokers.items():
                now = after.brokers.get(node_id)
                restarted[node_id] = now is None or now.broker_epoch != broker.broker_epoch
                if now is not None and now is not broker:
                    metadata.broker_epochs_monotonic(node_id, broker, now)
        else:
            restarted = dict.fromkeys(before.brokers, False)
        brokers_changed = after.brokers is not before.brokers
        policies = TopicPolicy(before, self._settings), TopicPolicy(after, self._settings)
        for topic_id, topic in after.topics.by_id.items():
            old_topic = before.topics.by_id.get(topic_id)
            same_policy = after.configs is before.configs
            if old_topic is topic and not brokers_changed and same_policy:
                continue
            for index, registration in topic.partitions.items():
                old = old_topic.partitions.get(index) if old_topic is not None else None
                if old is registration and not brokers_changed and same_policy:
                    continue
                size = len(registration.replicas)
                min_isrs = policies[0].min_isr(topic.name, size), policies[1].min_isr(topic.name, size)
                self._partition(PartitionKey(topic_id, index), f"{topic.name}-{index}", old, registration, min_isrs, restarted)

    def _partition(
        self,
        key: PartitionKey,
        name: str,
        before: PartitionRegistration | None,
        after: PartitionRegistration,
        min_isrs: tuple[int, int],
        restarted: dict[NodeId, bool],
    ) -> None:
        partition = self._memory.partition(key)
        partition.registration, partition.min_isr = after, min_isrs[1]
        metadata.isr_and_elr_well_formed(name, after, self._memory.image.brokers, min_isrs[1])
        metadata.reassignment_well_formed(name, after)
        directories.leaders_where_disks_work(name, after, self._memory.image.brokers)
        if before is not None and before is not after:
            metadata.partition_epochs_monotonic(name, before, after)
            balance.leaders_move_inside_the_isr(name, before, after)
            balance.no_leader_is_taken_for_nothing(name, before, after, self._memory.image.brokers)
            metadata.elr_keeps_min_isr(name, before, after, min(min_isrs), restarted | self._made_anew(before, after))
            metadata.removal_keeps_copies(name, before, after, min(min_isrs))
        if is_unclean(after) and (before is None or after.leader_epoch > before.leader_epoch):
            partition.unclean_epoch = after.leader_epoch
            partition.unclean = True
        self._check_restarts(key, name, after)
        for node_id, view in partition.views.items():
            if self._memory.is_registered(node_id):
                replicas.leader_candidate_completeness(view, partition)
                if view.leads:
                    replicas.replication_quorum_superset(view, partition)
                    replicas.leader_completeness(view, partition)

    def _made_anew(self, before: PartitionRegistration, after: PartitionRegistration) -> dict[NodeId, bool]:
        """The replicas whose log is in another directory since the one where it was is gone: they have nothing, as after a restart."""
        found = {}
        for node_id in after.replicas if after.directories != before.directories else ():
            directory, broker = before.directory(node_id), self._memory.image.brokers.get(node_id)
            if directory != after.directory(node_id) and broker is not None and not broker.has_online(directory):
                found[node_id] = True
        return found

    def _check_restarts(self, key: PartitionKey, name: str, registration: PartitionRegistration) -> None:
        for node_id, process in self._memory.processes.items():
            if key in process.owes and self._memory.is_registered(node_id):
                partition = self._memory.partition(key)
                view = partition.views.get(node_id)
                elected_uncleanly = is_unclean(registration) and registration.leader == node_id
                if elected_uncleanly or (view is not None and partition.has_caught_up(view)):
                    del process.owes[key]
                else:
                    metadata.unclean_exclusion(name, process, registration)
