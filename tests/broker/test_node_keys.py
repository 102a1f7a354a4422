"""Keys of the quorum and of the broker's life that a whole node goes by."""

from __future__ import annotations

import pytest

from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from tests.broker.one_node import OneNode


def kinds(node: OneNode) -> list[str]:
    return [event.kind for event in node.observed]


def test_broker_that_nobody_registers_in_time_ends() -> None:
    """initial.broker.registration.timeout.ms; the other voter never comes, so there is no controller."""
    node = OneNode(
        is_up=False,
        controller_quorum_voters="1@127.0.0.1:9093,2@127.0.0.1:9094",
        initial_broker_registration_timeout_ms="7000",
    )
    node.run(6_900)
    with pytest.raises(AssertionError, match="no controller took the registration within 7000 ms"):
        node.run(1_000)


def test_metadata_snapshot_is_taken_by_age() -> None:
    """metadata.log.max.snapshot.interval.ms: with the next entry after the interval."""
    node = OneNode(metadata_log_max_snapshot_interval_ms="60000")
    node.create_topic("first")
    node.run(59_000)
    assert "metadata-snapshot" not in kinds(node)
    node.run(2_000)
    node.create_topic("second")
    assert kinds(node).count("metadata-snapshot") == 1
    node.create_topic("third")
    assert kinds(node).count("metadata-snapshot") == 1


def test_topic_is_created_by_the_question_for_it_where_the_broker_and_the_client_allow_it() -> None:
    """auto.create.topics.enable, num.partitions, and the client's own `allow.auto.create.topics`."""

    def partitions(node: OneNode, name: str, *, allowed: bool = True) -> int:
        asked = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=allowed)
        return len(node.request(asked, MetadataResponse, version=9).topics[0].partitions)

    willing = OneNode(num_partitions="3")
    assert partitions(willing, "asked", allowed=False) == 0
    assert partitions(willing, "asked") == 3
    assert partitions(OneNode(auto_create_topics_enable="false"), "asked") == 0
