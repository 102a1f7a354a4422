"""Runs of the simulator in processes of their own, one per core: each job is a value, and so is its report.

Invariant: what is reported depends on the job alone; which process ran it, and when it ended, does not matter.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

import attrs

from raftkafka.base.rules import Rule
from raftkafka.simulation.faults import FaultPlan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import run_seed
from raftkafka.simulation.shrink import Case, Failure, failure_of, first_failure

GARBAGE_OBJECTS = 50_000
"""So many new objects are made before those in cycles are looked for; some megabytes."""


@attrs.frozen(kw_only=True)
class Job:
    """One run."""

    seed: int
    profile: Profile
    broken_rules: tuple[Rule, ...] = ()
    plan: FaultPlan | None = None


@attrs.frozen(kw_only=True)
class Report:
    """What came of a job: `failure` None means that all was well. `faults` counts them by kind."""

    job: Job
    failure: Failure | None
    virtual_ms: int = 0
    events: int = 0
    acknowledged: int = 0
    faults: Mapping[str, int] = attrs.field(factory=dict)


def run_job(job: Job) -> Report:
    """In this process."""
    try:
        result = run_seed(job.seed, profile=job.profile, plan=job.plan, broken_rules=job.broken_rules)
    except Exception as error:  # A bug is a finding like a broken invariant: it must be told with its seed.
        told = f"{error}\n{traceback.format_exc()}"
        return Report(job=job, failure=Failure(invariant=f"no exception: {type(error).__name__}", text=told))
    return Report(
        job=job,
        failure=first_failure(result),
        virtual_ms=result.virtual_ms,
        events=result.events,
        acknowledged=result.acknowledged,
        faults=Counter(fault.kind.value for fault in result.plan.faults),
    )


def collect_garbage_seldom() -> None:
    """For a process that only simulates: a world makes much garbage, nearly all of it without cycles, and what was imported stays."""
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 50)


def core_count() -> int:
    """How many processes may run at once on this machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Processes that run jobs. A context manager: at its end they are gone."""

    def __init__(self, count: int) -> None:
        self.count = count
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=collect_garbage_seldom)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def reports(self, jobs: Iterable[Job]) -> Iterator[Report]:
        """Reports in the order of the jobs; no more jobs are begun than keep all processes busy."""
        under_way: deque[Future[Report]] = deque()
        remaining = iter(jobs)
        while True:
            under_way.extend(self._pool.submit(run_job, job) for job in islice(remaining, 2 * self.count - len(under_way)))
            if not under_way:
                return
            yield under_way.popleft().result()

    def failures(self, seed: int, cases: Sequence[Case], broken_rules: tuple[Rule, ...]) -> Sequence[Failure | None]:
        """How each of some cases of one seed fails, if it does."""
        return [each.result() for each in [self._pool.submit(_failure, seed, case, broken_rules) for case in cases]]


def _failure(seed: int, case: Case, broken_rules: tuple[Rule, ...]) -> Failure | None:
    return failure_of(seed, case, broken_rules, run=run_seed)
