"""Whether one more connection is let in: how many there may be, and how many may be opened in a second.

- `max.connections`, `max.connections.per.ip` and its overrides: beyond them a connection is closed at once.
- `max.connection.creation.rate`: beyond it the shell accepts nobody for a while.
- `connection_creation_rate` of an address (KIP-612): beyond it a connection is closed, but only when the address may come again: who is
  refused at once comes back at once. Such a connection does not count.

All of them may be changed while the broker runs. None holds for the listener of controllers, on which the cluster itself rests.

Sources: KIP-402, KIP-612; S431 ConnectionQuotas.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.quota_lookup import connection_rate_of, is_limited
from raftkafka.broker.quota_rates import SampledRate
from raftkafka.metadata.client_quotas import CONNECTION_CREATION_RATE, ClientQuotasImage
from raftkafka.metadata.config_checks import parse_connection_overrides

MAX_ADDRESSES = 10_000
"""So many addresses are remembered; who was not seen for longest is forgotten first."""
NO_RATE = 2**31 - 1


@attrs.frozen
class Admission:
    """`refusal` is why a connection is not let in, or empty. It is to be closed after `close_after_ms`; no other is to be accepted before
    `pause_ms` have passed."""

    refusal: str = ""
    close_after_ms: int = 0
    pause_ms: int = 0


ADMITTED = Admission()


class ConnectionLimits:
    """The limits in force, and what was opened lately."""

    def __init__(self, config: BrokerConfig) -> None:
        self._controller_listener = config.controller_listener_name
        self._window_count = config.quota_window_num
        self._window_ms = config.quota_window_size_seconds * 1_000
        self._opened = self._rate()
        self._by_address: OrderedDict[str, SampledRate] = OrderedDict()
        self.configure(config, ClientQuotasImage())

    def configure(self, config: BrokerConfig, quotas: ClientQuotasImage) -> None:
        """Other limits from now on."""
        self._most = config.max_connections
        self._most_per_ip = config.max_connections_per_ip
        self._overrides = parse_connection_overrides(config.max_connections_per_ip_overrides)
        self._rate_limit = config.max_connection_creation_rate
        self._quotas = quotas
        self._limits_addresses = is_limited(quotas, CONNECTION_CREATION_RATE)

    def admit(self, address: str, *, listener: str, open_count: int, open_from_address: int, now_ms: int) -> Admission:
        """One more connection from this address, where so many are open already."""
        if listener == self._controller_listener:
            return ADMITTED
        if open_count >= self._most:
            return Admission(f"max.connections ({self._most}) reached")
        most_per_ip = self._overrides.get(address, self._most_per_ip)
        if open_from_address >= most_per_ip:
            return Admission(f"max.connections.per.ip ({most_per_ip}) reached")
        if self._limits_addresses:
            wait_ms = self._from_address(address, now_ms)
            if wait_ms:
                return Admission("connection_creation_rate of its address exceeded", close_after_ms=wait_ms)
        if self._rate_limit < NO_RATE:
            self._opened.record(1, now_ms)
            return Admission(pause_ms=self._opened.wait_ms(max(self._rate_limit, 1), now_ms))
        return ADMITTED

    def _from_address(self, address: str, now_ms: int) -> int:
        limit = connection_rate_of(self._quotas, address)
        if limit is None:
            return 0
        rate = self._by_address.get(address)
        if rate is None:
            rate = self._by_address[address] = self._rate()
            if len(self._by_address) > MAX_ADDRESSES:
                self._by_address.popitem(last=False)
        else:
            self._by_address.move_to_end(address)
        rate.record(1, now_ms)
        wait_ms = rate.wait_ms(limit, now_ms)
        if wait_ms:
            rate.record(-1, now_ms)
        return wait_ms

    def _rate(self) -> SampledRate:
        return SampledRate(window_count=self._window_count, window_ms=self._window_ms)
