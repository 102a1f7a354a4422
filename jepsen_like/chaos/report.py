"""What is left of a run: `report.html`, one file that needs no network, and `report.txt` with the same in short, beside the history.

Invariants
- All text from a run is escaped: error texts and logs are data.
- The page has everything in it: styles, plots (SVG) and figures.
"""

from __future__ import annotations

import html
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from jepsen_like.chaos.charts import acknowledged_chart
from jepsen_like.checker import Anomaly, Availability, Outcome, Verdict
from jepsen_like.history import History, Op
from jepsen_like.plots import all_plots

MAX_ANOMALIES = 50
MAX_OPERATIONS = 6
MAX_TEXT = 600

_COLOURS = {Outcome.VALID: "#1a7f37", Outcome.INVALID: "#b3261e", Outcome.UNKNOWN: "#8a6d00"}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c1c1c;background:#fff;max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #ddd}
.verdict{color:#fff;border-radius:6px;padding:.6rem 1rem;margin:1rem 0;font-size:1.1rem}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tbody tr:nth-child(odd){background:#f6f6f6}
pre{background:#f6f6f6;padding:.7rem;overflow:auto;font-size:12.5px;line-height:1.4}details{margin:.4rem 0}
summary{cursor:pointer}svg{max-width:100%;height:auto}.kind{font-weight:600}.quiet{color:#666}
"""


@attrs.define(eq=False)
class Report:
    """What is known of a run beside its history. `notes` and `fault_log` grow while it lasts."""

    wishes: Mapping[str, str]
    version: str
    settings: Mapping[str, str]
    notes: list[str]
    fault_log: list[str]
    crashes: list[str]
    seed: int


def write_report(directory: Path, report: Report, history: History, verdict: Verdict) -> None:
    """Writes `report.html` and `report.txt` into the report folder."""
    (directory / "report.html").write_text(report_page(report, history, verdict), encoding="utf-8")
    (directory / "report.txt").write_text(report_text(report, verdict), encoding="utf-8")


def report_text(report: Report, verdict: Verdict) -> str:
    """The report for a terminal."""
    lines = [f"{report.version}: {verdict.outcome.value}. {verdict.reason}", ""]
    lines += [f"  {name:<14}{value}" for name, value in report.wishes.items()]
    lines += ["", "  under             times   seconds     acked    per s   served   longest gap"]
    for row in verdict.availability:
        lines.append(
            f"  {row.fault:<16}{row.times:>7}{row.seconds:>10.1f}{row.acknowledged:>10}{rate(row):>9.0f}{row.share:>9.1%}"
            f"{row.longest_gap_s:>12.1f} s"
        )
    lines += ["", *(f"  {note}" for note in (*report.crashes, *report.notes))]
    for kind, count in _by_kind(verdict.anomalies).items():
        lines.append(f"  {count} x {kind}")
    lines += [f"    {anomaly.kind}: {anomaly.text}"[:MAX_TEXT] for anomaly in verdict.anomalies[:10]]
    return "\n".join(lines).rstrip() + "\n"


def report_page(report: Report, history: History, verdict: Verdict) -> str:
    """The whole page."""
    made = time.strftime("%Y-%m-%d %H:%M:%S")
    parts = [
        f"<h1>Chaos on {_text(report.version)}</h1><p class=quiet>{made}, seed {report.seed}</p>",
        f'<p class=verdict style="background:{_COLOURS[verdict.outcome]}"><b>{verdict.outcome.value}</b>. {_text(verdict.reason)}</p>',
        "".join(f"<p><b>{_text(crash)}</b></p>" for crash in report.crashes) + "".join(f"<p>{_text(note)}</p>" for note in report.notes),
        "<h2>Availability</h2>" + _availability(verdict.availability),
        "<h2>Anomalies</h2>" + _anomalies(verdict.anomalies, history, none="None."),
        "<h2>Acknowledged sends a second, with the faults in force</h2>" + acknowledged_chart(history),
        *(f"<h2>{_text(title)}</h2>{svg}" for title, svg in all_plots(history, verdict)),
        _allowed(verdict, history),
        "<h2>What was done to the cluster</h2><pre>" + _text("\n".join(report.fault_log) or "Nothing.") + "</pre>",
        "<h2>Operations</h2>" + _operations_table(history),
        "<h2>The run</h2>" + _table(report.wishes),
        "<h2>Settings of the nodes, beside their defaults</h2>" + _table(report.settings),
    ]
    title = f"Chaos: {report.version} {verdict.outcome.value}"
    head = f"<meta charset=utf-8><title>{_text(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en>{head}<body>{''.join(parts)}</body></html>\n"


def rate(row: Availability) -> float:
    """Acknowledged sends a second."""
    return row.acknowledged / row.seconds if row.seconds else 0.0


def _availability(rows: Iterable[Availability]) -> str:
    columns = ("times", "seconds", "acknowledged", "per second", "served", "longest gap")
    head = "<tr><th>under" + "".join(f"<th class=n>{column}" for column in columns)
    body = "".join(
        f"<tr><td>{_text(row.fault)}<td class=n>{row.times}<td class=n>{row.seconds:.1f}<td class=n>{row.acknowledged}"
        f"<td class=n>{rate(row):.0f}<td class=n>{row.share:.1%}<td class=n>{row.longest_gap_s:.1f} s"
        for row in rows
    )
    note = (
        "<p class=quiet>Served: the share of the time that is not part of a second or more without an acknowledgement. Longest "
        "gap: the longest time without one.</p>"
    )
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{note}"


def _anomalies(anomalies: Sequence[Anomaly], history: History, *, none: str) -> str:
    if not anomalies:
        return f"<p>{none}</p>"
    by_index = {op.index: op for op in history.operations}
    counts = ", ".join(f"{count} × {_text(kind)}" for kind, count in _by_kind(anomalies).items())
    shown = "".join(_anomaly(anomaly, by_index) for anomaly in anomalies[:MAX_ANOMALIES])
    left = len(anomalies) - MAX_ANOMALIES
    return f"<p>{counts}</p>{shown}" + (f"<p class=quiet>and {left} more.</p>" if left > 0 else "")


def _anomaly(anomaly: Anomaly, by_index: Mapping[int, Op]) -> str:
    operations = [by_index[index] for index in anomaly.operations[:MAX_OPERATIONS] if index in by_index]
    lines = "\n".join(_operation(op) for op in operations)
    key = f" <span class=quiet>{_text(str(anomaly.key))}</span>" if anomaly.key else ""
    return (
        f"<details><summary><span class=kind>{_text(anomaly.kind)}</span>{key} {_text(_short(anomaly.text))}</summary>"
        f"<pre>{_text(lines)}</pre></details>"
    )


def _allowed(verdict: Verdict, history: History) -> str:
    if not verdict.allowed:
        return ""
    return "<h2>What this workload allows</h2>" + _anomalies(verdict.allowed, history, none="")


def _operation(op: Op) -> str:
    error = f"  ({op.error})" if op.error else ""
    return f"#{op.index}  {op.time_ns / 1e9:.3f} s  process {op.process}  {op.type.value} {op.f}  {_short(json.dumps(op.value))}{error}"


def _operations_table(history: History) -> str:
    counts: dict[str, dict[str, int]] = {}
    for op in history.operations:
        if op.process != "nemesis":
            kinds = counts.setdefault(op.f, {})
            kinds[op.type.value] = kinds.get(op.type.value, 0) + 1
    head = "<tr><th>operation<th class=n>begun<th class=n>ok<th class=n>fail<th class=n>info"
    body = "".join(
        f"<tr><td>{_text(f)}" + "".join(f"<td class=n>{kinds.get(kind, 0)}" for kind in ("invoke", "ok", "fail", "info"))
        for f, kinds in sorted(counts.items())
    )
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _table(values: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><td>{_text(name)}<td>{_text(str(value))}" for name, value in values.items())
    return f"<table><tbody>{rows}</tbody></table>"


def _by_kind(anomalies: Iterable[Anomaly]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for anomaly in anomalies:
        counts[anomaly.kind] = counts.get(anomaly.kind, 0) + 1
    return counts


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " …"


def _text(text: str) -> str:
    return html.escape(text)
