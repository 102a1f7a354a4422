"""Tables as Apache's tools print them: columns of one width, each cell padded on the right.

Two shapes occur. `print_table` pads every column to its widest cell and puts `gap` between (kafka-cluster list-endpoints,
kafka-transactions); `padded` pads to given widths (kafka-consumer-groups: `%-15s %-10s ...`). What is wider than its column is never cut.
"""

from __future__ import annotations

from collections.abc import Sequence


def padded(cells: Sequence[object], widths: Sequence[int], *, gap: str = " ") -> str:
    """One line: each cell padded to its width, the last one too when it has a width."""
    parts = [f"{cell!s:<{width}}" for cell, width in zip(cells, widths, strict=False)]
    return gap.join((*parts, *(str(cell) for cell in cells[len(widths) :])))


def aligned(rows: Sequence[Sequence[object]], *, gap: str = " ", minimum: int = 0) -> list[str]:
    """The lines of a table whose columns are as wide as their widest cell, at least `minimum`; the header is the first row."""
    widths = [max(minimum, *(len(str(cell)) for cell in column)) for column in zip(*rows, strict=True)]
    return [padded(row, widths, gap=gap) for row in rows]


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], *, gap: str = " ", minimum: int = 0) -> None:
    """Prints a header and rows, aligned."""
    for line in aligned([header, *rows], gap=gap, minimum=minimum):
        print(line)
