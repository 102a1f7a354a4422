"""What is done to disks. Each function begins a fault and gives what undoes it.

What takes records away is only done to a node whose records others have (`others_have_all`); else nothing happens.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from raftkafka.base.errors import DiskError
from raftkafka.simulation.cluster import LOG_DIR
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.faults.values import Fault
from raftkafka.simulation.spectator import others_have_all, others_vote_with_their_disks, running_nodes
from raftkafka.simulation.world import World

Undo = Callable[[], None]

KEPT_BY_WIPE = ("__cluster_metadata-0", "meta.properties")
LOG_SUFFIX = ".log"
REPLACED_OF = 4
"""Of so many directories that fail one is replaced."""
REPAIR_AFTER_MS = 1_000
"""How long after a start somebody sees that a log is damaged."""


def slow_disk(world: World, fault: Fault) -> Undo:
    machine = world.machines[fault.node]
    machine.disk_behaviour.mean_extra_sync_us = fault.amount * US_PER_MS
    return machine.heal_disk


def fail_sync(world: World, fault: Fault) -> Undo:
    """No fsync succeeds. What the page cache holds after one has failed is anybody's guess, so the machine is restarted at the end."""
    if _spared(world, fault):
        return lambda: None
    machine = world.machines[fault.node]
    machine.may_fail = True
    machine.disk_behaviour.fail_persist = lambda persist: DiskError("a file", "input/output error")

    def undo() -> None:
        machine.power_off()
        machine.heal_disk()
        machine.may_fail = False
        machine.start()

    return undo


def disk_full(world: World, fault: Fault) -> Undo:
    """`amount` bytes can still be written; at the end there is space again and the process is started anew."""
    machine = world.machines[fault.node]
    machine.may_fail = True
    machine.disk.capacity_bytes = fault.amount

    def undo() -> None:
        machine.kill()
        machine.disk.capacity_bytes = None
        machine.may_fail = False
        machine.start()

    return undo


def fail_directory(world: World, fault: Fault) -> Undo:
    """A log directory, but not that of the metadata log, fails. At the end the process is started anew, with the directory as it was, or,
    when others have the records, with an empty one in its place."""
    machine = world.machines[fault.node]
    others = [name for name in machine.disk.list_dir("") if name != LOG_DIR and name not in machine.disk.failing]
    if not others:
        return lambda: None
    name = others[fault.amount % len(others)]
    world.trace.line(fault.node, f"the directory {name} fails")
    machine.disk.failing = (*machine.disk.failing, name)

    def undo() -> None:
        is_replaced = fault.amount % REPLACED_OF == 0 and not _spared(world, fault)
        machine.kill()
        machine.disk.failing = tuple(each for each in machine.disk.failing if each != name)
        if is_replaced:
            world.trace.line(fault.node, f"the directory {name} is replaced by an empty one")
            machine.disk.delete(name)
            machine.disk.make_dir(name)
            machine.lost_something()
        machine.start()

    return undo


def wipe(world: World, fault: Fault) -> Undo:
    """The process is killed and all its records are gone, with the checkpoints and the marker of a clean stop.

    The metadata log, the vote and the identity stay: a voter that forgets its vote is another voter, and may not come back under its name.
    """
    if _spared(world, fault):
        return lambda: None
    machine = world.machines[fault.node]
    machine.kill()
    for name in machine.disk.list_dir(LOG_DIR):
        if name not in KEPT_BY_WIPE:
            machine.disk.delete(f"{LOG_DIR}/{name}")
    machine.lost_something()
    return machine.start


def lose_disk(world: World, fault: Fault) -> Undo:
    """The process is killed and the disk is replaced by an empty one, with metadata log, vote and identity: another voter comes back.

    Only while all other voters have the disks that the vote is with: of two that are lost, a majority may have been the only ones.
    """
    if _spared(world, fault):
        return lambda: None
    if world.is_changing_voters or not others_vote_with_their_disks(world, fault.node):
        world.trace.line(fault.node, f"is spared from {fault.kind.value}: its vote is needed")
        return lambda: None
    machine = world.machines[fault.node]
    machine.kill()
    machine.erase()
    return machine.start


def flip_bit(world: World, fault: Fault) -> Undo:
    """The process is killed, and a bit flips in what was never made stable of a log; the amount says of which, and where."""
    if _spared(world, fault):
        return lambda: None
    machine = world.machines[fault.node]
    machine.kill()
    rng = random.Random(fault.amount)
    paths = [f"{LOG_DIR}/{name}" for name in machine.disk.list_dir(LOG_DIR) if name not in KEPT_BY_WIPE]
    logs = [f"{path}/{file}" for path in paths for file in machine.disk.list_dir(path) if file.endswith(LOG_SUFFIX)]
    ranges = [(path, *machine.disk.unstable_range(path)) for path in logs]
    soft = [(path, start, end) for path, start, end in ranges if start < end]
    if soft:
        path, start, end = rng.choice(soft)
        position = rng.randrange(start, end)
        machine.disk.flip_bit(path, position, rng.randrange(8))
        world.trace.line(fault.node, f"a bit of {path} flips at {position}")
        machine.lost_something()

    def undo() -> None:
        machine.start()
        world.heap.after(REPAIR_AFTER_MS * US_PER_MS, lambda: _repair(world, fault.node))

    return undo


def _repair(world: World, name: str) -> None:
    """Does what an operator does about logs that are damaged in the middle, which no start cuts silently: empties them, and starts anew."""
    machine = world.machines[name]
    node = dict(running_nodes(world)).get(name)
    if node is None or machine.process is None or machine.process.stopping:
        # A node that is down shows no damage, and one that stops has closed all its logs: he comes back.
        world.heap.after(REPAIR_AFTER_MS * US_PER_MS, lambda: _repair(world, name))
        return
    damaged = [log.directory for log in node.parts.logs if log.offline_reason is not None]
    if damaged:
        world.trace.line(name, f"is repaired: {', '.join(damaged)} is emptied")
        machine.kill()
        for directory in damaged:
            machine.disk.delete(directory)
        machine.lost_something()
        machine.start()


def _spared(world: World, fault: Fault) -> bool:
    if others_have_all(world, fault.node):
        return False
    world.trace.line(fault.node, f"is spared from {fault.kind.value}: it has records that no other running replica must have")
    return True
