"""The operator that adds machines and takes others away: the cluster goes on, and what it leaves behind is noticed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from raftkafka.simulation.profiles import Profile, load_profile
from raftkafka.simulation.run import run_seed
from raftkafka.simulation.workload.scaler import Scaler


def calm() -> Profile:
    profile = load_profile("elastic")
    faults = attrs.evolve(profile.faults, kinds=())
    workload = attrs.evolve(profile.workload, partitions=2, group_members=0, consumers=0, producers=1, admin_interval_ms=0)
    return attrs.evolve(profile, faults=faults, workload=workload, duration_ms=3_000, choices={})


def test_machines_come_and_go_under_load() -> None:
    lines: list[str] = []
    result = run_seed(3, profile=calm(), sink=lines.append)
    assert result.violations == ()
    text = "\n".join(lines)
    for told in ("scale out: n4 starts", "gets a vote", "gets its share", "is drained", "loses its vote", "is gone", "has an empty disk"):
        assert told in text
    assert sum("voters voters=" in line for line in lines) > 4


async def _does_nothing(self: Scaler, *arguments: Any) -> None:
    return


def test_a_vote_that_stays_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scaler, "_remove_voter", _does_nothing)
    result = run_seed(3, profile=calm())
    assert [violation.invariant for violation in result.violations] == ["E1 nothing-refers-to-a-removed-broker"]
