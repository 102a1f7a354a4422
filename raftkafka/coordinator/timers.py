"""The time at which a call happens, and what is due at a later one.

Invariants
- A key has at most one timer; scheduling it again moves it.
- Timers run in the order of their deadlines, and of their scheduling when those are equal.

Moving a timer to a later time (each heartbeat does it) costs no heap operation: the old heap entry stays and is re-queued when it surfaces.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from typing import NamedTuple

NEVER_MS = 2**62
"""The deadline of nothing."""


class Instant(NamedTuple):
    """When a call happens: `now_ms` (monotonic) for deadlines, `wall_ms` (since 1970) for what goes into records."""

    now_ms: int
    wall_ms: int


Action = Callable[[Instant], None]


class _Timer:
    __slots__ = ("action", "deadline_ms", "queued_ms")

    def __init__(self, deadline_ms: int, action: Action) -> None:
        self.deadline_ms = deadline_ms
        self.queued_ms = deadline_ms
        self.action = action


class Timers:
    """Actions by key, each with a deadline; `moved` is told of every new earliest one that may wake the owner sooner."""

    def __init__(self, moved: Callable[[int], None] = lambda deadline_ms: None) -> None:
        self._timers: dict[Hashable, _Timer] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._sequence = 0
        self._moved = moved

    def __len__(self) -> int:
        return len(self._timers)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._timers

    def schedule(self, key: Hashable, deadline_ms: int, action: Action) -> None:
        """Runs the action at the deadline unless the key is cancelled or scheduled again before."""
        timer = self._timers.get(key)
        if timer is None:
            self._timers[key] = _Timer(deadline_ms, action)
            self._queue(key, deadline_ms)
            return
        timer.deadline_ms, timer.action = deadline_ms, action
        if deadline_ms < timer.queued_ms:
            timer.queued_ms = deadline_ms
            self._queue(key, deadline_ms)

    def cancel(self, key: Hashable) -> None:
        """Forgets the timer; nothing happens when there is none."""
        self._timers.pop(key, None)

    def clear(self) -> None:
        """Forgets all timers."""
        self._timers.clear()
        self._heap.clear()

    def next_deadline_ms(self) -> int:
        """No timer is due before this; `NEVER_MS` when there is none."""
        return self._heap[0][0] if self._heap else NEVER_MS

    def run_due(self, instant: Instant) -> None:
        """Runs what is due at `instant`, also what those actions schedule for then."""
        while self._heap and self._heap[0][0] <= instant.now_ms:
            queued_ms, _, key = heapq.heappop(self._heap)
            timer = self._timers.get(key)
            if timer is None or timer.queued_ms != queued_ms:
                continue
            if timer.deadline_ms > instant.now_ms:
                timer.queued_ms = timer.deadline_ms
                self._queue(key, timer.deadline_ms)
                continue
            del self._timers[key]
            timer.action(instant)

    def _queue(self, key: Hashable, deadline_ms: int) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (deadline_ms, self._sequence, key))
        self._moved(deadline_ms)
