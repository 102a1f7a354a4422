"""Why the controller moved what it moved, as it tells everybody who asks (BalanceCluster)."""

from __future__ import annotations

import time

import trio

from raftkafka.client.cluster import open_cluster
from raftkafka.protocol.messages.balance_cluster import BalanceClusterResponse
from raftkafka.tools.balance.asking import ask_balance

_TIMEOUT_S = 5.0


def ask(bootstrap: str) -> BalanceClusterResponse:
    """How the load is spread, by the controller's own account."""

    async def work() -> BalanceClusterResponse:
        async with open_cluster(bootstrap, client_id="balance-demo", timeout_s=_TIMEOUT_S) as cluster:
            return await ask_balance(cluster, execute=False, timeout_ms=round(1_000 * _TIMEOUT_S))

    return trio.run(work)


class Reasons:
    """Hands out each automatic move once."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._told: dict[tuple[int, str, int, int, int], None] = {}

    def new_ones(self) -> list[str]:
        """The moves since the last call as lines, the oldest first."""
        response = ask(self._bootstrap)
        now_s = time.monotonic()
        lines = []
        for move in reversed(response.recent):
            identity = (move.partition, move.kind, move.source, move.target, round(now_s - move.age_ms / 1_000))
            near = [(*identity[:4], identity[4] + distance) for distance in (-1, 0, 1)]
            if not any(each in self._told for each in near):
                lines.append(f"{move.topic}-{move.partition}: {move.kind} {move.source} to {move.target}: {move.reason}")
            self._told[identity] = None
        return lines
