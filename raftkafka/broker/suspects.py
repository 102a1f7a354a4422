"""Brokers whose connection to this node has just ended: very likely gone, not yet fenced, and still named as leaders by the image.

A client that lost its leader asks for metadata within a millisecond, before the controller can have moved the leadership. An answer with
the old leader costs it a whole back-off (half a second with librdkafka); so the answer is held until the image says what became of it.

Invariants
- An answer is held only while a leader that it would name is suspected, and for at most `HOLD_MS`: a suspicion proves nothing.
- Every such answer waits `GRACE_MS` first: the kernel closes the sockets of a killed process one after the other, so the client's may close
  some milliseconds before ours.
- A suspicion ends when the connection stands again, when the image fences the broker, or with its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set

from raftkafka.base.ids import NodeId
from raftkafka.broker.channel import FAR_FUTURE_MS
from raftkafka.metadata.image import MetadataImage

HOLD_MS = 400
GRACE_MS = 20

Leaders = Callable[[], Set[NodeId]]


class Suspects:
    """`suspect` and `cleared` come from the links; `hold` from the handler of Metadata."""

    def __init__(self) -> None:
        self._until_ms: dict[NodeId, int] = {}
        self._held: list[tuple[Set[NodeId], Callable[[], None]]] = []
        self._new: deque[tuple[int, Leaders, Callable[[], None]]] = deque()

    def suspect(self, node_id: NodeId, now_ms: int) -> None:
        """The connection to this broker has ended."""
        self._until_ms.setdefault(node_id, now_ms + HOLD_MS)

    def cleared(self, node_id: NodeId) -> None:
        """The broker answers."""
        if self._until_ms.pop(node_id, None) is not None:
            self._release()

    def image_changed(self, image: MetadataImage) -> None:
        """A broker that is fenced leads nothing any more."""
        if not self._until_ms:
            return
        for node_id in list(self._until_ms):
            broker = image.brokers.get(node_id)
            if broker is None or broker.fenced:
                del self._until_ms[node_id]
        self._release()

    def hold(self, leaders: Leaders, answer: Callable[[], None], now_ms: int) -> None:
        """Calls `answer` soon, or when none of the leaders is suspected any more."""
        self._new.append((now_ms + GRACE_MS, leaders, answer))

    def _grace_over(self, leaders: Leaders, answer: Callable[[], None]) -> None:
        if not self._until_ms:
            answer()
            return
        suspected = leaders() & self._until_ms.keys()
        if suspected:
            self._held.append((suspected, answer))
        else:
            answer()

    def tick(self, now_ms: int) -> None:
        """Gives up on suspicions that were never settled."""
        while self._new and self._new[0][0] <= now_ms:
            _, leaders, answer = self._new.popleft()
            self._grace_over(leaders, answer)
        if min(self._until_ms.values(), default=FAR_FUTURE_MS) > now_ms:
            return
        for node_id, until_ms in list(self._until_ms.items()):
            if until_ms <= now_ms:
                del self._until_ms[node_id]
        self._release()

    def next_deadline_ms(self) -> int:
        if not self._until_ms and not self._new:
            return FAR_FUTURE_MS
        earliest = min(self._until_ms.values(), default=FAR_FUTURE_MS)
        return min(earliest, self._new[0][0]) if self._new else earliest

    def _release(self) -> None:
        held, self._held = self._held, []
        for suspected, answer in held:
            if suspected & self._until_ms.keys():
                self._held.append((suspected, answer))
            else:
                answer()
