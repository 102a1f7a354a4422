"""A machine's clocks in a world: they run at a rate of their own, and the wall clock may be wrong.

Invariant: `now_ms` never goes back, whatever is done to the rate.
"""

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
        self._since_us = 0
        self._base = EPOCH_MS * _MILLION * 1000
        """The time at `_since_us`, in parts of a millisecond that the rate does not have to round."""

    def now_ms(self) -> int:
        return (self._base + (self._heap.now_us - self._since_us) * self._rate) // (_MILLION * 1000)

    def when_us(self, now_ms: int) -> int:
        """The first microsecond at which `now_ms()` says this or later."""
        return self._since_us - ((self._base - now_ms * _MILLION * 1000) // self._rate)

    def change_rate(self, by_ppm: int) -> None:
        """From now on it runs faster (or slower) by this much."""
        now_us = self._heap.now_us
        self._base += (now_us - self._since_us) * self._rate
        self._since_us = now_us
        self._rate += by_ppm
