"""A plan from chance, swarm style: each plan first chooses which kinds of fault it uses, how often and how long.

Rare combinations are tried that way, too (Groce et al., "Swarm Testing", 2012).

Recovery stays possible:
- Records are acknowledged from page caches, so what ends lossily (`LOSSY_ENDS`) may lack what it had acknowledged, and the others must be
  there to give it back: within `power_off_distance_ms` of such an end, no other node ends uncleanly (KIP-966 promises no more).
- A wipe leaves the metadata log and the vote: a voter with an emptied disk that comes back under its old name could vote a second time,
  and could make a majority with nodes that never had what was committed.
- Bits flip only where the next start looks, and only of a process that has been killed: the log is cut there, and what is missing is
  fetched again. Damage below that is served as it is, in Kafka as here, and found by who reads it.
"""

from __future__ import annotations

import random

import attrs

from raftkafka.simulation.faults.values import ALL, KIND_TRAITS, LOSSY_ENDS, UNCLEAN_ENDS, Fault, FaultKind, FaultPlan

BASIC_KINDS = (
    FaultKind.KILL,
    FaultKind.POWER_OFF,
    FaultKind.PAUSE,
    FaultKind.STOP,
    FaultKind.CUT,
    FaultKind.CUT_ONE_WAY,
    FaultKind.DROP_CONNECTIONS,
    FaultKind.SLOW_NETWORK,
    FaultKind.SLOW_DISK,
    FaultKind.WALL_CLOCK_JUMP,
)


@attrs.frozen(kw_only=True)
class FaultSettings:
    """What plans are drawn from. `kind_share` is how many of the kinds a plan uses."""

    duration_ms: int = 20_000
    kinds: tuple[FaultKind, ...] = BASIC_KINDS
    kind_share: float = 0.5
    mean_interval_ms: int = 1_500
    max_fault_ms: int = 6_000
    power_off_distance_ms: int = 12_000


def draw_plan(rng: random.Random, settings: FaultSettings, nodes: tuple[str, ...]) -> FaultPlan:
    """A plan from chance."""
    possible = [kind for kind in settings.kinds if KIND_TRAITS[kind].lowest_nodes <= len(nodes)]
    if not possible:
        return FaultPlan()
    kinds = [kind for kind in possible if rng.random() < settings.kind_share] or [rng.choice(possible)]
    mean_interval_ms = settings.mean_interval_ms * rng.choice((0.5, 1, 2))
    faults: list[Fault] = []
    at_ms = lossy_from_ms = unclean_from_ms = 0
    while True:
        at_ms += 1 + int(rng.expovariate(1.0) * mean_interval_ms)
        if at_ms >= settings.duration_ms:
            return FaultPlan(tuple(faults))
        fault = _draw_fault(rng, settings, rng.choice(kinds), nodes, at_ms)
        if fault.kind in UNCLEAN_ENDS:
            is_lossy = fault.kind in LOSSY_ENDS
            if at_ms < (lossy_from_ms if is_lossy else unclean_from_ms):
                continue
            lossy_from_ms = max(lossy_from_ms, fault.end_ms + settings.power_off_distance_ms)
            if is_lossy:
                unclean_from_ms = lossy_from_ms
        faults.append(fault)


def _draw_fault(rng: random.Random, settings: FaultSettings, kind: FaultKind, nodes: tuple[str, ...], at_ms: int) -> Fault:
    traits = KIND_TRAITS[kind]
    node = rng.choice(nodes)
    peer = rng.choice([each for each in nodes if each != node]) if traits.has_peer else ""
    amount = rng.choice(traits.amounts) if traits.amounts else 0
    duration_ms = rng.choice((10, 300, 1_500, rng.randint(1, settings.max_fault_ms)))
    return Fault(at_ms=at_ms, duration_ms=duration_ms, kind=kind, node=ALL if traits.is_of_all else node, peer=peer, amount=amount)
