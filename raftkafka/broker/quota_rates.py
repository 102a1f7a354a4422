"""How Kafka measures a rate against a quota: over the last few windows of time, and by a bucket of tokens.

`SampledRate` counts in windows of `window_ms`, of which it keeps `window_count`; the rate is their sum over the time that they cover, taken
to be at least all but one of them. So somebody who was idle may take `window_count - 1` windows' worth at once, and is then held back until
the rate is down to the quota. `TokenBucket` saves up at the rate of the quota, to as much as all windows' worth, and may be overdrawn once.

Invariants
- Over any time t, who waits as he is told to takes at most quota x (t + window_count x window_ms) and one last piece.
- Time and amounts are arguments; nothing happens between the calls.

Sources: KIP-13, KIP-219, KIP-599; S431 Rate, SampledStat, QuotaUtils, TokenBucket.
"""

from __future__ import annotations

from collections import deque

MS_PER_SECOND = 1_000


class SampledRate:
    """An amount per second."""

    __slots__ = ("_samples", "_total", "_window_count", "_window_ms", "used_ms")

    def __init__(self, *, window_count: int, window_ms: int) -> None:
        self._window_count = window_count
        self._window_ms = window_ms
        self._samples: deque[list[float]] = deque()  # [start_ms, amount], oldest first
        self._total = 0.0
        self.used_ms = 0
        """When something was last recorded."""

    def record(self, amount: float, now_ms: int) -> None:
        """So much has happened now; a negative amount takes back what was recorded."""
        self.used_ms = now_ms
        self._forget_old(now_ms)
        samples = self._samples
        if not samples or now_ms - samples[-1][0] >= self._window_ms:
            samples.append([now_ms, 0.0])
            if len(samples) > self._window_count:
                self._total -= samples.popleft()[1]
        samples[-1][1] += amount
        self._total += amount

    def per_second(self, now_ms: int) -> float:
        """The rate over the windows that are kept."""
        self._forget_old(now_ms)
        return self._total * MS_PER_SECOND / self._covered_ms(now_ms)

    def wait_ms(self, quota: float, now_ms: int) -> int:
        """How long nothing may happen until the rate is down to `quota` per second; 0 when it is not above it."""
        rate = self.per_second(now_ms)
        if rate <= quota:
            return 0
        return round((rate - quota) / quota * self._covered_ms(now_ms))

    def _covered_ms(self, now_ms: int) -> int:
        elapsed_ms = now_ms - int(self._samples[0][0]) if self._samples else 0
        missing = self._window_count - 1 - elapsed_ms // self._window_ms
        return max(elapsed_ms + max(missing, 0) * self._window_ms, self._window_ms)

    def _forget_old(self, now_ms: int) -> None:
        samples, kept_ms = self._samples, self._window_count * self._window_ms
        while samples and now_ms - samples[0][0] >= kept_ms:
            self._total -= samples.popleft()[1]
        if not samples:
            self._total = 0.0


class TokenBucket:
    """Tokens that come at the rate of a quota."""

    __slots__ = ("_filled_ms", "_tokens", "_window_s", "used_ms")

    def __init__(self, *, window_count: int, window_ms: int, quota: float, now_ms: int) -> None:
        self._window_s = window_count * window_ms / MS_PER_SECOND
        self._tokens = quota * self._window_s
        self._filled_ms = self.used_ms = now_ms

    def wait_ms(self, quota: float, now_ms: int) -> int:
        """How long until the bucket is not overdrawn; 0 when it is not."""
        self._fill(quota, now_ms)
        return 0 if self._tokens >= 0 else round(-self._tokens / quota * MS_PER_SECOND)

    def take(self, count: float, quota: float, now_ms: int) -> None:
        """Takes so many tokens, whether they are there or not."""
        self._fill(quota, now_ms)
        self.used_ms = now_ms
        self._tokens -= count

    def _fill(self, quota: float, now_ms: int) -> None:
        grown = self._tokens + quota * (now_ms - self._filled_ms) / MS_PER_SECOND
        self._tokens = min(grown, quota * self._window_s)
        self._filled_ms = now_ms
