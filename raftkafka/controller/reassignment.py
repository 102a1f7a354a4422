"""AlterPartitionReassignments and ListPartitionReassignments: replicas of a partition move to other brokers, or become more or fewer.

A reassignment has three steps. (1) The target's new replicas are *added*, in the target's order, and those that the target lacks are
marked as *removing* and go behind them, but stay. (2) The new ones catch up, and the leader proposes them for the ISR. (3) As soon as all
of the target is in the ISR, the removing ones leave replicas and ISR, and the leader epoch is bumped (`election`, rule 1). Where nothing
is missing, all is one change. Its progress is in the partition's registration alone, so it survives any controller, and goes on when
brokers return.

Invariants (ids of reference/replication-rules.md)
- The *original* replicas are `replicas` without `adding_replicas`. A new target replaces the one of a reassignment under way; what that
  one added and the new one lacks is removed like any other replica.
- A cancel brings the original replicas back. It takes added ones out of the ISR at once only if enough remain that hold all committed
  records: as many as `min.insync.replicas` asks for. Otherwise it turns the reassignment round, and the added ones leave when the
  original ones are in the ISR. (Kafka takes them out at once; then one lossy crash may lose what the minimum promised to keep: D6.)
- A cancel that leaves nobody of the ISR is an unclean election, and refused unless the topic allows that.

The wording of refusals is Apache Kafka's. Sources: KIP-455, KIP-860 (`allow_replication_factor_change`); S431 ReplicationControlManager,
PartitionReassignmentReplicas, PartitionReassignmentRevert; rule K-reassign race.
"""

from __future__ import annotations

from collections.abc import Iterable

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.leader_changes import active_brokers, may_lead, observe_changes
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.controller.topic_control import refuse_replicas
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import NodeIds, PartitionChangeRecord
from raftkafka.metadata.topics import PartitionRegistration, TopicImage
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from raftkafka.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)


def decide_alter_reassignments(
    image: MetadataImage, request: AlterPartitionReassignmentsRequest, settings: ControllerSettings, now_ms: int
) -> Decision:
    """Each partition is answered on its own; the answer leaves when all live brokers know of what was granted, or at the timeout."""
    alteration = _Alteration(image, settings, may_change_count=request.allow_replication_factor_change)
    responses = []
    for topic in request.topics:
        results = [alteration.result(topic.name, partition) for partition in topic.partitions]
        responses.append(ReassignableTopicResponse(name=topic.name, partitions=results))
    reply = AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change, error_code=0, error_message=None, responses=responses
    )
    changes = list(alteration.changes.values())
    return Decision(
        reply=reply,
        records=changes,
        observed=[*alteration.observed, *observe_changes(image, changes)],
        applied_by_ms=now_ms + max(request.timeout_ms, 0) if changes else None,
    )


class _Alteration:
    """The partitions of one request."""

    def __init__(self, image: MetadataImage, settings: ControllerSettings, *, may_change_count: bool) -> None:
        self._image = image
        self._settings = settings
        self._may_change_count = may_change_count
        self._policy = TopicPolicy(image, settings)
        self._live = active_brokers(image)
        self._seen: set[PartitionKey] = set()
        self.changes: dict[PartitionKey, PartitionChangeRecord] = {}
        self.observed: list[Observed] = []

    def result(self, topic_name: str, wanted: ReassignablePartition) -> ReassignablePartitionResponse:
        """What becomes of one partition: its change is added, or the refusal is answered."""
        try:
            self._alter(topic_name, wanted)
        except ApiError as refusal:
            return ReassignablePartitionResponse(
                partition_index=wanted.partition_index, error_code=refusal.code, error_message=refusal.message or None
            )
        return ReassignablePartitionResponse(partition_index=wanted.partition_index, error_code=0, error_message=None)

    def _alter(self, topic_name: str, wanted: ReassignablePartition) -> None:
        topic = self._image.topics.by_name.get(topic_name)
        if topic is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {topic_name}.")
        partition = topic.partitions.get(wanted.partition_index)
        if partition is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {topic_name}:{wanted.partition_index}.")
        key = PartitionKey(topic.topic_id, wanted.partition_index)
        if key in self._seen:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Partition {topic_name}:{wanted.partition_index} is in the request twice.")
        self._seen.add(key)
        if wanted.replicas is None:
            target = self._cancelled(topic, key, partition)
        else:
            target = self._reassigned(partition, tuple(NodeId(replica) for replica in wanted.replicas))
        self._change(topic, key, partition, target)

    def _reassigned(self, partition: PartitionRegistration, replicas: NodeIds) -> PartitionTarget:
        refuse_replicas(self._image, replicas)
        if not self._may_change_count:
            count = len(partition.staying_replicas)
            if count != len(replicas):
                reason = f"The replication factor is changed from {count} to {len(replicas)}"
                raise ApiError(ErrorCode.INVALID_REPLICATION_FACTOR, reason)
        original = original_replicas(partition)
        removing = tuple(sorted(replica for replica in partition.replicas if replica not in replicas))
        adding = tuple(sorted(replica for replica in replicas if replica not in original))
        return PartitionTarget(replicas=(*replicas, *removing), removing_replicas=removing, adding_replicas=adding)

    def _cancelled(self, topic: TopicImage, key: PartitionKey, partition: PartitionRegistration) -> PartitionTarget:
        if not is_reassigning(partition):
            raise ApiError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
        original = original_replicas(partition)
        isr = tuple(replica for replica in partition.isr if replica in original)
        if not isr and not self._policy.unclean_election(topic.name):
            name = f"{topic.name}:{key.partition}"
            reason = f"Unable to revert partition assignment for {name} because it would require an unclean leader election."
            raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
        if isr and self._must_keep_added(topic, partition, original):
            added = tuple(replica for replica in partition.replicas if replica not in original)
            return PartitionTarget(replicas=(*original, *added), removing_replicas=added, adding_replicas=())
        return PartitionTarget(replicas=original, isr=isr, removing_replicas=(), adding_replicas=())

    def _must_keep_added(self, topic: TopicImage, partition: PartitionRegistration, original: NodeIds) -> bool:
        """Whether without the added replicas fewer would hold all committed records than acks=all has promised."""
        complete = (*partition.isr, *partition.elr)
        remaining = [replica for replica in complete if replica in original]
        return len(remaining) < min(len(complete), self._policy.min_isr(topic.name, len(original)))

    def _change(self, topic: TopicImage, key: PartitionKey, partition: PartitionRegistration, target: PartitionTarget) -> None:
        assert target.replicas is not None
        change = change_partition(
            key,
            partition,
            target,
            min_isr=self._policy.min_isr(topic.name, len(target.replicas)),
            election=Election.UNCLEAN if self._policy.unclean_election(topic.name) else Election.ONLINE,
            may_lead=may_lead(self._image, partition, self._live),
            disabled_rules=self._settings.disabled_rules,
        )
        if change is None:
            return
        self.changes[key] = change
        changed = partition.changed_by(change)
        self.observed.append(
            observed(
                "reassignment-started" if is_reassigning(changed) else "replicas-changed",
                partition=f"{topic.name}-{key.partition}",
                old_replicas=list(partition.replicas),
                replicas=list(changed.replicas),
                adding=list(changed.adding_replicas),
                removing=list(changed.removing_replicas),
            )
        )


def is_reassigning(partition: PartitionRegistration) -> bool:
    """Whether a reassignment of the partition is under way."""
    return bool(partition.adding_replicas or partition.removing_replicas)


def original_replicas(partition: PartitionRegistration) -> NodeIds:
    """The replicas before the reassignment under way began; all of them when there is none."""
    return tuple(replica for replica in partition.replicas if replica not in partition.adding_replicas)


def list_reassignments(image: MetadataImage, request: ListPartitionReassignmentsRequest) -> Decision:
    """The reassignments under way, of all topics or of those named; what is not there, or not being reassigned, is left out."""
    listed = []
    if request.topics is None:
        listed = [_ongoing(topic, topic.partitions) for topic in image.topics.by_id.values()]
    else:
        for asked in request.topics:
            topic = image.topics.by_name.get(asked.name)
            if topic is not None:
                listed.append(_ongoing(topic, asked.partition_indexes))
    topics = [topic for topic in listed if topic.partitions]
    return Decision(reply=ListPartitionReassignmentsResponse(error_code=0, error_message=None, topics=topics))


def _ongoing(topic: TopicImage, indexes: Iterable[int]) -> OngoingTopicReassignment:
    found = []
    for index in indexes:
        partition = topic.partitions.get(index)
        if partition is not None and is_reassigning(partition):
            found.append(
                OngoingPartitionReassignment(
                    partition_index=index,
                    replicas=list(partition.replicas),
                    adding_replicas=list(partition.adding_replicas),
                    removing_replicas=list(partition.removing_replicas),
                )
            )
    return OngoingTopicReassignment(name=topic.name, partitions=found)
