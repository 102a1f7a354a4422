"""What librdkafka counts: the table of a client's metrics that Apache's perf tools print at the end, and whether a client is ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_COUNTERS = (
    ("incoming-byte-total", "rx_bytes"),
    ("outgoing-byte-total", "tx_bytes"),
    ("record-consumed-byte-total", "rxmsg_bytes"),
    ("record-consumed-total", "rxmsgs"),
    ("record-send-byte-total", "txmsg_bytes"),
    ("record-send-total", "txmsgs"),
    ("request-total", "tx"),
    ("response-total", "rx"),
)
"""Java's name of a counter, and librdkafka's."""


class LastStatistics:
    """Keeps the newest statistics of a client; its `keep` is the client's `stats_cb`."""

    def __init__(self) -> None:
        self._text = "{}"

    def keep(self, text: str) -> None:
        self._text = text

    @property
    def newest(self) -> Mapping[str, Any]:
        found: dict[str, Any] = json.loads(self._text)
        return found

    def may_send(self) -> bool:
        """Whether a producer waits for nothing: it has its producer id, or needs none, or asks for it when a transaction begins."""
        newest = self.newest
        return bool(newest) and newest.get("eos", {}).get("idemp_state", "Assigned") in ("Assigned", "Init")

    def print_table(self, group: str, client_id: str) -> None:
        """Prints the counters as metrics of this group (`producer-metrics`)."""
        newest = self.newest
        rows = {f"{group}:{name}:{{client-id={client_id}}}": newest[key] for name, key in _COUNTERS if newest.get(key)}
        width = max(map(len, rows), default=0)
        print(f"\n{'Metric Name':<{width}}   Value")
        for name, value in sorted(rows.items()):
            print(f"{name:<{width}} : {float(value):.3f}")
