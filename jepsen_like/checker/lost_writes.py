"""lost-write: a value that must have been committed is missing, although somebody has read past it.

Per key: `bound` is the highest place at which a value that an ok operation read occurs first. Every value whose last place is at or before
`bound` must have been read by somebody; one that nobody read, and that must have been committed, is lost, unless it may have been deleted.

Source: reference/history-checker.md, 4.3 point 6.
"""

from __future__ import annotations

from collections.abc import Iterator

from jepsen_like.checker.operations import Observed
from jepsen_like.checker.values import Anomaly
from jepsen_like.checker.version_orders import VersionOrder


def lost_writes(observed: Observed, orders: dict[str, VersionOrder]) -> Iterator[Anomaly]:
    """The lost writes of each key, in the order of the log."""
    for key, order in orders.items():
        read = observed.ok_read.get(key, {})
        committed = observed.committed.get(key, {})
        places = order.by_value
        bound_value = max((value for value in read if value in places), key=places.__getitem__, default=None)
        if bound_value is None:
            continue
        bound = places[bound_value]
        reader = read[bound_value]
        deleted = observed.deleted_before(key)
        for value in lost_values(order, bound=bound, read=read, committed=committed):
            if order.offsets[places[value]] < deleted:
                continue
            yield _anomaly(observed, order, value, bound_value, reader.index)
        if not observed.acks_all:
            for value, offset in committed.items():
                if offset is not None and value not in places and value not in read and deleted <= offset <= order.offsets[bound]:
                    yield _anomaly(observed, order, value, bound_value, reader.index)


def lost_values(order: VersionOrder, *, bound: int, read: object, committed: object) -> Iterator[int]:
    """The committed values at or before the place `bound` that are not among the read ones."""
    for index in range(bound + 1):
        for value in order.all_at(index):
            if value not in read and value in committed:  # type: ignore[operator]
                last = order.index_of_offset[order.repeated[value][-1]] if value in order.repeated else index
                if last == index:
                    yield value


def _anomaly(observed: Observed, order: VersionOrder, value: int, bound_value: int, reader: int) -> Anomaly:
    writer = observed.writer_of[order.key][value]
    offset = observed.committed[order.key][value]
    where = f" at offset {offset}" if offset is not None else ""
    last = order.offsets[order.by_value[bound_value]]
    return Anomaly(
        kind="lost-write",
        key=order.key,
        text=f"value {value} of {order.key} was acknowledged{where}, and nobody ever read it, although reads went on to offset {last}",
        operations=(*writer.operations, reader),
    )
