"""A node that echoes: each frame comes back with its length. Some first bytes mean something else."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from raftkafka.base.disk import Persist
from raftkafka.base.errors import DecodeError, DiskError
from raftkafka.broker.connection import Connection, ResponseSlot
from raftkafka.broker.effects import CloseConnection, Flush, Halt, LinkId, NodeEffect

FAR_FUTURE_MS = 2**62

ECHO = b"e"
SWALLOW = b"s"
"""No answer."""
LATER = b"l"
"""Answered by the next `release`."""
GROW = b"g"
"""Answered with as many bytes as the next four say."""
NONSENSE = b"n"
CLOSE = b"c"
HALT = b"h"
BUG = b"b"
PERSIST = b"p"
"""Answered once a `Persist` is done."""


class FakeNode:
    """Implements `NodePort`; `calls` records what happened to it."""

    def __init__(self) -> None:
        self.wall_offset_ms = 0
        self.stopped = False
        self.calls: list[str] = []
        self.effects: list[NodeEffect] = []
        self.connections: list[Connection] = []
        self.link_frames: list[bytes] = []
        self.frame_count = 0
        self.deadline_ms = FAR_FUTURE_MS
        self.ticks: list[int] = []
        self.on_tick: Callable[[int], None] = lambda now_ms: None
        self._touched: list[Connection] = []
        self._later: list[ResponseSlot] = []
        self._persists: dict[int, ResponseSlot] = {}

    def start(self, now_ms: int, wall_ms: int) -> None:
        self.calls.append("start")

    def connection_opened(self, conn: Connection) -> None:
        self.connections.append(conn)
        self.calls.append("opened")

    def connection_closed(self, conn: Connection, now_ms: int) -> None:
        self.connections.remove(conn)
        self.calls.append("closed")

    def frame_received(self, conn: Connection, frame: memoryview, now_ms: int) -> None:
        self.frame_count += 1
        kind = bytes(frame[:1])
        if kind == ECHO:
            self._complete(conn.reserve(), bytes(frame))
        elif kind == LATER:
            self._later.append(conn.reserve())
        elif kind == GROW:
            self._complete(conn.reserve(), bytes(*struct.unpack(">i", frame[1:5])))
        elif kind == PERSIST:
            token = self.frame_count
            self._persists[token] = conn.reserve()
            self.effects.append(Persist(token, syncs=(bytes(frame[1:]).decode(),)))
        else:
            self._special(conn, kind)

    def _special(self, conn: Connection, kind: bytes) -> None:
        if kind == NONSENSE:
            raise DecodeError("nonsense")
        if kind == BUG:
            raise AssertionError("a bug")
        if kind == CLOSE:
            self.effects.append(CloseConnection(conn, "asked for"))
        if kind == HALT:
            self.effects.append(Halt("asked for"))

    def release(self) -> None:
        """Answers all that is waiting."""
        for slot in self._later:
            self._complete(slot, b"released")
        self._later.clear()

    def link_opened(self, link_id: LinkId, now_ms: int) -> None:
        self.calls.append(f"link_opened {link_id}")

    def link_frame(self, link_id: LinkId, frame: memoryview, now_ms: int) -> None:
        self.link_frames.append(bytes(frame))

    def link_closed(self, link_id: LinkId, *, refused: bool, now_ms: int) -> None:
        self.calls.append(f"link_closed {link_id} refused={refused}")

    def persisted(self, token: int, now_ms: int) -> None:
        self._complete(self._persists.pop(token), b"persisted")

    def persist_failed(self, token: int, error: DiskError, now_ms: int) -> None:
        self._complete(self._persists.pop(token), f"failed {error.path}".encode())

    def tick(self, now_ms: int) -> None:
        self.ticks.append(now_ms)
        self.deadline_ms = FAR_FUTURE_MS
        self.on_tick(now_ms)

    def next_deadline_ms(self) -> int:
        return self.deadline_ms

    def settle(self, now_ms: int) -> Sequence[NodeEffect]:
        effects, self.effects = self.effects, []
        for conn in self._touched:
            conn.touched = False
            effects.append(Flush(conn))
        self._touched.clear()
        return effects

    def begin_shutdown(self, now_ms: int) -> None:
        self.calls.append("begin_shutdown")
        self.stopped = True

    def _complete(self, slot: ResponseSlot, payload: bytes) -> None:
        slot.complete((struct.pack(">i", len(payload)) + payload,))
        if not slot.connection.touched:
            slot.connection.touched = True
            self._touched.append(slot.connection)
