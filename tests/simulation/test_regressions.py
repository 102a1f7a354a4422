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

VOTER_CUT_AFTER_A_KILL = """
718 ms +2876 kill n1
822 ms +10 pause n2
971 ms +10 isolate-controller all
1058 ms +300 drop-connections n1 n2
1398 ms +1500 kill n2
1747 ms +756 isolate-controller all
1833 ms +10 kill n2
2062 ms +1500 isolate-controller all
2188 ms +10 drop-connections n1 n3
2328 ms +300 pause n1
2933 ms +300 slow-disk n2 20 ms
3320 ms +10 pause n2
3361 ms +300 drop-connections n3 n1
3715 ms +10 kill n1
3994 ms +10 pause n1
4019 ms +2715 kill n1
4154 ms +578 isolate-controller all
4314 ms +1500 kill n1
4726 ms +300 kill n1
4785 ms +396 slow-disk n1 200 ms
5828 ms +10 drop-connections n2 n1
6109 ms +1500 kill n2
7451 ms +300 pause n2
8534 ms +1500 drop-connections n1 n2
8906 ms +1500 slow-disk n3 1000 ms
8978 ms +300 drop-connections n3 n2
9156 ms +300 kill n3
9255 ms +1500 kill n2
9619 ms +1500 pause n3
9815 ms +934 isolate-controller all
10364 ms +10 isolate-controller all
10442 ms +1500 slow-disk n1 1000 ms
10475 ms +10 pause n3
10688 ms +10 kill n1
11363 ms +5154 isolate-controller all
11530 ms +10 drop-connections n1 n2
11612 ms +1500 pause n3
11629 ms +300 pause n1
11900 ms +5324 slow-disk n1 1000 ms
12018 ms +1500 slow-disk n2 200 ms
12315 ms +1500 slow-disk n2 1000 ms
12487 ms +4588 kill n2
12831 ms +5594 slow-disk n2 1000 ms
13213 ms +1500 drop-connections n3 n1
13595 ms +10 kill n1
14081 ms +1500 kill n3
14121 ms +4553 kill n3
14494 ms +10 isolate-controller all
14679 ms +10 pause n3
15115 ms +1500 pause n1
15449 ms +10 kill n1
16251 ms +300 pause n3
16311 ms +300 drop-connections n2 n3
16867 ms +1500 drop-connections n2 n1
17138 ms +300 pause n1
17334 ms +300 slow-disk n2 200 ms
17842 ms +1500 pause n1
18852 ms +4103 isolate-controller all
"""
"""A killed voter whose last entry was cut seemed to have nothing stable (Q7)."""

NOBODY_ELSE_HAS_REPLICAS = """
1085 ms +10 cut-one-way n1 n3
1747 ms +1189 stop n3
2592 ms +300 power-off n2
2724 ms +300 stop n5
4837 ms +10 stop n5
5778 ms +449 cut-one-way n4 n3
6755 ms +92 cut-one-way n4 n1
7905 ms +1500 stop n4
"""
"""Two of five brokers had all the load, and traded what it wavered by (B5)."""

RUNS = {
    "a killed voter keeps what was stable below a cut": (load_profile("metadata"), 436763712, VOTER_CUT_AFTER_A_KILL),
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
    "two brokers that stay hot whatever moves, for no other has replicas": (
        load_profile("balance-reassignment"),
        3106,
        NOBODY_ELSE_HAS_REPLICAS,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_what_was_broken_once_is_good(name: str) -> None:
    profile, seed, plan = RUNS[name]
    result = run_seed(seed, profile=profile, plan=FaultPlan.parse(plan))
    assert result.violations == ()
