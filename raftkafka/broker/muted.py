"""Connections that are not listened to for a while, since their clients went beyond a quota (KIP-219).

A shell reads no more from a connection with `muted` set. What it has read already is kept here, and served when the time is over.

Invariants
- The requests of a connection are served in their order, muted or not.
- A connection that is muted again while it waits waits until the later of the two times.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.base.errors import DecodeError, PeerError
from raftkafka.broker.connection import Connection
from raftkafka.replication.deadlines import Deadlines

MAX_HELD_BYTES = 64 << 20
"""Of all connections together. A shell that stops reading holds at most what one turn brought."""

Serve = Callable[[Connection, memoryview, int], None]


class MutedConnections:
    """Who is muted until when, and the frames that wait.

    `serve` takes a frame at a time; `unmuted` lets the shell read on; `refused` closes a connection whose bytes are nonsense;
    `another_deadline` is called when there is one.
    """

    def __init__(
        self,
        *,
        serve: Serve,
        unmuted: Callable[[Connection], None],
        refused: Callable[[Connection, str], None],
        another_deadline: Callable[[], None],
    ) -> None:
        self._serve = serve
        self._unmuted = unmuted
        self._refused = refused
        self._another_deadline = another_deadline
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
        self._another_deadline()

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

    def tick(self, now_ms: int) -> None:
        """Listens again to those whose time is over, and serves what waits of them; who is muted by that gets the rest back by `hold`."""
        for connection in self._deadlines.expire(now_ms):
            connection.muted = False
            self._unmuted(connection)
            try:
                for frame in self._take(connection):
                    self._serve(connection, memoryview(frame), now_ms)
            except (DecodeError, PeerError) as error:
                self._refused(connection, str(error))

    def _take(self, connection: Connection) -> list[bytearray]:
        frames = self._held.pop(connection, [])
        self._held_bytes -= sum(map(len, frames))
        return frames
