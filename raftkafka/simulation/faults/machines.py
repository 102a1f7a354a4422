"""What is done to machines, processes and clocks. Each function begins a fault and gives what undoes it."""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.simulation.events import US_PER_MS, Event
from raftkafka.simulation.faults.values import Fault
from raftkafka.simulation.world import World

Undo = Callable[[], None]


def kill(world: World, fault: Fault) -> Undo:
    machine = world.machines[fault.node]
    machine.kill()
    return machine.start


def power_off(world: World, fault: Fault) -> Undo:
    machine = world.machines[fault.node]
    machine.power_off()
    return machine.start


def pause(world: World, fault: Fault) -> Undo:
    machine = world.machines[fault.node]
    machine.pause()
    return machine.resume


def stop(world: World, fault: Fault) -> Undo:
    machine = world.machines[fault.node]
    machine.stop()
    return machine.start


def kill_all(world: World, fault: Fault) -> Undo:
    """Every process is killed at the same moment; what they wrote stays."""
    for machine in world.machines.values():
        machine.kill()

    def undo() -> None:
        for machine in world.machines.values():
            machine.start()

    return undo


def rolling_restart(world: World, fault: Fault) -> Undo:
    """One node after the other is stopped cleanly and started again, `amount` ms for each step."""
    step_us = fault.amount * US_PER_MS
    to_come: list[Event] = []
    for index, machine in enumerate(world.machines.values()):
        to_come.append(world.heap.after(index * 2 * step_us, machine.stop))
        to_come.append(world.heap.after((index * 2 + 1) * step_us, machine.start))

    def undo() -> None:
        for event in to_come:
            event.cancel()
        for machine in world.machines.values():
            machine.start()

    return undo


def wall_clock_jump(world: World, fault: Fault) -> Undo:
    """For good."""
    world.machines[fault.node].clock.wall_offset_ms += fault.amount
    return lambda: None


def clock_skew(world: World, fault: Fault) -> Undo:
    clock = world.machines[fault.node].clock
    clock.wall_offset_ms += fault.amount

    def undo() -> None:
        clock.wall_offset_ms -= fault.amount

    return undo


def clock_rate(world: World, fault: Fault) -> Undo:
    """All clocks of a machine run fast or slow; what has passed stays passed."""
    clock = world.machines[fault.node].clock
    clock.change_rate(fault.amount)
    return lambda: clock.change_rate(-fault.amount)
