"""What a handler knows about the request besides its body."""

from __future__ import annotations

from typing import NamedTuple

from raftkafka.broker.connection import Connection


class RequestContext(NamedTuple):
    """One request: who sent it, in which version, when. `client_host` is as Kafka's tools show it, `/127.0.0.1`."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    client_host: str
    listener: str
    now_ms: int
    wall_ms: int
    connection: Connection
    throttle_ms: int = 0
    """How long the client is held back for what its earlier requests took, which its answer says; a fetch finds that out by itself."""
