"""Raft alone in virtual time: the invariants hold over seeds, every switched-off rule is noticed, and a seed decides everything.

`python -m tests.raft.simulation [changing | wiping] SEED` shows the trace of one; RAFT_SEEDS=1000 runs more of them here.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from raftkafka.base.rules import Rule
from tests.raft.invariants import Violation
from tests.raft.simulation import run_seed

SEEDS = int(os.environ.get("RAFT_SEEDS", "20"))
SEEDS_TO_CATCH_A_MUTANT = 40
RULES = (
    Rule.PERSIST_VOTE,
    Rule.FSYNC_RAFT_LOG,
    Rule.VOTE_ONCE_PER_EPOCH,
    Rule.COMPARE_LOGS,
    Rule.COMMIT_ONLY_OWN_EPOCH,
    Rule.CHECK_PREVIOUS_ENTRY,
    Rule.TRUNCATE_ON_CONFLICT,
    Rule.LEADER_COUNTS_ITSELF,
)
"""Those that the invariants of Raft alone can see; the others are found in a whole cluster."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_invariants_hold(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_invariants_hold_while_voters_come_and_go(seed: int) -> None:
    run_seed(seed, "changing")


@pytest.mark.parametrize("seed", range(SEEDS // 2))
def test_invariants_hold_while_voters_lose_their_disks(seed: int) -> None:
    run_seed(seed, "wiping")


def test_voters_do_change_in_these_runs() -> None:
    assert sum(run_seed(seed, "changing").voter_changes for seed in range(3)) > 5
    assert sum(run_seed(seed, "wiping").wipes for seed in range(3)) > 2


def test_counting_votes_of_other_directories_is_noticed() -> None:
    """KIP-853: a node with an empty disk under a voter's id has forgotten what the voter promised."""
    with pytest.raises(Violation):
        _run_seeds(SEEDS_TO_CATCH_A_MUTANT, "wiping", Rule.VOTER_NEEDS_ITS_DIRECTORY)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name.lower())
def test_a_rule_switched_off_is_noticed(rule: Rule) -> None:
    with pytest.raises(Violation):
        _run_seeds(SEEDS_TO_CATCH_A_MUTANT, None, rule)


def test_the_trace_depends_on_the_seed_alone() -> None:
    program = "from tests.raft.simulation import run_seed; print(run_seed(3).digest.hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(digests) == 1


def _run_seeds(count: int, kind: str | None = None, *disabled_rules: Rule) -> None:
    for seed in range(count):
        run_seed(seed, kind, disabled_rules=frozenset(disabled_rules))
