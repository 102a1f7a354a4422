"""AlterPartition: a leader proposes the ISR; the controller refuses what a stale or confused leader says, else records it.

The refusals and their order are Kafka's (KIP-497; S431 validateAlterPartitionData): the order matters, because each code tells the leader
something else. A *higher* epoch than ours means that we are the stale one (NOT_CONTROLLER). A proposed member must be live, and the
broker epoch of its last fetch must be that of its registration: it may have restarted with an empty disk since (KIP-841, KIP-903).
"""

from __future__ import annotations

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import NO_RULES, Rule, Rules
from raftkafka.controller.decision import Decision
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.controller.leader_changes import is_active
from raftkafka.controller.policy import TopicPolicy
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.control_messages import AlterPartition, AlterPartitionItem, AlterPartitionReply, AlterPartitionResult, IsrMember
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import NO_LEADER_CHANGE, PartitionChangeRecord
from raftkafka.metadata.topics import RECOVERED, RECOVERING, PartitionRegistration


def decide_alter_partition(image: MetadataImage, request: AlterPartition, settings: ControllerSettings) -> Decision:
    """Each partition is answered on its own; the sender's broker epoch is checked first, by the caller."""
    policy = TopicPolicy(image, settings)
    results: list[AlterPartitionResult] = []
    changes: list[PartitionChangeRecord] = []
    observations: list[Observed] = []
    seen: set[PartitionKey] = set()
    for item in request.partitions:
        key = PartitionKey(item.topic_id, item.partition)
        try:
            if key in seen:
                raise ApiError(ErrorCode.INVALID_REQUEST, "the partition is in the request twice")
            seen.add(key)
            result, change = _decide_one(image, request.node_id, item, policy, settings)
        except ApiError as refusal:
            results.append(AlterPartitionResult(topic_id=item.topic_id, partition=item.partition, error=refusal.code))
            name = image.topics.by_id[item.topic_id].name if item.topic_id in image.topics.by_id else "?"
            partition = f"{name}-{item.partition}"
            observations.append(observed("alter-partition-refused", partition=partition, sender=request.node_id, why=str(refusal)))
            continue
        results.append(result)
        if change is not None:
            changes.append(change)
    observations += _observe_isr_changes(image, changes)
    return Decision(reply=AlterPartitionReply(partitions=tuple(results)), records=changes, observed=observations)


def _decide_one(
    image: MetadataImage, sender: NodeId, item: AlterPartitionItem, policy: TopicPolicy, settings: ControllerSettings
) -> tuple[AlterPartitionResult, PartitionChangeRecord | None]:
    topic = image.topics.by_id.get(item.topic_id)
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID)
    partition = topic.partitions.get(item.partition)
    if partition is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    _refuse_newer_epochs(partition, item)
    if settings.applies(Rule.REFUSE_STALE_PROPOSALS):
        _refuse_stale(partition, sender, item)
    _refuse_wrong_isr(image, partition, sender, item, settings.disabled_rules)
    change = change_partition(
        PartitionKey(item.topic_id, item.partition),
        partition,
        PartitionTarget(isr=tuple(member.node_id for member in item.new_isr), leader_recovery_state=item.leader_recovery_state),
        min_isr=policy.min_isr(topic.name, len(partition.replicas)),
        election=Election.UNCLEAN if policy.unclean_election(topic.name) else Election.ONLINE,
        may_lead=lambda replica: is_active(image, replica) and image.brokers[replica].has_online(partition.directory(replica)),
        disabled_rules=settings.disabled_rules,
    )
    if change is None:
        return _result(item, partition), None
    changed = partition.changed_by(change)
    result = _result(item, changed)
    if change.leader != NO_LEADER_CHANGE:
        # The proposal completed a reassignment and the sender leads no more, or leads in a new epoch: it must wait for the metadata.
        moved = changed.leader != sender
        result = attrs.evolve(result, error=ErrorCode.NEW_LEADER_ELECTED if moved else ErrorCode.FENCED_LEADER_EPOCH)
    return result, change


def _result(item: AlterPartitionItem, partition: PartitionRegistration) -> AlterPartitionResult:
    return AlterPartitionResult(
        topic_id=item.topic_id,
        partition=item.partition,
        leader=partition.leader,
        leader_epoch=partition.leader_epoch,
        isr=partition.isr,
        leader_recovery_state=partition.leader_recovery_state,
        partition_epoch=partition.partition_epoch,
    )


def _refuse_newer_epochs(partition: PartitionRegistration, item: AlterPartitionItem) -> None:
    if item.leader_epoch > partition.leader_epoch:
        raise ApiError(ErrorCode.NOT_CONTROLLER, f"leader epoch {item.leader_epoch} is newer than ours, {partition.leader_epoch}")
    if item.partition_epoch > partition.partition_epoch:
        raise ApiError(ErrorCode.NOT_CONTROLLER, f"partition epoch {item.partition_epoch} is newer than ours, {partition.partition_epoch}")


def _refuse_stale(partition: PartitionRegistration, sender: NodeId, item: AlterPartitionItem) -> None:
    if item.leader_epoch < partition.leader_epoch:
        raise ApiError(ErrorCode.FENCED_LEADER_EPOCH, f"leader epoch {item.leader_epoch}, the current one is {partition.leader_epoch}")
    if sender != partition.leader:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"the leader is {partition.leader}")
    if item.partition_epoch < partition.partition_epoch:
        reason = f"partition epoch {item.partition_epoch}, the current one is {partition.partition_epoch}"
        raise ApiError(ErrorCode.INVALID_UPDATE_VERSION, reason)


def _refuse_wrong_isr(
    image: MetadataImage, partition: PartitionRegistration, sender: NodeId, item: AlterPartitionItem, disabled_rules: Rules
) -> None:
    members = [member.node_id for member in item.new_isr]
    if not set(members) <= set(partition.replicas) or len(set(members)) != len(members):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"ISR {members} is no part of the replicas {list(partition.replicas)}")
    if sender not in members:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"ISR {members} lacks the leader {sender}")
    if item.leader_recovery_state == RECOVERING and len(members) > 1:
        raise ApiError(ErrorCode.INVALID_REQUEST, "a leader that recovers from an unclean election has an ISR of its own")
    if item.leader_recovery_state == RECOVERING and partition.leader_recovery_state == RECOVERED:
        raise ApiError(ErrorCode.INVALID_REQUEST, "the leader recovery state cannot go from RECOVERED to RECOVERING")
    ineligible = [f"{member.node_id} ({reason})" for member in item.new_isr if (reason := why_ineligible(image, member, disabled_rules))]
    for node_id in members if partition.directories else ():
        if not image.brokers[node_id].has_online(partition.directory(node_id)):
            ineligible.append(f"{node_id} (its log directory has failed)")
    if ineligible:
        raise ApiError(ErrorCode.INELIGIBLE_REPLICA, ", ".join(ineligible))


def why_ineligible(image: MetadataImage, member: IsrMember, disabled_rules: Rules = NO_RULES) -> str:
    """Why this broker may not be in an ISR now; empty when it may. Epoch -1 skips the comparison."""
    broker = image.brokers.get(member.node_id)
    if broker is None:
        return "not registered"
    if Rule.REFUSE_FENCED_IN_ISR not in disabled_rules:
        if broker.in_controlled_shutdown:
            return "shutting down"
        if broker.fenced:
            return "fenced"
    if member.broker_epoch not in (-1, broker.broker_epoch) and Rule.REQUIRE_BROKER_EPOCH not in disabled_rules:
        return f"broker epoch mismatch: requested={member.broker_epoch} VS expected={broker.broker_epoch}"
    return ""


def _observe_isr_changes(image: MetadataImage, changes: list[PartitionChangeRecord]) -> list[Observed]:
    """One line per ISR that shrinks or grows, and per reassignment that this completes."""
    lines = []
    for change in changes:
        topic = image.topics.by_id[change.topic_id]
        old = topic.partitions[change.partition]
        if change.adding_replicas == () or change.removing_replicas == ():
            replicas = old.replicas if change.replicas is None else change.replicas
            lines.append(observed("reassignment-completed", partition=f"{topic.name}-{change.partition}", replicas=list(replicas)))
        if change.isr is None:
            continue
        kind = "isr-shrunk" if len(change.isr) < len(old.isr) else "isr-expanded"
        elr = old.elr if change.elr is None else change.elr
        name = f"{topic.name}-{change.partition}"
        lines.append(observed(kind, partition=name, old_isr=list(old.isr), isr=list(change.isr), elr=list(elr)))
    return lines
