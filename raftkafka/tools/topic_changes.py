"""What kafka-topics changes: creating, growing and deleting topics.

Sources: KIP-195 (CreatePartitions), KIP-464 (the cluster's defaults); the sentences are those of kafka-topics of Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.client.cluster import ClusterClient
from raftkafka.metadata.config_defs import TOPIC_DEFS, InvalidValue, parse_value
from raftkafka.protocol.messages.create_partitions import CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic
from raftkafka.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from raftkafka.tools.java_errors import ILLEGAL_ARGUMENT, JavaError, exception_name, raise_refusal, refusal
from raftkafka.tools.java_lists import split
from raftkafka.tools.options import Options
from raftkafka.tools.topic_descriptions import descriptions_of, matching_topics

REQUEST_TIMEOUT_MS = 30_000
_MAX_REPLICATION_FACTOR = 2**15 - 1
_COLLISION_WARNING = (
    "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. "
    "To avoid issues it is best to use either, but not both."
)


def new_topic(options: Options) -> CreatableTopic:
    """The topic that the options describe; refuses values that can be seen to be wrong without asking a broker."""
    partitions = options.number("partitions")
    replication_factor = options.number("replication-factor")
    assignment = parse_replica_assignment(options.text("replica-assignment") or "")
    configs = _parse_configs(options.texts("config"))
    return CreatableTopic(
        name=options.required("topic"),
        num_partitions=-1 if partitions is None or (assignment and not options.has("alter")) else partitions,
        replication_factor=-1 if replication_factor is None or assignment else replication_factor,
        assignments=[CreatableReplicaAssignment(partition_index=index, broker_ids=ids) for index, ids in enumerate(assignment)],
        configs=configs,
    )


async def create_topic(cluster: ClusterClient, topic: CreatableTopic, options: Options) -> None:
    """Creates a topic and says so; with `--if-not-exists` one that exists is left as it is, in silence."""
    if any(mark in topic.name for mark in "._"):
        print(_COLLISION_WARNING)
    replication_factor, partitions = options.number("replication-factor"), options.number("partitions")
    if replication_factor is not None and not 1 <= replication_factor <= _MAX_REPLICATION_FACTOR:
        raise JavaError(ILLEGAL_ARGUMENT, f"The replication factor must be between 1 and {_MAX_REPLICATION_FACTOR} inclusive")
    if partitions is not None and partitions < 1:
        raise JavaError(ILLEGAL_ARGUMENT, "The partitions must be greater than 0")
    if not topic.name:
        raise refusal(ErrorCode.INVALID_TOPIC_EXCEPTION, "The given topic name '' cannot be represented in a request.")
    response = await cluster.ask_controller(CreateTopicsRequest(topics=[topic], timeout_ms=REQUEST_TIMEOUT_MS))
    (result,) = response.topics
    if options.has("if-not-exists") and result.error_code == ErrorCode.TOPIC_ALREADY_EXISTS:
        return
    raise_refusal(result.error_code, result.error_message)
    print(f"Created topic {topic.name}.")


async def alter_topics(cluster: ClusterClient, options: Options, wanted: CreatableTopic) -> None:
    """Gives topics more partitions; nothing is printed."""
    topics = await matching_topics(cluster, options)
    if not topics:
        return
    assignments = [each.broker_ids for each in wanted.assignments]
    has_partitions = {each.name: len(each.partitions) for each in await descriptions_of(cluster, topics)} if assignments else {}
    request = CreatePartitionsRequest(
        topics=[
            CreatePartitionsTopic(
                name=topic, count=wanted.num_partitions, assignments=_new_assignments(assignments, skip=has_partitions.get(topic, 0))
            )
            for topic in topics
        ],
        timeout_ms=REQUEST_TIMEOUT_MS,
    )
    response = await cluster.ask_controller(request)
    for result in response.results:
        raise_refusal(result.error_code, result.error_message)


async def delete_topics(cluster: ClusterClient, options: Options) -> None:
    """Deletes topics; nothing is printed."""
    topics = await matching_topics(cluster, options)
    if not topics:
        return
    request = DeleteTopicsRequest(
        topics=[DeleteTopicState(name=topic) for topic in topics], topic_names=list(topics), timeout_ms=REQUEST_TIMEOUT_MS
    )
    response = await cluster.ask_controller(request)
    for result in response.responses:
        raise_refusal(result.error_code, result.error_message)


def parse_replica_assignment(text: str) -> list[list[int]]:
    """The brokers of each partition of `1:2,2:3`; empty for an empty text."""
    partitions: list[list[int]] = []
    for index, part in enumerate(split(text) if text else ()):
        brokers = [_broker_id(each.strip()) for each in split(part, ":")]
        twice = list(dict.fromkeys(each for each in brokers if brokers.count(each) > 1))
        if twice:
            named = ",".join(str(each) for each in twice)
            raise JavaError(
                "org.apache.kafka.tools.AdminCommandFailedException", f"Partition replica lists may not contain duplicate entries: {named}"
            )
        partitions.append(brokers)
        if len(brokers) != len(partitions[0]):
            named = ", ".join(str(each) for each in brokers)
            raise JavaError(
                "org.apache.kafka.tools.AdminOperationException", f"Partition {index} has different replication factor: [{named}]"
            )
    return partitions


def _broker_id(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise JavaError("java.lang.NumberFormatException", f'For input string: "{text}"') from None


def _new_assignments(assignments: Sequence[list[int]], *, skip: int) -> list[CreatePartitionsAssignment] | None:
    return [CreatePartitionsAssignment(broker_ids=ids) for ids in assignments[skip:]] if assignments else None


def _parse_configs(pairs: Sequence[str]) -> list[CreatableTopicConfig]:
    """The settings of `--config name=value`, checked as a broker would check them."""
    configs: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not text.strip() or "=" in text:
            raise JavaError(
                ILLEGAL_ARGUMENT,
                'requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".',
            )
        configs[name.strip()] = text.strip()
    for name, text in configs.items():
        if name not in TOPIC_DEFS:
            raise JavaError(exception_name(ErrorCode.INVALID_CONFIG), f"Unknown topic config name: {name}")
        try:
            parse_value(TOPIC_DEFS[name], text)
        except InvalidValue as error:
            raise JavaError("org.apache.kafka.common.config.ConfigException", str(error)) from None
    return [CreatableTopicConfig(name=name, value=text) for name, text in configs.items()]
