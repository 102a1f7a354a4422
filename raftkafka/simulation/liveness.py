"""After the faults the cluster must go on: first a core of it, with the rest dead for good, then all of it.

Safety alone is easy: a cluster that does nothing breaks no promise. So a random majority of the nodes is healed, everything else is left
dead, and within a bound of virtual time the core must elect, refill its ISRs, acknowledge, and settle its groups. Then the rest is healed
too, and everything must be complete. Source: TigerBeetle's simulator, whose runs end with a "core" in the same way.

A core can be asked for no more than the rules promise: it has a majority of the voters, and of each partition an ISR or ELR member and as
many replicas as an acknowledgement needs. Whether that is so can be told only when the core has a controller that knows the processes of
all its nodes: the metadata that was committed last may be known to no running node before, and who restarts uncleanly (as the end of a full
disk makes a node do) leaves the ISRs and ELRs when it registers (KIP-966). A core that turns out not to be enough is widened to the whole
cluster.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import attrs

from raftkafka.controller.own_moves import own_move
from raftkafka.controller.reassignment import is_reassigning
from raftkafka.metadata.image import MetadataImage, PartitionRegistration
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.faults.nemesis import Nemesis
from raftkafka.simulation.faults.values import LOSSY_ENDS
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.spectator import (
    controller_of,
    lost_votes,
    machine_of,
    newest_image,
    partitions_of,
    running_nodes,
    without_vote,
)
from raftkafka.simulation.world import Violation, World

LOOK_EVERY_MS = 100
INVARIANT = "progress"


@attrs.frozen(kw_only=True)
class Liveness:
    """The healing of one world. `clients_stuck` says what the clients wait for that was begun since a moment."""

    world: World
    profile: Profile
    nemesis: Nemesis
    clients_stuck: Callable[[int], list[str]]
    rng: random.Random

    @property
    def nodes(self) -> tuple[str, ...]:
        """Those in service: machines may come and go while what was begun is finished."""
        return self.world.members

    def heal_core(self) -> None:
        """In some runs: heals a core, and raises `Violation` when it does not get on."""
        if self.rng.random() >= self.profile.core_share or len(self.nodes) < 3:
            return
        core = self._draw_core()
        if core is None:
            return
        world = self.world
        world.trace.line("world", f"heals the core {', '.join(core)} and leaves the rest dead")
        rest = [name for name in self.nodes if name not in core]
        self.nemesis.end_all(but_of=rest)
        self._kill(rest)
        world.network.heal_all()
        for name in core:
            machine = world.machines[name]
            machine.heal_disk()
            machine.resume()
            machine.start()
        self._demand(lambda: self._unknown(core), core)
        image = self._image_of_controller()
        if not self._suffices(core, image):
            world.trace.line("world", "the core does not suffice: it lacks the only replica with all records of some partition")
            return
        since_us = world.heap.now_us
        self._demand(lambda: self._stuck(core, since_us), core)

    def heal_all(self) -> None:
        """Heals everything, and raises `Violation` when not everything gets well."""
        self.nemesis.end_all()
        self.world.heal()
        since_us = self.world.heap.now_us
        self._demand(lambda: self._stuck(self.nodes, since_us), ())

    def _draw_core(self) -> tuple[str, ...] | None:
        image = newest_image(self.world)
        majorities = list(itertools.combinations(self.nodes, len(self.nodes) // 2 + 1))
        self.rng.shuffle(majorities)
        return next((core for core in majorities if image is not None and self._suffices(core, image)), None)

    def _suffices(self, core: tuple[str, ...], image: MetadataImage) -> bool:
        return all(self._suffices_for(core, partition) for _, partition in partitions_of(image))

    def _suffices_for(self, core: tuple[str, ...], partition: PartitionRegistration) -> bool:
        live = [node for node in partition.replicas if machine_of(node) in core]
        needed = min(self.profile.workload.min_insync_replicas, len(partition.replicas))
        return len(live) >= needed and any(node in partition.isr or node in partition.elr for node in live)

    def _kill(self, rest: list[str]) -> None:
        """Near a failure that lost something, a node that is killed could have been needed: it stands still instead."""
        now_ms = (self.world.heap.now_us - self.world.start_us) // US_PER_MS
        reach_ms = self.profile.faults.power_off_distance_ms
        is_near_loss = any(fault.kind in LOSSY_ENDS and fault.end_ms + reach_ms > now_ms for fault in self.nemesis.plan.faults)
        for name in rest:
            machine = self.world.machines[name]
            if is_near_loss or self.rng.random() < 0.5:
                machine.pause()
            else:
                machine.kill()

    def _image_of_controller(self) -> MetadataImage:
        nodes = dict(running_nodes(self.world))
        name = controller_of(self.world)
        assert name is not None
        controller = nodes[name].parts.controller
        assert controller is not None
        return controller.pending

    def _demand(self, stuck: Callable[[], list[str]], core: tuple[str, ...]) -> None:
        """Lets time pass until nothing is stuck, in the core or, when it is empty, in all nodes."""
        until_us = self.world.heap.now_us + self.profile.liveness_ms * US_PER_MS
        while found := stuck():
            if self.world.heap.now_us >= until_us:
                whole = f"the core {', '.join(core)}" if core else "all nodes"
                text = f"{whole} had {self.profile.liveness_ms} ms without a fault, and still:"
                raise Violation("\n  ".join([text, *found]), invariant=INVARIANT)
            self.world.run_for(LOOK_EVERY_MS)

    def _unknown(self, core: tuple[str, ...]) -> list[str]:
        """What keeps a controller from knowing what the core has."""
        if controller_of(self.world) not in core:
            return ["the core has no active controller"]
        brokers = self._image_of_controller().brokers
        found = []
        for name, node in running_nodes(self.world):
            lifecycle, broker = node.parts.lifecycle, brokers.get(node.config.node_id)
            if name in core and lifecycle is not None and (broker is None or broker.broker_epoch != lifecycle.broker_epoch):
                found.append(f"{name} has not registered")
        return found

    def _stuck(self, nodes: tuple[str, ...], since_us: int) -> list[str]:
        """What is not yet as it must become when these nodes, and no others, run undisturbed."""
        controller = controller_of(self.world)
        if controller not in nodes:
            return ["there is no active controller"]
        image = self._image_of_controller()
        found = [
            f"{machine_of(node_id)} runs and is fenced (broker epoch {broker.broker_epoch})"
            for node_id, broker in image.brokers.items()
            if machine_of(node_id) in nodes and not broker.is_active
        ]
        for name, node in running_nodes(self.world):
            applied = node.parts.services.image.offset
            if name in nodes and applied + LAG < image.offset:
                found.append(f"{name} has applied the metadata up to {applied}, the controller {controller} up to {image.offset}")
        for name, partition in partitions_of(image):
            live = [node for node in partition.replicas if machine_of(node) in nodes]
            missing = [machine_of(node) for node in live if node not in partition.isr]
            if missing or partition.leader not in live:
                found.append(f"{name} lacks {', '.join(missing) or 'a leader'} in its ISR: {_told(partition)}")
        if nodes == self.nodes:
            found += self._unmoved(image)
            found += [f"the controller does not end its move of a replica: {own.text}"] if (own := own_move(image)) is not None else []
            found += [f"{name} does not join the quorum" for name in without_vote(self.world)]
            found += [f"{name} has a vote with a disk that is gone" for name in lost_votes(self.world)]
        return [*found, *self.clients_stuck(since_us)]

    def _unmoved(self, image: MetadataImage) -> list[str]:
        """Reassignments that have not finished, and replicas that were removed and are still there."""
        found = [
            f"{name} is still being reassigned: {_told(partition)}" for name, partition in partitions_of(image) if is_reassigning(partition)
        ]
        for machine, node in running_nodes(self.world):
            for key, hosted in node.parts.replicas.hosted.items():
                registration = image.partition(key)
                if registration is None or node.config.node_id not in registration.replicas:
                    found.append(f"{machine} still has its replica of {hosted}")
        return found


LAG = 100
"""How many metadata records a node may be behind: there are always some on their way."""


def _told(partition: PartitionRegistration) -> str:
    return (
        f"leader {partition.leader} of epoch {partition.leader_epoch}, ISR {list(partition.isr)}, ELR {list(partition.elr)}, "
        f"replicas {list(partition.replicas)}, partition epoch {partition.partition_epoch}"
    )
