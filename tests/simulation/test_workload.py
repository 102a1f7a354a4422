"""A broker that loses, doubles, reorders, rolls back or changes what it was given is found out by the clients and their history."""

from __future__ import annotations

from functools import partial

import pytest

from raftkafka.simulation.faults import FaultPlan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import Result, Run
from raftkafka.simulation.workload.settings import WorkloadSettings

from .fake_broker import Damage, FakeBroker

WORKLOAD = WorkloadSettings(
    topics=1, partitions=2, group_members=1, admin_interval_ms=0, acks_one_share=0, plain_share=0, static_share=0, crash_share=0.01
)


def run_with(damage: Damage, *, seed: int = 3) -> Result:
    profile = Profile(node_count=1, duration_ms=3_000, workload=WORKLOAD)
    make_node = partial(FakeBroker, damage)
    return Run(seed, profile=profile, plan=FaultPlan(), broken_rules=(), sink=None, detailed=False, make_node=make_node).run()


def test_a_broker_that_does_nothing_wrong_is_found_good() -> None:
    for seed in range(2):
        result = run_with(Damage.NOTHING, seed=seed)
        assert result.violations == ()
        assert result.acknowledged > 80


@pytest.mark.parametrize("damage", [Damage.DOUBLE, Damage.ROLL_BACK, Damage.FLIP_A_BIT], ids=lambda damage: damage.name)
def test_each_kind_of_damage_is_found(damage: Damage) -> None:
    result = run_with(damage)
    assert result.violations != ()
