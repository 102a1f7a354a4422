"""Replicas to move from the hottest broker where moving leaders cannot help: a follower, or a leader to where no copy is yet.

A replica of the hottest broker goes to another live broker that has none of that partition. A follower takes with it what following costs;
a leader takes everything, and its new broker is put first, so that it leads there. Taken is what cools the hotter of the two brokers
most; of what cools nearly as well (`NEARLY`) the smallest, since it must be copied, and of equal targets the coolest. It must be worth its
while (`BalanceLimits.min_gain` of the mean).

Invariants (property tests): the highest load falls or nothing moves; a partition never gets fewer racks, nor two replicas on one broker.

The load after is that after the copy; the copy itself costs both brokers, which is why it is throttled and why few are moved at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.controller.load_balance import BalanceLimits, hottest, mean_load, why_at_rest
from raftkafka.controller.replica_plan import (
    PlacedBroker,
    PlacedPartition,
    Racks,
    ReplicaMove,
    ReplicaPlan,
    moved,
    replaced,
    shares_of,
    takers,
)

NEARLY = 0.8
"""Of the best gain: what is enough to prefer a smaller copy."""


def cool(
    brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition], limits: BalanceLimits, *, max_moves: int = 1
) -> ReplicaPlan:
    """At most so many replicas to move from whichever live broker is the hottest then; without moves the verdict says why."""
    before = shares_of(brokers, partitions)
    moves: list[ReplicaMove] = []
    now = list(partitions)
    while True:
        loads = _live_loads(brokers, now)
        verdict = why_at_rest(loads, limits, limits.tolerance / 2 if moves else limits.tolerance)
        if verdict:
            break
        if len(moves) == max_moves:
            verdict = "more when this is done"
            break
        touched = {move.key for move in moves}
        offered = [each for each in now if not each.resting and each.key not in touched]
        move = _best_move(brokers, offered, loads, min_gain=limits.min_gain * mean_load(loads))
        if move is None:
            verdict = _why_stuck(brokers, offered, loads)
            break
        moves.append(move)
        now = moved(now, [move])
    return ReplicaPlan(moves=tuple(moves), before=before, after=shares_of(brokers, now), verdict=verdict)


def _live_loads(brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition]) -> dict[NodeId, float]:
    shares = shares_of([broker for broker in brokers if broker.is_live], partitions)
    return {node_id: share.load for node_id, share in shares.items()}


@attrs.frozen(kw_only=True)
class _Option:
    """A replica that might go, where to, and by how much the hotter of the two brokers would cool."""

    partition: PlacedPartition
    target: NodeId
    gain: float


def _options(
    brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition], loads: Mapping[NodeId, float], hot: NodeId
) -> list[_Option]:
    racks = Racks(brokers)
    options = []
    for partition in partitions:
        if hot not in partition.replicas:
            continue
        shift = partition.load_on(hot)
        for target in takers(brokers):
            if target in partition.replicas:
                continue
            if racks.count(replaced(partition.replicas, hot, target)) < racks.count(partition.replicas):
                continue
            gain = loads[hot] - max(loads[hot] - shift, loads[target] + shift)
            options.append(_Option(partition=partition, target=target, gain=gain))
    return options


def _best_move(
    brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition], loads: Mapping[NodeId, float], *, min_gain: float
) -> ReplicaMove | None:
    hot = hottest(loads)
    options = [each for each in _options(brokers, partitions, loads, hot) if each.gain > 0 and each.gain >= min_gain]
    if not options:
        return None
    enough = NEARLY * max(each.gain for each in options)
    best = min(
        (each for each in options if each.gain >= enough),
        key=lambda each: (each.partition.size, -each.gain, loads[each.target], each.partition.key, each.target),
    )
    partition = best.partition
    replicas = replaced(partition.replicas, hot, best.target)
    if hot == partition.leader:
        replicas = (best.target, *(replica for replica in replicas if replica != best.target))
    return ReplicaMove(
        key=partition.key,
        name=partition.name,
        old_replicas=partition.replicas,
        new_replicas=replicas,
        size=partition.size,
        why=_why(partition, hot, best.target, loads),
    )


def _why(partition: PlacedPartition, hot: NodeId, target: NodeId, loads: Mapping[NodeId, float]) -> str:
    shift = partition.load_on(hot)
    role = "leading" if hot == partition.leader else "following"
    after = f"{_rate(loads[hot] - shift)} and {_rate(loads[target] + shift)}"
    return (
        f"broker {hot} carries {_rate(loads[hot])} and broker {target} {_rate(loads[target])}; "
        f"{role} {partition.name} is {_rate(shift)} of it; afterwards {after}"
    )


def _why_stuck(brokers: Sequence[PlacedBroker], partitions: Sequence[PlacedPartition], loads: Mapping[NodeId, float]) -> str:
    hot = hottest(loads)
    held = [partition for partition in partitions if hot in partition.replicas]
    if not held:
        return f"every partition of broker {hot} is moving, or may not move"
    biggest = max(held, key=lambda each: each.load_on(hot))
    share = biggest.load_on(hot) / loads[hot]
    if share > 0.5:
        return f"{biggest.name} alone is {100 * share:.0f} % of the load of broker {hot}: split it into more partitions"
    others = [taker for taker in takers(brokers) if taker != hot]
    if all(all(other in partition.replicas for other in others) for partition in held):
        return f"every other live broker has a replica of all that broker {hot} carries: another broker would help"
    return f"no move of a replica makes broker {hot} notably cooler"


def _rate(load: float) -> str:
    return f"{load / 1e6:.1f} MB/s"
