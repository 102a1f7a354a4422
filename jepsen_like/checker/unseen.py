"""unseen: acknowledged values that nobody has read yet, over time; after the final reads there must be none.

Source: reference/history-checker.md, 4.3 point 7. Values that are reported as lost are not reported again as unseen.
"""

from __future__ import annotations

from collections.abc import Iterator

from jepsen_like.checker.operations import Observed
from jepsen_like.checker.values import Anomaly

MAX_POINTS = 2_000
SHOWN = 10


def unseen_over_time(observed: Observed) -> tuple[tuple[int, int], ...]:
    """(time in ns, how many) of all keys together, thinned out to some 2,000 points; the last one is the end."""
    points: list[tuple[int, int]] = []
    sent: set[tuple[str, int]] = set()
    read: set[tuple[str, int]] = set()
    count = 0
    for each in observed.completions:
        if not each.ok:
            continue
        for key, _, value in each.sends:
            sent.add((key, value))
            count += (key, value) not in read
        for key, records in each.reads.items():
            for record in records:
                place = (key, record[1])
                if place not in read:
                    read.add(place)
                    count -= place in sent
        if not points or points[-1][1] != count:
            points.append((each.end_ns, count))
    step = len(points) // MAX_POINTS + 1
    return tuple(points[::step]) if (len(points) - 1) % step == 0 else (*points[::step], points[-1])


def unseen(observed: Observed, lost: set[tuple[str | None, int]]) -> Iterator[Anomaly]:
    """What is left at the end, an anomaly for each key. `lost`: (key, invoke index) of sends that are reported already."""
    for key, committed in sorted(observed.committed.items()):
        read = observed.ok_read.get(key, {})
        deleted = observed.deleted_before(key)
        left = [value for value, offset in committed.items() if value not in read and (offset is None or offset >= deleted)]
        left = [value for value in left if (key, observed.writer_of[key][value].invoke_index) not in lost]
        if not left:
            continue
        writers = [observed.writer_of[key][value] for value in left[:SHOWN]]
        shown = ", ".join(map(str, left[:SHOWN])) + (f" and {len(left) - SHOWN} more" if len(left) > SHOWN else "")
        noun = "value" if len(left) == 1 else "values"
        text = f"{len(left)} acknowledged {noun} of {key} had not been read when the history ended: {shown}"
        yield Anomaly(kind="unseen", key=key, text=text, operations=tuple(dict.fromkeys(writer.index for writer in writers)))
