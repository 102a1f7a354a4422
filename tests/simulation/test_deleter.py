"""The administrator that deletes records: they go, and it is noticed when more goes than it asked for, or when they stay."""

from __future__ import annotations

import attrs
import pytest

from raftkafka.replication.leader import Leader
from raftkafka.simulation.profiles import Profile, load_profile
from raftkafka.simulation.run import run_seed
from raftkafka.storage.partition_log import PartitionLog


def calm(*, delete_interval_ms: int = 60, **properties: str) -> Profile:
    profile = load_profile("retention")
    faults = attrs.evolve(profile.faults, kinds=())
    workload = attrs.evolve(profile.workload, delete_interval_ms=delete_interval_ms, topics=1, partitions=2, group_members=0)
    given = {**profile.properties, **{key.replace("_", "."): value for key, value in properties.items()}}
    return attrs.evolve(profile, faults=faults, workload=workload, duration_ms=2_000, choices={}, properties=given)


def test_records_are_deleted_under_load() -> None:
    lines: list[str] = []
    result = run_seed(1, profile=calm(), sink=lines.append)
    assert result.violations == ()
    deleted = [line for line in lines if " delete " in line and " ok" in line]
    assert len(deleted) > 5


def test_old_segments_go_under_load() -> None:
    lines: list[str] = []
    properties = {"log_roll_ms": "100", "log_retention_ms": "400", "log_retention_check_interval_ms": "50"}
    properties["replica_high_watermark_checkpoint_interval_ms"] = "100"
    result = run_seed(1, profile=calm(delete_interval_ms=5_000, **properties), sink=lines.append)
    assert result.violations == ()
    assert any("by retention" in line for line in lines)


def test_a_log_that_deletes_more_than_was_asked_for_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    advance = PartitionLog.advance_log_start

    def too_far(log: PartitionLog, offset: int) -> bool:
        return advance(log, min(offset + 1, log.log_end_offset))

    monkeypatch.setattr(PartitionLog, "advance_log_start", too_far)
    result = run_seed(1, profile=calm())
    assert any(violation.invariant.startswith("D18 ") or "D17" in violation.invariant for violation in result.violations)


def test_an_answer_that_does_not_wait_for_the_followers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Leader, "low_watermark", lambda leader: leader.partition.log.log_start_offset)
    result = run_seed(1, profile=calm())
    assert [violation.invariant for violation in result.violations] == ["D18a deleted-in-every-electable-log"]
