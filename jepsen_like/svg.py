"""Charts as SVG texts: a frame with axes, marks and a legend, in colours that people with any colour vision can tell apart.

Sources: the colours are those of Okabe and Ito, Color Universal Design (2008).
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence

import attrs

BLUE, VERMILION, ORANGE, GREEN, SKY, PURPLE, YELLOW = "#0072b2", "#d55e00", "#e69f00", "#009e73", "#56b4e9", "#cc79a7", "#f0e442"
INK, FAINT, GRID = "#222", "#666", "#e3e3e3"
BANDS = ("#fbe3cc", "#d6e8f7", "#dff0d6", "#f3dbea", "#fdf4c4", "#dfdcf5", "#d2efec", "#eaddd2")

WIDTH = 900
LEFT, RIGHT, TOP = 64, 16, 44
CHARACTER = 6.4
"""About the width of a character of 12 pixels."""


def text(x: float, y: float, content: str, *, anchor: str = "start", size: int = 12, colour: str = INK, weight: str = "normal") -> str:
    """A text at a point; what it says is escaped."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{html.escape(content)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, *, colour: str = INK, width: float = 1) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


def rectangle(x: float, y: float, width: float, height: float, *, fill: str, title: str = "", stroke: str = "none") -> str:
    """A rectangle, with what a mouse over it shows."""
    head = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" stroke="{stroke}"'
    return f"{head}><title>{html.escape(title)}</title></rect>" if title else f"{head}/>"


def document(height: float, title: str, parts: Iterable[str], *, width: float = WIDTH) -> str:
    """A whole picture; it is as wide as there is room, and can be read at 900 pixels."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        'role="img" '
        f"font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\"><title>{html.escape(title)}</title>"
        f'<rect width="100%" height="100%" fill="white"/>{text(LEFT, 20, title, size=14, weight="600")}{"".join(parts)}</svg>'
    )


@attrs.frozen(kw_only=True)
class Legend:
    """An entry: a colour and its word."""

    colour: str
    word: str
    shape: str = "square"


def legend(entries: Sequence[Legend], *, x: float, y: float, right: float = WIDTH - RIGHT) -> tuple[str, float]:
    """The entries in lines from (x, y) on; the text and the height that they take."""
    parts: list[str] = []
    left, top = x, y
    for each in entries:
        need = 18 + CHARACTER * len(each.word) + 16
        if left > x and left + need > right:
            left, top = x, top + 18
        parts.append(_swatch(each, left, top))
        parts.append(text(left + 18, top + 10, each.word, colour=FAINT))
        left += need
    return "".join(parts), (top - y + 18) if entries else 0


def _swatch(entry: Legend, x: float, y: float) -> str:
    middle_x, middle_y = x + 6, y + 6
    match entry.shape:
        case "line":
            return line(x, middle_y, x + 12, middle_y, colour=entry.colour, width=2.5)
        case "square":
            return rectangle(x, y, 12, 12, fill=entry.colour, stroke="#999")
        case shape:
            return f'<path d="{mark(shape, middle_x, middle_y, 4)}" fill="{entry.colour}" stroke="{entry.colour}"/>'


def mark(shape: str, x: float, y: float, r: float) -> str:
    """The path of a mark: a dot, a cross or a triangle, so that colour is not all that tells them apart."""
    match shape:
        case "cross":
            return f"M{x - r:.1f} {y - r:.1f}l{2 * r:g} {2 * r:g}m0 {-2 * r:g}l{-2 * r:g} {2 * r:g}"
        case "triangle":
            return f"M{x:.1f} {y - r:.1f}l{r:g} {1.8 * r:.2f}h{-2 * r:g}z"
        case _:
            return f"M{x - r:.1f} {y:.1f}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0z"


@attrs.frozen(kw_only=True)
class Frame:
    """Where a chart is on the page. Both scales map a value to a pixel."""

    top: float
    bottom: float
    x: Callable[[float], float]
    y: Callable[[float], float]
    left: float = LEFT
    right: float = WIDTH - RIGHT

    def x_axis(self, ticks: Iterable[float], label: str) -> str:
        """Ticks below the frame, with faint lines through it."""
        parts = [line(self.left, self.bottom, self.right, self.bottom, colour=FAINT)]
        for tick in ticks:
            at = self.x(tick)
            parts.append(line(at, self.top, at, self.bottom, colour=GRID))
            parts.append(line(at, self.bottom, at, self.bottom + 4, colour=FAINT))
            parts.append(text(at, self.bottom + 17, number(tick), anchor="middle", colour=FAINT))
        parts.append(text((self.left + self.right) / 2, self.bottom + 34, label, anchor="middle"))
        return "".join(parts)

    def y_axis(self, ticks: Iterable[tuple[float, str]], label: str) -> str:
        """Ticks at the left, with faint lines through the frame; the label lies on its side."""
        parts = []
        for tick, words in ticks:
            at = self.y(tick)
            parts.append(line(self.left, at, self.right, at, colour=GRID))
            parts.append(text(self.left - 7, at + 4, words, anchor="end", colour=FAINT))
        middle = (self.top + self.bottom) / 2
        parts.append(f'<g transform="translate(14 {middle:.0f}) rotate(-90)">{text(0, 0, label, anchor="middle")}</g>')
        return "".join(parts)


def linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """The scale that takes low to start and high to end."""
    factor = (end - start) / ((high - low) or 1)
    return lambda value: start + (value - low) * factor


def logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """The same on a logarithmic scale; values below low are at start."""
    base = math.log10(low)
    factor = (end - start) / ((math.log10(high) - base) or 1)
    return lambda value: start + (math.log10(max(value, low)) - base) * factor


def ticks(low: float, high: float, *, count: int = 10, whole: bool = False) -> list[float]:
    """Round values from low to high, at most about `count`."""
    span = (high - low) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step *= next((factor for factor in (1, 2, 5) if span / (step * factor) <= count), 10)
    if whole:
        step = max(1, round(step))
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 9) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A number without needless zeros, with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u2009") if abs(value) >= 1000 or value == int(value) else f"{value:g}"
