"""The rates of partitions as their leaders report them in heartbeats, smoothed; in the memory of the active controller alone.

A rate is smoothed exponentially over the time that it was counted in: of what was known, half is forgotten in `HALF_LIFE_MS`. What nobody
could know (before this controller, before this broker) does not count as idleness: each load carries the *weight* of what it rests on, from
0 (nothing) to 1, and the first report is believed as it is.

Invariants (property tests)
- A rate is never below 0 and never above the highest that was reported for the partition; a steady one is met within an eighth of what was
  before after three half-lives, and at once when nothing was known.
- Time is that of the reports: of a broker that said nothing for a while (paused, or its controller was) the next report is an average over
  all of that, and weighs no more than the time since the last one. So nothing spikes, and what is told twice counts once.
- A partition has one load. It moves with the leadership: the report of a higher leader epoch takes it over, one of a lower epoch is
  ignored. Between two leaders it stays as it is for a while, and then fades.
- A partition that its leader does not name is idle; it fades to nothing and is dropped. The cost of a report is that of what it names.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import attrs

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.controller.load_balance import PartitionLoad
from raftkafka.metadata.control_messages import PartitionTraffic

HALF_LIFE_MS = 2_000
SETTLED_REPORTS = 3
"""So many reports of each broker are wanted before anything is moved by them."""

ORPHANED_MS = 2_000
"""So long the load of a partition stays as it was while the next leader has not reported it."""

NEGLIGIBLE_BYTES_PER_SECOND, NEGLIGIBLE_REQUESTS_PER_SECOND = 1.0, 0.01
NOTHING = PartitionLoad()


@attrs.define(eq=False)
class _Rates:
    """Smoothed rates and the weight of the time that they rest on."""

    load: PartitionLoad = NOTHING
    weight: float = 0.0

    def add(self, counts: tuple[int, int, int], *, counted_ms: int, weighed_ms: int) -> None:
        """Counts of `counted_ms`, which weigh like `weighed_ms`."""
        kept = self.weight * _left_after(weighed_ms)
        new = 1.0 - _left_after(weighed_ms)
        self.weight = kept + new
        if self.weight <= 0:
            return
        per_second = [1_000 * count / counted_ms for count in counts]
        old, share = self.load, new / self.weight
        self.load = PartitionLoad(
            bytes_in=old.bytes_in + (per_second[0] - old.bytes_in) * share,
            bytes_out=old.bytes_out + (per_second[1] - old.bytes_out) * share,
            requests=old.requests + (per_second[2] - old.requests) * share,
        )

    def after_idle(self, idle_ms: int) -> PartitionLoad:
        """The rates when nothing has come for so long."""
        if idle_ms <= 0:
            return self.load
        share, load = self.weight * _left_after(idle_ms) / _weight_of(idle_ms, self.weight), self.load
        return PartitionLoad(bytes_in=load.bytes_in * share, bytes_out=load.bytes_out * share, requests=load.requests * share)

    def idle(self, idle_ms: int) -> None:
        """Nothing has come for so long."""
        if idle_ms > 0:
            self.load = self.after_idle(idle_ms)
            self.weight = _weight_of(idle_ms, self.weight)


def _left_after(elapsed_ms: int) -> float:
    return math.exp2(-elapsed_ms / HALF_LIFE_MS)


def _weight_of(elapsed_ms: int, before: float = 0.0) -> float:
    return 1.0 - (1.0 - before) * _left_after(elapsed_ms)


@attrs.define(eq=False, kw_only=True)
class _Reporter:
    """A broker that reports. Its clock is the time that its reports reach over, as far as this controller has not heard it before."""

    clock_ms: int = 0
    heard_ms: int | None = None
    reports: int = 0
    rest: _Rates = attrs.field(factory=_Rates)
    swept_ms: int = 0


@attrs.define(eq=False, kw_only=True)
class _Known:
    """The load of one partition. `reporter` is the leader that reported it last; None when that one leads no more, since `at_ms` then."""

    rates: _Rates
    leader_epoch: int
    reporter: NodeId | None
    at_ms: int
    """The reporter's clock at its last report, or this controller's when there is no reporter."""

    size: int


class LoadReports:
    """What brokers have reported to this controller."""

    def __init__(self) -> None:
        self._reporters: dict[NodeId, _Reporter] = {}
        self._known: dict[PartitionKey, _Known] = {}
        self._now_ms = 0

    def begin(self, now_ms: int) -> None:
        """A new controller knows nothing."""
        self._reporters.clear()
        self._known.clear()
        self._now_ms = now_ms

    def heard(
        self, node_id: NodeId, *, interval_ms: int, traffic: Sequence[PartitionTraffic], rest: tuple[int, ...] = (), now_ms: int
    ) -> None:
        """The traffic of a heartbeat of this broker's current process, in the order of arrival. An interval of 0 is no report."""
        self._now_ms = max(self._now_ms, now_ms)
        if interval_ms <= 0:
            return
        reporter = self._reporters.setdefault(node_id, _Reporter())
        elapsed_ms = interval_ms if reporter.heard_ms is None else min(interval_ms, max(0, now_ms - reporter.heard_ms))
        reporter.heard_ms = now_ms
        reporter.reports += 1
        reporter.clock_ms += elapsed_ms
        reporter.rest.add(_counts(rest), counted_ms=interval_ms, weighed_ms=elapsed_ms)
        for each in traffic:
            self._take(node_id, reporter, each, elapsed_ms)
        if reporter.clock_ms - reporter.swept_ms >= HALF_LIFE_MS:
            reporter.swept_ms = reporter.clock_ms
            self._sweep()

    def _take(self, node_id: NodeId, reporter: _Reporter, traffic: PartitionTraffic, elapsed_ms: int) -> None:
        key = PartitionKey(traffic.topic_id, traffic.partition)
        known = self._known.get(key)
        if known is not None and traffic.leader_epoch < known.leader_epoch:
            return  # its successor has reported already
        if traffic.led_ms <= 0:
            if known is not None and known.reporter == node_id:
                self._orphan(known, reporter.clock_ms - elapsed_ms)
            return
        weighed_ms = min(elapsed_ms, traffic.led_ms)
        before_ms = reporter.clock_ms - weighed_ms
        if known is None:
            idle = _Rates(weight=_weight_of(before_ms))
            known = self._known[key] = _Known(rates=idle, leader_epoch=-1, reporter=node_id, at_ms=before_ms, size=0)
        if known.reporter == node_id:
            known.rates.idle(before_ms - known.at_ms)
        else:
            known.rates = _Rates(self._load(known), known.rates.weight)
            known.reporter = node_id
        counts = (traffic.bytes_in, traffic.bytes_out, traffic.requests)
        known.rates.add(counts, counted_ms=traffic.led_ms, weighed_ms=weighed_ms)
        known.leader_epoch, known.at_ms, known.size = traffic.leader_epoch, reporter.clock_ms, traffic.size

    def _orphan(self, known: _Known, idle_until_ms: int) -> None:
        """Its reporter leads it no more, since about now; that nothing came counts up to this time of the reporter's clock."""
        known.rates.idle(idle_until_ms - known.at_ms)
        known.reporter, known.at_ms = None, self._now_ms

    def _load(self, known: _Known) -> PartitionLoad:
        if known.reporter is None:
            return known.rates.after_idle(self._now_ms - known.at_ms - ORPHANED_MS)
        return known.rates.after_idle(self._reporters[known.reporter].clock_ms - known.at_ms)

    def _sweep(self) -> None:
        for key in [key for key, known in self._known.items() if _is_negligible(self._load(known))]:
            del self._known[key]

    def forget(self, node_id: NodeId) -> None:
        """This broker is gone, or a new process has its id: what it led is without a leader until another one reports it."""
        reporter = self._reporters.pop(node_id, None)
        if reporter is not None:
            for known in self._known.values():
                if known.reporter == node_id:
                    self._orphan(known, reporter.clock_ms)

    def is_settled(self, brokers: Collection[NodeId]) -> bool:
        """Whether each of these brokers has reported often enough."""
        return all(node_id in self._reporters and self._reporters[node_id].reports >= SETTLED_REPORTS for node_id in brokers)

    def load_of(self, key: PartitionKey) -> PartitionLoad:
        """The rates of a partition; zeros when it is idle or unknown."""
        known = self._known.get(key)
        return NOTHING if known is None else self._load(known)

    def size_of(self, key: PartitionKey) -> int:
        """The bytes of its log as its leader reported them last; 0 when it is unknown."""
        known = self._known.get(key)
        return 0 if known is None else known.size

    def loaded(self) -> Iterator[tuple[PartitionKey, PartitionLoad]]:
        """The partitions that are not idle, with their loads, in the order in which they were first reported."""
        return ((key, self._load(known)) for key, known in self._known.items())

    def rest_of(self, node_id: NodeId) -> PartitionLoad:
        """What a broker leads beside the partitions that its reports name."""
        reporter = self._reporters.get(node_id)
        return NOTHING if reporter is None else reporter.rest.load


def _counts(rest: tuple[int, ...]) -> tuple[int, int, int]:
    return (rest[0], rest[1], rest[2]) if len(rest) == 3 else (0, 0, 0)


def _is_negligible(load: PartitionLoad) -> bool:
    return load.bytes_in + load.bytes_out < NEGLIGIBLE_BYTES_PER_SECOND and load.requests < NEGLIGIBLE_REQUESTS_PER_SECOND
