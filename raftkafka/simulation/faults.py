"""What is done to a world: faults as values with their time, drawn from the seed. A plan can be printed, edited, and made smaller.

A fault has a beginning and, `duration_ms` later, an end that undoes it. Ends are idempotent, so any subset of a plan is a plan.
Swarm: each plan first chooses which kinds of fault it uses and how often, so that rare combinations are tried too.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

import attrs

from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.world import World


class FaultKind(enum.Enum):
    """What may happen. `node` is the machine it happens to, `peer` the other one where there is one."""

    KILL = "kill"
    POWER_OFF = "power-off"
    PAUSE = "pause"
    STOP = "stop"
    CUT = "cut"
    CUT_ONE_WAY = "cut-one-way"
    DROP_CONNECTIONS = "drop-connections"
    SLOW_NETWORK = "slow-network"
    SLOW_DISK = "slow-disk"
    WALL_CLOCK_JUMP = "wall-clock-jump"


UNCLEAN_ENDS = (FaultKind.KILL, FaultKind.POWER_OFF)


@attrs.frozen(kw_only=True)
class Fault:
    """One fault, from `at_ms` for `duration_ms`. `amount` is in milliseconds where the kind has one (a delay, a jump)."""

    at_ms: int
    duration_ms: int
    kind: FaultKind
    node: str
    peer: str = ""
    amount: int = 0

    def __str__(self) -> str:
        peer = f" {self.peer}" if self.peer else ""
        amount = f" {self.amount} ms" if self.amount else ""
        return f"{self.at_ms} ms +{self.duration_ms} {self.kind.value} {self.node}{peer}{amount}"


@attrs.frozen
class FaultPlan:
    """Faults in order of time."""

    faults: tuple[Fault, ...] = ()

    def without(self, index: int) -> FaultPlan:
        """The plan without one of its faults: the step of shrinking."""
        return FaultPlan(self.faults[:index] + self.faults[index + 1 :])

    def schedule(self, world: World) -> None:
        """Puts all faults, and their ends, into the world's future."""
        for fault in self.faults:
            world.heap.at(world.start_us + fault.at_ms * US_PER_MS, _action(world, fault, begin))
            world.heap.at(world.start_us + (fault.at_ms + fault.duration_ms) * US_PER_MS, _action(world, fault, end))


@attrs.frozen(kw_only=True)
class FaultSettings:
    """What plans are drawn from.

    Records are acknowledged from page caches, so a power failure may lose what a replica had acknowledged, and the others must be there to
    give it back: within `power_off_distance_ms` of one, no other node ends uncleanly (KIP-966 promises no more).
    """

    duration_ms: int = 20_000
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    mean_interval_ms: int = 1_500
    max_fault_ms: int = 6_000
    power_off_distance_ms: int = 12_000


def draw_plan(rng: random.Random, settings: FaultSettings, nodes: tuple[str, ...]) -> FaultPlan:
    """A plan from chance."""
    kinds = [kind for kind in settings.kinds if rng.random() < 0.5] or [rng.choice(settings.kinds)]
    mean_interval_ms = settings.mean_interval_ms * rng.choice((0.5, 1, 2))
    faults: list[Fault] = []
    at_ms = power_off_from_ms = unclean_from_ms = 0
    while True:
        at_ms += 1 + int(rng.expovariate(1.0) * mean_interval_ms)
        if at_ms >= settings.duration_ms:
            return FaultPlan(tuple(faults))
        fault = _draw_fault(rng, settings, rng.choice(kinds), nodes, at_ms)
        if fault.kind in UNCLEAN_ENDS:
            is_power_off = fault.kind is FaultKind.POWER_OFF
            if at_ms < (power_off_from_ms if is_power_off else unclean_from_ms):
                continue
            power_off_from_ms = max(power_off_from_ms, at_ms + fault.duration_ms + settings.power_off_distance_ms)
            if is_power_off:
                unclean_from_ms = power_off_from_ms
        faults.append(fault)


def _draw_fault(rng: random.Random, settings: FaultSettings, kind: FaultKind, nodes: tuple[str, ...], at_ms: int) -> Fault:
    node = rng.choice(nodes)
    others = [each for each in nodes if each != node]
    peer = ""
    amount = 0
    match kind:
        case FaultKind.CUT | FaultKind.CUT_ONE_WAY | FaultKind.DROP_CONNECTIONS if others:
            peer = rng.choice(others)
        case FaultKind.SLOW_NETWORK if others:
            peer, amount = rng.choice(others), rng.choice((5, 50, 500))
        case FaultKind.SLOW_DISK:
            amount = rng.choice((20, 200, 1_000))
        case FaultKind.WALL_CLOCK_JUMP:
            amount = rng.choice((-600_000, -5_000, 5_000, 600_000))
        case _:
            pass
    duration_ms = rng.choice((10, 300, 1_500, rng.randint(1, settings.max_fault_ms)))
    return Fault(at_ms=at_ms, duration_ms=duration_ms, kind=kind, node=node, peer=peer, amount=amount)


def begin(world: World, fault: Fault) -> None:
    """The fault happens."""
    machine, network = world.machines[fault.node], world.network
    match fault.kind:
        case FaultKind.KILL:
            machine.kill()
        case FaultKind.POWER_OFF:
            machine.power_off()
        case FaultKind.PAUSE:
            machine.pause()
        case FaultKind.STOP:
            machine.stop()
        case FaultKind.CUT | FaultKind.CUT_ONE_WAY:
            network.cut(fault.node, fault.peer)
            if fault.kind is FaultKind.CUT:
                network.cut(fault.peer, fault.node)
        case FaultKind.DROP_CONNECTIONS:
            network.drop_connections(fault.node, fault.peer)
        case FaultKind.SLOW_NETWORK:
            network.slow(fault.node, fault.peer, fault.amount * US_PER_MS)
        case FaultKind.SLOW_DISK:
            machine.disk_behaviour.mean_extra_sync_us = fault.amount * US_PER_MS
        case FaultKind.WALL_CLOCK_JUMP:
            machine.clock.wall_offset_ms += fault.amount


def end(world: World, fault: Fault) -> None:
    """What the fault did is undone, as far as it still stands."""
    machine, network = world.machines[fault.node], world.network
    match fault.kind:
        case FaultKind.KILL | FaultKind.POWER_OFF | FaultKind.STOP:
            machine.start()
        case FaultKind.PAUSE:
            machine.resume()
        case FaultKind.CUT | FaultKind.CUT_ONE_WAY:
            network.heal(fault.node, fault.peer)
            if fault.kind is FaultKind.CUT:
                network.heal(fault.peer, fault.node)
        case FaultKind.SLOW_NETWORK:
            network.slow(fault.node, fault.peer, 0)
        case FaultKind.SLOW_DISK:
            machine.heal_disk()
        case FaultKind.DROP_CONNECTIONS | FaultKind.WALL_CLOCK_JUMP:
            pass


def _action(world: World, fault: Fault, what: Callable[[World, Fault], None]) -> Callable[[], None]:
    def act() -> None:
        world.trace.line(fault.node, f"fault {'begins' if what is begin else 'ends'}: {fault}")
        what(world, fault)

    return act
