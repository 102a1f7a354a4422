"""One seed, one history: a cluster starts, clients write and read while faults happen, all heals, and the verdict is given.

start ── cluster stands ── faults and workload ── heal ── everything acknowledged is read ── checks
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.simulation.checks import violations_of
from raftkafka.simulation.client import RequestLost, SimClient
from raftkafka.simulation.cluster import SimCluster
from raftkafka.simulation.events import US_PER_MS
from raftkafka.simulation.faults import FaultPlan, FaultSettings, draw_plan
from raftkafka.simulation.workload import History, Producer, Reader, Slot
from raftkafka.simulation.world import Violation, World, WorldSettings

TOPIC = "records"
START_TIMEOUT_MS = 60_000
LIVENESS_TIMEOUT_MS = 60_000
"""After everything has healed, all that waits must be done within this time."""


@attrs.frozen(kw_only=True)
class RunSettings:
    world: WorldSettings = attrs.field(factory=WorldSettings)
    faults: FaultSettings = attrs.field(factory=FaultSettings)
    partitions: int = 2
    min_insync_replicas: int = 2
    produce_interval_ms: int = 40
    overrides: Mapping[str, str] = attrs.field(factory=dict)
    checks: tuple[Callable[[World], None], ...] = ()
    """Called after every event of the world; raise `Violation`."""


@attrs.frozen(kw_only=True)
class Result:
    """What came of a seed. `violations` empty: all is well. `plan` is what was done to the cluster."""

    seed: int
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
    settings: RunSettings | None = None,
    plan: FaultPlan | None = None,
    sink: Callable[[str], None] | None = None,
    detailed: bool = False,
) -> Result:
    """Runs one world to its end. `plan` replaces the one that the seed draws; `sink` gets each line of the trace as it happens."""
    return Run(seed, settings=settings or RunSettings(), plan=plan, sink=sink, detailed=detailed).run()


class Run:
    """A run under way."""

    def __init__(
        self, seed: int, *, settings: RunSettings, plan: FaultPlan | None, sink: Callable[[str], None] | None, detailed: bool
    ) -> None:
        self.settings = settings
        self.cluster = SimCluster(seed=seed, node_count=settings.world.node_count, overrides=settings.overrides)
        self.world = World(seed, make_node=self.cluster.make_node, settings=settings.world, sink=sink, detailed=detailed)
        self.world.checks.extend(settings.checks)
        self.history = History()
        self.plan = plan if plan is not None else draw_plan(random.Random(f"{seed}/faults"), settings.faults, tuple(self.world.machines))
        self.slots: list[Slot] = [(TOPIC, partition) for partition in range(settings.partitions)]

    def run(self) -> Result:
        """Everything from the start to the verdict."""
        violations: Sequence[str]
        try:
            self._run_phases()
            violations = violations_of(self.history)
        except Violation as violation:
            violations = [str(violation), *self.history.problems]
        for each in violations:
            self.world.trace.line("world", f"VIOLATION {each}")
        return Result(
            seed=self.world.seed,
            digest=self.world.trace.digest(),
            violations=tuple(violations),
            plan=self.plan,
            events=self.world.heap.event_count,
            virtual_ms=self.world.heap.now_us // US_PER_MS,
            acknowledged=self.history.acknowledged_count,
            last_lines=tuple(self.world.trace.last_lines),
        )

    def _run_phases(self) -> None:
        world, trace = self.world, self.world.trace
        world.start()
        self._finish(self._create_topic(world.add_client()), START_TIMEOUT_MS, "the topic was not created")
        producers = [
            Producer(world.add_client(), trace, self.history, slot, interval_ms=self.settings.produce_interval_ms) for slot in self.slots
        ]
        readers = [Reader(world.add_client(), self.history, slot) for slot in self.slots]
        for task in [*(each.run() for each in producers), *(each.run() for each in readers)]:
            world.heap.spawn(task)
        world.start_us = world.heap.now_us
        self.plan.schedule(world)
        world.run_for(self.settings.faults.duration_ms)
        world.heal()
        for producer in producers:
            producer.running = False
        self._wait(lambda: all(producer.finished for producer in producers), "a batch was not acknowledged after all had healed")
        for reader in readers:
            reader.running = False
        for slot in self.slots:
            reader = Reader(world.add_client(), self.history, slot)
            self._finish(reader.read_to_the_end(), LIVENESS_TIMEOUT_MS, f"{slot[0]}-{slot[1]} could not be read to its end")

    async def _create_topic(self, client: SimClient) -> None:
        while True:
            try:
                code = await client.create_topic(
                    TOPIC,
                    partitions=self.settings.partitions,
                    replication_factor=min(3, self.settings.world.node_count),
                    configs={"min.insync.replicas": str(self.settings.min_insync_replicas)},
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
        if not self.world.run_until(condition, timeout_ms=LIVENESS_TIMEOUT_MS):
            raise Violation(f"no progress: {complaint} within {LIVENESS_TIMEOUT_MS} ms")
