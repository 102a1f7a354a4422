"""A world: machines with nodes, clients, a network and time, all from one seed.

    World(seed) ── heap ── events in virtual time
       ├─ machines n1, n2 ...   each a disk, clocks, a process with a node
       ├─ network               connections between machines and clients
       ├─ clients c1, c2 ...    tasks that speak the protocol
       └─ checks                called after every event

Invariants
- Every part draws from a `random.Random` of its own, named after what it is for: more of one thing does not shift the chances of another.
- Nothing outside of the seed and the settings has an influence: no clock, no hash order, no environment.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from raftkafka.base.disk import Disk
from raftkafka.broker.node_port import NodePort
from raftkafka.simulation.client import Address, SimClient
from raftkafka.simulation.clock import SimClock
from raftkafka.simulation.events import US_PER_MS, EventHeap
from raftkafka.simulation.machine import Machine, Surroundings
from raftkafka.simulation.network import Network, NetworkSettings
from raftkafka.simulation.trace import Trace

CLIENT_PORT, CONTROLLER_PORT = 9092, 19092
CLIENT_LISTENER, CONTROLLER_LISTENER = "PLAINTEXT", "CONTROLLER"

MakeNode = Callable[[int, Disk, random.Random], NodePort]
"""Makes the node with this id (1, 2 ...) on this disk: a new process."""


@attrs.frozen(kw_only=True)
class WorldSettings:
    """`spare_count` machines more are there, with an empty disk, and out of service until somebody adds them to the cluster."""

    node_count: int = 3
    spare_count: int = 0
    network: NetworkSettings = attrs.field(factory=NetworkSettings)
    max_clock_drift_ppm: int = 200
    max_wall_offset_ms: int = 500


class Violation(Exception):
    """Something happened that must never happen; ends the run of a world.

    `invariant` names the rule or check that found it; `before` and `after` are the two states that break it, in a few words.
    """

    def __init__(self, text: str, *, invariant: str = "simulation", before: str = "", after: str = "") -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text
        self.before = before
        self.after = after


class World:
    """The nodes are off until `start`. `checks` may raise `Violation`."""

    def __init__(
        self,
        seed: int,
        *,
        make_node: MakeNode,
        settings: WorldSettings | None = None,
        sink: Callable[[str], None] | None = None,
        detailed: bool = False,
    ) -> None:
        self.seed = seed
        self.settings = settings or WorldSettings()
        self.heap = EventHeap()
        self.trace = Trace(self.heap, sink=sink, detailed=detailed)
        self.network = Network(self.heap, self.trace, self.rng("network"), self.settings.network)
        self.checks: list[Callable[[World], None]] = []
        self.machine_checks: list[Callable[[Machine], None]] = []
        """Called when a machine's node has settled or its process has ended; may raise `Violation`."""
        self.start_us = 0
        """When the faults of a plan count from: set by the run once the cluster stands."""
        surroundings = Surroundings(heap=self.heap, network=self.network, trace=self.trace, broken=self._broken, changed=self._changed)
        node_ids = range(1, self.settings.node_count + self.settings.spare_count + 1)
        self.machines = {f"n{node_id}": self._make_machine(node_id, make_node, surroundings) for node_id in node_ids}
        self.bootstrap = [Address(name, CLIENT_PORT) for name, machine in self.machines.items() if machine.in_service]
        """Where a client asks first: the machines in service. All clients share it."""
        self.is_changing_voters = False
        """Whether somebody takes a vote away: until then the other voters must not lose theirs."""
        self._client_count = 0

    def rng(self, purpose: str) -> random.Random:
        """Chance for one purpose."""
        return random.Random(f"{self.seed}/{purpose}")

    def add_client(self) -> SimClient:
        """A client on a machine of its own that knows all brokers."""
        self._client_count += 1
        name = f"c{self._client_count}"
        return SimClient(name=name, heap=self.heap, network=self.network, bootstrap=self.bootstrap, rng=self.rng(name))

    @property
    def members(self) -> tuple[str, ...]:
        """The machines in service."""
        return tuple(name for name, machine in self.machines.items() if machine.in_service)

    def take_into_service(self, name: str) -> None:
        """A machine with an empty disk is switched on."""
        self._serve(name, True)
        self.machines[name].start()

    def take_out_of_service(self, name: str) -> None:
        """When the process of a machine ends, nobody starts another."""
        self._serve(name, False)

    def _serve(self, name: str, in_service: bool) -> None:
        self.machines[name].in_service = in_service
        self.bootstrap[:] = [Address(member, CLIENT_PORT) for member in self.members]

    def start(self) -> None:
        """All machines in service are switched on."""
        for machine in self.machines.values():
            machine.start()

    def run_for(self, duration_ms: int) -> None:
        """Lets time pass."""
        end = self.heap.after(duration_ms * US_PER_MS, lambda: None)
        while self.heap.now_us < end.at_us and self._step():
            pass

    def run_until(self, condition: Callable[[], bool], *, timeout_ms: int) -> bool:
        """Lets events happen until the condition holds; false when it does not within this time."""
        end = self.heap.after(timeout_ms * US_PER_MS, lambda: None)
        while not condition():
            if self.heap.now_us >= end.at_us or not self._step():
                return False
        end.cancel()
        return True

    def _step(self) -> bool:
        """Lets the next event happen and looks at what came of it; false when there is none."""
        if not self.heap.step():
            return False
        for check in self.checks:
            check(self)
        return True

    def heal(self) -> None:
        """Ends everything that disturbs: the network works, disks are quick, and every node runs."""
        self.trace.line("world", "heals")
        self.network.heal_all()
        for machine in self.machines.values():
            machine.heal_disk()
            machine.resume()
            machine.start()

    def _make_machine(self, node_id: int, make_node: MakeNode, surroundings: Surroundings) -> Machine:
        name = f"n{node_id}"
        rng = self.rng(name)
        drift, offset = self.settings.max_clock_drift_ppm, self.settings.max_wall_offset_ms
        machine = Machine(
            name=name,
            surroundings=surroundings,
            listeners={CLIENT_PORT: CLIENT_LISTENER, CONTROLLER_PORT: CONTROLLER_LISTENER},
            make_node=lambda disk, node_rng: make_node(node_id, disk, node_rng),
            rng=rng,
            clock=SimClock(self.heap, rate_ppm=rng.randint(-drift, drift), wall_offset_ms=rng.randint(-offset, offset)),
        )
        machine.in_service = node_id <= self.settings.node_count
        return machine

    def _changed(self, machine: Machine) -> None:
        for check in self.machine_checks:
            check(machine)

    def _broken(self, what: str) -> None:
        raise Violation(what)
