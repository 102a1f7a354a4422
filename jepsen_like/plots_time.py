"""Pictures with time from left to right: unseen values, and latency, both over bands that show which fault was in force."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jepsen_like import svg
from jepsen_like.checker.availability import FaultSpan, fault_spans
from jepsen_like.checker.operations import NEVER_NS, Completion, completions_of, observe
from jepsen_like.checker.unseen import unseen_over_time
from jepsen_like.history import History, OpType
from jepsen_like.svg import Frame, Legend

HEIGHT = 260
MAX_MARKS = 6_000
SECOND_NS = 1e9

_OUTCOMES = {
    OpType.OK: ("ok", svg.BLUE, "dot"),
    OpType.INFO: ("unknown (info)", svg.ORANGE, "triangle"),
    OpType.FAIL: ("failed", svg.VERMILION, "cross"),
}
_LATENCIES = (
    (1e-6, "1 µs"),
    (1e-5, "10 µs"),
    (1e-4, "100 µs"),
    (1e-3, "1 ms"),
    (1e-2, "10 ms"),
    (0.1, "100 ms"),
    (1, "1 s"),
    (10, "10 s"),
    (100, "100 s"),
)


def unseen_svg(history: History) -> str:
    """Acknowledged values that nobody had read yet."""
    points = unseen_over_time(observe(history))
    top = max((count for _, count in points), default=0)
    high = max(1.0, float(top)) * 1.05
    frame = _frame(history, svg.linear(0, high, svg.TOP + HEIGHT, svg.TOP))
    steps = []
    for place, (time_ns, count) in enumerate(points):
        x, y = frame.x(time_ns / SECOND_NS), frame.y(count)
        steps.append(f"M{frame.left:.1f} {frame.y(0):.1f}H{x:.1f}V{y:.1f}" if place == 0 else f"H{x:.1f}V{y:.1f}")
    end = frame.x(_end_s(history))
    path = "".join(steps) + f"H{end:.1f}" if steps else ""
    curve = f'<path d="{path}V{frame.y(0):.1f}Z" fill="{svg.BLUE}" opacity="0.15"/>'
    curve += f'<path d="{path}" fill="none" stroke="{svg.BLUE}" stroke-width="1.6"/>'
    left = points[-1][1] if points else 0
    note = "none left at the end" if not left else f"{left} left at the end"
    parts = [
        frame.y_axis([(tick, svg.number(tick)) for tick in svg.ticks(0, high, count=6, whole=True)], "unread values"),
        curve if path else "",
        svg.text(frame.right, 20, f"highest {svg.number(top)}, {note}", anchor="end", colour=svg.VERMILION if left else svg.FAINT),
    ]
    return _over_time(history, frame, "Acknowledged values not yet read", parts, [Legend(colour=svg.BLUE, word="unread", shape="line")])


def latency_svg(history: History) -> str:
    """How long each operation took, by its outcome; one that never ended is not shown. With more than some thousands a part is drawn, but
    all that failed or took longest are."""
    ended = [each for each in completions_of(history) if each.end_ns != NEVER_NS and (each.sends or each.f in ("send", "poll", "txn"))]
    chosen = _chosen(ended)
    seconds = [max(_took_s(each), 1e-6) for each in chosen]
    low = 10 ** math.floor(math.log10(min((each for each in seconds if each > 1e-6), default=1e-3)))
    high = max(10 ** math.ceil(math.log10(max(seconds))) if seconds else 1.0, low * 10)
    frame = _frame(history, svg.logarithmic(low, high, svg.TOP + HEIGHT, svg.TOP))
    parts = [frame.y_axis([tick for tick in _LATENCIES if low <= tick[0] <= high * 1.01], "latency")]
    entries = []
    for sends in (False, True):
        for outcome, (word, colour, shape) in _OUTCOMES.items():
            group = [each for each in chosen if each.type is outcome and (each.f == "poll") is not sends]
            if group:
                colour = svg.SKY if not sends and outcome is OpType.OK else colour
                parts.append(_marks(frame, group, colour, shape))
                total = sum(each.type is outcome and (each.f == "poll") is not sends for each in ended)
                entries.append(Legend(colour=colour, word=f"{'sends' if sends else 'polls'} {word}: {svg.number(total)}", shape=shape))
    if len(chosen) < len(ended):
        parts.append(
            svg.text(frame.right, 20, f"{svg.number(len(chosen))} of {svg.number(len(ended))} drawn", anchor="end", colour=svg.FAINT)
        )
    return _over_time(history, frame, "Latency of operations, by when they began", parts, entries)


def _chosen(ended: list[Completion]) -> list[Completion]:
    """All that are not ok, the slowest, and of the others every nth."""
    if len(ended) <= MAX_MARKS:
        return ended
    ended = sorted(ended, key=lambda each: (each.ok, -_took_s(each)))
    first, rest = ended[: MAX_MARKS // 2], ended[MAX_MARKS // 2 :]
    return [*first, *rest[:: len(rest) // (MAX_MARKS // 2) + 1]]


def _took_s(each: Completion) -> float:
    return (each.end_ns - each.invoke_ns) / SECOND_NS


def _marks(frame: Frame, group: Sequence[Completion], colour: str, shape: str) -> str:
    """All marks of an outcome are one path: thousands of elements would make a page slow."""
    size = 1.6 if shape == "dot" else 3
    path = "".join(svg.mark(shape, frame.x(each.invoke_ns / SECOND_NS), frame.y(_took_s(each)), size) for each in group)
    fill, width = ("none", 1.2) if shape == "cross" else (colour, 0)
    return f'<path d="{path}" fill="{fill}" stroke="{colour}" stroke-width="{width}" fill-opacity="0.6"/>'


def _frame(history: History, y: Callable[[float], float]) -> Frame:
    x = svg.linear(0, _end_s(history), svg.LEFT, svg.WIDTH - svg.RIGHT)
    return Frame(top=svg.TOP, bottom=svg.TOP + HEIGHT, x=x, y=y)


def _end_s(history: History) -> float:
    return max((history.operations[-1].time_ns / SECOND_NS) if history.operations else 0.0, 1e-3)


def _over_time(history: History, frame: Frame, title: str, parts: list[str], entries: list[Legend]) -> str:
    """Bands behind, the time axis, what is drawn, and the legend below."""
    spans = fault_spans(history)
    colours = {fault: svg.BANDS[place % len(svg.BANDS)] for place, fault in enumerate(sorted({span.fault for span in spans}))}
    bands = [_band(frame, span, colours[span.fault]) for span in spans]
    axis = frame.x_axis(svg.ticks(0, _end_s(history)), "seconds since the start")
    entries = [*entries, *(Legend(colour=colour, word=fault) for fault, colour in colours.items())]
    words, height = svg.legend(entries, x=frame.left, y=frame.bottom + 48)
    return svg.document(frame.bottom + 48 + height + 6, title, [*bands, axis, *parts, words])


def _band(frame: Frame, span: FaultSpan, colour: str) -> str:
    left, right = frame.x(span.begin_ns / SECOND_NS), frame.x(span.end_ns / SECOND_NS)
    nodes = f" of {span.nodes}" if span.nodes else ""
    title = f"{span.fault}{nodes}, {span.begin_ns / SECOND_NS:.1f} to {span.end_ns / SECOND_NS:.1f} s"
    return svg.rectangle(left, frame.top, max(1.5, right - left), frame.bottom - frame.top, fill=colour, title=title)
