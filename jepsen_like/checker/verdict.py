"""All checks over one history, and the verdict.

Invariants
- UNKNOWN when no send or no poll succeeded: then nothing is said about order or loss, for nothing was tried.
- What a workload allows is kept apart, never left out.

Source: reference/history-checker.md, 4.3 point 13 for what is allowed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from jepsen_like.checker.availability import availability
from jepsen_like.checker.consumption import consume_counts
from jepsen_like.checker.cycles import cycles
from jepsen_like.checker.external_order import external_polls, external_sends
from jepsen_like.checker.group_offsets import group_offset_anomalies
from jepsen_like.checker.internal_order import internal_polls, internal_sends
from jepsen_like.checker.lost_writes import lost_writes
from jepsen_like.checker.operations import Observed, observe
from jepsen_like.checker.read_values import aborted_reads, invented_reads, precommitted_reads
from jepsen_like.checker.realtime import nonmonotonic_realtime, realtime_lags
from jepsen_like.checker.unseen import unseen, unseen_over_time
from jepsen_like.checker.values import Anomaly, Outcome, Verdict
from jepsen_like.checker.version_orders import VersionOrder, duplicates, inconsistent_offsets, version_orders
from jepsen_like.history import History, OpType

ALWAYS_ALLOWED = ("int-send-skip", "G0", "G0-process", "G0-realtime")
ALLOWED_WITH_SUBSCRIBE = ("poll-skip", "nonmonotonic-poll")
ALLOWED_WITH_WW_DEPS = ("G1c", "G1c-process", "G1c-realtime")
ALLOWED_WITHOUT_ACKS_ALL = ("lost-write", "unseen", "nonmonotonic-send", "int-nonmonotonic-send", "nonmonotonic-realtime")
"""With acks=1 a leader may acknowledge and die before anybody copied it; what is then lost leaves its offset to others."""


def check(history: History) -> Verdict:
    """Judges a history; `HistoryError` when it cannot be one (an end without a begin, a value sent twice)."""
    observed = observe(history)
    orders = version_orders(observed)
    counts = _counts(history, observed)
    found = list(_anomalies(observed, orders)) if counts["sent ok"] and counts["polls ok"] else list(_without_reads(observed))
    allowed_kinds = allowed_of(observed)
    anomalies = tuple(each for each in found if each.kind not in allowed_kinds)
    outcome, reason = _outcome(counts, anomalies)
    return Verdict(
        outcome=outcome,
        reason=reason,
        anomalies=anomalies,
        allowed=tuple(each for each in found if each.kind in allowed_kinds),
        counts=counts,
        availability=availability(history, observed),
        unseen=unseen_over_time(observed),
        lags=realtime_lags(observed, orders),
        consume_counts=consume_counts(observed),
    )


def allowed_of(observed: Observed) -> frozenset[str]:
    """The kinds of anomalies that the workload of a history allows."""
    kinds = [*ALWAYS_ALLOWED]
    if observed.option("subscribe"):
        kinds += ALLOWED_WITH_SUBSCRIBE
    if observed.option("ww_deps"):
        kinds += ALLOWED_WITH_WW_DEPS
    if not observed.acks_all:
        kinds += ALLOWED_WITHOUT_ACKS_ALL
    return frozenset(kinds)


def _anomalies(observed: Observed, orders: dict[str, VersionOrder]) -> Iterable[Anomaly]:
    """The worst first."""
    lost = list(lost_writes(observed, orders))
    reported: set[tuple[str | None, int]] = {(each.key, each.operations[0]) for each in lost}
    return itertools.chain(
        lost,
        inconsistent_offsets(observed, orders),
        duplicates(observed, orders),
        aborted_reads(observed),
        invented_reads(observed),
        precommitted_reads(observed),
        unseen(observed, reported),
        external_polls(observed, orders),
        internal_polls(observed, orders),
        external_sends(observed, orders),
        internal_sends(observed, orders),
        nonmonotonic_realtime(observed),
        cycles(observed, orders),
        group_offset_anomalies(observed),
    )


def _without_reads(observed: Observed) -> Iterable[Anomaly]:
    """What is wrong even where nothing was acknowledged or nothing was read."""
    return itertools.chain(
        aborted_reads(observed), invented_reads(observed), nonmonotonic_realtime(observed), group_offset_anomalies(observed)
    )


def _outcome(counts: dict[str, int], anomalies: tuple[Anomaly, ...]) -> tuple[Outcome, str]:
    if anomalies:
        kinds = len({each.kind for each in anomalies})
        return Outcome.INVALID, f"{len(anomalies)} {_s(len(anomalies), 'anomaly', 'anomalies')} of {kinds} {_s(kinds, 'kind', 'kinds')}."
    if not counts["sent ok"]:
        return Outcome.UNKNOWN, "No send was acknowledged, so nothing can be said about what was kept."
    if not counts["polls ok"]:
        return Outcome.UNKNOWN, "No poll succeeded, so nothing can be said about what was kept."
    return Outcome.VALID, "Nothing was lost, doubled, invented or out of order."


def _s(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _counts(history: History, observed: Observed) -> dict[str, int]:
    sent = {OpType.OK: 0, OpType.FAIL: 0, OpType.INFO: 0}
    polls = read = 0
    for each in observed.completions:
        sent[each.type] += len(each.sends)
        if each.ok and each.f in ("poll", "txn"):
            polls += each.f == "poll" or bool(each.reads)
            read += sum(map(len, each.reads.values()))
    return {
        "operations": len(observed.completions),
        "sent ok": sent[OpType.OK],
        "sent fail": sent[OpType.FAIL],
        "sent info": sent[OpType.INFO],
        "polls ok": polls,
        "values read": read,
        "distinct values read": sum(map(len, observed.ok_read.values())),
        "keys": len(observed.writer_of.keys() | observed.ok_read.keys()),
        "processes": len({each.process for each in observed.completions}),
        "seconds": round(history.operations[-1].time_ns / 1e9) if history.operations else 0,
    }
