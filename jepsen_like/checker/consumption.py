"""consume-counts: how often a member of a group consumed the same value in operations that succeeded; once is right. A figure, no anomaly.

Source: reference/history-checker.md, 4.3 point 12.
"""

from __future__ import annotations

from collections import Counter

from jepsen_like.checker.operations import Observed


def consume_counts(observed: Observed) -> dict[int, int]:
    """How many values were consumed once, twice, ... by the same process; nothing without groups."""
    if not observed.option("subscribe"):
        return {}
    consumed: Counter[tuple[int | str, str, int]] = Counter()
    for each in observed.completions:
        if each.ok:
            for key, records in each.reads.items():
                consumed.update((each.process, key, record[1]) for record in records)
    return dict(sorted(Counter(consumed.values()).items()))
