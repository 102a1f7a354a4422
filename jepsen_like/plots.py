"""The pictures of a history, as SVG texts: unseen values over time, latency with the faults, and the order of each key.

    unseen_svg(history)   latency_svg(history)   order_svg(history, key)   all_plots(history)

Each is whole in itself and needs no network; `write_plots` puts them into a directory.
"""

from __future__ import annotations

import re
from pathlib import Path

from jepsen_like.checker import Anomaly, Verdict, check
from jepsen_like.history import History
from jepsen_like.plots_order import order_svg
from jepsen_like.plots_time import latency_svg, unseen_svg

__all__ = ["all_plots", "latency_svg", "order_svg", "unseen_svg", "write_plots"]

MAX_ORDERS = 8
ABOUT_ORDER = (
    "lost-write",
    "inconsistent-offsets",
    "duplicate",
    "poll-skip",
    "nonmonotonic-poll",
    "int-poll-skip",
    "int-nonmonotonic-poll",
    "nonmonotonic-send",
    "int-nonmonotonic-send",
    "nonmonotonic-realtime",
    "unseen",
)


def all_plots(history: History, verdict: Verdict | None = None) -> list[tuple[str, str]]:
    """(title, SVG): the two over time, and the order of each key with an anomaly, or of the first key where there is none."""
    verdict = verdict or check(history)
    plots = [("Unseen values over time", unseen_svg(history)), ("Latency", latency_svg(history))]
    keys = list(dict.fromkeys(each.key for each in (*verdict.anomalies, *verdict.allowed) if each.key and each.kind in ABOUT_ORDER))
    for key in keys[:MAX_ORDERS] or _first_key(history):
        plots.append((f"Order of {key}", order_svg(history, key, anomalies=_of_key(verdict, key))))
    return plots


def write_plots(directory: Path, history: History, verdict: Verdict) -> list[Path]:
    """Writes all plots; the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for title, svg in all_plots(history, verdict):
        path = directory / (re.sub(r"[^a-z0-9._-]+", "-", title.lower()) + ".svg")
        path.write_text(svg, encoding="utf-8")
        written.append(path)
    return written


def _of_key(verdict: Verdict, key: str) -> tuple[Anomaly, ...]:
    return tuple(each for each in (*verdict.anomalies, *verdict.allowed) if each.key == key and each.kind in ABOUT_ORDER)


def _first_key(history: History) -> list[str]:
    for op in history.operations:
        if op.f in ("send", "txn") and isinstance(op.value, list):
            for micro in op.value:
                if micro[0] == "send":
                    return [micro[1]]
    return []
