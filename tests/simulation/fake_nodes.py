"""Small nodes for tests of the simulated shell."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from raftkafka.base.disk import Disk, Persist
from raftkafka.base.errors import DecodeError, DiskError
from raftkafka.broker.connection import Connection
from raftkafka.broker.effects import Flush, LinkId, NodeEffect, OpenLink, SendOnLink

FAR_FUTURE_MS = 1 << 62
CONTROL_PORT = 19092
PEER_LINK = LinkId("control/peer")


class PingNode:
    """Node 1 keeps a link to node 2 and sends a numbered ping every 10 ms; node 2 answers each once it is on its disk."""

    def __init__(self, node_id: int, disk: Disk, rng: random.Random) -> None:
        self.wall_offset_ms = 0
        self.stopped = False
        self.node_id = node_id
        self.disk = disk
        self.pongs: list[int] = []
        self.pings: list[int] = []
        self.kept_frames: list[memoryview] = []
        self.calls: list[str] = []
        self.effects: list[NodeEffect] = []
        self.deadline_ms = FAR_FUTURE_MS
        self.on_ping: Callable[[], None] = lambda: None
        self._linked = False
        self._next_ping = 0
        self._waiting: dict[int, tuple[Connection, int]] = {}

    def start(self, now_ms: int, wall_ms: int) -> None:
        if self.node_id == 1:
            self.effects.append(OpenLink(PEER_LINK, "n2", CONTROL_PORT))
            self.deadline_ms = now_ms + 10

    def connection_opened(self, conn: Connection) -> None:
        self.calls.append("connection_opened")

    def connection_closed(self, conn: Connection, now_ms: int) -> None:
        self.calls.append("connection_closed")
        self._waiting = {token: waiting for token, waiting in self._waiting.items() if waiting[0] is not conn}

    def frame_received(self, conn: Connection, frame: memoryview, now_ms: int) -> None:
        self.kept_frames.append(frame)
        if len(frame) != 4:
            raise DecodeError("not a ping")
        (number,) = struct.unpack(">i", frame)
        self.pings.append(number)
        self.on_ping()
        log = self.disk.open("pings", create=True)
        log.append([struct.pack(">i", number)])
        self._waiting[number] = (conn, number)
        self.effects.append(Persist(number, syncs=("pings",)))

    def link_opened(self, link_id: LinkId, now_ms: int) -> None:
        self.calls.append("link_opened")
        self._linked = True

    def link_closed(self, link_id: LinkId, *, refused: bool, now_ms: int) -> None:
        self.calls.append(f"link_closed refused={refused}")
        self._linked = False
        self.effects.append(OpenLink(PEER_LINK, "n2", CONTROL_PORT))

    def link_frame(self, link_id: LinkId, frame: memoryview, now_ms: int) -> None:
        self.pongs.extend(struct.unpack(">i", frame))

    def persisted(self, token: int, now_ms: int) -> None:
        if token in self._waiting:
            conn, number = self._waiting.pop(token)
            conn.out.append(struct.pack(">ii", 4, number))
            self.effects.append(Flush(conn))

    def persist_failed(self, token: int, error: DiskError, now_ms: int) -> None:
        self.calls.append(f"persist_failed {error.path}")

    def tick(self, now_ms: int) -> None:
        self.deadline_ms = now_ms + 10
        if self._linked:
            self.effects.append(SendOnLink(PEER_LINK, (struct.pack(">ii", 4, self._next_ping),)))
            self._next_ping += 1

    def next_deadline_ms(self) -> int:
        return self.deadline_ms

    def settle(self, now_ms: int) -> Sequence[NodeEffect]:
        effects, self.effects = self.effects, []
        return effects

    def begin_shutdown(self, now_ms: int) -> None:
        self.stopped = True
