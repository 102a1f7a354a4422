"""No rule broken, no violation: fixed seeds and fresh ones, over all profiles. `make soak` runs two thousand."""

from __future__ import annotations

import subprocess
import sys

import pytest


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raftkafka.cli.main", "sim-many", "--profile", "all", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_no_fixed_seed_of_any_profile_breaks_an_invariant() -> None:
    check("--seed", "1", "--count", "150")


@pytest.mark.slow
def test_no_fresh_seed_of_any_profile_breaks_an_invariant() -> None:
    check("--fresh", "--count", "30")


def check(*arguments: str) -> None:
    done = simulate(*arguments)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
