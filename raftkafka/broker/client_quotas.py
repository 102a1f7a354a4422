"""The quotas of clients on one broker: what they have used, and how long who used too much is held back.

An answer says how long (`throttle_time_ms`), and leaves at once; the connection is then muted for that time (KIP-219). Quotas are of one
broker: each counts for itself.

- `producer_byte_rate` counts Produce requests, `consumer_byte_rate` the records of Fetch answers. Followers are not held back. Unlike
  Kafka, the answer to a fetch that goes beyond the quota carries its records: they were read already, and the time is the same.
- `request_percentage` counts the time that requests took of the one thread here; 100 is all of it. What a request took is known when it is
  done, so it holds the next one back, for at most one window.

Invariants
- Without a quota of a kind nothing of that kind is counted: `limits_...` are false, and nobody looks further.
- At most `MAX_COUNTED` clients are remembered; who was not seen for an hour, or longest, is forgotten first.

Sources: KIP-13, KIP-124, KIP-219; S431 ClientQuotaManager.
"""

from __future__ import annotations

from collections import OrderedDict

from raftkafka.broker.quota_lookup import ANONYMOUS, SharedQuota, is_limited, quota_of
from raftkafka.broker.quota_rates import SampledRate
from raftkafka.metadata.client_quotas import CONSUMER_BYTE_RATE, PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE, ClientQuotasImage

MAX_COUNTED = 10_000
FORGET_AFTER_MS = 3_600_000
NO_LIMIT = 2**31 - 1
MICROSECONDS_PER_PERCENT = 10_000
"""Of a second."""


class ClientQuotas:
    """What clients have used of the quotas that are set."""

    def __init__(self, *, window_count: int, window_ms: int) -> None:
        self.limits_produce = False
        self.limits_fetch = False
        self.limits_requests = False
        self._quotas = ClientQuotasImage()
        self._window_count = window_count
        self._window_ms = window_ms
        self._rates: OrderedDict[tuple[str, tuple[str, str]], SampledRate] = OrderedDict()
        self._known: dict[tuple[str, str], SharedQuota | None] = {}

    def configure(self, quotas: ClientQuotasImage) -> None:
        """Other quotas from now on; what was used stays used."""
        self._quotas = quotas
        self._known.clear()
        self.limits_produce = is_limited(quotas, PRODUCER_BYTE_RATE)
        self.limits_fetch = is_limited(quotas, CONSUMER_BYTE_RATE)
        self.limits_requests = is_limited(quotas, REQUEST_PERCENTAGE)

    def produced(self, client_id: str | None, size_bytes: int, now_ms: int) -> int:
        """A producer sent so many bytes; returns how long it is held back, in ms."""
        return self._used(PRODUCER_BYTE_RATE, client_id, size_bytes, now_ms)

    def fetched(self, client_id: str | None, size_bytes: int, now_ms: int) -> int:
        """A consumer gets so many bytes; returns how long it is held back, in ms."""
        return self._used(CONSUMER_BYTE_RATE, client_id, size_bytes, now_ms)

    def fetch_bytes(self, client_id: str | None) -> int:
        """The most that one fetch may return: what the quota allows in all windows but one, at least 1."""
        quota = self._quota(CONSUMER_BYTE_RATE, client_id)
        if quota is None:
            return NO_LIMIT
        return max(1, int(quota.limit * (self._window_count - 1) * self._window_ms / 1_000))

    def took(self, client_id: str | None, duration_us: int, now_ms: int) -> None:
        """A request took so much time."""
        quota = self._quota(REQUEST_PERCENTAGE, client_id)
        if quota is not None:
            self._rate(REQUEST_PERCENTAGE, quota).record(duration_us / MICROSECONDS_PER_PERCENT, now_ms)

    def request_wait_ms(self, client_id: str | None, now_ms: int) -> int:
        """How long a client is held back for the time that its requests took so far, at most one window."""
        quota = self._quota(REQUEST_PERCENTAGE, client_id)
        if quota is None:
            return 0
        return min(self._rate(REQUEST_PERCENTAGE, quota).wait_ms(quota.limit, now_ms), self._window_ms)

    def _used(self, key: str, client_id: str | None, amount: float, now_ms: int) -> int:
        quota = self._quota(key, client_id)
        if quota is None:
            return 0
        rate = self._rate(key, quota)
        rate.record(amount, now_ms)
        self._forget_idle(now_ms)
        return rate.wait_ms(quota.limit, now_ms)

    def _quota(self, key: str, client_id: str | None) -> SharedQuota | None:
        name = client_id or ""
        known = (key, name)
        if known not in self._known:
            if len(self._known) >= MAX_COUNTED:
                self._known.clear()
            self._known[known] = quota_of(self._quotas, key, user=ANONYMOUS, client_id=name)
        return self._known[known]

    def _rate(self, key: str, quota: SharedQuota) -> SampledRate:
        identity = (key, quota.sharers)
        rate = self._rates.get(identity)
        if rate is None:
            rate = self._rates[identity] = SampledRate(window_count=self._window_count, window_ms=self._window_ms)
        else:
            self._rates.move_to_end(identity)
        return rate

    def _forget_idle(self, now_ms: int) -> None:
        rates = self._rates
        while rates:
            identity, oldest = next(iter(rates.items()))
            if len(rates) <= MAX_COUNTED and now_ms - oldest.used_ms < FORGET_AFTER_MS:
                return
            del rates[identity]
