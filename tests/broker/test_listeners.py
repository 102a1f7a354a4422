"""Several listeners with names of their own: each client is told the addresses of the listener that it came in by (KIP-103)."""

from __future__ import annotations

import pytest

from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataResponse
from tests.broker.one_node import OneNode

LISTENERS = "LAN://0.0.0.0:9092,WAN://0.0.0.0:9192,CONTROLLER://127.0.0.1:9093"
ADVERTISED = "LAN://10.0.0.1:9092,WAN://kafka.example.org:443"
PROTOCOLS = "LAN:PLAINTEXT,WAN:PLAINTEXT,CONTROLLER:PLAINTEXT"


@pytest.mark.parametrize(("listener", "address"), [("LAN", ("10.0.0.1", 9092)), ("WAN", ("kafka.example.org", 443))])
def test_client_is_told_the_address_of_its_own_listener(listener: str, address: tuple[str, int]) -> None:
    node = OneNode(
        listeners=LISTENERS, advertised_listeners=ADVERTISED, listener_security_protocol_map=PROTOCOLS, inter_broker_listener_name="LAN"
    )
    connection = node.connect(listener)
    response = node.request(MetadataRequest(topics=[]), MetadataResponse, version=9, connection=connection)
    assert [(broker.host, broker.port) for broker in response.brokers] == [address]
