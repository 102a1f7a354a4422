"""What is wrong in the files that were dumped: collected while they are read, told at the end, as Apache's tool does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

Pairs = dict[Path, list[tuple[int, int]]]


@attrs.frozen(kw_only=True)
class Findings:
    """By file, pairs of numbers in the order found."""

    index_mismatches: Pairs = attrs.Factory(dict)
    """Offset of an index entry, last offset of the batch at its position."""
    time_mismatches: Pairs = attrs.Factory(dict)
    """Timestamp of an index entry, greatest timestamp of the batch that ends with its offset."""
    times_out_of_order: Pairs = attrs.Factory(dict)
    """Timestamp of an index entry, timestamp of the entry before."""
    offsets_not_found: Pairs = attrs.Factory(dict)
    """Offset of an index entry, last offset of the batch that contains it; -1 when there is none."""
    gaps: Pairs = attrs.Factory(dict)
    """Offsets of neighbouring records that do not follow each other."""

    def lines(self) -> Iterator[str]:
        """The report. Kafka tells mismatches of the offset index with the last one first, all others in order."""
        for path, pairs in self.index_mismatches.items():
            yield f"Mismatches in :{path}"
            yield from (f"  Index offset: {first}, log offset: {second}" for first, second in reversed(pairs))
        for path, pairs in self.time_mismatches.items():
            yield f"Found timestamp mismatch in :{path}"
            yield from (f"  Index timestamp: {first}, log timestamp: {second}" for first, second in pairs)
        for path, pairs in self.times_out_of_order.items():
            yield f"Found out of order timestamp in :{path}"
            yield from (f"  Index timestamp: {first}, Previously indexed timestamp: {second}" for first, second in pairs)
        for path, pairs in self.offsets_not_found.items():
            yield f"The following indexed offsets are not found in :{path}"
            yield from (f"Indexed offset: {first}, found log offset: {second}" for first, second in pairs)
        for path, pairs in self.gaps.items():
            yield f"Non-consecutive offsets in {path}"
            yield from (f"  {first} is followed by {second}" for first, second in pairs)


def note(pairs: Pairs, path: Path, first: int, second: int) -> None:
    """Adds a pair to what was found in a file."""
    pairs.setdefault(path.absolute(), []).append((first, second))
