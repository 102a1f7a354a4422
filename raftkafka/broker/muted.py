"""Connections that are not listened to for a while, since their clients went beyond a quota (KIP-219).

A shell reads no more from a connection with `muted` set. What it has read already is kept here, and served when the time is over.

Invariants
- The requests of a connection are served in their order, muted or not.
- A connection that is muted again while it waits waits until the later of the two times.
"""

from __future__ import annotations

from raftkafka.base.errors import PeerError
from raftkafka.broker.connection import Connection
from raftkafka.replication.deadlines import Deadlines

MAX_HELD_BYTES = 64 << 20
"""Of all connections together. A shell that stops reading holds at most what one turn brought."""


class MutedConnections:
    """Who is muted until when, and the frames that wait."""

    def __init__(self) -> None:
        self._deadlines: Deadlines[Connection] = Deadlines(granularity_ms=1)
        self._held: dict[Connection, list[bytearray]] = {}
        self._held_bytes = 0

    def mute(self, connection: Connection, until_ms: int) -> None:
        """Listens to it again at `until_ms`, not before."""
        if connection.closed:
            return
        if not connection.muted or self._deadlines.due_ms(connection) < until_ms:
            self._deadlines.set(connection, until_ms)
        connection.muted = True

    def hold(self, connection: Connection, frame: memoryview) -> None:
        """Keeps a copy of a frame for later; raises `PeerError`, which closes the connection, when too much is waiting."""
        if self._held_bytes + len(frame) > MAX_HELD_BYTES:
            raise PeerError("it is muted by a quota, and too much waits already")
        self._held.setdefault(connection, []).append(bytearray(frame))
        self._held_bytes += len(frame)

    def closed(self, connection: Connection) -> None:
        """Forgets a connection."""
        if connection.muted:
            connection.muted = False
            self._deadlines.discard(connection)
            self._take(connection)

    def next_deadline_ms(self) -> int:
        """When the first is to be listened to again."""
        return self._deadlines.next_ms()

    def expire(self, now_ms: int) -> list[tuple[Connection, list[bytearray]]]:
        """Those whose time is over, with what waits of them. A connection that is muted again meanwhile gets the rest back by `hold`."""
        due = self._deadlines.expire(now_ms)
        for connection in due:
            connection.muted = False
        return [(connection, self._take(connection)) for connection in due]

    def _take(self, connection: Connection) -> list[bytearray]:
        frames = self._held.pop(connection, [])
        self._held_bytes -= sum(map(len, frames))
        return frames
