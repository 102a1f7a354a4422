"""CreateTopics, CreatePartitions and DeleteTopics: what they do, and what they refuse in Kafka's words."""

from __future__ import annotations

import gc
import time

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.create_partitions import CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic
from raftkafka.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
)
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from tests.controller.world import World


@pytest.fixture
def world() -> World:
    return World(min_insync_replicas=1, num_partitions=2).join(1, 2, 3)


def create(world: World, *topics: CreatableTopic, validate_only: bool = False) -> list[CreatableTopicResult]:
    results: list[CreatableTopicResult] = world.ask(CreateTopicsRequest(topics=list(topics), validate_only=validate_only)).topics
    return results


def topic(name: str, *, partitions: int = 1, factor: int = 1, **configs: str | None) -> CreatableTopic:
    settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=factor, configs=settings)


def manual(name: str, *assignments: list[int], partitions: int = -1, factor: int = -1) -> CreatableTopic:
    lists = [CreatableReplicaAssignment(partition_index=index, broker_ids=ids) for index, ids in enumerate(assignments)]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=factor, assignments=lists)


def test_topic_has_its_partitions_leaders_and_configs(world: World) -> None:
    (result,) = create(world, topic("t", partitions=6, factor=3, retention_ms="1000"))
    assert (result.error_code, result.error_message, result.num_partitions, result.replication_factor) == (0, None, 6, 3)
    assert [(config.name, config.value) for config in result.configs or []] == [("retention.ms", "1000")]
    image = world.image.topics.by_name["t"]
    assert image.topic_id == result.topic_id
    leaders = [partition.leader for partition in image.partitions.values()]
    assert sorted(leaders) == [1, 1, 2, 2, 3, 3]
    assert all(p.isr == p.replicas and p.leader == p.replicas[0] and len(set(p.replicas)) == 3 for p in image.partitions.values())
    assert world.image.configs.get(ResourceType.TOPIC, "t") == {"retention.ms": "1000"}


def test_minus_one_means_the_defaults(world: World) -> None:
    (result,) = create(world, topic("t", partitions=-1, factor=-1))
    assert (result.num_partitions, result.replication_factor) == (2, 3)


REFUSED: list[tuple[CreatableTopic, ErrorCode, str]] = [
    (topic("old"), ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'old' already exists."),
    (
        topic("bad name!"),
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        "Topic name is invalid: 'bad name!' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    ),
    (topic(""), ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: the empty string is not allowed"),
    (topic(".."), ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '..' is not allowed"),
    (
        topic("x" * 250),
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        f"Topic name is invalid: the length of '{'x' * 250}' is longer than the max allowed length 249",
    ),
    (topic("a_b"), ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic 'a_b' collides with existing topic: a.b"),
    (
        topic("t", factor=4),
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because only 3 broker(s) are "
        "registered or some brokers have all their log directories cordoned.",
    ),
    (
        topic("t", factor=0),
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Replication factor must be larger than 0, or -1 to use the default value.",
    ),
    (topic("t", partitions=0), ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
    (topic("t", no_such_config="1"), ErrorCode.INVALID_CONFIG, "Unknown topic config name: no.such.config"),
    (topic("t", retention_ms=None), ErrorCode.INVALID_CONFIG, "Null value not supported for topic configs: retention.ms"),
    (topic("t", partitions=10_001), ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request."),
    (
        manual("t", [1], factor=1),
        ErrorCode.INVALID_REQUEST,
        "A manual partition assignment was specified, but replication factor was not set to -1.",
    ),
    (
        manual("t", [1], partitions=1),
        ErrorCode.INVALID_REQUEST,
        "A manual partition assignment was specified, but numPartitions was not set to -1.",
    ),
    (manual("t", []), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "The manual partition assignment includes an empty replica list."),
    (
        manual("t", [1, 9]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes broker 9, but no such broker is registered.",
    ),
    (
        manual("t", [1, 1]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes the broker 1 more than once.",
    ),
    (
        manual("t", [1, 2], [3]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, "
        "which have 2 replica(s).",
    ),
]


@pytest.mark.parametrize(("wanted", "code", "message"), REFUSED, ids=[message[:40] for _, _, message in REFUSED])
def test_refusals_are_in_kafkas_words(world: World, wanted: CreatableTopic, code: ErrorCode, message: str) -> None:
    create(world, topic("old"), topic("a.b"))
    before = len(world.log.entries)
    (result,) = create(world, wanted)
    assert (result.error_code, result.error_message) == (code, message)
    assert len(world.log.entries) == before


def test_one_refused_topic_does_not_stop_the_others(world: World) -> None:
    results = create(world, topic("a"), topic("bad!"), topic("b"), topic("twice"), topic("twice"))
    assert [(r.name, r.error_code) for r in results] == [("a", 0), ("bad!", 17), ("b", 0), ("twice", ErrorCode.INVALID_REQUEST)]
    assert sorted(world.image.topics.by_name) == ["a", "b"]


def test_topics_of_one_request_must_not_collide_with_each_other(world: World) -> None:
    assert [r.error_code for r in create(world, topic("x.y"), topic("x_y"))] == [0, ErrorCode.INVALID_TOPIC_EXCEPTION]


def test_validate_only_writes_nothing(world: World) -> None:
    before = len(world.log.entries)
    (result,) = create(world, topic("t", partitions=3), validate_only=True)
    assert (result.error_code, result.num_partitions, result.topic_id) == (0, 3, bytes(16))
    assert len(world.log.entries) == before


def test_fenced_replicas_are_not_in_the_first_isr(world: World) -> None:
    world.kill(2)
    create(world, manual("t", [2, 3, 1]))
    assert (world.partition("t").isr, world.partition("t").leader) == ((3, 1), 3)
    (result,) = create(world, manual("u", [2]))
    assert (
        result.error_message
        == "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown."
    )


def test_fenced_broker_is_used_only_when_the_factor_needs_it(world: World) -> None:
    world.kill(2)
    create(world, topic("two", partitions=4, factor=2), topic("three", partitions=4, factor=3))
    assert all(2 not in p.replicas for p in world.image.topics.by_name["two"].partitions.values())
    assert all(p.replicas[-1] == 2 and p.isr == p.replicas[:2] for p in world.image.topics.by_name["three"].partitions.values())


def test_partitions_are_added_and_old_ones_stay(world: World) -> None:
    create(world, topic("t", partitions=2, factor=2))
    before = world.image.topics.by_name["t"].partitions
    response = world.ask(CreatePartitionsRequest(topics=[CreatePartitionsTopic(name="t", count=5, assignments=None)]))
    assert [(r.error_code, r.error_message) for r in response.results] == [(0, None)]
    after = world.image.topics.by_name["t"].partitions
    assert list(after) == [0, 1, 2, 3, 4]
    assert all(after[index] is before[index] or after[index] == before[index] for index in before)
    assert all(len(after[index].replicas) == 2 for index in after)


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        (("t", 1, None), ErrorCode.INVALID_PARTITIONS, "The topic t currently has 2 partition(s); 1 would not be an increase."),
        (("t", 2, None), ErrorCode.INVALID_PARTITIONS, "Topic already has 2 partition(s)."),
        (("none", 2, None), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition."),
        (
            ("t", 4, [[1, 2]]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            ("t", 3, [[1]]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, "
            "which have 2 replica(s).",
        ),
    ],
)
def test_create_partitions_refusals(world: World, wanted: tuple[str, int, list[list[int]] | None], code: ErrorCode, message: str) -> None:
    create(world, topic("t", partitions=2, factor=2))
    name, count, lists = wanted
    assignments = None if lists is None else [CreatePartitionsAssignment(broker_ids=ids) for ids in lists]
    response = world.ask(CreatePartitionsRequest(topics=[CreatePartitionsTopic(name=name, count=count, assignments=assignments)]))
    assert [(r.error_code, r.error_message) for r in response.results] == [(code, message)]


def test_deleted_topic_goes_with_its_configs_and_returns_with_another_id(world: World) -> None:
    (first,) = create(world, topic("t", retention_ms="5"))
    response = world.ask(DeleteTopicsRequest(topic_names=["t", "none"]))
    assert [(r.name, r.error_code) for r in response.responses] == [("t", 0), ("none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    assert response.responses[0].topic_id == first.topic_id
    assert not world.image.topics.by_name
    assert not world.image.configs.get(ResourceType.TOPIC, "t")
    (second,) = create(world, topic("t"))
    assert second.topic_id != first.topic_id


def test_topics_are_deleted_by_id(world: World) -> None:
    (created,) = create(world, topic("t"))
    states = [
        DeleteTopicState(topic_id=created.topic_id),
        DeleteTopicState(topic_id=b"?" * 16),
        DeleteTopicState(name="t", topic_id=b"?" * 16),
    ]
    response = world.ask(DeleteTopicsRequest(topics=[*states, DeleteTopicState(name="t")]))
    codes = [0, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_REQUEST]
    assert [r.error_code for r in response.responses] == codes
    assert response.responses[0].name == "t"


def test_deletion_can_be_disabled() -> None:
    world = World(delete_topic_enable=False).join(1, 2, 3)
    world.create("t")
    response = world.ask(DeleteTopicsRequest(topic_names=["t"]))
    assert response.responses[0].error_code == ErrorCode.TOPIC_DELETION_DISABLED


def test_thousand_partitions_are_one_entry_and_quick(world: World) -> None:
    before = len(world.log.entries)
    gc.disable()  # What a whole suite has left on the heap is not ours to count.
    try:
        begin = time.process_time()
        replies = world.start(CreateTopicsRequest(topics=[topic("big", partitions=1_000, factor=3)]))
        world.commit()
        elapsed = time.process_time() - begin
    finally:
        gc.enable()
    world.apply_everywhere()
    assert len(replies) == 1
    assert len(world.log.entries) == before + 1
    assert elapsed < 0.25  # 50 ms is the aim; a busy machine is forgiven
