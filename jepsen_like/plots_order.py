"""The teaching picture: the log of one key as each operation saw it. x is the offset, y is time downwards, a row for each operation.

A cell is a value that an operation sent or read at an offset. Where all agree on an offset its cells are pale; where they do not, each of
its values has a colour of its own, so that one sees who saw which. A value that occurs at two offsets, and one that was lost, are framed.
Only what surrounds the anomalies is drawn when there is more than a page holds.

Source: reference/history-checker.md, 4.3 (the orders of jepsen.tests.kafka).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from jepsen_like import svg
from jepsen_like.checker.operations import Completion, observe
from jepsen_like.checker.values import Anomaly
from jepsen_like.checker.version_orders import VersionOrder, version_orders
from jepsen_like.history import History
from jepsen_like.svg import Legend

MAX_ROWS = 60
MAX_COLUMNS = 60
ROW = 16
LABELS = 196
READ_FILL, SENT_FILL = "#d3e3ef", "#bfe3d5"
CONFLICTS = (svg.VERMILION, svg.BLUE, svg.ORANGE, svg.GREEN, svg.PURPLE, svg.YELLOW)


@attrs.frozen(kw_only=True)
class _Row:
    """An operation and its cells of this key: (offset, value), with whether they were sent."""

    completion: Completion
    sent: tuple[tuple[int, int], ...]
    read: tuple[tuple[int, int], ...]


def order_svg(history: History, key: str, *, anomalies: Sequence[Anomaly] = ()) -> str:
    """The order picture of a key; `anomalies` of it decide what is drawn when not all can be."""
    observed = observe(history)
    order = version_orders(observed).get(key)
    if order is None or not order.offsets:
        return svg.document(60, f"Order of {key}: no offset is known", [])
    rows = [row for row in map(_row_maker(key), observed.completions) if row.sent or row.read]
    rows.sort(key=lambda row: row.completion.index)
    missing = {value for value in observed.committed.get(key, {}) if value not in observed.ok_read.get(key, {})}
    offsets = _columns(order, rows, anomalies, missing)
    shown = set(offsets)
    rows = [row for row in rows if any(offset in shown for offset, _ in (*row.sent, *row.read))]
    rows = _nearest(rows, anomalies)
    return _picture(order, rows, offsets, missing, len(order.offsets))


def _row_maker(key: str) -> Callable[[Completion], _Row]:
    def row(each: Completion) -> _Row:
        sent = tuple((offset, value) for sent_key, offset, value in each.sends if sent_key == key and offset is not None)
        return _Row(completion=each, sent=sent, read=tuple((record[0], record[1]) for record in each.reads.get(key, ())))

    return row


def _columns(order: VersionOrder, rows: Sequence[_Row], anomalies: Sequence[Anomaly], missing: set[int]) -> list[int]:
    """The offsets to draw, at most MAX_COLUMNS next to each other, around the first that is odd."""
    if len(order.offsets) <= MAX_COLUMNS:
        return order.offsets
    odd = [offset for offset, found in order.values_at.items() if isinstance(found, list)]
    odd += [offset for offsets in order.repeated.values() for offset in offsets]
    odd += [order.offsets[order.by_value[value]] for value in missing if value in order.by_value]
    if not odd and anomalies:
        of_anomaly = set(anomalies[0].operations)
        odd = [cells[0][0] for row in rows if row.completion.index in of_anomaly for cells in (row.read, row.sent) if cells][-1:]
    middle = order.index_of_offset[min(odd)] if odd else len(order.offsets) - MAX_COLUMNS // 2
    start = max(0, min(middle - MAX_COLUMNS // 2, len(order.offsets) - MAX_COLUMNS))
    return order.offsets[start : start + MAX_COLUMNS]


def _nearest(rows: list[_Row], anomalies: Sequence[Anomaly]) -> list[_Row]:
    """At most MAX_ROWS: those of the anomalies, and then the first others."""
    if len(rows) <= MAX_ROWS:
        return rows
    named = {index for each in anomalies[:10] for index in each.operations}
    ranked = sorted(range(len(rows)), key=lambda place: (rows[place].completion.index not in named, place))
    return [rows[place] for place in sorted(ranked[:MAX_ROWS])]


def _picture(order: VersionOrder, rows: Sequence[_Row], offsets: Sequence[int], missing: set[int], total: int) -> str:
    left, top = LABELS, 62
    cell = min(40.0, (svg.WIDTH - svg.RIGHT - left) / max(1, len(offsets)))
    place = {offset: left + i * cell for i, offset in enumerate(offsets)}
    bottom = top + ROW * len(rows)
    parts = [svg.text(left, 40, "offset →", colour=svg.FAINT), svg.text(8, 54, "operation, as they ended ↓", colour=svg.FAINT)]
    every = max(1, -(-len(offsets) // max(1, int((svg.WIDTH - left) / 44))))
    for i, offset in enumerate(offsets):
        if i % every == 0:
            parts.append(svg.text(place[offset] + cell / 2, top - 6, str(offset), anchor="middle", size=11, colour=svg.FAINT))
        if isinstance(order.values_at[offset], list):
            parts.append(svg.rectangle(place[offset], top, cell, bottom - top, fill="#fff3e6"))
    for number, row in enumerate(rows):
        parts.append(_draw_row(order, row, top + number * ROW, place, cell, missing))
    parts.append(svg.line(left, bottom, left + cell * len(offsets), bottom, colour=svg.FAINT))
    entries = [
        Legend(colour=SENT_FILL, word="sent here"),
        Legend(colour=READ_FILL, word="read here"),
        *(
            Legend(colour=colour, word=word)
            for colour, word in ((CONFLICTS[0], "two values at one offset:"), (CONFLICTS[1], "a colour for each"))
        ),
        Legend(colour="#fff", word="black frame: a value twice, or never read"),
    ]
    words, height = svg.legend(entries, x=8, y=bottom + 12)
    kept = f", {len(offsets)} of {total} offsets" if len(offsets) < total else ""
    return svg.document(bottom + 12 + height + 6, f"Order of {order.key}{kept}", [*parts, words])


def _draw_row(order: VersionOrder, row: _Row, y: float, place: dict[int, float], cell: float, missing: set[int]) -> str:
    each = row.completion
    label = f"#{each.index} {each.invoke_ns / 1e9:.2f} s  p{each.process} {each.f}" + ("" if each.ok else f" ({each.type.value})")
    parts = [svg.text(8, y + 12, label, size=11), svg.line(8, y, place[max(place)] + cell, y, colour="#f0f0f0")]
    for cells, sent in ((row.read, False), (row.sent, True)):
        for offset, value in cells:
            if offset in place:
                parts.append(
                    _draw_cell(order, place[offset], y, cell, offset, value, sent, framed=value in order.repeated or value in missing)
                )
    return "".join(parts)


def _draw_cell(order: VersionOrder, x: float, y: float, cell: float, offset: int, value: int, sent: bool, *, framed: bool) -> str:
    found = order.values_at[offset]
    fill, ink = SENT_FILL if sent else READ_FILL, svg.INK
    if isinstance(found, list):
        rank = found.index(value) if value in found else 0
        fill = CONFLICTS[rank % len(CONFLICTS)]
        ink = "#fff" if fill in (svg.VERMILION, svg.BLUE, svg.GREEN) else svg.INK
    title = f"{'sent' if sent else 'read'} value {value} at offset {offset}"
    parts = [svg.rectangle(x + 0.5, y + 1, cell - 1, ROW - 2, fill=fill, title=title, stroke="#000" if framed else "none")]
    if len(str(value)) * 6.2 + 2 <= cell:
        parts.append(svg.text(x + cell / 2, y + 12, str(value), anchor="middle", size=10, colour=ink))
    return "".join(parts)
