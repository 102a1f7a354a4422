"""A verdict as a text for a terminal: what was checked, what was found in sentences, and the operations behind it as their JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from jepsen_like.checker import Anomaly, Outcome, Verdict
from jepsen_like.history import History, Op, op_as_json

SHOWN_OF_A_KIND = 3
SHOWN_OPERATIONS = 4
MAX_LINE = 240

_MEANINGS = {
    "lost-write": "acknowledged, passed by readers, and read by nobody",
    "inconsistent-offsets": "two values at one offset",
    "duplicate": "one value at two offsets",
    "G1a": "a read of what certainly failed",
    "invented-read": "a read of what nobody had sent",
    "precommitted-read": "a read of one's own value before it was committed",
    "unseen": "acknowledged, and read by nobody until the end",
    "poll-skip": "a consumer's next poll left something out",
    "nonmonotonic-poll": "a consumer's next poll went back",
    "int-poll-skip": "one poll left something out",
    "int-nonmonotonic-poll": "one poll went back",
    "nonmonotonic-send": "a producer's later send is earlier in the log",
    "int-send-skip": "others wrote between the sends of one operation",
    "int-nonmonotonic-send": "sends of one operation are in the wrong order",
    "nonmonotonic-realtime": "a send that began after an acknowledgement got a lower offset",
    "group-offset-lost": "a committed group offset was forgotten",
    "group-offset-invented": "a group offset that nobody committed",
    "G0": "writes depend on each other in a circle",
    "G1c": "writes and reads depend on each other in a circle",
}


def verdict_text(history: History, verdict: Verdict) -> str:
    """The whole text, ending with a line end."""
    lines = [f"{verdict.outcome.value.upper()}: {verdict.reason}", "", *_checked(history, verdict)]
    if verdict.availability:
        lines += ["", *_availability(verdict)]
    operations = {op.index: op for op in history.operations}
    if verdict.anomalies:
        lines += ["", "Anomalies", *_by_kind(verdict.anomalies, operations)]
    if verdict.allowed:
        lines += ["", f"Allowed here ({_why_allowed(history)})", *_by_kind(verdict.allowed, operations)]
    if verdict.outcome is Outcome.UNKNOWN:
        lines += ["", "Unknown is not valid: a run in which nothing succeeded proves nothing."]
    return "\n".join(lines) + "\n"


def _checked(history: History, verdict: Verdict) -> list[str]:
    counts = verdict.counts
    options = ", ".join(f"{name} {_option(history.options[name])}" for name in sorted(history.options))
    who = f"{counts['processes']} processes on {counts['keys']} keys in {counts['seconds']} s"
    lines = [
        f"Checked    {counts['operations']} operations of {who}",
        f"Sent       {counts['sent ok']} acknowledged, {counts['sent fail']} refused, {counts['sent info']} with an unknown outcome",
        f"Read       {counts['values read']} values in {counts['polls ok']} polls, {counts['distinct values read']} of them different",
    ]
    if options:
        lines.append(f"Options    {options}")
    if verdict.lags:
        worst = max(verdict.lags, key=lambda lag: lag.lag_ns)
        behind = f"{worst.lag_ns / 1e9:.2f} s behind what was known"
        lines.append(f"Lag        at worst a poll of {worst.key} by process {worst.process} was {behind}")
    if verdict.consume_counts:
        times = ", ".join(f"{count} values {times} x" for times, count in verdict.consume_counts.items())
        lines.append(f"Consumed   by one member: {times}")
    return lines


def _option(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _availability(verdict: Verdict) -> list[str]:
    width = max(len(row.fault) for row in verdict.availability)
    lines = [f"{'Served under':<{width + 2}}  times  seconds  acknowledged  served  longest gap"]
    for row in verdict.availability:
        lines.append(
            f"  {row.fault:<{width}}  {row.times:>5}  {row.seconds:>7.1f}  {row.acknowledged:>12}"
            f"  {row.share:>6.1%}  {row.longest_gap_s:>9.2f} s"
        )
    return lines


def _why_allowed(history: History) -> str:
    reasons = ["producers interleave"]
    if history.options.get("subscribe"):
        reasons.append("a group's keys change hands")
    if history.options.get("ww_deps"):
        reasons.append("ww_deps is on")
    acks = str(history.options.get("acks", "all"))
    if acks not in ("all", "-1"):
        reasons.append(f"acks={acks} promises nothing about what a leader had alone when it died")
    return "; ".join(reasons)


def _by_kind(anomalies: Iterable[Anomaly], operations: Mapping[int, Op]) -> Iterable[str]:
    kinds: dict[str, list[Anomaly]] = {}
    for each in anomalies:
        kinds.setdefault(each.kind, []).append(each)
    for kind, found in kinds.items():
        meaning = _MEANINGS.get(kind) or _MEANINGS.get(kind.partition("-")[0], "")
        yield f"  {kind}, {len(found)} x: {meaning}"
        for each in found[:SHOWN_OF_A_KIND]:
            yield f"    {each.text}"
            for index in each.operations[:SHOWN_OPERATIONS]:
                yield f"      {_line(operations[index])}"
        if len(found) > SHOWN_OF_A_KIND:
            yield f"    and {len(found) - SHOWN_OF_A_KIND} more"


def _line(op: Op) -> str:
    text = json.dumps(op_as_json(op))
    return text if len(text) <= MAX_LINE else text[:MAX_LINE] + " …"
