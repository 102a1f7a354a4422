"""Load-aware balance: which leaderships to move so that no broker carries much more than its share.

The goal is to lower the load of the hottest broker; the means are moves of leadership inside the ISR, which copy nothing.

What a partition costs. Its leader takes `bytes_in` from producers and sends them to each follower, sends `bytes_out` to consumers, and
works for each request; a follower only takes `bytes_in`. What moves with a leadership is the difference of the two (`shift`).

The algorithm, of one round
1. Nothing is done while the hottest broker is within `tolerance` of the mean load, or the load is too small to matter.
2. Of the partitions that the hottest broker leads and that did not move lately, each with each other live ISR member is a *move*; each with
   a partition that comes back in exchange, a *swap*. Taken is what brings the higher of the two brokers lowest; of equals, what moves
   least, and then what goes to the cooler broker, or rack. It must be worth its while (`_is_worth_it`), or nothing is done: then the reason
   is given. Where the broker stays too hot all the same, it must outlast a waver of the loads too (`_outlasts_waver`).
3. This is repeated on the loads as they will be, until the hottest broker is within half the tolerance, so that a load that wavers does not
   cause a move every round; at most `max_moves` leaderships a round, none of them twice.

Invariants (property tests): each step brings the higher of its two brokers lower, so the highest load never rises, and a round ends; a
steady load comes to rest after a bounded number of moves, and then nothing moves. Leadership goes only to a live member of the ISR.

Sources: docs/balancing.md, which also says what Kafka and Cruise Control do.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from raftkafka.base.ids import NodeId, PartitionKey

MORE = "more in the next round"
"""The verdict of a round that is full."""

REQUEST_COST_BYTES = 8 << 10
"""A request costs the event loop about as much as so many bytes (some 50 us)."""

NO_FIXED_LOAD: Mapping[NodeId, float] = MappingProxyType({})
NO_RACKS: Mapping[NodeId, str | None] = MappingProxyType({})

WAVER = 0.10
"""Loads that go up and down by so much of themselves are to be called steady: it must not pay to move back what has moved."""

SWAPPED_PARTITIONS = 64
"""For so many of the biggest partitions of the hottest broker exchanges are looked at; it bounds the time of a round."""


@attrs.frozen(kw_only=True)
class PartitionLoad:
    """The rates of one partition, smoothed, per second; `size` is that of its log in bytes."""

    bytes_in: float = 0.0
    bytes_out: float = 0.0
    requests: float = 0.0
    size: int = 0

    def of_leader(self, replica_count: int) -> float:
        """What it costs to lead this, in bytes a second."""
        return self.bytes_in * replica_count + self.bytes_out + self.requests * REQUEST_COST_BYTES

    @property
    def of_follower(self) -> float:
        """What it costs to follow this."""
        return self.bytes_in


@attrs.frozen(kw_only=True)
class LoadedPartition:
    """A partition as the planner sees it. `candidates` are the live members of the ISR; `resting` when it moved lately or may not move."""

    key: PartitionKey
    name: str
    leader: NodeId
    replicas: tuple[NodeId, ...]
    candidates: tuple[NodeId, ...]
    load: PartitionLoad
    resting: bool = False
    shift: float = attrs.field(init=False)
    """The load that moves with the leadership."""

    @shift.default
    def _shift(self) -> float:
        return self.load.of_leader(len(self.replicas)) - self.load.of_follower


@attrs.frozen(kw_only=True)
class BalanceLimits:
    """When to move. Shares are of the mean load of a broker; `negligible_load` is in bytes a second of load."""

    tolerance: float = 0.10
    min_gain: float = 0.03
    max_moves: int = 32
    negligible_load: float = 256 << 10
    """While the hottest broker has less than this, nothing is hot."""


@attrs.frozen(kw_only=True)
class LeaderMove:
    """One leadership to move, with the loads of the two brokers before and after its step."""

    key: PartitionKey
    name: str
    source: NodeId
    target: NodeId
    source_load: float
    target_load: float
    source_load_after: float
    target_load_after: float


@attrs.frozen(kw_only=True)
class BalancePlan:
    """The moves in their order, and the loads before and after. `verdict` says why there is no further move."""

    moves: tuple[LeaderMove, ...]
    before: Mapping[NodeId, float]
    after: Mapping[NodeId, float]
    verdict: str


def broker_loads(
    brokers: Collection[NodeId], partitions: Sequence[LoadedPartition], fixed: Mapping[NodeId, float] = NO_FIXED_LOAD
) -> dict[NodeId, float]:
    """What each of the live brokers carries; `fixed` is what a broker carries beside these partitions."""
    loads = {node_id: fixed.get(node_id, 0.0) for node_id in sorted(brokers)}
    for partition in partitions:
        for replica in partition.replicas:
            if replica in loads:
                is_leader = replica == partition.leader
                loads[replica] += partition.load.of_leader(len(partition.replicas)) if is_leader else partition.load.of_follower
    return loads


def plan_leaders(
    brokers: Collection[NodeId],
    partitions: Sequence[LoadedPartition],
    limits: BalanceLimits,
    *,
    fixed: Mapping[NodeId, float] = NO_FIXED_LOAD,
    racks: Mapping[NodeId, str | None] = NO_RACKS,
) -> BalancePlan:
    """One round for these live brokers; no moves when the load is balanced, negligible, or cannot be lowered by moving leaders."""
    before = broker_loads(brokers, partitions, fixed)
    board = _Board(dict(before), partitions, racks)
    moves: list[LeaderMove] = []
    while True:
        verdict = why_at_rest(board.loads, limits, limits.tolerance / 2 if moves else limits.tolerance)
        if verdict:
            break
        step = _best_step(board, limits)
        if step is None:
            verdict = _why_stuck(board, partitions)
            break
        if len(moves) + len(step) > limits.max_moves:
            verdict = MORE
            break
        moves.extend(board.make(step))
    return BalancePlan(moves=tuple(moves), before=before, after=board.loads, verdict=verdict)


Step = tuple[tuple[LoadedPartition, NodeId], ...]
"""Leaderships that move together, each with its new leader: one from the hottest broker, and perhaps one back."""


class _Board:
    """The loads and leaders as they will be after the moves so far."""

    def __init__(self, loads: dict[NodeId, float], partitions: Sequence[LoadedPartition], racks: Mapping[NodeId, str | None]) -> None:
        self.loads = loads
        self._racks = racks
        self.led = {partition.key: partition.leader for partition in partitions}
        self._movable: dict[NodeId, list[LoadedPartition]] = {}
        for partition in sorted(partitions, key=lambda each: (each.shift, each.key)):
            if not partition.resting and partition.shift > 0:
                self._movable.setdefault(partition.leader, []).append(partition)

    def movable(self, leader: NodeId) -> Sequence[LoadedPartition]:
        """What a broker leads and may still give away in this round, by shift."""
        return self._movable.get(leader, ())

    def rack_loads(self) -> dict[NodeId, float]:
        """For each broker what all in its rack carry together."""
        by_rack: dict[str | None, float] = {}
        for node_id, load in self.loads.items():
            rack = self._racks.get(node_id)
            by_rack[rack] = by_rack.get(rack, 0.0) + load
        return {node_id: by_rack[self._racks.get(node_id)] for node_id in self.loads}

    def could_cool(self, hot: NodeId) -> float:
        """By how much at most the single moves from this broker could cool it together."""
        gap = self.loads[hot] - min(self.loads.values())
        return sum(max(min(each.shift, gap - each.shift), 0.0) for each in self.movable(hot) if len(each.candidates) > 1)

    def lowest(self, hot: NodeId) -> float:
        """What this broker carries at least, whatever moves: it gives no more than makes the coolest that could lead it equal, and cools no
        further than to the level of all whom its load can reach, from one broker to the next."""
        given = 0.0
        for each in self.movable(hot):
            coolest = min((self.loads[target] for target in each.candidates if target != hot), default=self.loads[hot])
            given += min(each.shift, self.loads[hot] - coolest)
        together, count = self.loads[hot], 1
        for load in sorted(self.loads[node_id] for node_id in self._reached(hot) if node_id != hot):
            if load * count >= together:
                break
            together, count = together + load, count + 1
        return max(self.loads[hot] - given, together / count)

    def _reached(self, hot: NodeId) -> set[NodeId]:
        """Those that may lead what this broker leads, those that may lead what they lead, and so on."""
        reached, found = {hot}, [hot]
        while found:
            new = {target for each in self.movable(found.pop()) for target in each.candidates} - reached
            reached |= new
            found.extend(new)
        return reached

    def make(self, step: Step) -> list[LeaderMove]:
        before = dict(self.loads)
        sources = [self.led[partition.key] for partition, _ in step]
        for (partition, target), source in zip(step, sources, strict=True):
            self._movable[source].remove(partition)
            self.loads[source] -= partition.shift
            self.loads[target] += partition.shift
            self.led[partition.key] = target
        return [
            LeaderMove(
                key=partition.key,
                name=partition.name,
                source=source,
                target=target,
                source_load=before[source],
                target_load=before[target],
                source_load_after=self.loads[source],
                target_load_after=self.loads[target],
            )
            for (partition, target), source in zip(step, sources, strict=True)
        ]


def hottest(loads: Mapping[NodeId, float]) -> NodeId:
    """The broker with the highest load; the lowest id of equals."""
    return min(loads, key=lambda node_id: (-loads[node_id], node_id))


def mean_load(loads: Mapping[NodeId, float]) -> float:
    return sum(loads.values()) / len(loads)


def why_at_rest(loads: Mapping[NodeId, float], limits: BalanceLimits, tolerance: float) -> str:
    """Why nothing needs to be done; empty when something does."""
    if len(loads) < 2:
        return "there is no other live broker"
    highest = loads[hottest(loads)]
    if highest < limits.negligible_load:
        return "the load is too small to matter"
    if highest <= mean_load(loads) * (1 + tolerance):
        return f"no broker carries more than {100 * tolerance:.0f} % above the mean"
    return ""


def _best_step(board: _Board, limits: BalanceLimits) -> Step | None:
    """What brings the higher of its two brokers lowest; None when nothing that does is worth its while.

    A broker that can come to rest is kept there by the tolerance, which a waver does not exceed. One that cannot stays too hot whatever
    moves, and each waver of what it carries is a chance to move something: so when it is about as cool as it can become, a step must
    exceed that waver (`_outlasts_waver`).
    """
    hot = hottest(board.loads)
    hot_load, mean = board.loads[hot], mean_load(board.loads)
    min_gain, rest = limits.min_gain * mean, mean * (1 + limits.tolerance / 2)
    rack_loads = board.rack_loads()
    adds_up, lowest = board.could_cool(hot) >= min_gain, board.lowest(hot)
    can_cool = lowest <= rest or _is_apart(hot_load, lowest)
    best: tuple[float, float, float, float, tuple[PartitionKey, ...]] | None = None
    best_step: Step | None = None
    for step, shift in _steps(board, hot):
        target = step[0][1]
        peak = max(hot_load - shift, board.loads[target] + shift)
        moving = sum(partition.shift for partition, _ in step)
        if not _is_worth_it(gain=hot_load - peak, moving=moving, min_gain=min_gain, adds_up=adds_up):
            continue
        if not can_cool and peak > rest and not _outlasts_waver(hot_load, board.loads[target], shift):
            continue
        rank = (peak, moving, board.loads[target], rack_loads[target], tuple(partition.key for partition, _ in step))
        if best is None or rank < best:
            best, best_step = rank, step
    return best_step


def _is_worth_it(*, gain: float, moving: float, min_gain: float, adds_up: bool) -> bool:
    """Whether it cools the hotter of two brokers notably, and by more than what moves may waver; or, where small partitions add up to a
    notable gain, by half at least of what moves."""
    return gain >= max(min_gain, WAVER * moving) or (adds_up and gain >= moving / 2)


def _outlasts_waver(hot: float, target: float, shift: float) -> bool:
    """Whether no waver of the loads of both brokers moves back what now shifts: it gains more than the hot one wavers by; or the two are so
    far apart that no waver makes them equal, and the hot one stays the hotter."""
    gain = hot - max(hot - shift, target + shift)
    return gain >= WAVER * hot or (_is_apart(hot, target) and hot - shift >= target + shift)


def _is_apart(higher: float, lower: float) -> bool:
    """Whether the one load is higher than the other even when both waver."""
    return higher * (1 - WAVER) > lower * (1 + WAVER)


def _steps(board: _Board, hot: NodeId) -> Iterator[tuple[Step, float]]:
    """The moves and swaps between the hottest broker and each other that may be best for the two, with how much load each shifts."""
    for target in board.loads:
        if target == hot:
            continue
        wanted = (board.loads[hot] - board.loads[target]) / 2
        offered = [each for each in board.movable(hot) if target in each.candidates]
        for partition in _nearest(offered, wanted):
            yield ((partition, target),), partition.shift
        returned = [each for each in board.movable(target) if hot in each.candidates]
        for partition in offered[-SWAPPED_PARTITIONS:] if returned else ():
            for other in _nearest(returned, partition.shift - wanted):
                if other.shift < partition.shift:
                    yield ((partition, target), (other, hot)), partition.shift - other.shift


def _nearest(by_shift: Sequence[LoadedPartition], wanted: float) -> Sequence[LoadedPartition]:
    """Of partitions sorted by their shift the two around the wanted one."""
    at = bisect.bisect_left(by_shift, wanted, key=lambda each: each.shift)
    return by_shift[max(at - 1, 0) : at + 1]


def _why_stuck(board: _Board, partitions: Sequence[LoadedPartition]) -> str:
    hot = hottest(board.loads)
    led = [partition for partition in partitions if board.led[partition.key] == hot]
    if not led:
        return f"broker {hot} leads nothing; what it carries are followers"
    biggest = max(led, key=lambda partition: partition.shift)
    share = biggest.load.of_leader(len(biggest.replicas)) / board.loads[hot]
    if share > 0.5:
        return f"{biggest.name} alone is {100 * share:.0f} % of the load of broker {hot}: split it into more partitions"
    if all(len(partition.candidates) < 2 for partition in led):
        return f"no partition of broker {hot} has another replica in sync that could lead it"
    if any(partition.resting and len(partition.candidates) > 1 for partition in led):
        return f"what could move from broker {hot} has moved lately"
    return f"no move of leaders makes broker {hot} notably cooler"
