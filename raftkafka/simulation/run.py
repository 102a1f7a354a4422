"""One seed, one history: a cluster starts, clients write and read while faults happen, all heals, and the verdict is given.

start ── cluster stands ── faults and workload ── heal ── everything acknowledged is read ── checks
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any

import attrs

from jepsen_like.checker import check
from jepsen_like.history import History
from raftkafka.base.rules import BROKEN_RULES_KEY, Rule
from raftkafka.simulation.checks import violations_of
from raftkafka.simulation.cluster import SimCluster
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.faults import Fault, FaultPlan, Nemesis, draw_plan
from raftkafka.simulation.invariants import Invariants
from raftkafka.simulation.invariants.balance import balance_comes_to_rest
from raftkafka.simulation.invariants.registry import silenced
from raftkafka.simulation.invariants.restated import restated_by
from raftkafka.simulation.liveness import Liveness
from raftkafka.simulation.offset_checks import stale_offsets
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.spectator import first_offsets, unsettled_directories
from raftkafka.simulation.watch import Watcher
from raftkafka.simulation.workload.clients import Clients
from raftkafka.simulation.world import MakeNode, Violation, World, WorldSettings

START_TIMEOUT_MS = 60_000
MOVES_TO_REST = 3
"""How often each partition may move until balance rests."""


@attrs.frozen(kw_only=True)
class Result:
    """What came of a seed. `violations` empty: all is well. `plan` is what was done to the cluster."""

    seed: int
    profile: Profile
    digest: str
    violations: tuple[Violation, ...]
    plan: FaultPlan
    events: int
    virtual_ms: int
    acknowledged: int
    last_lines: tuple[str, ...]
    history: History


def run_seed(
    seed: int,
    *,
    profile: Profile | None = None,
    plan: FaultPlan | None = None,
    broken_rules: tuple[Rule, ...] = (),
    sink: Callable[[str], None] | None = None,
    detailed: bool = False,
    observers: tuple[Callable[[World], None], ...] = (),
    watch: Callable[[World], Watcher] | None = None,
) -> Result:
    """Runs one world to its end.

    `plan` replaces the one that the seed draws; the nodes follow their rules without `broken_rules`; `sink` gets each line of the trace as
    it happens; `observers` are called after every event and may raise `Violation`; `watch` makes the watcher of the world.
    """
    run = Run(seed, profile=profile or Profile(), plan=plan, broken_rules=broken_rules, sink=sink, detailed=detailed)
    run.world.checks.extend(observers)
    if watch is not None:
        run.world.trace.watcher = watch(run.world)
    return run.run()


class Run:
    """A run under way. `make_node` makes other nodes than the cluster's own: tests have some that are wrong on purpose."""

    def __init__(
        self,
        seed: int,
        *,
        profile: Profile,
        plan: FaultPlan | None,
        broken_rules: tuple[Rule, ...],
        sink: Callable[[str], None] | None,
        detailed: bool,
        make_node: MakeNode | None = None,
    ) -> None:
        self.given_profile = profile
        self.broken_rules = broken_rules
        self.profile = profile = profile.drawn(seed)
        overrides = dict(profile.properties)
        if broken_rules:
            overrides[BROKEN_RULES_KEY] = ",".join(rule.value for rule in broken_rules)
        cluster = SimCluster(
            seed=seed,
            node_count=profile.node_count,
            spare_count=profile.spare_count,
            dynamic_quorum=profile.dynamic_quorum,
            overrides=overrides,
        )
        settings = WorldSettings(node_count=profile.node_count, spare_count=profile.spare_count, network=profile.network)
        self.world = World(seed, make_node=make_node or cluster.make_node, settings=settings, sink=sink, detailed=detailed)
        self.clients = Clients(self.world, profile.workload)
        self.is_cluster = make_node is None
        if self.is_cluster:
            self._invariants = Invariants(self.world)
            self._invariants.listen(self.clients.recording)
        self.plan = plan if plan is not None else self._draw_plan()

    def run(self) -> Result:
        """Everything from the start to the verdict."""
        with silenced(restated_by(self.broken_rules)):
            return self._run()

    def _run(self) -> Result:
        violations: list[Violation] = []
        try:
            self._start()
            self._heal(self._disturb())
            violations += self._read_back()
            violations += self._judge_history()
        except Violation as violation:
            violations.append(violation)
        violations += self._judge_clients()
        for each in violations:
            self.world.trace.line("world", f"VIOLATION {each}")
        self.world.heap.abandon()
        return Result(
            seed=self.world.seed,
            profile=self.given_profile,
            digest=self.world.trace.digest(),
            violations=tuple(violations),
            plan=self.plan,
            events=self.world.heap.event_count,
            virtual_ms=self.world.heap.now_us // US_PER_MS,
            acknowledged=self.clients.recording.acknowledged_count,
            last_lines=tuple(self.world.trace.last_lines),
            history=self.clients.recording.history(),
        )

    def _draw_plan(self) -> FaultPlan:
        settings = attrs.evolve(self.profile.faults, duration_ms=self.profile.duration_ms)
        return draw_plan(random.Random(f"{self.world.seed}/faults"), settings, tuple(self.world.machines))

    # The phases

    def _start(self) -> None:
        """The cluster stands, its topics exist, and the clients begin."""
        self.world.start()
        self._finish(self.clients.create_topics(), START_TIMEOUT_MS, "the topics were not created")
        self.clients.start()
        if self.is_cluster and self.clients.scaler is not None:
            self._invariants.memory.retired = self.clients.scaler.retired

    def _disturb(self) -> Nemesis:
        """Faults happen."""
        self.world.start_us = self.world.heap.now_us
        nemesis = Nemesis(self.world, self.plan, told=self._record_fault)
        self.world.run_for(self.profile.duration_ms)
        return nemesis

    def _record_fault(self, fault: Fault, phase: str) -> None:
        """The history says when each fault begins and ends, so that a reader of it can see what a client suffered from."""
        nodes = list(fault.machines or self.world.machines)
        self.clients.recording.nemesis(fault.kind.value, {"fault": fault.kind.value, "nodes": nodes, "phase": phase})

    def _heal(self, nemesis: Nemesis) -> None:
        """Faults end; a core of the cluster, and then all of it, must get on, and what the clients have begun must end."""
        clients = self.clients
        clients.stop_reassigning()
        if self.is_cluster:
            self._demand_progress(nemesis)
        else:
            nemesis.end_all()
        clients.stop_writing()
        self._wait(clients.writing_finished, "a producer or the administrator did not finish after all had healed")

    def _demand_progress(self, nemesis: Nemesis) -> None:
        """A core of the cluster is healed and must get on, and then all of it."""
        clients = self.clients
        liveness = Liveness(
            world=self.world,
            profile=self.profile,
            nemesis=nemesis,
            clients_stuck=clients.stuck_since,
            rng=self.world.rng("liveness"),
        )
        liveness.heal_core()
        clients.recording.nemesis("heal", {"fault": "heal", "nodes": list(self.world.members), "phase": "begin"})
        liveness.heal_all()
        if self.profile.rest_ms:
            self._demand_rest()

    def _demand_rest(self) -> None:
        """The load is steady from here on: balance does what there is to do, and then nothing."""
        world, eye, rest_ms = self.world, self._invariants.balance, self.profile.rest_ms
        since_us, moves = world.heap.now_us, eye.moves
        most = MOVES_TO_REST * len(self.clients.slots)
        world.run_until(lambda: eye.rested_ms(since_us) >= rest_ms or eye.moves - moves > most, timeout_ms=self.profile.liveness_ms)
        balance_comes_to_rest(eye.moves - moves, most, eye.rested_ms(since_us), rest_ms)

    def _read_back(self) -> list[Violation]:
        """Every partition is read from its beginning to its end, by a reader and by the group; what is wrong with what they found."""
        clients, liveness_ms = self.clients, self.profile.liveness_ms
        reader = clients.final_reader()
        self._finish(reader.run(), liveness_ms, "the partitions could not be read to their ends")
        ends = {slot: log[-1][0] + 1 for slot, log in reader.logs.items() if log}
        self._wait(
            lambda: clients.group_is_stable() and clients.group_committed(ends, first_offsets(self.world)),
            "the group did not commit what it should read",
        )
        clients.stop_reading()
        if clients.admin is not None:
            self._finish(clients.admin.check_topics(), liveness_ms, "the topics' states could not be read")
        if clients.table is not None:
            self._finish(clients.table.read_back(), liveness_ms, "the table could not be read to its end")
            self._wait(lambda: clients.table is None or clients.table.replicas_are_level, "the table's replicas did not become level")
            clients.table.check_replicas()
        if clients.reassigner is not None:
            self._finish(clients.reassigner.check(), liveness_ms, "where the partitions are could not be read")
        if clients.mover is not None:
            self._wait(lambda: not unsettled_directories(self.world), "not every log is in a directory, and known to be there,")
        if clients.limiter is not None:
            self._finish(clients.limiter.check(), liveness_ms, "the quotas could not be read")
        return [Violation(text, invariant="batches") for text in violations_of(clients.recording.sent, reader.logs)]

    def _judge_history(self) -> list[Violation]:
        """What the checker finds, once everything has been read back: before, what nobody has read yet would count as lost."""
        verdict = check(self.clients.recording.history())
        return [
            Violation(f"{anomaly.text} (operations {', '.join(map(str, anomaly.operations))})", invariant=f"checker {anomaly.kind}")
            for anomaly in verdict.anomalies
        ]

    def _judge_clients(self) -> list[Violation]:
        """What the clients complained of."""
        recording = self.clients.recording
        told = [Violation(text, invariant="clients") for text in recording.problems]
        return [*told, *(Violation(text, invariant="C2 commits-are-kept") for text in stale_offsets(recording.history()))]

    def _finish(self, task: Coroutine[Any, Any, None], timeout_ms: int, complaint: str) -> None:
        """Runs a task to its end, with everything else going on."""
        done: list[bool] = []

        async def run() -> None:
            await task
            done.append(True)

        self.world.heap.spawn(run())
        if not self.world.run_until(lambda: bool(done), timeout_ms=timeout_ms):
            raise Violation(f"{complaint} within {timeout_ms} ms", invariant="progress")

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        if not self.world.run_until(condition, timeout_ms=self.profile.liveness_ms):
            raise Violation(f"{complaint} within {self.profile.liveness_ms} ms", invariant="progress")
