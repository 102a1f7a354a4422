"""One round of balance as a plan: which leaderships go home, which move because of load, and why there are no more.

Going home and spreading the load are two goals; so that they do not fight, the load comes first. A partition goes home if its first replica
would then be within half the tolerance of the mean (or below half of what matters at all), or clearly no hotter than the broker that leads
it now. Then the planner of loads moves what is still needed, but nothing that has just gone home. Where it finds nothing, a replica may
move.

Invariants (property tests): going home makes no broker hotter than half the tolerance allows, or than the one was that it cools; so it
gives the planner of loads nothing to do, and under a steady load both come to rest.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import attrs

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.controller.leader_balance import AwayLeader
from raftkafka.controller.load_balance import (
    WAVER,
    BalanceLimits,
    LeaderMove,
    LoadedPartition,
    broker_loads,
    mean_load,
    plan_leaders,
)
from raftkafka.controller.load_view import UNMOVED_TOPICS, LoadView
from raftkafka.controller.own_moves import why_no_move, why_not_this
from raftkafka.controller.replica_cooling import cool
from raftkafka.controller.replica_plan import PlacedBroker, PlacedPartition, ReplicaMove

MAX_HOME = 1_000
"""So many partitions go home in one decision, beside those that shift load."""
REPLICA_MIN_GAIN = 0.10
"""A replica moves only if that cools the hotter of its two brokers by so much of the mean: it must be copied."""


class MoveKind(enum.Enum):
    """What moves."""

    LEADER = "leader"
    REPLICA = "replica"


@attrs.frozen(kw_only=True)
class PlannedMove:
    """A leadership, or a replica, that moves from one broker to another. `replicas_after` is empty where only the leader changes."""

    key: PartitionKey
    topic: str
    kind: MoveKind = MoveKind.LEADER
    source: NodeId
    target: NodeId
    replicas_after: tuple[NodeId, ...] = ()
    why: str


@attrs.frozen(kw_only=True)
class BalanceRound:
    """The moves in their order, the loads before and after, and why there are no further moves. `shifting` are those that move load."""

    moves: tuple[PlannedMove, ...]
    before: Mapping[NodeId, float]
    after: Mapping[NodeId, float]
    verdict: str
    shifting: frozenset[PartitionKey] = frozenset()
    more_go_home: bool = False
    """Whether there may be others that would go home, had this not been enough for one decision."""
    replica_move: ReplicaMove | None = None
    """The move of kind REPLICA, if there is one: then it is the only one."""


def plan_home(view: LoadView, away: Sequence[AwayLeader]) -> BalanceRound:
    """All of these go home, whatever the load, as many as may in one decision."""
    loads = broker_loads(view.brokers, view.partitions, view.rest)
    left_over, away = away[MAX_HOME:], away[:MAX_HOME]
    moves = tuple(_home_move(view, each, "") for each in away)
    targets = {each.key: each.home for each in away}
    after = broker_loads(view.brokers, _led_by(view.partitions, targets), view.rest)
    verdict = "every partition that should is led by its first replica" if not moves else "the first replicas of these can lead again"
    return BalanceRound(moves=moves, before=loads, after=after, verdict=verdict, more_go_home=bool(left_over))


def plan_round(view: LoadView, away: Sequence[AwayLeader], limits: BalanceLimits, *, spreads: bool = True) -> BalanceRound:
    """Of the partitions that are away those go home that the load allows; then, if it `spreads`, the load is spread."""
    before = broker_loads(view.brokers, view.partitions, view.rest)
    loads = dict(before)
    homes = _homes_within(view, away, limits, loads)
    targets = {each.key: each.home for each in away if each.key in homes}
    shifting = [each.key for each in view.partitions if each.key in homes]
    left = attrs.evolve(limits, max_moves=max(limits.max_moves - len(shifting), 0) if spreads else 0)
    plan = plan_leaders(view.brokers, _led_by(view.partitions, targets), left, fixed=view.rest, racks=view.racks)
    moves = [_home_move(view, each, homes[each.key]) for each in away if each.key in homes]
    moves += [_load_move(view, each, before) for each in plan.moves]
    return BalanceRound(
        moves=tuple(moves),
        before=before,
        after=plan.after,
        verdict=plan.verdict,
        shifting=frozenset((*shifting, *(each.key for each in plan.moves))),
        more_go_home=len(homes) >= MAX_HOME,
    )


def plan_replica(view: LoadView, plan: BalanceRound, limits: BalanceLimits) -> BalanceRound:
    """Where no move of leaders helps: a replica that should move, or why none is."""

    def without(reason: str) -> BalanceRound:
        return plan if reason == plan.verdict else attrs.evolve(plan, verdict=f"{plan.verdict}; {reason}")

    refused = why_no_move(view.image)
    if refused:
        return without(refused)
    brokers = [
        PlacedBroker(node_id=node_id, rack=broker.rack, is_live=broker.is_active, takes_replicas=broker.takes_replicas)
        for node_id, broker in view.image.brokers.items()
    ]
    partitions = [
        PlacedPartition(
            key=each.key,
            name=each.name,
            replicas=each.replicas,
            leader=each.leader,
            size=view.size_of(each.key),
            load=each.load,
            resting=each.resting or view.topic_name(each.key) in UNMOVED_TOPICS,
        )
        for each in view.partitions
    ]
    cooled = cool(brokers, partitions, attrs.evolve(limits, min_gain=max(limits.min_gain, REPLICA_MIN_GAIN)))
    if not cooled.moves:
        return without(cooled.verdict)
    move = cooled.moves[0]
    refused = why_not_this(view.image, move)
    if refused:
        return without(refused)
    planned = PlannedMove(
        key=move.key,
        topic=view.topic_name(move.key),
        kind=MoveKind.REPLICA,
        source=move.removed[0],
        target=move.added[0],
        replicas_after=move.new_replicas,
        why=f"{plan.verdict}; {move.why}",
    )
    after = {node_id: cooled.after[node_id].load + view.rest[node_id] for node_id in view.brokers}
    return attrs.evolve(plan, moves=(planned,), after=after, shifting=frozenset((move.key,)), verdict=cooled.verdict, replica_move=move)


def away_under_load(view: LoadView) -> list[AwayLeader]:
    """Those of the partitions with traffic that their first replica could lead."""
    found = []
    for each in view.partitions:
        if each.leader != each.replicas[0] and each.replicas[0] in each.candidates and not each.resting:
            partition = view.image.partition(each.key)
            assert partition is not None
            found.append(AwayLeader(key=each.key, partition=partition))
    return found


def _homes_within(view: LoadView, away: Sequence[AwayLeader], limits: BalanceLimits, loads: dict[NodeId, float]) -> dict[PartitionKey, str]:
    """Who may go home, with what is to be said of the load; `loads` becomes what it is then. Idle ones always may."""
    loaded = {each.key: each for each in view.partitions}
    homes = {each.key: "" for each in [each for each in away if each.key not in loaded][:MAX_HOME]}
    going = [loaded[each.key] for each in away if each.key in loaded and not loaded[each.key].resting]
    if not going:
        return homes
    mean = mean_load(loads)
    allowed = max(mean * (1 + limits.tolerance / 2), limits.negligible_load / 2)
    room = limits.max_moves
    for partition in sorted(going, key=lambda each: (-each.shift, each.key)):
        home, source = partition.replicas[0], partition.leader
        then = loads[home] + partition.shift
        if room and (then <= allowed or _stays_home(loads, partition, limits.min_gain * mean)):
            room -= 1
            loads[source] -= partition.shift
            loads[home] = then
            homes[partition.key] = f"; then it carries {rate(then)} and broker {source} {rate(loads[source])}"
    return homes


def _stays_home(loads: Mapping[NodeId, float], partition: LoadedPartition, min_gain: float) -> bool:
    """Whether its first replica would be no hotter than its leader is, and so much cooler without it that no waver calls it back."""
    at_home, elsewhere = loads[partition.replicas[0]], loads[partition.leader] - partition.shift
    return at_home <= elsewhere and at_home * (1 + WAVER) <= elsewhere * (1 - WAVER) + min_gain


def _led_by(partitions: Sequence[LoadedPartition], targets: Mapping[PartitionKey, NodeId]) -> list[LoadedPartition]:
    return [attrs.evolve(each, leader=targets[each.key], resting=True) if each.key in targets else each for each in partitions]


def _home_move(view: LoadView, away: AwayLeader, of_load: str) -> PlannedMove:
    why = f"broker {away.home} is its first replica and in sync{of_load}"
    return PlannedMove(key=away.key, topic=view.topic_name(away.key), source=away.partition.leader, target=away.home, why=why)


def _load_move(view: LoadView, move: LeaderMove, before: Mapping[NodeId, float]) -> PlannedMove:
    excess = 100 * move.source_load / mean_load(before) - 100
    carried = f"broker {move.source} carries {rate(move.source_load)}, {excess:.0f} % above the mean" if excess > 0 else "in exchange"
    why = f"{carried}; then it carries {rate(move.source_load_after)} and broker {move.target} {rate(move.target_load_after)}"
    return PlannedMove(key=move.key, topic=view.topic_name(move.key), source=move.source, target=move.target, why=why)


def rate(load: float) -> str:
    """A load for people."""
    return f"{load / 1e6:.1f} MB/s" if load >= 1e5 else f"{load / 1e3:.1f} kB/s"
