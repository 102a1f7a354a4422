"""Topics of many partitions: their logs are created a few at a time, and nobody is told that the topic is there before all of it is."""

from __future__ import annotations

from raftkafka.protocol.framing import encode_request
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest
from raftkafka.replication.transitions import LOGS_PER_STEP
from tests.broker.one_node import OneNode

MANY = 3 * LOGS_PER_STEP + 1


def created(node: OneNode) -> int:
    return len(node.node.parts.replicas.hosted)


def test_logs_are_created_a_few_at_a_time_and_the_answer_waits_for_all() -> None:
    node = OneNode()
    connection = node.connect()
    topic = CreatableTopic(name="many", num_partitions=MANY, replication_factor=1)
    node.send(connection, encode_request(19, 7, 1, "test", CreateTopicsRequest(topics=[topic], timeout_ms=5_000))[4:])
    seen = [created(node)]
    while created(node) < MANY:
        assert node.frames(connection) == []
        assert node.node.next_deadline_ms() <= node.now_ms
        node.run(0)
        seen.append(created(node))
        if len(seen) > MANY:
            raise AssertionError(f"nothing moves: {seen[-3:]}")
    assert seen[0] <= LOGS_PER_STEP
    assert node.node.next_deadline_ms() > node.now_ms
    assert len(node.frames(connection)) == 1


def test_a_topic_is_deleted_before_all_its_logs_were_created() -> None:
    node = OneNode()
    parts = node.node.parts
    connection = node.connect()
    topic = CreatableTopic(name="many", num_partitions=MANY, replication_factor=1)
    node.send(connection, encode_request(19, 7, 1, "test", CreateTopicsRequest(topics=[topic], timeout_ms=5_000))[4:])
    assert not parts.replicas.has_applied_all
    node.send(connection, encode_request(20, 5, 2, "test", DeleteTopicsRequest(topic_names=["many"], timeout_ms=5_000))[4:])
    node.run(100)
    assert parts.replicas.has_applied_all
    assert (created(node), len(parts.logs)) == (0, 0)
    assert len(node.frames(connection)) == 2
