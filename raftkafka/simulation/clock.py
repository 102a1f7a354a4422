"""A machine's clocks in a world: they run at a rate of their own, and the wall clock may be wrong."""

from __future__ import annotations

from raftkafka.simulation.events import EventHeap

EPOCH_MS = 1_800_000_000_000
"""The wall clock when a world begins."""

_MILLION = 1_000_000


class SimClock:
    """`rate_ppm` is how much faster (or slower) than true time it runs; `wall_offset_ms` how far the wall clock is off."""

    def __init__(self, heap: EventHeap, *, rate_ppm: int = 0, wall_offset_ms: int = 0) -> None:
        self.wall_offset_ms = wall_offset_ms
        self._heap = heap
        self._rate = _MILLION + rate_ppm

    def now_ms(self) -> int:
        return EPOCH_MS + self._heap.now_us * self._rate // (_MILLION * 1000)

    def when_us(self, now_ms: int) -> int:
        """The first microsecond at which `now_ms()` says this or later."""
        return -((EPOCH_MS - now_ms) * _MILLION * 1000 // self._rate)
