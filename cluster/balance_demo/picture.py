"""The load of each broker over time as an SVG picture: where it begins, where it shifts, and when leaders moved."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.balance_demo.scales import SAMPLE_S, Sample
from jepsen_like.svg import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    PURPLE,
    SKY,
    TOP,
    VERMILION,
    WIDTH,
    YELLOW,
    Frame,
    Legend,
    document,
    legend,
    line,
    linear,
    mark,
    number,
    text,
    ticks,
)

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, YELLOW)
_HEIGHT, _BOTTOM = 420, 330
_MB = 1e6


def picture(samples: Sequence[Sample], *, title: str, events: Sequence[tuple[float, str]]) -> str:
    """The picture; `events` are moments in seconds with their words."""
    brokers = sorted({broker for sample in samples for broker in sample.loads})
    highest = max((load / _MB for sample in samples for load in sample.loads.values()), default=1.0)
    end_s = max((sample.at_s for sample in samples), default=1.0)
    frame = Frame(top=TOP + 16, bottom=_BOTTOM, x=linear(0, end_s, 64, WIDTH - 16), y=linear(0, highest * 1.05, _BOTTOM, TOP + 16))
    parts = [
        frame.x_axis(ticks(0, end_s), "seconds"),
        frame.y_axis([(tick, number(tick)) for tick in ticks(0, highest, count=6)], "MB/s through the broker"),
    ]
    for at_s, words in events:
        parts.append(line(frame.x(at_s), TOP, frame.x(at_s), _BOTTOM, colour=FAINT, width=1))
        parts.append(text(frame.x(at_s) + 4, TOP + 10, words, colour=FAINT))
    parts.append(_curve(frame, [(sample.at_s, sum(sample.loads.values()) / (len(brokers) or 1)) for sample in samples], INK, dashed=True))
    for place, broker in enumerate(brokers):
        points = [(sample.at_s, sample.loads.get(broker, 0.0)) for sample in samples]
        parts.append(_curve(frame, points, COLOURS[place % len(COLOURS)]))
    for sample in samples:
        if sample.moved:
            path = mark("triangle", frame.x(sample.at_s), _BOTTOM - 6, 4)
            parts.append(f'<path d="{path}" fill="{INK}"><title>{len(sample.moved)} leaderships moved</title></path>')
    entries = [Legend(colour=COLOURS[place % len(COLOURS)], word=f"broker {broker}", shape="line") for place, broker in enumerate(brokers)]
    entries += [Legend(colour=INK, word="mean", shape="line"), Legend(colour=INK, word="leaders moved", shape="triangle")]
    parts.append(legend(entries, x=64, y=_BOTTOM + 48)[0])
    return document(_HEIGHT, title, parts)


def _curve(frame: Frame, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    """A sample speaks of the time before it, so its point is in the middle of that."""
    path = " ".join(f"{frame.x(at_s - SAMPLE_S / 2):.1f},{frame.y(load / _MB):.1f}" for at_s, load in points)
    style = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{1 if dashed else 2}"{style}/>'
