"""A broker that loses, doubles, reorders, rolls back or changes what it was given is found out by the clients and their history."""

from __future__ import annotations

from functools import partial

import attrs
import pytest

from raftkafka.simulation.faults import FaultPlan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import Result, Run
from raftkafka.simulation.workload.settings import WorkloadSettings

from .fake_broker import Damage, FakeBroker

WORKLOAD = WorkloadSettings(
    topics=1,
    partitions=2,
    group_members=1,
    admin_interval_ms=0,
    acks_one_share=0,
    plain_share=0,
    static_share=0,
    crash_share=0.01,
    leave_share=0.1,
)


def run_with(damage: Damage, *, seed: int = 3) -> Result:
    # Two batches of two producers have no order that could be wrong.
    workload = attrs.evolve(WORKLOAD, producers=1) if damage is Damage.REORDER else WORKLOAD
    profile = Profile(node_count=1, duration_ms=2_000, workload=workload)
    make_node = partial(FakeBroker, damage)
    return Run(seed, profile=profile, plan=FaultPlan(), broken_rules=(), sink=None, detailed=False, make_node=make_node).run()


def test_a_broker_that_does_nothing_wrong_is_found_good() -> None:
    result = run_with(Damage.NOTHING)
    assert result.violations == ()
    assert result.acknowledged > 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        (Damage.LOSE, "checker lost-write"),
        (Damage.DOUBLE, "checker duplicate"),
        (Damage.REORDER, "batches"),
        (Damage.ROLL_BACK, "checker nonmonotonic-poll"),
        (Damage.WRONG_OFFSET, "checker inconsistent-offsets"),
        (Damage.FLIP_A_BIT, "clients"),
        (Damage.FORGET_COMMITS, "checker group-offset-lost"),
    ],
    ids=lambda each: each.name if isinstance(each, Damage) else "",
)
def test_each_kind_of_damage_is_found(damage: Damage, invariant: str) -> None:
    found = {violation.invariant for violation in run_with(damage).violations}
    assert invariant in found
