"""Deadlines of many waiting things, most of which are done long before: adding and discarding are O(1).

Deadlines are rounded up to buckets of `granularity_ms`; a bucket is a dictionary, so what completes leaves nothing behind but an empty
bucket.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

from raftkafka.replication.values import FAR_FUTURE_MS

Waiter = TypeVar("Waiter", bound=Hashable)


class Deadlines(Generic[Waiter]):
    """Things that wait, by when they give up."""

    __slots__ = ("_buckets", "_due", "_granularity_ms", "_heap")

    def __init__(self, *, granularity_ms: int) -> None:
        self._granularity_ms = granularity_ms
        self._buckets: dict[int, dict[Waiter, None]] = {}
        self._due: dict[Waiter, int] = {}
        self._heap: list[int] = []

    def __len__(self) -> int:
        return len(self._due)

    def set(self, waiter: Waiter, deadline_ms: int) -> None:
        """Adds the waiter, or moves it to another deadline."""
        self.discard(waiter)
        due = -(-deadline_ms // self._granularity_ms)
        bucket = self._buckets.get(due)
        if bucket is None:
            bucket = self._buckets[due] = {}
            heapq.heappush(self._heap, due)
        bucket[waiter] = None
        self._due[waiter] = due

    def discard(self, waiter: Waiter) -> None:
        """Forgets the waiter; nothing happens when it is not there."""
        due = self._due.pop(waiter, None)
        if due is not None:
            del self._buckets[due][waiter]

    def due_ms(self, waiter: Waiter) -> int:
        """When this waiter gives up; far in the future when it is not there."""
        due = self._due.get(waiter)
        return FAR_FUTURE_MS if due is None else due * self._granularity_ms

    def next_ms(self) -> int:
        """The earliest deadline, rounded up; far in the future when nothing waits."""
        while self._heap:
            due = self._heap[0]
            if self._buckets[due]:
                return due * self._granularity_ms
            heapq.heappop(self._heap)
            del self._buckets[due]
        return FAR_FUTURE_MS

    def expire(self, now_ms: int) -> list[Waiter]:
        """Removes and returns, in the order of their deadlines, those whose time is up."""
        expired: list[Waiter] = []
        while self.next_ms() <= now_ms:
            bucket = self._buckets.pop(heapq.heappop(self._heap))
            for waiter in bucket:
                del self._due[waiter]
                expired.append(waiter)
        return expired
