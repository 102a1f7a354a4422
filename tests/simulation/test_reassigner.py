"""The administrator that moves replicas: what it asks for comes about, and it notices when it does not."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.controller import controller
from raftkafka.controller.decision import Decision
from raftkafka.simulation.profiles import Profile, load_profile
from raftkafka.simulation.run import run_seed


def calm() -> Profile:
    profile = load_profile("reassignment")
    faults = attrs.evolve(profile.faults, kinds=())
    workload = attrs.evolve(profile.workload, reassign_interval_ms=50, topics=1, partitions=2, group_members=0, consumers=0, producers=1)
    return attrs.evolve(profile, faults=faults, workload=workload, duration_ms=1_200, node_count=4, choices={})


def test_replicas_move_under_load() -> None:
    lines: list[str] = []
    result = run_seed(2, profile=calm(), sink=lines.append)
    assert result.violations == ()
    moved = [line for line in lines if "reassignment-completed" in line]
    assert len(moved) > 3
    assert any("cancel reassignment" in line for line in lines)
    assert any("replica-removed" in line for line in lines)


def test_a_reassignment_that_is_granted_and_not_done_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = controller.decide_alter_reassignments

    def only_says_so(*arguments: object) -> Decision:
        return Decision(reply=decide(*arguments).reply)  # type: ignore[arg-type]

    monkeypatch.setattr(controller, "decide_alter_reassignments", only_says_so)
    result = run_seed(2, profile=calm())
    assert any("and was reassigned to" in str(violation) for violation in result.violations)


def test_a_replica_that_stays_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from raftkafka.replication.transitions import Transitions

    monkeypatch.setattr(Transitions, "_remove", lambda *arguments: None)
    result = run_seed(2, profile=attrs.evolve(calm(), liveness_ms=1_000))
    assert any("still has its replica" in str(violation) for violation in result.violations)
