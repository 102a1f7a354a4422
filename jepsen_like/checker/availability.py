"""How sends were served while each fault was in force: acknowledgements, time without them, and the longest gap.

A fault is in force from its nemesis operation with phase "begin" to that with "end" (of the same fault and nodes), or to the end.
"""

from __future__ import annotations

import bisect
import itertools
import json

import attrs

from jepsen_like.checker.operations import Observed
from jepsen_like.checker.values import Availability
from jepsen_like.history import NEMESIS, History

NOTICED_NS = 1_000_000_000
"""A shorter time without an acknowledgement is not counted."""


@attrs.frozen(kw_only=True)
class FaultSpan:
    """A fault and when it was in force."""

    fault: str
    nodes: str
    begin_ns: int
    end_ns: int


def fault_spans(history: History) -> tuple[FaultSpan, ...]:
    """All faults of a history in the order of their begins; one that did not end lasts to the end of the history."""
    begun: dict[tuple[str, str], list[int]] = {}
    spans: list[FaultSpan] = []
    for op in history.operations:
        if op.process != NEMESIS or not isinstance(op.value, dict):
            continue
        fault, nodes = str(op.value.get("fault", op.f)), _nodes(op.value)
        if fault == "heal":
            continue
        if op.value.get("phase") == "begin":
            begun.setdefault((fault, nodes), []).append(op.time_ns)
        elif op.value.get("phase") == "end":
            place = (
                (fault, nodes) if begun.get((fault, nodes)) else next((each for each in begun if each[0] == fault and begun[each]), None)
            )
            if place is not None:
                spans.append(FaultSpan(fault=fault, nodes=place[1], begin_ns=begun[place].pop(0), end_ns=op.time_ns))
    end_ns = history.operations[-1].time_ns if history.operations else 0
    for (fault, nodes), times in begun.items():
        spans += [FaultSpan(fault=fault, nodes=nodes, begin_ns=time_ns, end_ns=end_ns) for time_ns in times]
    return tuple(sorted(spans, key=lambda span: (span.begin_ns, span.fault, span.nodes)))


def _nodes(value: dict[str, object]) -> str:
    nodes = value.get("nodes", value.get("node", ""))
    return ", ".join(map(str, nodes)) if isinstance(nodes, list) else nodes if isinstance(nodes, str) else json.dumps(nodes)


def availability(history: History, observed: Observed) -> tuple[Availability, ...]:
    """For each fault by name; "whole run" first."""
    acks = sorted((each.end_ns, len(each.sends)) for each in observed.completions if each.ok and each.sends)
    sends = [each for each in observed.completions if each.sends]
    if not sends:
        return ()
    begin_ns, end_ns = min(each.invoke_ns for each in sends), max(each.invoke_ns for each in sends)
    end_ns = max(end_ns, acks[-1][0]) if acks else end_ns
    end_ns = max(end_ns, *_healings(history))
    spans = fault_spans(history)
    rows = [_availability("whole run", [(begin_ns, end_ns)], acks)]
    for fault in sorted({span.fault for span in spans}):
        clipped = [(max(span.begin_ns, begin_ns), min(span.end_ns, end_ns)) for span in spans if span.fault == fault]
        rows.append(_availability(fault, [(begin, end) for begin, end in clipped if end > begin], acks))
    return tuple(row for row in rows if row.times)


def _healings(history: History) -> list[int]:
    """When the faults were called off: until then clients wanted to send, also those that waited for an answer all the time."""
    return [0] + [
        op.time_ns
        for op in history.operations
        if op.process == NEMESIS and isinstance(op.value, dict) and (op.value.get("fault"), op.value.get("phase")) == ("heal", "begin")
    ]


def _availability(fault: str, spans: list[tuple[int, int]], acks: list[tuple[int, int]]) -> Availability:
    times = [time_ns for time_ns, _ in acks]
    total = acknowledged = unserved = longest = 0
    for begin, end in spans:
        first, last = bisect.bisect_left(times, begin), bisect.bisect_right(times, end)
        acknowledged += sum(count for _, count in acks[first:last])
        total += end - begin
        gaps = [after - before for before, after in itertools.pairwise([begin, *times[first:last], end])]
        unserved += sum(gap for gap in gaps if gap >= NOTICED_NS)
        longest = max(longest, *gaps)
    return Availability(
        fault=fault,
        times=len(spans),
        seconds=total / 1e9,
        acknowledged=acknowledged,
        unserved_s=unserved / 1e9,
        longest_gap_s=longest / 1e9,
    )
