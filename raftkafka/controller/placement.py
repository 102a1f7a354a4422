"""Where the replicas of new partitions go: striped over the brokers, spread over the racks.

The algorithm
1. Live brokers are shuffled inside their racks, and the racks are dealt out like cards, one broker of each in turn, into one *ring*.
   Neighbours in the ring are in different racks as long as racks last.
2. Partition `p` is led by the broker at position `p` of the ring: every live broker leads equally many, give or take one.
3. Its followers are found by walking the ring from there: first the next brokers in racks that the partition is not in yet, then the
   rest. Fenced brokers come after all live ones: they are used only when the replication factor needs them.
4. After each full turn of the ring it is shuffled anew, so that not the same brokers always follow the same leader.

Invariants (tests): a replica set has no duplicates; its first member is live; it spans as many racks as it can; for one turn of the ring
each live broker leads exactly once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId


@attrs.frozen(kw_only=True)
class UsableBroker:
    """A registered broker, as placement sees it; `is_live` when it may lead now."""

    node_id: NodeId
    rack: str | None
    is_live: bool


def place(
    brokers: Sequence[UsableBroker], *, partition_count: int, replication_factor: int, rng: random.Random
) -> list[tuple[NodeId, ...]]:
    """The replicas of each new partition, the preferred leader first; refuses (INVALID_REPLICATION_FACTOR) what cannot be reached."""
    if not any(broker.is_live for broker in brokers):
        raise _refused(replication_factor, "All brokers are currently fenced, or have all their log directories cordoned.")
    if replication_factor > len(brokers):
        reason = (
            f"The target replication factor of {replication_factor} cannot be reached because only {len(brokers)} broker(s) are registered "
            "or some brokers have all their log directories cordoned."
        )
        raise _refused(replication_factor, reason)
    ring: list[UsableBroker] = []
    spares: list[UsableBroker] = []
    placed = []
    for partition in range(partition_count):
        position = partition % len(ring) if ring else 0
        if position == 0:
            ring = _deal([broker for broker in brokers if broker.is_live], rng)
            spares = _deal([broker for broker in brokers if not broker.is_live], rng)
        walk = [*ring[position:], *ring[:position]]
        placed.append(_choose(walk, spares, replication_factor))
    return placed


def _refused(replication_factor: int, reason: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REPLICATION_FACTOR, f"Unable to replicate the partition {replication_factor} time(s): {reason}")


def _deal(brokers: Sequence[UsableBroker], rng: random.Random) -> list[UsableBroker]:
    """Shuffles inside the racks and takes one of each rack in turn, the biggest racks first so that their rest is short."""
    by_rack: dict[str | None, list[UsableBroker]] = {}
    for broker in sorted(brokers, key=lambda broker: broker.node_id):
        by_rack.setdefault(broker.rack, []).append(broker)
    racks = list(by_rack.values())
    rng.shuffle(racks)
    for rack in racks:
        rng.shuffle(rack)
    racks.sort(key=len, reverse=True)
    return [rack[turn] for turn in range(max(map(len, racks), default=0)) for rack in racks if turn < len(rack)]


def _choose(walk: Sequence[UsableBroker], spares: Sequence[UsableBroker], replication_factor: int) -> tuple[NodeId, ...]:
    chosen: list[NodeId] = []
    for group in (walk, spares):
        racks: dict[str | None, None] = {}
        others = []
        for broker in group:
            if broker.rack in racks:
                others.append(broker.node_id)
            else:
                racks[broker.rack] = None
                chosen.append(broker.node_id)
        chosen.extend(others)
    return tuple(chosen[:replication_factor])
