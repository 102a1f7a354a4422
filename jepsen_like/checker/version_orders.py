"""The order of the values in each key's log, as far as anybody knows it, and what contradicts itself in it.

From every poll of every operation (also one that failed: what a consumer was shown must be safe) and from every send that must have been
committed and whose offset is known. Offsets without a value are dropped, since transaction markers leave such gaps: a value's place is its
`index` among the offsets that have one.

Source: reference/history-checker.md, 4.3 points 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from jepsen_like.checker.operations import Observed
from jepsen_like.checker.values import Anomaly


@attrs.define(eq=False)
class VersionOrder:
    """Of one key. With contradictions, `by_index` has the value that was seen first."""

    key: str
    values_at: dict[int, int | list[int]]
    """By offset the value, or the list of them when there is more than one."""
    offsets: list[int] = attrs.field(factory=list)
    by_index: list[int] = attrs.field(factory=list)
    index_of_offset: dict[int, int] = attrs.field(factory=dict)
    by_value: dict[int, int] = attrs.field(factory=dict)
    """By value its first index."""
    repeated: dict[int, list[int]] = attrs.field(factory=dict)
    """The values that are at several offsets, with them."""

    def all_at(self, index: int) -> list[int]:
        """All values that were seen at an index."""
        found = self.values_at[self.offsets[index]]
        return found if isinstance(found, list) else [found]


def version_orders(observed: Observed) -> dict[str, VersionOrder]:
    """The version order of each key."""
    orders: dict[str, VersionOrder] = {}
    for each in observed.completions:
        for key, records in each.reads.items():
            order = orders.get(key)
            if order is None:
                order = orders[key] = VersionOrder(key=key, values_at={})
            values_at = order.values_at
            for offset, value in records:
                if values_at.setdefault(offset, value) != value:
                    _contradict(values_at, offset, value)
    for key, committed in observed.committed.items():
        order = orders.setdefault(key, VersionOrder(key=key, values_at={}))
        for value, offset in committed.items():
            if offset is not None and order.values_at.setdefault(offset, value) != value and observed.acks_all:
                _contradict(order.values_at, offset, value)
    for order in orders.values():
        _compress(order)
    return dict(sorted(orders.items()))


def _contradict(values_at: dict[int, int | list[int]], offset: int, value: int) -> None:
    found = values_at[offset]
    if not isinstance(found, list):
        values_at[offset] = [found, value]
    elif value not in found:
        found.append(value)


def _compress(order: VersionOrder) -> None:
    order.offsets = sorted(order.values_at)
    order.index_of_offset = {offset: index for index, offset in enumerate(order.offsets)}
    for index, offset in enumerate(order.offsets):
        found = order.values_at[offset]
        order.by_index.append(found[0] if isinstance(found, list) else found)
        for value in found if isinstance(found, list) else (found,):
            if order.by_value.setdefault(value, index) != index:
                order.repeated.setdefault(value, [order.offsets[order.by_value[value]]]).append(offset)


def inconsistent_offsets(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """An offset at which there are two values."""
    for key, order in orders.items():
        wrong = {offset: found for offset, found in order.values_at.items() if isinstance(found, list)}
        if not wrong:
            continue
        witnesses = _witnesses(observed, key, wrong.keys())
        for offset, values in sorted(wrong.items()):
            text = f"{key} has {len(values)} values at offset {offset}: {_list(values)}"
            yield Anomaly(kind="inconsistent-offsets", key=key, text=text, operations=tuple(witnesses[offset, value] for value in values))


def duplicates(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """A value that is at two offsets."""
    for key, order in orders.items():
        if not order.repeated:
            continue
        witnesses = _witnesses(observed, key, {offset for offsets in order.repeated.values() for offset in offsets})
        for value, offsets in order.repeated.items():
            operations = [observed.writer_of[key][value].invoke_index] if value in observed.writer_of.get(key, ()) else []
            operations += [witnesses[offset, value] for offset in offsets]
            text = f"value {value} of {key} was sent once and is in the log {len(offsets)} times: at offsets {_list(offsets)}"
            yield Anomaly(kind="duplicate", key=key, text=text, operations=tuple(dict.fromkeys(operations)))


def _witnesses(observed: Observed, key: str, offsets: object) -> dict[tuple[int, int], int]:
    """For the (offset, value) at these offsets, the first operation that says so."""
    found: dict[tuple[int, int], int] = {}
    for each in observed.completions:
        for offset, value in each.reads.get(key, ()):
            if offset in offsets:  # type: ignore[operator]
                found.setdefault((offset, value), each.index)
        for sent_key, sent_offset, value in each.sends:
            if sent_key == key and sent_offset is not None and sent_offset in offsets:  # type: ignore[operator]
                found.setdefault((sent_offset, value), each.index)
    return found


def _list(numbers: list[int]) -> str:
    return " and ".join(map(str, numbers)) if len(numbers) < 4 else ", ".join(map(str, numbers[:10]))
