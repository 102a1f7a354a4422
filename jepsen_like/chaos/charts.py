"""The chart of the report's head: acknowledged sends in each second, behind it the faults as bands. An SVG text."""

from __future__ import annotations

import html

from jepsen_like.checker.availability import FaultSpan, fault_spans
from jepsen_like.history import History, OpType

_WIDTH, _HEIGHT = 1060, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 24, 30
_BANDS = ("#fde2c8", "#d7e8fb", "#e3f3d8", "#f4d9ee", "#fff3bf", "#dcd9f7", "#d5f0ee", "#eadfd4")


def acknowledged_chart(history: History) -> str:
    """The chart of a history; a sentence when nothing was sent."""
    sends = [op for op in history.operations if op.f == "send"]
    if not sends:
        return "<p>Nothing was sent.</p>"
    end_s = sends[-1].time_ns / 1e9
    seconds = int(end_s) + 1
    counts = [0] * seconds
    for op in sends:
        if op.type is OpType.OK:
            counts[int(op.time_ns / 1e9)] += len(op.value)
    top = max(1, *counts)
    spans = fault_spans(history)
    colours = {fault: _BANDS[place % len(_BANDS)] for place, fault in enumerate(sorted({span.fault for span in spans}))}

    def x(time_s: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(time_s, seconds) / seconds

    def y(count: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * count / top

    bands = "".join(_band(span, x(span.begin_ns / 1e9), x(span.end_ns / 1e9), colours[span.fault]) for span in spans)
    points = " ".join(f"{x(second):.1f},{y(count):.1f} {x(second + 1):.1f},{y(count):.1f}" for second, count in enumerate(counts))
    base = _HEIGHT - _BOTTOM
    step = next(step for step in (5, 10, 15, 30, 60, 120, 300, 600, 10**9) if seconds / step <= 12)
    marks = "".join(
        f'<text x="{x(second):.1f}" y="{_HEIGHT - 8}" font-size="11" text-anchor="middle">{second} s</text>'
        for second in range(0, seconds + 1, step)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-family="system-ui,sans-serif">{bands}'
        f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _RIGHT}" y2="{base}" stroke="#999"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" font-size="11" text-anchor="end">{top}</text>'
        f'<text x="{_LEFT - 6}" y="{base}" font-size="11" text-anchor="end">0</text>{marks}'
        f'<polyline points="{points}" fill="none" stroke="#1f4e9c" stroke-width="1.5"/></svg>{_legend(colours)}'
    )


def _band(span: FaultSpan, left: float, right: float, colour: str) -> str:
    width = max(1.0, right - left)
    title = html.escape(f"{span.fault}, {span.begin_ns / 1e9:.1f} to {span.end_ns / 1e9:.1f} s")
    height = _HEIGHT - _TOP - _BOTTOM
    shape = f'<rect x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{height}" fill="{colour}">'
    return f"{shape}<title>{title}</title></rect>"


def _legend(colours: dict[str, str]) -> str:
    items = "".join(
        f'<span style="margin-right:1.2rem"><span style="display:inline-block;width:1em;height:1em;background:{colour};'
        f'vertical-align:-2px"></span> {html.escape(fault)}</span>'
        for fault, colour in colours.items()
    )
    return f"<p class=quiet>{items}</p>"
