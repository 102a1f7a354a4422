"""The node's clock: milliseconds that never go back and start near the wall clock."""

from __future__ import annotations

import time

_NS_PER_MS = 1_000_000


class NodeClock:
    """`now_ms` follows CLOCK_MONOTONIC; `wall_offset_ms` is what the wall clock has come to differ since the start."""

    __slots__ = ("_base_ns",)

    def __init__(self) -> None:
        self._base_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> int:
        return (time.monotonic_ns() + self._base_ns) // _NS_PER_MS

    def wall_offset_ms(self) -> int:
        """Wall time minus `now_ms`: not zero once somebody has set the machine's clock."""
        return time.time_ns() // _NS_PER_MS - self.now_ms()
