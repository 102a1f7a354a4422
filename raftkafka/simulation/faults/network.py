"""What is done to the network between nodes. Each function begins a fault and gives what undoes it; clients reach every node throughout.

A client can so write to a leader that no other node can see, which is where the worst mistakes are made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import pairwise

from raftkafka.simulation.events import US_PER_MS, Event
from raftkafka.simulation.faults.values import Fault
from raftkafka.simulation.spectator import controller_of, leaders_of
from raftkafka.simulation.world import World

Undo = Callable[[], None]
Paths = list[tuple[str, str]]

SWIZZLE_STEP_MS = 100


def cut(world: World, fault: Fault) -> Undo:
    return _cut(world, _both_ways([(fault.node, fault.peer)]))


def cut_one_way(world: World, fault: Fault) -> Undo:
    return _cut(world, [(fault.node, fault.peer)])


def isolate(world: World, fault: Fault) -> Undo:
    return _isolate(world, [fault.node])


def isolate_in(world: World, fault: Fault) -> Undo:
    return _cut(world, [(other, fault.node) for other in world.machines if other != fault.node])


def isolate_out(world: World, fault: Fault) -> Undo:
    return _cut(world, [(fault.node, other) for other in world.machines if other != fault.node])


def isolate_leader(world: World, fault: Fault) -> Undo:
    """The leader of the partition that the amount says, counted among all that have one now."""
    leaders = leaders_of(world)
    return _isolate(world, [leaders[fault.amount % len(leaders)]] if leaders else [])


def isolate_controller(world: World, fault: Fault) -> Undo:
    controller = controller_of(world)
    return _isolate(world, [controller] if controller is not None else [])


def minority(world: World, fault: Fault) -> Undo:
    return _isolate(world, [fault.node, fault.peer])


def ring(world: World, fault: Fault) -> Undo:
    """The amount says how the nodes stand in the ring."""
    order = list(world.machines)
    random.Random(fault.amount).shuffle(order)
    neighbours = dict.fromkeys(_both_ways([*pairwise(order), (order[-1], order[0])]))
    return _cut(world, [(one, other) for one in order for other in order if one != other and (one, other) not in neighbours])


def bridge(world: World, fault: Fault) -> Undo:
    others = [name for name in world.machines if name != fault.node]
    half = len(others) // 2
    return _cut(world, _both_ways([(one, other) for one in others[:half] for other in others[half:]]))


def clog(world: World, fault: Fault) -> Undo:
    return _clog(world, _both_ways([(fault.node, fault.peer)]))


def swizzle_clog(world: World, fault: Fault) -> Undo:
    """Clogs some nodes one by one; at the end they are set free one by one in another order (as FoundationDB's tests do)."""
    rng = random.Random(fault.amount)
    nodes = rng.sample(list(world.machines), rng.randint(1, len(world.machines)))
    undos: dict[str, Undo] = {}
    to_come: list[Event] = []

    def begin(node: str) -> None:
        undos[node] = _clog(world, _both_ways([(node, other) for other in world.machines if other != node]))

    for index, node in enumerate(nodes):
        to_come.append(world.heap.after(index * SWIZZLE_STEP_MS * US_PER_MS, lambda node=node: begin(node)))  # type: ignore[misc]

    def undo() -> None:
        for event in to_come:
            event.cancel()
        for index, node in enumerate(rng.sample(list(undos), len(undos))):
            world.heap.after(index * SWIZZLE_STEP_MS * US_PER_MS, undos[node])

    return undo


def drop_connections(world: World, fault: Fault) -> Undo:
    world.network.drop_connections(fault.node, fault.peer)
    return lambda: None


def slow_network(world: World, fault: Fault) -> Undo:
    world.network.slow(fault.node, fault.peer, fault.amount * US_PER_MS)
    return lambda: world.network.slow(fault.node, fault.peer, 0)


def heavy_tails(world: World, fault: Fault) -> Undo:
    world.network.lengthen_tail(fault.amount * US_PER_MS)
    return lambda: world.network.lengthen_tail(0)


def _isolate(world: World, nodes: Iterable[str]) -> Undo:
    """Cuts these nodes, which still see each other, from all others."""
    inside = list(nodes)
    return _cut(world, _both_ways([(node, other) for node in inside for other in world.machines if other not in inside]))


def _both_ways(paths: Paths) -> Paths:
    return [path for one, other in paths for path in ((one, other), (other, one))]


def _cut(world: World, paths: Paths) -> Undo:
    for source, target in paths:
        world.network.cut(source, target)

    def undo() -> None:
        for source, target in paths:
            world.network.heal(source, target)

    return undo


def _clog(world: World, paths: Paths) -> Undo:
    for source, target in paths:
        world.network.cut(source, target)

    def undo() -> None:
        for source, target in paths:
            world.network.heal(source, target, may_reset=False)

    return undo
