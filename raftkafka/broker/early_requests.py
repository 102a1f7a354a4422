"""Requests that come before a broker may serve: they wait until it knows from the metadata that it is registered and unfenced.

An image that is empty, or older than this process, would deny topics and brokers that exist, and clients take some of such answers for
final. (Kafka's brokers listen from the beginning too, and accept connections when their metadata is there.)
"""

from __future__ import annotations

from raftkafka.base.errors import PeerError
from raftkafka.broker.connection import Connection

MAX_HELD_BYTES = 16 << 20


class EarlyRequests:
    """The frames that wait, in the order in which they came, at most `MAX_HELD_BYTES` of them."""

    def __init__(self) -> None:
        self._held: list[tuple[Connection, bytes]] = []
        self._held_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._held)

    def hold(self, connection: Connection, frame: memoryview) -> None:
        """Keeps a copy of a frame; raises `PeerError`, which closes its connection, when too much is waiting."""
        if self._held_bytes + len(frame) > MAX_HELD_BYTES:
            raise PeerError("the broker is still starting, and too many requests wait for it")
        self._held.append((connection, bytes(frame)))
        self._held_bytes += len(frame)

    def take(self) -> list[tuple[Connection, bytes]]:
        """What waited, without the connections that have closed meanwhile."""
        held, self._held = self._held, []
        self._held_bytes = 0
        return [(connection, frame) for connection, frame in held if not connection.closed]
