"""Order within one operation: consecutive values of a key are neighbours in the log when read, and in the order of the log when sent.

Keys that changed hands while the operation lasted are left out.

Source: reference/history-checker.md, 4.3 point 9.
"""

from __future__ import annotations

from collections.abc import Iterator

from jepsen_like.checker.operations import Completion, Observed
from jepsen_like.checker.values import Anomaly
from jepsen_like.checker.version_orders import VersionOrder


def internal_polls(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """int-poll-skip and int-nonmonotonic-poll."""
    for each in observed.completions:
        for key, records in each.reads.items():
            if len(records) < 2 or key in each.rebalanced:
                continue
            index = orders[key].index_of_offset
            first, last = index[records[0][0]], index[records[-1][0]]
            places = [index[record[0]] for record in records]
            deleted = observed.deleted_before(key, operation=each.index)
            if last - first == len(records) - 1 and places == list(range(first, last + 1)):
                continue
            for i in range(1, len(places)):
                skips_deleted = places[i] > places[i - 1] and orders[key].offsets[places[i] - 1] < deleted
                if places[i] - places[i - 1] != 1 and not skips_deleted:
                    yield _poll(each, orders[key], records[i - 1], records[i])


def _poll(each: Completion, order: VersionOrder, before: list[int], now: list[int]) -> Anomaly:
    step = order.index_of_offset[now[0]] - order.index_of_offset[before[0]]
    kind = "int-poll-skip" if step > 1 else "int-nonmonotonic-poll"
    how = f"skipped {step - 1}" if step > 1 else "went back"
    text = f"one poll of {order.key} gave offset {before[0]} (value {before[1]}) and next {now[0]} (value {now[1]}): it {how}"
    return Anomaly(kind=kind, key=order.key, text=text, operations=each.operations)


def internal_sends(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """int-send-skip and int-nonmonotonic-send."""
    for each in observed.completions:
        if len(each.sends) < 2 or not each.known:
            continue
        last: dict[str, tuple[int, int]] = {}
        for key, _, value in each.sends:
            place = orders[key].by_value.get(value) if key in orders else None
            before = last.pop(key, None)
            if place is None:
                continue
            last[key] = (place, value)
            if before is None or place - before[0] == 1:
                continue
            skips = place > before[0]
            kind = "int-send-skip" if skips else "int-nonmonotonic-send"
            how = "with others between them" if skips else "in the other order"
            text = f"one operation sent {before[1]} and next {value} to {key}; they are in the log {how}"
            yield Anomaly(kind=kind, key=key, text=text, operations=each.operations)
