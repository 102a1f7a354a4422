"""Sections as text: plain aligned lines, stable for scripts, or a coloured page for a terminal, which may be drawn again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from raftkafka.tools.balance.pages import BAR_WIDTH, HOT, WARM, Bar, Cell, Section

if TYPE_CHECKING:
    from rich.console import RenderableType

Show = Callable[[Sequence[Section]], None]


def plain_text(sections: Sequence[Section]) -> str:
    """The sections with a blank line between, each table aligned, two blanks between columns."""
    return "\n\n".join("\n".join([section.sentence, *_plain_table(section)]) for section in sections)


def rich_page(sections: Sequence[Section]) -> RenderableType:
    """The same for rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for section in sections:
        parts += [Text(""), Text(section.sentence, style="bold")]
        if not section.headings:
            continue
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in section.headings:
            last = heading == section.headings[-1]
            table.add_column(heading, justify="right" if heading in section.right else "left", no_wrap=not last)
        for row in section.rows:
            table.add_row(*(_rich_cell(cell) for cell in row))
        parts.append(table)
    return Group(*parts[1:])


def _plain_table(section: Section) -> list[str]:
    rows = [section.headings, *(tuple(_plain_cell(cell) for cell in row) for row in section.rows)] if section.headings else []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if heading in section.right else cell.ljust(width)
            for cell, width, heading in zip(row, widths, section.headings, strict=True)
        ).rstrip()
        for row in rows
    ]


def _plain_cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    filled, mean = round(cell.filled * BAR_WIDTH), _mean_at(cell)
    return "".join("|" if at == mean else "#" if at < filled else "." for at in range(BAR_WIDTH))


def _rich_cell(cell: Cell) -> RenderableType:
    from rich.text import Text

    if isinstance(cell, str):
        return Text(cell)
    colour = "red" if cell.heat > HOT else "yellow" if cell.heat > WARM else "green"
    filled, mean = round(cell.filled * BAR_WIDTH), _mean_at(cell)
    bar = Text()
    for at in range(BAR_WIDTH):
        bar.append("│" if at == mean else "█" if at < filled else "·", style="bold" if at == mean else colour if at < filled else "dim")
    return bar


def _mean_at(bar: Bar) -> int:
    return min(BAR_WIDTH - 1, round(bar.mean * BAR_WIDTH))
