"""Shrinking, on runs that are made up: what fails is a function of the plan and the profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import pytest

from raftkafka.base.rules import Rule
from raftkafka.simulation.faults import Fault, FaultKind, FaultPlan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import Result
from raftkafka.simulation.shrink import Budget, Case, Failure, NothingFails, OneByOne, Shrunk, shrink
from raftkafka.simulation.world import Violation

Breaks = Callable[[Profile, FaultPlan], str | None]
"""The name of the invariant that a run breaks, if any."""


def kill(at_ms: int, node: str = "n1") -> Fault:
    return Fault(at_ms=at_ms, duration_ms=1_234, kind=FaultKind.KILL, node=node)


def pause(at_ms: int, node: str = "n2") -> Fault:
    return Fault(at_ms=at_ms, duration_ms=987, kind=FaultKind.PAUSE, node=node)


NOISE = tuple(Fault(at_ms=at_ms, duration_ms=300, kind=FaultKind.SLOW_DISK, node="n3", amount=200) for at_ms in range(137, 15_000, 731))


def plan_of(*faults: Fault) -> FaultPlan:
    return FaultPlan(tuple(sorted(faults, key=lambda fault: fault.at_ms)))


def shrink_with(breaks: Breaks, plan: FaultPlan, *, max_tries: int = 5_000, width: int = 1, profile: Profile | None = None) -> Shrunk:
    def run(seed: int, *, profile: Profile, plan: FaultPlan, broken_rules: tuple[Rule, ...]) -> Result:
        invariant = breaks(profile, plan)
        findings = (Violation(f"with {len(plan.faults)} faults", invariant=invariant),) if invariant is not None else ()
        return _result(seed, profile, plan, findings)

    evaluate = Wide(OneByOne(7, (), run=run), width)
    return shrink(7, profile or Profile(), plan, run=run, budget=Budget(max_tries=max_tries), evaluate=evaluate)


def _result(seed: int, profile: Profile, plan: FaultPlan, findings: tuple[Violation, ...]) -> Result:
    values = {field.name: None for field in attrs.fields(Result)}
    return Result(**{**values, "seed": seed, "profile": profile, "plan": plan, "violations": findings})


@attrs.frozen
class Wide:
    """As if several runs went on at once."""

    inner: OneByOne
    width: int

    def __call__(self, cases: Sequence[Case]) -> Sequence[Failure | None]:
        assert len(cases) <= self.width
        return self.inner(cases)


def pair_breaks(profile: Profile, plan: FaultPlan) -> str | None:
    """Broken when n1 is killed and n2 is paused afterwards."""
    kills = [fault.at_ms for fault in plan.faults if fault.kind is FaultKind.KILL and fault.node == "n1"]
    pauses = [fault.at_ms for fault in plan.faults if fault.kind is FaultKind.PAUSE and fault.node == "n2"]
    return "D1" if kills and pauses and min(kills) <= max(pauses) else None


def test_of_many_faults_the_pair_that_matters_is_left() -> None:
    shrunk = shrink_with(pair_breaks, plan_of(*NOISE, kill(4_321), pause(9_876), kill(12_000, "n3")))
    assert [(fault.kind, fault.node) for fault in shrunk.plan.faults] == [(FaultKind.KILL, "n1"), (FaultKind.PAUSE, "n2")]


def test_what_is_left_is_short_early_and_small() -> None:
    def breaks(profile: Profile, plan: FaultPlan) -> str | None:
        long_enough = [fault for fault in plan.faults if fault.kind is FaultKind.KILL and fault.duration_ms >= 700 and fault.at_ms >= 1_500]
        return "D1" if long_enough and profile.duration_ms >= 3_000 and profile.workload.partitions >= 2 else None

    shrunk = shrink_with(breaks, plan_of(*NOISE, kill(4_321)))
    (fault,) = shrunk.plan.faults
    assert 1_500 <= fault.at_ms < 1_700
    assert 700 <= fault.duration_ms < 800
    assert 3_000 <= shrunk.profile.duration_ms < 3_500
    assert (shrunk.profile.workload.partitions, shrunk.profile.workload.replication_factor) == (2, 1)


def test_amounts_keep_their_sign() -> None:
    jump = Fault(at_ms=1_000, duration_ms=100, kind=FaultKind.WALL_CLOCK_JUMP, node="n1", amount=-600_000)
    shrunk = shrink_with(lambda profile, plan: "C1" if any(fault.amount <= -5_000 for fault in plan.faults) else None, plan_of(jump))
    assert -6_000 < shrunk.plan.faults[0].amount <= -5_000


def test_a_run_that_needs_no_fault_loses_all_of_them() -> None:
    assert shrink_with(lambda profile, plan: "D1", plan_of(*NOISE)).plan == FaultPlan()


def test_another_invariant_is_another_failure() -> None:
    def breaks(profile: Profile, plan: FaultPlan) -> str | None:
        return pair_breaks(profile, plan) or ("D2" if plan.faults else None)

    shrunk = shrink_with(breaks, plan_of(*NOISE, kill(4_321), pause(9_876)))
    assert shrunk.violation.invariant == "D1"
    assert len(shrunk.plan.faults) == 2


def test_machines_that_are_gone_have_no_faults() -> None:
    shrunk = shrink_with(lambda profile, plan: "D1" if plan.faults else None, plan_of(kill(100, "n1"), kill(200, "n3")))
    assert shrunk.profile.node_count == 1
    assert [fault.node for fault in shrunk.plan.faults] == ["n1"]


@pytest.mark.parametrize("width", [2, 5])
def test_the_outcome_does_not_depend_on_how_many_run_at_once(width: int) -> None:
    plan = plan_of(*NOISE, kill(4_321), pause(9_876))
    for max_tries in (20, 5_000):
        assert shrink_with(pair_breaks, plan, width=width, max_tries=max_tries) == shrink_with(pair_breaks, plan, max_tries=max_tries)


def test_the_budget_bounds_the_tries() -> None:
    shrunk = shrink_with(pair_breaks, plan_of(*NOISE, kill(4_321), pause(9_876)), max_tries=10)
    assert shrunk.tries == 10
    assert len(shrunk.plan.faults) < len(NOISE) + 2


def test_a_good_run_is_not_shrunk() -> None:
    with pytest.raises(NothingFails):
        shrink_with(lambda profile, plan: None, plan_of(*NOISE))


def test_an_exception_of_a_run_is_a_failure_of_its_own_kind() -> None:
    def breaks(profile: Profile, plan: FaultPlan) -> str | None:
        if pair_breaks(profile, plan):
            raise ZeroDivisionError("a bug")
        return None

    shrunk = shrink_with(breaks, plan_of(*NOISE, kill(4_321), pause(9_876)))
    assert shrunk.violation == Failure(invariant="no exception: ZeroDivisionError", text="a bug")
    assert len(shrunk.plan.faults) == 2
