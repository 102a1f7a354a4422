"""Order from one operation of a process to its next: what it reads goes on where it stopped, and what it sends comes later in the log.

`delta` is the distance between the last place of the operation before and the first of this one: 1 is right; more is a skip, which is
normal for sends since others write too, and for polls of what may have been deleted; less is backwards. An unknown place says nothing.

Source: reference/history-checker.md, 4.3 point 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from jepsen_like.checker.operations import Completion, Observed
from jepsen_like.checker.values import Anomaly
from jepsen_like.checker.version_orders import VersionOrder
from jepsen_like.history import Process

SHOWN = 10


def external_polls(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """poll-skip and nonmonotonic-poll."""
    last_of: dict[Process, dict[str, Completion]] = {}
    for each in observed.completions:
        if not each.ok:
            continue
        if each.f in ("assign", "subscribe"):
            kept = frozenset(each.value)
            last = last_of.get(each.process, {})
            last_of[each.process] = {key: before for key, before in last.items() if key in kept}
        elif each.reads or each.rebalanced:
            last = last_of.setdefault(each.process, {})
            for key in each.rebalanced:
                last.pop(key, None)
            for key in each.reads:
                before = last.get(key)
                if before is not None:
                    yield from _poll(orders[key], before, each, deleted=observed.deleted_before(key, operation=each.index))
                last[key] = each


def _poll(order: VersionOrder, before: Completion, now: Completion, *, deleted: int) -> Iterator[Anomaly]:
    last_offset, last_value = before.reads[order.key][-1]
    offset, value = now.reads[order.key][0]
    index = order.index_of_offset
    delta = index[offset] - index[last_offset]
    if delta == 1 or (delta > 1 and order.offsets[index[offset] - 1] < deleted):
        return
    operations = (before.index, now.index)
    who = f"process {now.process}"
    if delta > 1:
        skipped = order.by_index[index[last_offset] + 1 : index[offset]]
        text = (
            f"{who} read {order.key} up to offset {last_offset} (value {last_value}) and then from {offset}, and skipped {_values(skipped)}"
        )
        yield Anomaly(kind="poll-skip", key=order.key, text=text, operations=operations)
    else:
        text = f"{who} read {order.key} up to offset {last_offset} (value {last_value}) and then went back to {offset} (value {value})"
        yield Anomaly(kind="nonmonotonic-poll", key=order.key, text=text, operations=operations)


def external_sends(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """nonmonotonic-send: a process's later send is before its earlier one in the log."""
    last_of: dict[tuple[Process, str], tuple[int, int, Completion]] = {}
    for each in observed.completions:
        if not each.sends or not each.known:
            continue
        ends: dict[str, tuple[int, int]] = {}
        for key, _, value in each.sends:
            place = orders[key].by_value.get(value) if key in orders else None
            if place is None:
                continue
            if key not in ends:
                before = last_of.get((each.process, key))
                if before is not None and place - before[0] < 1:
                    text = (
                        f"process {each.process} sent {before[1]} to {key} and later {value}, "
                        f"but {value} is at offset {orders[key].offsets[place]}, before {orders[key].offsets[before[0]]}"
                    )
                    yield Anomaly(kind="nonmonotonic-send", key=key, text=text, operations=(before[2].index, each.index))
            ends[key] = (place, value)
        for key, (place, value) in ends.items():
            last_of[each.process, key] = (place, value, each)


def _values(skipped: list[int]) -> str:
    shown = ", ".join(map(str, skipped[:SHOWN]))
    noun = "value" if len(skipped) == 1 else "values"
    return f"{noun} {shown}" + (f" and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else "")
