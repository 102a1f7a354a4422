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

FIRST_TO_A_DEPOSED_LEADER = """
217 ms +1416 drop-connections n3 n1
309 ms +1500 pause n3
388 ms +1500 power-off n2
419 ms +300 isolate-leader all 699
570 ms +300 pause n1
2043 ms +2291 isolate-leader all 462
2243 ms +300 drop-connections n2 n3
5998 ms +1500 isolate-leader all 135
6893 ms +10 drop-connections n2 n1
6973 ms +10 drop-connections n1 n3
7750 ms +1500 isolate-leader all 997
8513 ms +10 pause n1
9962 ms +5835 isolate-leader all 609
10842 ms +3279 pause n1
11052 ms +10 drop-connections n1 n3
13320 ms +940 isolate-leader all 132
14303 ms +3742 drop-connections n2 n3
14315 ms +3247 power-off n2
14568 ms +2856 drop-connections n1 n2
16744 ms +5168 isolate-leader all 806
"""

EMPTY_PARTITION = """
136 ms +182 isolate-controller all
159 ms +10 kill n3
171 ms +1021 kill n3
228 ms +300 kill n1
279 ms +1500 isolate-controller all
295 ms +1088 isolate-controller all
318 ms +725 kill n3
367 ms +674 kill n1
620 ms +1203 isolate-controller all
730 ms +300 isolate-controller all
741 ms +1500 kill n2
806 ms +300 kill n2
942 ms +10 isolate-controller all
1249 ms +10 kill n1
"""

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
    "a producer whose first batch is with a deposed leader while its successor takes the next one": (
        load_profile("groups"),
        968,
        FIRST_TO_A_DEPOSED_LEADER,
    ),
    "a killed replica of an empty partition, which has all of it and never shows more": (
        load_profile("deposed"),
        104,
        EMPTY_PARTITION,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_what_was_broken_once_is_good(name: str) -> None:
    profile, seed, plan = RUNS[name]
    result = run_seed(seed, profile=profile, plan=FaultPlan.parse(plan))
    assert result.violations == ()
