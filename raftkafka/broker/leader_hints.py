"""Addresses of the leaders that a response names, so that a client goes there at once instead of asking for metadata first (KIP-951)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.broker.services import Services
from raftkafka.protocol.hot_path import NodeEndpoint


class NamesLeader(Protocol):
    """A result of a partition in a Produce or Fetch response."""

    @property
    def current_leader(self) -> tuple[int, int] | None: ...


def node_endpoints(services: Services, results: Iterable[NamesLeader], listener: str) -> list[NodeEndpoint]:
    """The endpoints, on the client's listener, of every leader that a result names."""
    endpoints: dict[int, NodeEndpoint] = {}
    for result in results:
        if result.current_leader is None or result.current_leader[0] in (NO_NODE, *endpoints):
            continue
        leader = NodeId(result.current_leader[0])
        address = services.endpoint(leader, listener)
        if address is not None:
            endpoints[leader] = NodeEndpoint(leader, address.host, address.port, services.image.brokers[leader].rack)
    return list(endpoints.values())
