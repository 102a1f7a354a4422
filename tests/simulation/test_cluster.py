"""Whole clusters of real nodes in virtual time."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys

import pytest

from raftkafka.simulation.faults import UNCLEAN_ENDS, Fault, FaultKind, FaultPlan, FaultSettings, draw_plan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import run_seed

SHORT = Profile(duration_ms=4_000, faults=FaultSettings(mean_interval_ms=700, max_fault_ms=2_000, power_off_distance_ms=4_000))

PRINT_DIGEST = """
from raftkafka.simulation.faults import FaultSettings
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import run_seed
print(run_seed(11, profile=Profile(duration_ms=1_500, faults=FaultSettings(mean_interval_ms=300, max_fault_ms=500))).digest)
"""


def test_an_undisturbed_cluster_loses_nothing_and_makes_progress() -> None:
    result = run_seed(1, profile=SHORT, plan=FaultPlan())
    assert result.violations == ()
    assert result.acknowledged > 100


@pytest.mark.parametrize("seed", range(3))
def test_a_disturbed_cluster_loses_nothing_that_was_acknowledged(seed: int) -> None:
    result = run_seed(seed, profile=SHORT)
    assert result.violations == (), "\n".join([*map(str, result.plan.faults), *map(str, result.violations)])


def test_a_killed_leader_is_replaced() -> None:
    for node in ("n1", "n2", "n3"):
        plan = FaultPlan((Fault(at_ms=500, duration_ms=60_000, kind=FaultKind.KILL, node=node),))
        result = run_seed(2, profile=SHORT, plan=plan)
        assert result.violations == ()
        assert result.acknowledged > 100


def test_the_same_seed_gives_the_same_digest_whatever_the_hash_seed() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(digests) == 1


def test_a_plan_is_drawn_from_the_seed_and_any_part_of_it_is_a_plan() -> None:
    nodes = ("n1", "n2", "n3")
    plan = draw_plan(random.Random(4), FaultSettings(), nodes)
    assert plan == draw_plan(random.Random(4), FaultSettings(), nodes)
    assert list(plan.faults) == sorted(plan.faults, key=lambda fault: fault.at_ms)
    assert len(plan.without(0).faults) == len(plan.faults) - 1


def test_near_a_power_failure_no_other_node_ends_uncleanly() -> None:
    settings = FaultSettings(duration_ms=400_000, kinds=(FaultKind.POWER_OFF, FaultKind.KILL, FaultKind.STOP))
    for seed in range(10):
        plan = draw_plan(random.Random(seed), settings, ("n1", "n2", "n3"))
        unclean = [fault for fault in plan.faults if fault.kind in UNCLEAN_ENDS]
        for earlier, later in itertools.pairwise(unclean):
            if FaultKind.POWER_OFF in (earlier.kind, later.kind):
                assert later.at_ms >= earlier.at_ms + earlier.duration_ms + settings.power_off_distance_ms
