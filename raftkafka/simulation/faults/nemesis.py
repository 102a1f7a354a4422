"""Carries out a plan in a world.

Invariants
- What a fault has done is undone once: at its end, or when everything ends (`end_all`), whichever comes first.
- After `end_all` nothing begins.
- Two faults that overlap do not end each other: cuts and clogs are counted by the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from raftkafka.simulation.events import US_PER_MS, Event
from raftkafka.simulation.faults import disks, machines, network
from raftkafka.simulation.faults.values import Fault, FaultPlan
from raftkafka.simulation.faults.values import FaultKind as Kind
from raftkafka.simulation.world import World

Undo = Callable[[], None]
Begin = Callable[[World, Fault], Undo]

BEGINNINGS: Mapping[Kind, Begin] = {
    Kind.KILL: machines.kill,
    Kind.POWER_OFF: machines.power_off,
    Kind.PAUSE: machines.pause,
    Kind.STOP: machines.stop,
    Kind.KILL_ALL: machines.kill_all,
    Kind.ROLLING_RESTART: machines.rolling_restart,
    Kind.WALL_CLOCK_JUMP: machines.wall_clock_jump,
    Kind.CLOCK_SKEW: machines.clock_skew,
    Kind.CLOCK_RATE: machines.clock_rate,
    Kind.SLOW_DISK: disks.slow_disk,
    Kind.FAIL_SYNC: disks.fail_sync,
    Kind.DISK_FULL: disks.disk_full,
    Kind.WIPE: disks.wipe,
    Kind.LOSE_DISK: disks.lose_disk,
    Kind.FLIP_BIT: disks.flip_bit,
    Kind.FAIL_DIRECTORY: disks.fail_directory,
    Kind.CUT: network.cut,
    Kind.CUT_ONE_WAY: network.cut_one_way,
    Kind.DROP_CONNECTIONS: network.drop_connections,
    Kind.SLOW_NETWORK: network.slow_network,
    Kind.ISOLATE: network.isolate,
    Kind.ISOLATE_IN: network.isolate_in,
    Kind.ISOLATE_OUT: network.isolate_out,
    Kind.ISOLATE_LEADER: network.isolate_leader,
    Kind.ISOLATE_CONTROLLER: network.isolate_controller,
    Kind.MINORITY: network.minority,
    Kind.RING: network.ring,
    Kind.BRIDGE: network.bridge,
    Kind.CLOG: network.clog,
    Kind.SWIZZLE_CLOG: network.swizzle_clog,
    Kind.HEAVY_TAILS: network.heavy_tails,
}


class Nemesis:
    """A plan at work in a world. `told` hears of every beginning and end ("begin" or "end")."""

    def __init__(self, world: World, plan: FaultPlan, *, told: Callable[[Fault, str], None] = lambda fault, phase: None) -> None:
        self.plan = plan
        self._world = world
        self._told = told
        self._in_force: dict[int, tuple[Fault, Undo]] = {}
        self._to_come: list[Event] = []
        for number, fault in enumerate(plan.faults):
            start_us = world.start_us + fault.at_ms * US_PER_MS
            self._to_come.append(world.heap.at(start_us, partial(self._begin, number, fault)))
            self._to_come.append(world.heap.at(start_us + fault.duration_ms * US_PER_MS, partial(self._end, number)))

    def end_all(self, *, but_of: Sequence[str] = ()) -> None:
        """Everything that stands ends now, in the order in which it began; nothing else begins. Faults of some machines alone may go on."""
        for event in self._to_come:
            event.cancel()
        for number, (fault, _) in list(self._in_force.items()):
            if not fault.machines or any(name not in but_of for name in fault.machines):
                self._end(number)

    def _begin(self, number: int, fault: Fault) -> None:
        self._world.trace.line(fault.node, f"fault begins: {fault}")
        self._told(fault, "begin")
        if any(not self._world.machines[name].in_service for name in fault.machines):
            self._world.trace.line(fault.node, f"is spared from {fault.kind.value}: it is out of service")
            self._in_force[number] = fault, lambda: None
            return
        self._in_force[number] = fault, BEGINNINGS[fault.kind](self._world, fault)

    def _end(self, number: int) -> None:
        standing = self._in_force.pop(number, None)
        if standing is not None:
            fault, undo = standing
            self._world.trace.line(fault.node, f"fault ends: {fault}")
            self._told(fault, "end")
            undo()
