"""CreateTopics, DeleteTopics, CreatePartitions.

Each topic of a request is answered on its own; what is granted is one decision. The wording of refusals is Apache Kafka's, which its tools
print. Sources: KIP-4, KIP-195, KIP-464 (defaults), KIP-516 (topic ids), KIP-525 (create answers with the configs).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, TopicId, random_id
from raftkafka.base.observed import Observed, observed
from raftkafka.controller.decision import Decision
from raftkafka.controller.leader_changes import is_active
from raftkafka.controller.placement import UsableBroker, place
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.config_checks import check_topic_configs
from raftkafka.metadata.config_defs import TOPIC_DEFS, canonical_text
from raftkafka.metadata.configs import ResourceType
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import ConfigRecord, NodeIds, PartitionRecord, Record, TopicRecord
from raftkafka.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)
from raftkafka.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

MAX_NAME_LENGTH = 249
_DYNAMIC_TOPIC_CONFIG = 1


def decide_create_topics(
    image: MetadataImage, request: CreateTopicsRequest, settings: ControllerSettings, rng: random.Random, now_ms: int
) -> Decision:
    """Creates the topics; the answer leaves when all live brokers have them, or at the request's timeout."""
    creation = _Creation(image, settings, rng)
    counts: dict[str, int] = {}
    for topic in request.topics:
        counts[topic.name] = counts.get(topic.name, 0) + 1
    results = []
    for topic in request.topics:
        if counts[topic.name] == 1:
            results.append(creation.result(topic))
        elif counts[topic.name] > 1:  # answered once
            counts[topic.name] = 0
            results.append(_refused(topic.name, ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")))
    response = CreateTopicsResponse(topics=results)
    if request.validate_only:
        for result in results:
            result.topic_id = bytes(16)
        return Decision(reply=response)
    applied_by_ms = now_ms + max(request.timeout_ms, 0) if creation.records else None
    return Decision(reply=response, records=creation.records, observed=creation.observed, applied_by_ms=applied_by_ms)


class _Creation:
    """The topics of one request, one after the other: they must not collide with each other either."""

    def __init__(self, image: MetadataImage, settings: ControllerSettings, rng: random.Random) -> None:
        self._image = image
        self._settings = settings
        self._rng = rng
        self._collision_keys: dict[str, str] = {}
        for name in image.topics.by_name:
            if "." in name or "_" in name:
                self._collision_keys.setdefault(_collision_key(name), name)
        self._partition_count = 0
        self.records: list[Record] = []
        self.observed: list[Observed] = []

    def result(self, topic: CreatableTopic) -> CreatableTopicResult:
        try:
            return self._create(topic)
        except ApiError as refusal:
            return _refused(topic.name, refusal)

    def _create(self, topic: CreatableTopic) -> CreatableTopicResult:
        self._refuse_name(topic.name)
        configs = _checked_configs(topic.configs)
        replica_sets = self._replica_sets(topic)
        self._partition_count += len(replica_sets)
        if self._partition_count > self._settings.max_partitions_per_request:
            raise ApiError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
        topic_id = TopicId(random_id(self._rng))
        records: list[Record] = [TopicRecord(name=topic.name, topic_id=topic_id)]
        for name, value in configs.items():
            records.append(ConfigRecord(resource_type=ResourceType.TOPIC, resource_name=topic.name, name=name, value=value))
        records.extend(_partition_records(self._image, topic_id, 0, replica_sets))
        self.records += records
        if "." in topic.name or "_" in topic.name:
            self._collision_keys.setdefault(_collision_key(topic.name), topic.name)
        replication_factor = len(replica_sets[0])
        self.observed.append(
            observed("topic-created", topic=topic.name, partitions=len(replica_sets), replication_factor=replication_factor)
        )
        return CreatableTopicResult(
            name=topic.name,
            topic_id=topic_id,
            error_code=0,
            error_message=None,
            num_partitions=len(replica_sets),
            replication_factor=replication_factor,
            configs=[CreatableTopicConfigs(name=name, value=value, config_source=_DYNAMIC_TOPIC_CONFIG) for name, value in configs.items()],
        )

    def _refuse_name(self, name: str) -> None:
        if name == "__cluster_metadata":
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Creation of internal topic {name} is prohibited.")
        refuse_topic_name(name)
        if name in self._image.topics.by_name:
            raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        if "." in name or "_" in name:
            other = self._collision_keys.get(_collision_key(name))
            if other is not None:
                raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {other}")

    def _replica_sets(self, topic: CreatableTopic) -> list[NodeIds]:
        if topic.assignments:
            return _manual_replica_sets(self._image, topic)
        if topic.replication_factor < -1 or topic.replication_factor == 0:
            reason = "Replication factor must be larger than 0, or -1 to use the default value."
            raise ApiError(ErrorCode.INVALID_REPLICATION_FACTOR, reason)
        if topic.num_partitions < -1 or topic.num_partitions == 0:
            raise ApiError(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
        partition_count = self._settings.num_partitions if topic.num_partitions == -1 else topic.num_partitions
        if partition_count > self._settings.max_partitions_per_request:
            raise ApiError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
        replication_factor = self._settings.default_replication_factor if topic.replication_factor == -1 else topic.replication_factor
        return _placed(self._image, partition_count, replication_factor, self._rng)


def _refused(name: str, refusal: ApiError) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=refusal.code, error_message=refusal.message or None, configs=[])


def refuse_topic_name(name: str) -> None:
    """Refuses (INVALID_TOPIC_EXCEPTION) what is not a legal topic name."""
    reason = ""
    if not name:
        reason = "the empty string is not allowed"
    elif name in (".", ".."):
        reason = f"'{name}' is not allowed"
    elif len(name) > MAX_NAME_LENGTH:
        reason = f"the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}"
    elif not re.fullmatch(r"[a-zA-Z0-9._-]+", name):
        reason = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    if reason:
        raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {reason}")


def _collision_key(name: str) -> str:
    """Metric names do not tell '.' from '_'."""
    return name.replace(".", "_")


def _checked_configs(configs: Iterable[CreatableTopicConfig]) -> dict[str, str]:
    checked: dict[str, str] = {}
    missing = [config.name for config in configs if config.value is None]
    if missing:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {','.join(missing)}")
    for config in configs:
        assert config.value is not None
        checked[config.name] = canonical_text(TOPIC_DEFS.get(config.name), config.value)
    check_topic_configs(checked)
    return checked


def _placed(image: MetadataImage, partition_count: int, replication_factor: int, rng: random.Random) -> list[NodeIds]:
    brokers = [
        UsableBroker(node_id=b.node_id, rack=b.rack, is_live=b.is_active)
        for b in image.brokers.values()
        if not b.in_controlled_shutdown and b.takes_replicas
    ]
    return place(brokers, partition_count=partition_count, replication_factor=replication_factor, rng=rng)


def _manual_replica_sets(image: MetadataImage, topic: CreatableTopic) -> list[NodeIds]:
    if topic.replication_factor != -1:
        reason = "A manual partition assignment was specified, but replication factor was not set to -1."
        raise ApiError(ErrorCode.INVALID_REQUEST, reason)
    if topic.num_partitions != -1:
        raise ApiError(ErrorCode.INVALID_REQUEST, "A manual partition assignment was specified, but numPartitions was not set to -1.")
    by_index: dict[int, CreatableReplicaAssignment] = {}
    for assignment in topic.assignments:
        if assignment.partition_index in by_index:
            reason = f"Found multiple manual partition assignments for partition {assignment.partition_index}"
            raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
        by_index[assignment.partition_index] = assignment
    if sorted(by_index) != list(range(len(by_index))):
        raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence")
    return _checked_assignments(image, [by_index[index].broker_ids for index in range(len(by_index))], first_partition=0)


def _checked_assignments(
    image: MetadataImage, assignments: Sequence[Sequence[int]], *, first_partition: int, replication_factor: int | None = None
) -> list[NodeIds]:
    """Refuses (INVALID_REPLICA_ASSIGNMENT) replica lists that are empty, unequal, unknown, doubled, or without a live broker."""
    replica_sets = []
    for partition, brokers in enumerate(assignments, start=first_partition):
        replicas = tuple(NodeId(broker) for broker in brokers)
        reason = _assignment_refusal(image, replicas, partition, replication_factor)
        if reason:
            raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
        replication_factor = len(replicas)
        replica_sets.append(replicas)
    return replica_sets


def refuse_replicas(image: MetadataImage, replicas: NodeIds) -> None:
    """Refuses (INVALID_REPLICA_ASSIGNMENT) a replica list that is empty, or names a broker twice or one that is not registered."""
    reason = _replicas_refusal(image, replicas)
    if reason:
        raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)


def _replicas_refusal(image: MetadataImage, replicas: NodeIds) -> str:
    if not replicas:
        return "The manual partition assignment includes an empty replica list."
    for replica in sorted(replicas):
        if replica not in image.brokers:
            return f"The manual partition assignment includes broker {replica}, but no such broker is registered."
        if replicas.count(replica) > 1:
            return f"The manual partition assignment includes the broker {replica} more than once."
    return ""


def _assignment_refusal(image: MetadataImage, replicas: NodeIds, partition: int, replication_factor: int | None) -> str:
    reason = _replicas_refusal(image, replicas)
    if reason:
        return reason
    if replication_factor is not None and len(replicas) != replication_factor:
        return (
            f"The manual partition assignment includes a partition with {len(replicas)} replica(s), but this is not consistent with "
            f"previous partitions, which have {replication_factor} replica(s)."
        )
    if not any(is_active(image, replica) for replica in replicas):
        return f"All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled shutdown."
    return ""


def _partition_records(
    image: MetadataImage, topic_id: TopicId, first_partition: int, replica_sets: Sequence[NodeIds]
) -> list[PartitionRecord]:
    """New partitions: the live replicas are the ISR, the first of them leads."""
    active = {node_id for node_id, broker in image.brokers.items() if broker.is_active}
    records = []
    for partition, replicas in enumerate(replica_sets, start=first_partition):
        isr = tuple(replica for replica in replicas if replica in active)
        records.append(PartitionRecord(topic_id=topic_id, partition=partition, replicas=replicas, isr=isr, leader=isr[0]))
    return records


def decide_create_partitions(
    image: MetadataImage, request: CreatePartitionsRequest, settings: ControllerSettings, rng: random.Random, now_ms: int
) -> Decision:
    """Adds partitions to topics; existing ones stay as they are."""
    results = []
    records: list[Record] = []
    observations: list[Observed] = []
    seen: set[str] = set()
    for topic in request.topics:
        result = CreatePartitionsTopicResult(name=topic.name)
        results.append(result)
        try:
            if topic.name in seen:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            seen.add(topic.name)
            added = _added_partitions(image, topic, settings, rng)
        except ApiError as refusal:
            result.error_code, result.error_message = refusal.code, refusal.message or None
            continue
        records.extend(added)
        observations.append(observed("partitions-created", topic=topic.name, count=topic.count))
    response = CreatePartitionsResponse(results=results)
    if request.validate_only or not records:
        return Decision(reply=response)
    return Decision(reply=response, records=records, observed=observations, applied_by_ms=now_ms + max(request.timeout_ms, 0))


def _added_partitions(
    image: MetadataImage, topic: CreatePartitionsTopic, settings: ControllerSettings, rng: random.Random
) -> list[PartitionRecord]:
    existing = image.topics.by_name.get(topic.name)
    if existing is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
    current = len(existing.partitions)
    if topic.count == current:
        raise ApiError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {current} partition(s).")
    if topic.count < current:
        reason = f"The topic {topic.name} currently has {current} partition(s); {topic.count} would not be an increase."
        raise ApiError(ErrorCode.INVALID_PARTITIONS, reason)
    additional = topic.count - current
    if additional > settings.max_partitions_per_request:
        raise ApiError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
    replication_factor = len(existing.partitions[0].staying_replicas)
    if topic.assignments is None:
        replica_sets = _placed(image, additional, replication_factor, rng)
    elif len(topic.assignments) != additional:
        reason = f"Attempted to add {additional} additional partition(s), but only {len(topic.assignments)} assignment(s) were specified."
        raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
    else:
        assignments = [assignment.broker_ids for assignment in topic.assignments]
        replica_sets = _checked_assignments(image, assignments, first_partition=current, replication_factor=replication_factor)
    return _partition_records(image, existing.topic_id, current, replica_sets)
