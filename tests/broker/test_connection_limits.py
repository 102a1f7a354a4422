"""How many connections are let in, and how fast; the limits act as soon as they are changed (KIP-402, KIP-612)."""

from __future__ import annotations

from typing import Any

from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.connection_limits import Admission, ConnectionLimits
from raftkafka.metadata.client_quotas import ClientQuotasImage
from raftkafka.metadata.records import QuotaEntity
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from tests.broker.one_node import PROPERTIES, OneNode

NO_QUOTAS = ClientQuotasImage()


def limits(quotas: ClientQuotasImage = NO_QUOTAS, **properties: str) -> ConnectionLimits:
    config = config_from_properties({**PROPERTIES, **{key.replace("_", "."): value for key, value in properties.items()}})
    made = ConnectionLimits(config)
    made.configure(config, quotas)
    return made


def admit(of: ConnectionLimits, address: str = "10.0.0.1", *, listener: str = "PLAINTEXT", now_ms: int = 0, **counts: int) -> Admission:
    given: Any = {"open_count": 0, "open_from_address": 0, **counts}
    return of.admit(address, listener=listener, now_ms=now_ms, **given)


def connection_quota(rate: float, address: str | None = None) -> ClientQuotasImage:
    entity: QuotaEntity = (("ip", address),)
    return ClientQuotasImage(by_entity={entity: {"connection_creation_rate": rate}})


def test_counts_are_limited() -> None:
    assert admit(limits(max_connections="3"), open_count=2).refusal == ""
    assert admit(limits(max_connections="3"), open_count=3).refusal == "max.connections (3) reached"
    assert admit(limits(max_connections_per_ip="2"), open_from_address=2).refusal == "max.connections.per.ip (2) reached"


def test_an_address_may_have_a_limit_of_its_own() -> None:
    of = limits(max_connections_per_ip="2", max_connections_per_ip_overrides="10.0.0.9:5,10.0.0.8:0")
    assert admit(of, "10.0.0.9", open_from_address=4).refusal == ""
    assert admit(of, "10.0.0.8").refusal == "max.connections.per.ip (0) reached"


def test_controllers_are_never_kept_out() -> None:
    of = limits(connection_quota(1), max_connections="0", max_connection_creation_rate="1")
    for _ in range(50):
        assert admit(of, listener="CONTROLLER") == Admission()


def test_an_address_that_opens_too_many_is_held_back_until_it_may_come_again() -> None:
    of = limits(connection_quota(5))
    assert all(admit(of).refusal == "" for _ in range(50)), "ten seconds' worth is free"
    refused = admit(of)
    assert refused.refusal and 150 <= refused.close_after_ms <= 250
    assert admit(of, "10.0.0.2").refusal == ""
    assert admit(of, now_ms=11_000).refusal == "", "the first ones are out of all windows"


def test_connections_that_were_refused_do_not_count() -> None:
    of = limits(connection_quota(5))
    for _ in range(50):
        admit(of)
    waits = [admit(of).close_after_ms for _ in range(20)]
    assert max(waits) == min(waits)


def test_only_the_address_that_is_named_is_held_back() -> None:
    of = limits(connection_quota(1, "10.0.0.1"))
    for _ in range(100):
        assert admit(of, "10.0.0.2").refusal == ""


def test_above_the_rate_of_all_nobody_is_accepted_for_a_while() -> None:
    of = limits(max_connection_creation_rate="10")
    assert all(admit(of).pause_ms == 0 for _ in range(100))
    assert admit(of, "10.0.0.2").pause_ms == 100


def test_limits_act_as_soon_as_they_are_changed() -> None:
    node = OneNode()
    connections = node.node.parts.services.connections
    assert admit(connections, open_count=7).refusal == ""
    change = AlterableConfig(name="max.connections", config_operation=0, value="7")
    resource = AlterConfigsResource(resource_type=4, resource_name="1", configs=[change])
    response = node.request(IncrementalAlterConfigsRequest(resources=[resource]), IncrementalAlterConfigsResponse, version=1)
    assert response.responses[0].error_code == 0
    assert admit(connections, open_count=7).refusal == "max.connections (7) reached"
    assert node.node.parts.services.config.max_connections == 7
