"""Log directories of brokers (KIP-858): one fails and takes its replicas with it; brokers say where their replicas are.

Invariants
- A replica whose directory has failed leads nothing and is in no ISR. It stays in the ELR: what it holds was not lost by that, and it may
  lead again when the directory works again.
- A directory's failure and all that follows from it are one decision, as fencing is.
- A replica whose log was made anew, since it was in no directory of its broker any more, is in neither the ISR nor the ELR: it has nothing.

Sources: KIP-858 (directory ids, assignments, failures), KIP-966 (who may be elected), KIP-1066 (cordoned directories).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.base.ids import NO_DIRECTORY_ID, DirectoryId, PartitionKey, id_to_text
from raftkafka.base.observed import observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.leader_changes import active_brokers, changes_in_directories, may_lead, observe_changes
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.brokers import BrokerRegistration
from raftkafka.metadata.control_messages import AssignedReplica, AssignReplicas, AssignReplicasReply
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import BrokerDirectoriesRecord, PartitionChangeRecord, Record
from raftkafka.metadata.topics import PartitionRegistration


def decide_failed_directories(
    image: MetadataImage, broker: BrokerRegistration, offline: Sequence[DirectoryId], settings: ControllerSettings
) -> Decision:
    """What a broker has lost leaves its registration, and the replicas there lose ISR and leadership; nothing when that is known."""
    failed = tuple(directory for directory in broker.directories if directory in offline)
    working = tuple(directory for directory in broker.directories if directory not in offline)
    if not failed or not working:  # without any the broker ends its process
        return Decision()
    record = BrokerDirectoriesRecord(
        node_id=broker.node_id,
        broker_epoch=broker.broker_epoch,
        directories=working,
        cordoned=tuple(directory for directory in broker.cordoned if directory in working),
    )
    after, _ = image.apply([record], image.offset, image.epoch)
    changes = changes_in_directories(after, settings, broker.node_id, failed)
    names = [id_to_text(directory) for directory in failed]
    return Decision(
        records=[record, *changes],
        observed=[
            observed("directories-failed", node=broker.node_id, directories=names, working=len(working)),
            *observe_changes(image, changes),
        ],
    )


def decide_assign_replicas(image: MetadataImage, request: AssignReplicas, settings: ControllerSettings) -> Decision:
    """Notes where replicas are. What this makes possible (a leader for a partition that has none) or impossible happens at once."""
    broker = image.brokers[request.node_id]
    records: list[Record] = []
    changes: list[PartitionChangeRecord] = []
    if request.cordoned != broker.cordoned:
        records.append(
            BrokerDirectoriesRecord(
                node_id=broker.node_id, broker_epoch=broker.broker_epoch, directories=broker.directories, cordoned=request.cordoned
            )
        )
    assignment = _Assignment(image, broker, settings)
    for replica in {(each.topic_id, each.partition): each for each in request.replicas}.values():
        change = assignment.change(replica)
        if change is not None:
            changes.append(change)
    told = [observed("replicas-assigned", node=broker.node_id, count=len(changes))] if changes else []
    return Decision(reply=AssignReplicasReply(), records=[*records, *changes], observed=[*told, *observe_changes(image, changes)])


class _Assignment:
    """The assignments of one broker."""

    def __init__(self, image: MetadataImage, broker: BrokerRegistration, settings: ControllerSettings) -> None:
        self._image = image
        self._broker = broker
        self._settings = settings
        self._policy = TopicPolicy(image, settings)
        self._live = active_brokers(image)

    def change(self, replica: AssignedReplica) -> PartitionChangeRecord | None:
        """The record for one replica; None when the broker has none of the partition, or it is known to be there."""
        key = PartitionKey(replica.topic_id, replica.partition)
        partition = self._image.partition(key)
        node_id = self._broker.node_id
        if partition is None or node_id not in partition.replicas or partition.directory(node_id) == replica.directory:
            return None
        assigned = attrs.evolve(
            partition,
            directories=tuple(replica.directory if each == node_id else partition.directory(each) for each in partition.replicas),
        )
        name = self._image.topics.by_id[key.topic_id].name
        change = change_partition(
            key,
            assigned,
            self._target(partition, replica),
            min_isr=self._policy.min_isr(name, len(partition.replicas)),
            election=Election.UNCLEAN if self._policy.unclean_election(name) else Election.ONLINE,
            may_lead=may_lead(self._image, assigned, self._live),
            disabled_rules=self._settings.disabled_rules,
        )
        if change is None:
            change = PartitionChangeRecord(topic_id=key.topic_id, partition=key.partition)
        replicas = partition.replicas if change.replicas is None else change.replicas
        return attrs.evolve(change, directories=tuple(assigned.directory(each) for each in replicas))

    def _target(self, partition: PartitionRegistration, replica: AssignedReplica) -> PartitionTarget:
        """A replica of which no directory is known yet is a new one, or was left out when its broker registered."""
        broker = self._broker
        made_anew = replica.made_anew and partition.directory(broker.node_id) != NO_DIRECTORY_ID
        if broker.has_online(replica.directory) and not made_anew:
            return PartitionTarget()
        isr = tuple(member for member in partition.isr if member != broker.node_id)
        return PartitionTarget(isr=isr, unclean_shutdown=(broker.node_id,) if made_anew else ())
