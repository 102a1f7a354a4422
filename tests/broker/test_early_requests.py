"""Clients that are there before the broker is: they wait for it, and are never told that something does not exist."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import PeerError
from raftkafka.broker.connection import Connection
from raftkafka.broker.early_requests import MAX_HELD_BYTES, EarlyRequests
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataResponse
from tests.broker.one_node import OneNode


def test_request_before_the_broker_is_unfenced_waits_and_sees_the_brokers() -> None:
    """librdkafka takes a Metadata answer without brokers for a failure, and UNKNOWN_TOPIC_ID for the end of a record."""
    cluster = OneNode(is_up=False)
    response = cluster.request(MetadataRequest(), MetadataResponse, version=12)
    assert [broker.node_id for broker in response.brokers] == [1]


def test_nonsense_that_waited_closes_its_connection_when_its_turn_comes() -> None:
    cluster = OneNode(is_up=False)
    connection = cluster.connect()
    cluster.send(connection, b"\x7f\xff\x00\x00\x00\x00\x00\x01")
    cluster.run(1_000)
    assert [(closed, "not served" in reason) for closed, reason in cluster.closed] == [(connection, True)]


def test_closed_connections_are_forgotten() -> None:
    early = EarlyRequests()
    gone, there = (Connection(listener="PLAINTEXT", peer=f"127.0.0.1:{port}") for port in (1, 2))
    early.hold(gone, memoryview(b"a"))
    early.hold(there, memoryview(b"b"))
    gone.closed = True
    assert early.take() == [(there, b"b")]
    assert not early


def test_what_waits_is_bounded() -> None:
    early = EarlyRequests()
    connection = Connection(listener="PLAINTEXT", peer="127.0.0.1:1")
    early.hold(connection, memoryview(bytes(MAX_HELD_BYTES)))
    with pytest.raises(PeerError):
        early.hold(connection, memoryview(b"x"))
