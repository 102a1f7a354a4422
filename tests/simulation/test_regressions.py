"""Runs that once broke an invariant: what was wrong is mended, and each must stay good. The faults are written out, as draws may change."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.simulation.faults import FaultPlan
from raftkafka.simulation.profiles import Profile, load_profile
from raftkafka.simulation.run import run_seed

KILLED_TWICE = """
311 ms +300 kill n1
943 ms +10 kill-all all
1514 ms +1500 pause n3
4136 ms +3325 pause n2
8742 ms +3470 pause n2
8931 ms +300 kill-all all
"""
CORE = attrs.evolve(Profile(), duration_ms=1_500, core_share=1.0)

RUNS = {
    "retention of recovered segments, and of topics whose configuration is not known yet": (
        load_profile("restarts"),
        148,
        KILLED_TWICE,
    ),
    "a core that is whole until its nodes have registered after an unclean end": (
        CORE,
        22,
        "900 ms +60000 disk-full n2 900000 bytes\n900 ms +60000 disk-full n3 900000 bytes",
    ),
    "a damaged log whose node is stopped when the operator comes": (
        load_profile("power"),
        733,
        "6530 ms +300 isolate-leader all 698\n7552 ms +1500 flip-bit n1 250\n7870 ms +300 isolate-leader all 538\n9504 ms +1500 stop n1",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_what_was_broken_once_is_good(name: str) -> None:
    profile, seed, plan = RUNS[name]
    result = run_seed(seed, profile=profile, plan=FaultPlan.parse(plan))
    assert result.violations == ()
