"""controller_mutation_rate (KIP-599): who creates and deletes too many partitions is refused, or, if its client is old, held back."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
)
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from raftkafka.protocol.messages.describe_quorum import DescribeQuorumRequest, DescribeQuorumResponse
from tests.broker.one_node import OneNode

EXCEEDED = ErrorCode.THROTTLING_QUOTA_EXCEEDED


@pytest.fixture
def node() -> OneNode:
    """A client may change two partitions a second, and 22 at once."""
    node = OneNode()
    entry = EntryData(
        entity=[EntityData(entity_type="client-id", entity_name="test")], ops=[OpData(key="controller_mutation_rate", value=2.0)]
    )
    node.request(AlterClientQuotasRequest(entries=[entry]), AlterClientQuotasResponse, version=1)
    return node


def create(node: OneNode, *topics: tuple[str, int], version: int = 7, validate_only: bool = False) -> CreateTopicsResponse:
    wanted = [CreatableTopic(name=name, num_partitions=count, replication_factor=1) for name, count in topics]
    request = CreateTopicsRequest(topics=wanted, timeout_ms=5_000, validate_only=validate_only)
    return node.request(request, CreateTopicsResponse, version=version)


def codes(response: CreateTopicsResponse) -> dict[str, int]:
    return {topic.name: topic.error_code for topic in response.topics}


def test_what_is_begun_with_tokens_left_is_done_and_the_next_is_refused(node: OneNode) -> None:
    response = create(node, ("a", 20), ("b", 10), ("c", 1))
    assert codes(response) == {"a": 0, "b": 0, "c": EXCEEDED}
    assert 3_900 <= response.throttle_time_ms <= 4_000, "22 tokens were there, 30 were taken, two come in a second"
    (refused,) = [topic for topic in response.topics if topic.error_code]
    assert refused.error_message == "The throttling quota has been exceeded."
    node.run(4_100)
    assert codes(create(node, ("c", 1))) == {"c": 0}


def test_the_connection_is_muted_for_the_time_that_was_told(node: OneNode) -> None:
    connection = node.connect()
    wanted = CreateTopicsRequest(topics=[CreatableTopic(name="a", num_partitions=30, replication_factor=1)], timeout_ms=5_000)
    response = node.request(wanted, CreateTopicsResponse, version=7, connection=connection)
    assert response.throttle_time_ms > 3_900 and connection.muted
    node.run(response.throttle_time_ms)
    assert not connection.muted


def test_an_old_client_gets_what_it_wants_and_waits(node: OneNode) -> None:
    create(node, ("a", 30))
    response = create(node, ("b", 2), version=5)
    assert codes(response) == {"b": 0} and response.throttle_time_ms > 3_900


def test_what_exists_already_or_is_only_validated_costs_nothing(node: OneNode) -> None:
    create(node, ("a", 30))
    assert codes(create(node, ("a", 30))) == {"a": ErrorCode.TOPIC_ALREADY_EXISTS}
    assert codes(create(node, ("b", 30), validate_only=True)) == {"b": 0}


def test_growing_and_deleting_cost_too(node: OneNode) -> None:
    create(node, ("a", 20), ("b", 10))
    grow = CreatePartitionsRequest(topics=[CreatePartitionsTopic(name="a", count=21, assignments=None)], timeout_ms=5_000)
    assert node.request(grow, CreatePartitionsResponse, version=3).results[0].error_code == EXCEEDED
    delete = DeleteTopicsRequest(topics=[DeleteTopicState(name="b")], timeout_ms=5_000)
    assert node.request(delete, DeleteTopicsResponse, version=6).responses[0].error_code == EXCEEDED
    node.run(5_000)
    assert node.request(delete, DeleteTopicsResponse, version=6).responses[0].error_code == 0


def test_an_answer_that_has_no_place_for_a_throttle_is_given_too(node: OneNode) -> None:
    assert node.request(DescribeQuorumRequest(), DescribeQuorumResponse, version=2).error_code == 0


def test_without_the_quota_nobody_is_held_back(node: OneNode) -> None:
    create(node, ("a", 30))
    entry = EntryData(
        entity=[EntityData(entity_type="client-id", entity_name="test")], ops=[OpData(key="controller_mutation_rate", remove=True)]
    )
    node.request(AlterClientQuotasRequest(entries=[entry]), AlterClientQuotasResponse, version=1)
    assert codes(create(node, ("b", 30))) == {"b": 0}
