"""Fault plans as values, and what each kind of fault does to a cluster."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.simulation.faults import FaultKind, FaultPlan, FaultSettings, UnknownFault, draw_plan
from raftkafka.simulation.faults.nemesis import BEGINNINGS
from raftkafka.simulation.faults.values import KIND_TRAITS
from raftkafka.simulation.network import NetworkSettings
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import run_seed

ALL = FaultSettings(kinds=tuple(FaultKind), kind_share=1.0, mean_interval_ms=300)
FIVE = tuple(f"n{number}" for number in range(1, 6))


@given(st.integers(0, 10**6))
def test_a_plan_is_read_back_from_its_text(seed: int) -> None:
    plan = draw_plan(random.Random(seed), ALL, FIVE)
    assert FaultPlan.parse(str(plan)) == plan


def test_every_kind_has_traits_and_can_be_carried_out() -> None:
    assert set(KIND_TRAITS) == set(BEGINNINGS) == set(FaultKind)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# nothing\n10 ms +5 kil n1", "line 2: there is no fault 'kil'; did you mean 'kill'?"),
        ("10 ms +5 cut n1", "needs a second machine"),
        ("10 ms +5 kill-all n1", "happens to all"),
        ("10 ms +5 kill n1 n2", "nobody knows what 'n2' means"),
        ("x ms +5 kill n1", "'x' is no whole number"),
        ("kill n1", "is no fault; one looks like"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(UnknownFault, match=r".*") as refused:
        FaultPlan.parse(text)
    assert complaint in str(refused.value)


def test_small_clusters_get_no_faults_that_need_more_nodes() -> None:
    kinds = {fault.kind for seed in range(20) for fault in draw_plan(random.Random(seed), ALL, FIVE[:3]).faults}
    assert not kinds & {FaultKind.MINORITY, FaultKind.RING}
    assert {FaultKind.BRIDGE, FaultKind.WIPE} <= kinds


SHORT = Profile(duration_ms=3_000, network=NetworkSettings())
SCRIPTS = {
    "topologies": "300 ms +900 isolate-leader all 3\n400 ms +500 bridge n1\n"
    "1500 ms +700 isolate-controller all\n1600 ms +300 isolate-in n2",
    "clogs": "300 ms +900 swizzle-clog all 7\n600 ms +900 clog n1 n2\n700 ms +1500 heavy-tails all 20 ms",
    "wipe": "1000 ms +300 wipe n2",
    "flip": "1000 ms +300 flip-bit n2 5",
    "fsync": "1000 ms +500 fail-sync n3",
    "full": "1000 ms +500 disk-full n1 1000 bytes",
    "restarts": "500 ms +1500 rolling-restart all 200 ms\n2500 ms +100 kill-all all",
    "clocks": "200 ms +2000 clock-rate n1 100000 ppm\n400 ms +900 clock-skew n2 -5000 ms",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cluster_survives(script: str) -> None:
    plan = FaultPlan.parse(SCRIPTS[script])
    result = run_seed(3, profile=SHORT, plan=plan)
    assert result.violations == ()
    assert result.acknowledged > 50
    begun = [op.value["fault"] for op in result.history.operations if op.process == "nemesis" and op.value["phase"] == "begin"]
    assert begun == [fault.kind.value for fault in plan.faults] + ["heal"]


@pytest.mark.slow
def test_five_nodes_survive_rings_and_minorities() -> None:
    plan = FaultPlan.parse("300 ms +900 ring all 3\n1400 ms +900 minority n1 n2")
    result = run_seed(5, profile=attrs.evolve(SHORT, node_count=5), plan=plan)
    assert result.violations == ()
