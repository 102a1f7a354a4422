"""Real time: offsets follow the order in which acknowledged sends happened, and how far polls were behind what was known to exist.

nonmonotonic-realtime: send A was acknowledged before send B began, and yet B has the lower offset. A partition is then not linearizable.
realtime-lag (a figure, not an anomaly): the time between the moment when the next value that a poll did not show was known to exist and
the beginning of that poll.

Source: reference/history-checker.md, 4.3 point 11 and the extensions.
"""

from __future__ import annotations

from collections.abc import Iterator

from jepsen_like.checker.operations import NEVER_NS, Completion, Observed
from jepsen_like.checker.values import Anomaly, Lag
from jepsen_like.checker.version_orders import VersionOrder
from jepsen_like.history import Process


def nonmonotonic_realtime(observed: Observed) -> Iterator[Anomaly]:
    """Acknowledged sends whose offsets contradict their order in time."""
    moments: list[tuple[int, Completion]] = []
    for each in observed.completions:
        if each.ok and each.sends:
            moments.append((each.invoke_index, each))
            moments.append((each.index, each))
    moments.sort(key=lambda moment: moment[0])
    newest: dict[str, tuple[int, Completion]] = {}
    before: dict[int, dict[str, tuple[int, Completion]]] = {}
    for index, each in moments:
        if index == each.invoke_index:
            before[index] = {key: newest[key] for key, _, _ in each.sends if key in newest}
            continue
        at_begin = before.pop(each.invoke_index)
        for key, offset, value in each.sends:
            if offset is None:
                continue
            earlier = at_begin.get(key)
            if earlier is not None and offset <= earlier[0]:
                text = f"value {value} was sent to {key} after offset {earlier[0]} was acknowledged, and yet it was given {offset}"
                yield Anomaly(kind="nonmonotonic-realtime", key=key, text=text, operations=(earlier[1].index, *each.operations))
            if key not in newest or offset > newest[key][0]:
                newest[key] = (offset, each)


def realtime_lags(observed: Observed, orders: dict[str, VersionOrder]) -> tuple[Lag, ...]:
    """The worst lag of each key."""
    known = _known_since(observed, orders)
    position: dict[Process, dict[str, int]] = {}
    worst: dict[str, Lag] = {}
    for each in observed.completions:
        if not each.ok:
            continue
        places = position.setdefault(each.process, {})
        if each.f in ("assign", "subscribe"):
            kept = frozenset(each.value)
            position[each.process] = {key: place for key, place in places.items() if key in kept}
        elif each.f in ("poll", "txn"):
            for key, records in each.reads.items():
                places[key] = orders[key].index_of_offset[records[-1][0]]
            for key, place in places.items():
                times = known[key]
                lag_ns = each.invoke_ns - times[place + 1] if place + 1 < len(times) else 0
                if lag_ns > 0 and (key not in worst or lag_ns > worst[key].lag_ns):
                    worst[key] = Lag(key=key, process=each.process, time_ns=each.invoke_ns, lag_ns=lag_ns)
    return tuple(worst[key] for key in sorted(worst))


def _known_since(observed: Observed, orders: dict[str, VersionOrder]) -> dict[str, list[int]]:
    """By key and index, the earliest time at which somebody knew that the log reached so far."""
    known = {key: [NEVER_NS] * len(order.offsets) for key, order in orders.items()}
    for each in observed.completions:
        if not each.ok:
            continue
        for key, offset, _ in each.sends:
            index = orders[key].index_of_offset.get(offset) if offset is not None else None
            if index is not None and each.end_ns < known[key][index]:
                known[key][index] = each.end_ns
        for key, records in each.reads.items():
            index = orders[key].index_of_offset[records[-1][0]]
            known[key][index] = min(known[key][index], each.end_ns)
    for times in known.values():
        for index in range(len(times) - 2, -1, -1):
            times[index] = min(times[index], times[index + 1])
    return known
