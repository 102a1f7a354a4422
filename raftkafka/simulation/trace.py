"""What happened in a world: one readable line per event, and a digest over all of them.

Invariant: the digest depends on the seed and the code alone: the same seed gives the same digest in every process, whatever its
PYTHONHASHSEED.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import xxhash

from raftkafka.base.observed import Observed
from raftkafka.simulation.events import US_PER_SECOND, EventHeap
from raftkafka.simulation.watch import Watcher

KEPT_LINES = 5_000


class Trace:
    """`line` is for people and the digest, `detail` (frames, timers) for the digest alone unless `detailed`."""

    def __init__(self, heap: EventHeap, *, sink: Callable[[str], None] | None = None, detailed: bool = False) -> None:
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.watcher: Watcher | None = None
        self.listeners: list[Callable[[str, Observed], None]] = []
        """Who judges what nodes say of themselves; called with the node's machine, and may raise."""
        self._heap = heap
        self._sink = sink
        self._detailed = detailed
        self._hash = xxhash.xxh3_128()

    def line(self, who: str, text: str) -> None:
        """One thing worth reading: who it happened to, and what."""
        if self.watcher is not None:
            self.watcher.line(who, text)
        self._write(who, text)

    def observed(self, who: str, what: Observed) -> None:
        """A node tells of itself."""
        if self.watcher is not None:
            self.watcher.observed(who, what)
        self._write(who, str(what))
        for listener in self.listeners:
            listener(who, what)

    def _write(self, who: str, text: str) -> None:
        now_us = self._heap.now_us
        line = f"{now_us // US_PER_SECOND:4d}.{now_us % US_PER_SECOND:06d} {who:<7} {text}"
        self._hash.update(line.encode())
        self.last_lines.append(line)
        if self._sink is not None:
            self._sink(line)

    def detail(self, who: str, text: str, data: bytes = b"") -> None:
        """Something too frequent to read, with the bytes that it was about."""
        if self._detailed:
            self._write(who, f"{text} {len(data)} bytes {xxhash.xxh3_64_hexdigest(data)}")
        else:
            self._hash.update(b"%d %b %b %b" % (self._heap.now_us, who.encode(), text.encode(), data))

    def digest(self) -> str:
        """32 hexadecimal digits over everything so far."""
        return self._hash.hexdigest()
