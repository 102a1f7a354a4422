"""Makes a failing run smaller: fewer faults first, then shorter, earlier and smaller ones, then a smaller cluster and a shorter run.

    faults: delta debugging ── durations ── times ── amounts ── settings of the profile ──┐
       ▲                                                                                  │ until nothing gets smaller
       └──────────────────────────────────────────────────────────────────────────────────┘

Invariants
- What is kept breaks the same invariant with the same seed as what was given.
- The outcome depends on the seed, the profile, the plan and the budget alone, not on how many runs an evaluation does side by side:
  candidates have an order, and the first of them that fails is taken.

Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002): `ddmin`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import attrs

from raftkafka.base.rules import Rule
from raftkafka.simulation.faults import Fault, FaultPlan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import Result, run_seed
from raftkafka.simulation.settings_paths import setting, with_settings

SMALLEST_SETTINGS = {
    "duration_ms": 500,
    "workload.admin_interval_ms": 0,
    "workload.group_members": 0,
    "workload.consumers": 0,
    "workload.topics": 1,
    "workload.partitions": 1,
    "workload.producers": 1,
    "workload.replication_factor": 1,
    "node_count": 1,
    "workload.max_in_flight": 1,
    "workload.max_records_per_batch": 1,
    "workload.batches_per_second": 1,
}
"""The settings of a profile that shrinking may lower, in this order, and how far. A profile without one of them is left alone."""

ROUND_MS = (1_000, 100, 10)
SHARES = (0, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 7 / 8)
"""Of the way down from a number to the smallest that it can be, what is left; finer steps are not worth their runs."""


@attrs.frozen
class Case:
    """What is made smaller."""

    profile: Profile
    plan: FaultPlan


@attrs.frozen(kw_only=True)
class Failure:
    """What a run broke first; `before` and `after` are the two states, where the invariant has them."""

    invariant: str
    text: str
    before: str = ""
    after: str = ""


@attrs.frozen(kw_only=True)
class Budget:
    """How long to search."""

    max_tries: int = 400


@attrs.frozen(kw_only=True)
class Shrunk:
    """The smallest case found. `tries` counts the runs that a search with one run at a time does."""

    plan: FaultPlan
    profile: Profile
    violation: Failure
    tries: int


class NothingFails(Exception):
    """The run that was to be made smaller breaks nothing."""


class RunSeed(Protocol):
    """`run.run_seed`, or a stand-in."""

    def __call__(self, seed: int, *, profile: Profile, plan: FaultPlan, broken_rules: tuple[Rule, ...]) -> Result: ...


class Evaluate(Protocol):
    """Runs cases, `width` of them side by side, and says which failure each ended in."""

    @property
    def width(self) -> int: ...

    def __call__(self, cases: Sequence[Case]) -> Sequence[Failure | None]: ...


Progress = Callable[[int, Case], None]
"""Told the number of tries and the smallest case, whenever a case gets smaller."""


def shrink(
    seed: int,
    profile: Profile,
    plan: FaultPlan,
    broken_rules: tuple[Rule, ...] = (),
    *,
    run: RunSeed = run_seed,
    budget: Budget | None = None,
    evaluate: Evaluate | None = None,
    progress: Progress = lambda tries, case: None,
) -> Shrunk:
    """The smallest case that breaks what this one breaks, as far as the budget goes; raises `NothingFails`.

    `evaluate` replaces one run at a time in this process.
    """
    search = _Search(
        evaluate=evaluate or OneByOne(seed, broken_rules, run=run),
        max_tries=(budget or Budget()).max_tries,
        progress=progress,
        case=Case(_with_numbers_chosen(profile, seed), plan),
    )
    search.run()
    return Shrunk(plan=search.case.plan, profile=search.case.profile, violation=search.failure, tries=search.tries)


def _with_numbers_chosen(profile: Profile, seed: int) -> Profile:
    """The profile with the numbers that the seed chooses as settings, so that they may be lowered."""
    drawn = profile.drawn(seed)
    numbers = {path: value for path in profile.choices if type(value := setting(drawn, path)) is int}
    return with_settings(profile, numbers)


def failure_of(seed: int, case: Case, broken_rules: tuple[Rule, ...], *, run: RunSeed = run_seed) -> Failure | None:
    """Runs a case and tells what it broke first."""
    try:
        result = run(seed, profile=case.profile, plan=case.plan, broken_rules=broken_rules)
    except Exception as error:  # A bug in the workload or the simulator is a finding, too, and as such it may be made smaller.
        return Failure(invariant=f"no exception: {type(error).__name__}", text=str(error))
    return first_failure(result)


def first_failure(result: Result) -> Failure | None:
    """The first violation of a run."""
    for violation in result.violations:
        return Failure(invariant=violation.invariant, text=violation.text, before=violation.before, after=violation.after)
    return None


class OneByOne:
    """Evaluates in this process."""

    width = 1

    def __init__(self, seed: int, broken_rules: tuple[Rule, ...], *, run: RunSeed = run_seed) -> None:
        self._seed = seed
        self._broken_rules = broken_rules
        self._run = run

    def __call__(self, cases: Sequence[Case]) -> Sequence[Failure | None]:
        return [failure_of(self._seed, case, self._broken_rules, run=self._run) for case in cases]


class _Search:
    """The smallest failing case so far, and the way down from it."""

    def __init__(self, *, evaluate: Evaluate, max_tries: int, progress: Progress, case: Case) -> None:
        self.case = case
        self.tries = 0
        self._evaluate = evaluate
        self._max_tries = max_tries
        self._progress = progress
        self._known_good: dict[str, None] = {}
        (failure,) = evaluate([case])
        self.tries += 1
        if failure is None:
            raise NothingFails("this run breaks no invariant")
        self.failure = failure

    def run(self) -> None:
        """All steps, again and again until none of them finds anything."""
        self._try_first(shorter_runs(self.case))
        before: Case | None = None
        while before != self.case and self.tries < self._max_tries:
            before = self.case
            self._remove_faults()
            for step in (shorter_fault, earlier_fault, smaller_amount, rounder_times):
                for index in range(len(self.case.plan.faults)):
                    while index < len(self.case.plan.faults) and self._try_first(step(self.case, index)):
                        pass
            for path in SMALLEST_SETTINGS:
                while self._try_first(smaller_setting(self.case, path)):
                    pass

    def _remove_faults(self) -> None:
        """`ddmin` over the faults of the plan; it begins with none at all."""
        if self._try_first(iter([attrs.evolve(self.case, plan=FaultPlan())])):
            return
        parts = 2
        while len(faults := self.case.plan.faults) > 1:
            parts = min(parts, len(faults))
            chunks = [faults[len(faults) * index // parts : len(faults) * (index + 1) // parts] for index in range(parts)]
            if self._try_first(self._with_faults(iter(chunks))):
                parts = 2
            elif parts > 2 and self._try_first(self._with_faults(_complements(chunks))):
                parts = max(parts - 1, 2)
            elif parts == len(faults) or self.tries >= self._max_tries:
                return
            else:
                parts *= 2

    def _with_faults(self, choices: Iterable[tuple[Fault, ...]]) -> Iterator[Case]:
        return (attrs.evolve(self.case, plan=FaultPlan(faults)) for faults in choices)

    def _try_first(self, candidates: Iterator[Case]) -> bool:
        """Goes on with the first candidate that fails in the same way; false when there is none, or the budget is spent."""
        unknown = (each for each in candidates if str(each) not in self._known_good)
        while batch := list(islice(unknown, max(0, min(self._evaluate.width, self._max_tries - self.tries)))):
            for case, failure in zip(batch, self._evaluate(batch), strict=True):
                self.tries += 1
                if failure is not None and failure.invariant == self.failure.invariant:
                    self.case, self.failure = case, failure
                    self._progress(self.tries, case)
                    return True
                self._known_good[str(case)] = None
        return False


def _complements(chunks: list[tuple[Fault, ...]]) -> Iterator[tuple[Fault, ...]]:
    for left_out in range(len(chunks)):
        yield tuple(fault for index, chunk in enumerate(chunks) if index != left_out for fault in chunk)


# The steps: each gives smaller cases, the most ambitious first


def shorter_runs(case: Case) -> Iterator[Case]:
    """Ends the faults and the load earlier, which makes every later try cheaper."""
    for duration_ms in _lower(case.profile.duration_ms, SMALLEST_SETTINGS["duration_ms"]):
        faults = tuple(fault for fault in case.plan.faults if fault.at_ms < duration_ms)
        yield Case(attrs.evolve(case.profile, duration_ms=duration_ms), FaultPlan(faults))


def shorter_fault(case: Case, index: int) -> Iterator[Case]:
    """A fault ends earlier."""
    fault = case.plan.faults[index]
    for duration_ms in _lower(fault.duration_ms, 0):
        yield _with_fault(case, index, attrs.evolve(fault, duration_ms=duration_ms))


def earlier_fault(case: Case, index: int) -> Iterator[Case]:
    """A fault, and with it all later ones, begins earlier."""
    faults = case.plan.faults
    previous_ms = faults[index - 1].at_ms if index else 0
    gap_ms = faults[index].at_ms - previous_ms
    for smaller_gap_ms in _lower(gap_ms, 0):
        sooner_ms = gap_ms - smaller_gap_ms
        moved = tuple(attrs.evolve(each, at_ms=each.at_ms - sooner_ms) for each in faults[index:])
        yield attrs.evolve(case, plan=FaultPlan(faults[:index] + moved))


def smaller_amount(case: Case, index: int) -> Iterator[Case]:
    """A fault's delay, jump or share gets smaller."""
    fault = case.plan.faults[index]
    sign = -1 if fault.amount < 0 else 1
    for amount in _lower(abs(fault.amount), 1):
        yield _with_fault(case, index, attrs.evolve(fault, amount=sign * amount))


def rounder_times(case: Case, index: int) -> Iterator[Case]:
    """Numbers that are easy to read."""
    fault = case.plan.faults[index]
    for unit in ROUND_MS:
        at_ms, duration_ms = _round_down(fault.at_ms, unit), _round_down(fault.duration_ms, unit)
        for changed in ((at_ms, duration_ms), (at_ms, fault.duration_ms), (fault.at_ms, duration_ms)):
            if changed != (fault.at_ms, fault.duration_ms):
                yield _with_fault(case, index, attrs.evolve(fault, at_ms=changed[0], duration_ms=changed[1]))


def smaller_setting(case: Case, path: str) -> Iterator[Case]:
    """A smaller cluster, fewer clients, a shorter run."""
    value = setting(case.profile, path)
    if not isinstance(value, int):
        return
    rounder = [_round_down(value, unit) for unit in ROUND_MS if path.endswith("_ms") and value % unit and value > unit]
    for lower in [*_lower(value, SMALLEST_SETTINGS[path]), *rounder]:
        profile = with_settings(case.profile, {path: lower})
        yield Case(profile, _plan_that_fits(case.plan, profile))


def _plan_that_fits(plan: FaultPlan, profile: Profile) -> FaultPlan:
    """The faults that happen during the run, to machines that it has."""
    names = {f"n{node_id}" for node_id in range(1, profile.node_count + 1)}
    return FaultPlan(tuple(fault for fault in plan.faults if fault.at_ms < profile.duration_ms and names.issuperset(fault.machines)))


def _with_fault(case: Case, index: int, fault: Fault) -> Case:
    faults = case.plan.faults
    changed = (*faults[:index], fault, *faults[index + 1 :])
    return attrs.evolve(case, plan=FaultPlan(tuple(sorted(changed, key=lambda each: each.at_ms))))


def _lower(value: int, smallest: int) -> Iterator[int]:
    """Some values from `smallest` up to, and without, `value`: the boldest step first. All steps of shrinking go down, so they end."""
    span = value - smallest
    if span <= len(SHARES):
        yield from range(smallest, value)
    else:
        yield from (smallest + int(span * share) for share in SHARES)


def _round_down(value: int, unit: int) -> int:
    return value // unit * unit
