"""From metadata to roles: which partitions this broker has, which it leads, which it follows and whom.

Invariants
- A role is only taken from metadata whose leader epoch and partition epoch are not older than what is known (D10).
- A new leader notes the start of its epoch in the epoch cache before it appends anything, also when it never will (KIP-279).
- Losing leadership answers everything that waited for it; a deleted or reassigned partition is followed by nobody and its log goes.
- A partition belongs to a topic *id*: the log of a deleted topic is not that of a new topic with the same name.
- At most `LOGS_PER_STEP` logs are created at a time, each of them a directory and a file: a topic of a thousand partitions must not hold
  the node up until others take it for dead. What is `unfinished` is brought to the newest metadata, not to that which first named it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from raftkafka.base.errors import ApiError, DiskError
from raftkafka.base.ids import NO_NODE, PartitionKey
from raftkafka.base.observed import observed
from raftkafka.base.rules import Rule
from raftkafka.metadata.configs import ResourceType
from raftkafka.metadata.image import MetadataDelta, MetadataImage, PartitionRegistration
from raftkafka.replication.delete_records import DeleteRecordsService
from raftkafka.replication.fetcher import FetcherPool
from raftkafka.replication.follower import become_follower
from raftkafka.replication.leader import Leader
from raftkafka.replication.partition import Partition
from raftkafka.replication.ports import Logs
from raftkafka.replication.produce import ProduceService
from raftkafka.replication.replicas import Replicas
from raftkafka.replication.values import LeadershipGained, LeadershipLost, TopicReplicationConfig

LOGS_PER_STEP = 32

TopicConfig = Callable[[MetadataImage, str], TopicReplicationConfig]


class Transitions:
    """Applies metadata to the hosted partitions."""

    def __init__(
        self,
        replicas: Replicas,
        logs: Logs,
        topic_config: TopicConfig,
        *,
        produce: ProduceService,
        deletions: DeleteRecordsService,
        fetchers: FetcherPool,
        lag_max_ms: int,
    ) -> None:
        self._replicas = replicas
        self._logs = logs
        self._topic_config = topic_config
        self._produce = produce
        self._deletions = deletions
        self._fetchers = fetchers
        self._lag_max_ms = lag_max_ms
        self._without_log: dict[PartitionKey, bool] = {}
        """Replicas whose log is yet to be created, and whether each is new to this broker."""

    @property
    def unfinished(self) -> bool:
        """Whether logs are yet to be created: then `go_on` is to be called."""
        return bool(self._without_log)

    def apply(self, image: MetadataImage, delta: MetadataDelta, now_ms: int) -> None:
        """Moves every changed partition to the state that the image gives it."""
        replicas = self._replicas
        before, replicas.image = replicas.image, image
        own = image.brokers.get(replicas.node_id)
        is_first = replicas.broker_epoch < 0
        if is_first and own is not None:
            replicas.broker_epoch = self._logs.broker_epoch = own.broker_epoch
            self._delete_strays(image, now_ms)
        for topic_id, topic in delta.removed_topics.items():
            for index in topic.partitions:
                self._remove(PartitionKey(topic_id, index), now_ms)
        creations_left = LOGS_PER_STEP if not self._without_log else 0
        for key in delta.changed_partitions:
            registration = image.partition(key)
            if registration is None or replicas.node_id not in registration.replicas:
                self._remove(key, now_ms)
                continue
            partition = replicas.by_key.get(key)
            if partition is None:
                old = before.partition(key)
                is_new = not is_first and (old is None or replicas.node_id not in old.replicas)
                if self._logs.get(key) is None:
                    if creations_left == 0:
                        self._without_log.setdefault(key, is_new)
                        continue
                    creations_left -= 1
                partition = self._host(key, image, registration, now_ms, is_new=is_new)
            if partition is not None:
                self._update(partition, registration, now_ms)
        for resource_type, name in delta.changed_configs:
            self._configure(image, resource_type, name)
            replicas.throttle.configure(image.configs, resource_type, name, now_ms)

    def go_on(self, now_ms: int) -> None:
        """Creates the next few logs and takes up the roles there."""
        image = self._replicas.image
        for key in list(islice(self._without_log, LOGS_PER_STEP)):
            is_new = self._without_log.pop(key)
            registration = image.partition(key)
            assert registration is not None, "a replica that is removed waits for its log no longer"
            partition = self._host(key, image, registration, now_ms, is_new=is_new)
            if partition is not None:
                self._update(partition, registration, now_ms)

    def _delete_strays(self, image: MetadataImage, now_ms: int) -> None:
        """Logs of topics that were deleted, or of replicas that were moved, while this broker was down."""
        for log in list(self._logs):
            registration = image.partition(log.key)
            if registration is None or self._replicas.node_id not in registration.replicas:
                self._replicas.outputs.append(observed("stray-log-deleted", partition=f"{log.topic}-{log.partition}"))
                self._logs.delete(log.key, now_ms)

    def _host(
        self, key: PartitionKey, image: MetadataImage, registration: PartitionRegistration, now_ms: int, *, is_new: bool
    ) -> Partition | None:
        """Opens or creates the log; None when the disk does not let us, which was observed. One that is not new to this broker may lie in a
        log directory that has failed."""
        replicas = self._replicas
        topic = image.topics.by_id[key.topic_id].name
        config = self._topic_config(image, topic)
        log = self._logs.get(key)
        high_watermark = 0
        try:
            if log is None:
                directory_id = registration.directory(replicas.node_id)
                log = self._logs.create(key, topic, config.log, now_ms, directory_id=directory_id, is_new=is_new)
            else:
                log.configure(config.log)
                high_watermark = self._logs.checkpointed_high_watermark(key)
        except (ApiError, DiskError) as error:
            replicas.outputs.append(observed("log-not-created", partition=f"{topic}-{key.partition}", error=str(error)))
            return None
        partition = Partition(key, topic, log, high_watermark=high_watermark, min_insync_replicas=config.min_insync_replicas)
        replicas.by_key[key] = partition
        return partition

    def _update(self, partition: Partition, registration: PartitionRegistration, now_ms: int) -> None:
        if registration.partition_epoch < partition.partition_epoch or registration.leader_epoch < partition.leader_epoch:
            return  # the controller's answer to an ISR proposal was newer
        new_epoch = registration.leader_epoch > partition.leader_epoch
        partition.leader_epoch = registration.leader_epoch
        if registration.leader == self._replicas.node_id:
            self._lead(partition, registration, now_ms)
        else:
            self._follow(partition, registration, new_epoch=new_epoch)
        partition.partition_epoch = registration.partition_epoch
        partition.state_changed = True
        self._replicas.touched[partition] = None

    def _lead(self, partition: Partition, registration: PartitionRegistration, now_ms: int) -> None:
        leader = partition.leader
        if leader is not None and leader.epoch == registration.leader_epoch:
            if registration.partition_epoch > partition.partition_epoch:
                leader.update(registration, now_ms)
            return
        self._fetchers.unassign(partition.key)
        log = partition.log
        if self._replicas.applies(Rule.RECORD_EPOCH_AT_ELECTION):
            log.epochs.assign(registration.leader_epoch, log.log_end_offset)
        partition.leader_id = self._replicas.node_id
        partition.leader = Leader(partition, registration, self._replicas, lag_max_ms=self._lag_max_ms, now_ms=now_ms)
        if leader is not None:
            partition.leader.take_over_acks(leader)
        else:
            self._replicas.traffic.began(partition, now_ms)
        self._replicas.outputs.append(LeadershipGained(partition.key, partition.topic, registration.leader_epoch))
        self._replicas.outputs.append(
            observed(
                "became-leader",
                partition=str(partition),
                leader_epoch=registration.leader_epoch,
                start_offset=log.log_end_offset,
                high_watermark=partition.high_watermark,
                isr=list(registration.isr),
            )
        )

    def _follow(self, partition: Partition, registration: PartitionRegistration, *, new_epoch: bool) -> None:
        if not new_epoch and partition.leader_id == registration.leader and partition.leader is None:
            return
        self._resign(partition)
        partition.leader_id = registration.leader
        if registration.leader == NO_NODE:
            self._fetchers.unassign(partition.key)
            return
        try:
            become_follower(self._replicas, partition)
        except ApiError as error:
            self._replicas.outputs.append(observed("partition-offline", partition=str(partition), error=str(error)))
            return
        self._fetchers.assign(partition, registration.leader)
        self._replicas.outputs.append(
            observed(
                "became-follower",
                partition=str(partition),
                leader=registration.leader,
                leader_epoch=registration.leader_epoch,
                log_end_offset=partition.log.log_end_offset,
            )
        )

    def _resign(self, partition: Partition) -> None:
        leader = partition.leader
        if leader is not None:
            partition.leader = None
            self._produce.leadership_lost(partition, leader)
            self._deletions.leadership_lost(partition)
            self._replicas.outputs.append(LeadershipLost(partition.key, partition.topic))

    def _remove(self, key: PartitionKey, now_ms: int) -> None:
        replicas = self._replicas
        self._without_log.pop(key, None)
        partition = replicas.by_key.pop(key, None)
        if partition is None:
            return
        self._fetchers.unassign(key)
        partition.leader_id = NO_NODE
        self._resign(partition)
        partition.state_changed = True
        replicas.touched[partition] = None
        replicas.watched.pop(key, None)
        replicas.outputs.append(observed("replica-removed", partition=str(partition)))
        self._logs.delete(key, now_ms)

    def _configure(self, image: MetadataImage, resource_type: int, name: str) -> None:
        """Brings changed settings into effect: of one topic, or of all when a broker's changed."""
        if resource_type == ResourceType.TOPIC:
            topic = image.topics.by_name.get(name)
            keys = [PartitionKey(topic.topic_id, index) for index in topic.partitions] if topic is not None else []
        elif resource_type == ResourceType.BROKER:
            keys = list(self._replicas.by_key)
        else:
            return
        for key in keys:
            partition = self._replicas.by_key.get(key)
            if partition is None:
                continue
            config = self._topic_config(image, partition.topic)
            partition.log.configure(config.log)
            partition.min_insync_replicas = config.min_insync_replicas
            if partition.leader is not None:
                partition.leader.update_min_isr()
                self._replicas.touched[partition] = None
