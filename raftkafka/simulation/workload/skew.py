"""Which partition a producer writes to: each as often as another, or some much more often than others, and now and then others than before.

Invariant: the shares at a moment depend on the seed and that moment alone, so that all producers agree on what is hot.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from raftkafka.simulation.events import US_PER_MS, EventHeap
from raftkafka.simulation.workload.known_cluster import Slot


class Skew:
    """The n-th hottest partition gets a share like 1 / n ** `exponent`; which one that is changes every `shift_ms`, until `hold`."""

    def __init__(
        self, *, heap: EventHeap, slots: Sequence[Slot], exponent: float, shift_ms: int, chance: Callable[[str], random.Random]
    ) -> None:
        self._heap = heap
        self._slots = list(slots)
        self._shares = [1 / (rank + 1) ** exponent for rank in range(len(slots))]
        self._shift_us = shift_ms * US_PER_MS
        self._chance = chance
        self._turn = -1
        self._ranked: list[Slot] = []
        self._held = False

    def choose(self, rng: random.Random) -> Slot:
        """The partition of one batch."""
        turn = self._turn if self._held else self._heap.now_us // self._shift_us
        if turn != self._turn:
            self._turn = turn
            self._ranked = self._chance(f"skew/{turn}").sample(self._slots, len(self._slots))
        return rng.choices(self._ranked, self._shares)[0]

    def hold(self) -> None:
        """From now on the load is steady."""
        self._held = self._turn >= 0
