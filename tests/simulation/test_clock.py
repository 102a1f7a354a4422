"""Clocks that drift: deadlines are met, never early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.simulation.clock import EPOCH_MS, SimClock
from raftkafka.simulation.events import EventHeap


@given(st.integers(0, 10**12), st.integers(-1000, 1000), st.integers(0, 10**7))
def test_when_us_is_the_first_moment_at_which_the_clock_says_so(now_us: int, rate_ppm: int, ahead_ms: int) -> None:
    heap = EventHeap()
    heap.now_us = now_us
    clock = SimClock(heap, rate_ppm=rate_ppm)
    deadline_ms = clock.now_ms() + ahead_ms
    heap.now_us = clock.when_us(deadline_ms)
    assert clock.now_ms() >= deadline_ms
    heap.now_us -= 1
    assert clock.now_ms() < deadline_ms


def test_a_world_begins_at_its_epoch() -> None:
    assert SimClock(EventHeap(), rate_ppm=100).now_ms() == EPOCH_MS
