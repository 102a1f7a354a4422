"""Quotas through a whole node: set by a client, held at once, told in the answer, and the connection muted for that time (KIP-219)."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.broker.connection import Connection
from raftkafka.protocol.framing import encode_request
from raftkafka.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
)
from raftkafka.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from raftkafka.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from raftkafka.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from raftkafka.storage.record_batch import build_batch
from tests.broker.one_node import OneNode
from tests.broker.records import produce_values, record


@pytest.fixture
def node() -> OneNode:
    node = OneNode()
    node.create_topic("t")
    return node


def alter(node: OneNode, key: str, value: float | None, *entity: tuple[str, str | None]) -> None:
    parts = [EntityData(entity_type=kind, entity_name=name) for kind, name in entity or (("client-id", None),)]
    entry = EntryData(entity=parts, ops=[OpData(key=key, value=value or 0.0, remove=value is None)])
    response = node.request(AlterClientQuotasRequest(entries=[entry]), AlterClientQuotasResponse, version=1)
    assert response.entries[0].error_code == 0, response.entries[0].error_message


def produce(node: OneNode, connection: Connection, size_bytes: int) -> tuple[ProduceResponse, int]:
    """Sends a record of this size; returns the answer and how long it took to come, in ms."""
    sent_ms = node.now_ms
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=build_batch([record(b"x" * size_bytes)]))])
    request = ProduceRequest(acks=-1, timeout_ms=1_000, topic_data=[data])
    response = node.request(request, ProduceResponse, version=9, connection=connection)
    assert response.responses[0].partition_responses[0].error_code == 0
    return response, node.now_ms - sent_ms


def fetch(node: OneNode, connection: Connection, offset: int, *, replica_id: int = -1) -> FetchResponse:
    partition = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    topic = FetchTopic(topic="t", partitions=[partition])
    request = FetchRequest(replica_id=replica_id, max_wait_ms=0, min_bytes=0, max_bytes=1 << 20, session_epoch=-1, topics=[topic])
    return node.request(request, FetchResponse, version=11, connection=connection)


def test_without_a_quota_nothing_is_counted(node: OneNode) -> None:
    quotas = node.node.parts.services.quotas
    assert not (quotas.limits_produce or quotas.limits_fetch or quotas.limits_requests)
    response, _ = produce(node, node.connect(), 100_000)
    assert response.throttle_time_ms == 0


def test_a_producer_beyond_its_quota_is_answered_at_once_and_then_not_listened_to(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000)
    connection = node.connect()
    response, took_ms = produce(node, connection, 12_000)
    assert took_ms == 0 and 2_000 <= response.throttle_time_ms <= 2_500, "ten seconds of quota are free, two have to be waited for"
    _, took_ms = produce(node, connection, 1)
    assert took_ms >= response.throttle_time_ms - 10


def test_other_clients_go_on(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000, ("client-id", "other"))
    response, _ = produce(node, node.connect(), 50_000)
    assert response.throttle_time_ms == 0, "the client id of the tests is another"


def test_a_quota_that_is_removed_holds_nobody_back_any_more(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000)
    produce(node, node.connect(), 50_000)
    alter(node, "producer_byte_rate", None)
    response, _ = produce(node, node.connect(), 50_000)
    assert response.throttle_time_ms == 0


def test_clients_of_a_user_share_his_quota(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000, ("user", None))
    produce(node, node.connect(), 9_000)
    response, _ = produce(node, node.connect(), 3_000)
    assert response.throttle_time_ms > 1_000


def test_requests_of_a_muted_connection_are_served_in_their_order_when_the_time_is_over(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000)
    connection = node.connect()
    response, _ = produce(node, connection, 12_000)
    for correlation_id in (1, 2, 3):
        node.send(connection, encode_request(18, 0, correlation_id, "test", ApiVersionsRequest())[4:])
    node.run(response.throttle_time_ms - 100)
    assert node.frames(connection) == []
    node.run(200)
    assert [int.from_bytes(frame[:4], "big") for frame in node.frames(connection)] == [1, 2, 3]


def test_a_muted_connection_that_closes_is_forgotten(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000)
    connection = node.connect()
    produce(node, connection, 50_000)
    node.send(connection, encode_request(18, 0, 1, "test", ApiVersionsRequest())[4:])
    node.node.connection_closed(connection, node.now_ms)
    node.run(120_000)
    assert node.frames(connection) == []


def test_a_producer_who_wants_no_answer_is_muted_too(node: OneNode) -> None:
    alter(node, "producer_byte_rate", 1_000)
    connection = node.connect()
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=build_batch([record(b"x" * 20_000)]))])
    node.send(connection, encode_request(0, 9, 1, "test", ProduceRequest(acks=0, timeout_ms=1_000, topic_data=[data]))[4:])
    assert connection.muted


def test_a_consumer_beyond_its_quota_gets_its_records_and_waits_for_more(node: OneNode) -> None:
    for _ in range(5):
        produce_values(node, "t", b"x" * 5_000)
    alter(node, "consumer_byte_rate", 1_000)
    connection = node.connect()
    first = fetch(node, connection, 0)
    size_bytes = len(first.responses[0].partitions[0].records or b"")
    assert 5_000 < size_bytes < 11_000, "one fetch returns no more than ten windows of quota"
    second = fetch(node, connection, 1)
    assert second.responses[0].partitions[0].records and second.throttle_time_ms > 0
    sent_ms = node.now_ms
    fetch(node, connection, 4)
    assert node.now_ms - sent_ms >= second.throttle_time_ms - 10


def test_a_follower_is_not_held_back(node: OneNode) -> None:
    alter(node, "consumer_byte_rate", 1)
    alter(node, "request_percentage", 0.001)
    services: Any = node.node.parts.services
    services.request_timer = Ticks()
    for _ in range(3):
        produce_values(node, "t", b"x" * 5_000)
    connection = node.connect()
    for _ in range(5):
        assert fetch(node, connection, 0, replica_id=2).throttle_time_ms == 0
    assert not connection.muted


class Ticks:
    """A timer by which every request takes 100 ms."""

    def __init__(self) -> None:
        self._now_ns = 0

    def __call__(self) -> int:
        self._now_ns += 100_000_000
        return self._now_ns


def test_a_client_whose_requests_take_too_long_is_held_back_for_at_most_a_window(node: OneNode) -> None:
    services: Any = node.node.parts.services
    services.request_timer = Ticks()
    alter(node, "request_percentage", 5)
    connection = node.connect()
    begun_ms = node.now_ms
    throttles = [
        node.request(ListGroupsRequest(), ListGroupsResponse, version=4, connection=connection).throttle_time_ms for _ in range(40)
    ]
    assert max(throttles) == 1_000 and throttles[0] == 0
    elapsed_ms = node.now_ms - begun_ms
    assert 40 * 100 / elapsed_ms < 0.2, "4 s of work, of which one in twenty is allowed after ten windows' worth"


def test_without_a_timer_no_time_is_counted(node: OneNode) -> None:
    alter(node, "request_percentage", 0.001)
    connection = node.connect()
    for _ in range(5):
        response = node.request(ListGroupsRequest(), ListGroupsResponse, version=4, connection=connection)
        assert response.throttle_time_ms == 0
    assert node.request(ApiVersionsRequest(), ApiVersionsResponse, version=0, connection=connection).error_code == 0
