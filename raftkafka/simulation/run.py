"""One seed, one history: a cluster starts, clients write and read while faults happen, all heals, and the verdict is given.

start ── cluster stands ── faults and workload ── heal ── everything acknowledged is read ── checks
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.simulation.checks import violations_of
from raftkafka.simulation.client import RequestLost, SimClient
from raftkafka.simulation.cluster import SimCluster
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.faults import FaultPlan, draw_plan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.workload.plain import History, Producer, Reader, Slot
from raftkafka.simulation.world import Violation, World, WorldSettings

TOPIC = "records"
START_TIMEOUT_MS = 60_000
BROKEN_RULES_PROPERTY = "raftkafka.broken.rules"


@attrs.frozen(kw_only=True)
class Result:
    """What came of a seed. `violations` empty: all is well. `plan` is what was done to the cluster."""

    seed: int
    profile: Profile
    digest: str
    violations: tuple[str, ...]
    plan: FaultPlan
    events: int
    virtual_ms: int
    acknowledged: int
    last_lines: tuple[str, ...]


def run_seed(
    seed: int,
    *,
    profile: Profile | None = None,
    plan: FaultPlan | None = None,
    broken_rules: tuple[enum.Enum, ...] = (),
    sink: Callable[[str], None] | None = None,
    detailed: bool = False,
    observers: tuple[Callable[[World], None], ...] = (),
) -> Result:
    """Runs one world to its end.

    `plan` replaces the one that the seed draws; the nodes follow their rules without `broken_rules`; `sink` gets each line of the trace as
    it happens; `observers` are called after every event and may raise `Violation`.
    """
    run = Run(seed, profile=profile or Profile(), plan=plan, broken_rules=broken_rules, sink=sink, detailed=detailed)
    run.world.checks.extend(observers)
    return run.run()


class Run:
    """A run under way."""

    def __init__(
        self,
        seed: int,
        *,
        profile: Profile,
        plan: FaultPlan | None,
        broken_rules: tuple[enum.Enum, ...],
        sink: Callable[[str], None] | None,
        detailed: bool,
    ) -> None:
        self.profile = profile
        overrides = dict(profile.properties)
        if broken_rules:
            overrides[BROKEN_RULES_PROPERTY] = ",".join(rule.value for rule in broken_rules)
        self.cluster = SimCluster(seed=seed, node_count=profile.node_count, overrides=overrides)
        settings = WorldSettings(node_count=profile.node_count, network=profile.network)
        self.world = World(seed, make_node=self.cluster.make_node, settings=settings, sink=sink, detailed=detailed)
        self.history = History()
        self.plan = plan if plan is not None else self._draw_plan()
        self.slots: list[Slot] = [(TOPIC, partition) for partition in range(profile.workload.partitions)]
        self.producers: list[Producer] = []
        self.readers: list[Reader] = []

    def run(self) -> Result:
        """Everything from the start to the verdict."""
        violations: Sequence[str]
        try:
            self._start()
            self._disturb()
            self._heal()
            self._read_back()
            violations = violations_of(self.history)
        except Violation as violation:
            violations = [str(violation), *self.history.problems]
        for each in violations:
            self.world.trace.line("world", f"VIOLATION {each}")
        return Result(
            seed=self.world.seed,
            profile=self.profile,
            digest=self.world.trace.digest(),
            violations=tuple(violations),
            plan=self.plan,
            events=self.world.heap.event_count,
            virtual_ms=self.world.heap.now_us // US_PER_MS,
            acknowledged=self.history.acknowledged_count,
            last_lines=tuple(self.world.trace.last_lines),
        )

    def _draw_plan(self) -> FaultPlan:
        settings = attrs.evolve(self.profile.faults, duration_ms=self.profile.duration_ms)
        return draw_plan(random.Random(f"{self.world.seed}/faults"), settings, tuple(self.world.machines))

    # The phases

    def _start(self) -> None:
        """The cluster stands, its topic exists, and the clients begin."""
        world, interval_ms = self.world, self.profile.workload.produce_interval_ms
        world.start()
        self._finish(self._create_topic(world.add_client()), START_TIMEOUT_MS, "the topic was not created")
        self.producers = [Producer(world.add_client(), world.trace, self.history, slot, interval_ms=interval_ms) for slot in self.slots]
        self.readers = [Reader(world.add_client(), self.history, slot) for slot in self.slots]
        for task in [*(each.run() for each in self.producers), *(each.run() for each in self.readers)]:
            world.heap.spawn(task)

    def _disturb(self) -> None:
        """Faults happen."""
        self.world.start_us = self.world.heap.now_us
        self.plan.schedule(self.world)
        self.world.run_for(self.profile.duration_ms)

    def _heal(self) -> None:
        """Faults end, and all that the clients have begun must end well."""
        self.world.heal()
        for producer in self.producers:
            producer.running = False
        self._wait(lambda: all(producer.finished for producer in self.producers), "a batch was not acknowledged after all had healed")
        for reader in self.readers:
            reader.running = False

    def _read_back(self) -> None:
        """Every partition is read from its beginning to its end."""
        for slot in self.slots:
            reader = Reader(self.world.add_client(), self.history, slot)
            self._finish(reader.read_to_the_end(), self.profile.liveness_ms, f"{slot[0]}-{slot[1]} could not be read to its end")

    async def _create_topic(self, client: SimClient) -> None:
        while True:
            try:
                code = await client.create_topic(
                    TOPIC,
                    partitions=self.profile.workload.partitions,
                    replication_factor=min(self.profile.workload.replication_factor, self.profile.node_count),
                    configs={"min.insync.replicas": str(self.profile.workload.min_insync_replicas)},
                )
            except RequestLost:
                code = int(ErrorCode.REQUEST_TIMED_OUT)
            self.world.trace.line(client.name, f"create topic: {ErrorCode(code).name}")
            if code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                return
            await client.retry_pause()

    def _finish(self, task: Coroutine[Any, Any, None], timeout_ms: int, complaint: str) -> None:
        """Runs a task to its end, with everything else going on."""
        done: list[bool] = []

        async def run() -> None:
            await task
            done.append(True)

        self.world.heap.spawn(run())
        if not self.world.run_until(lambda: bool(done), timeout_ms=timeout_ms):
            raise Violation(f"no progress: {complaint} within {timeout_ms} ms")

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        if not self.world.run_until(condition, timeout_ms=self.profile.liveness_ms):
            raise Violation(f"no progress: {complaint} within {self.profile.liveness_ms} ms")
