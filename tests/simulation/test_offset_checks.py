"""Committed offsets as registers: what may be read, and what may not."""

from __future__ import annotations

from collections.abc import Mapping

from jepsen_like.history import HistoryRecorder, OpType
from raftkafka.simulation.offset_checks import stale_offsets

KEY = "records-0"


class _Group:
    """Writes histories; one process per operation."""

    def __init__(self) -> None:
        self.recorder = HistoryRecorder({})
        self.process = 0

    def begin(self, f: str, value: Mapping[str, int]) -> int:
        self.process += 1
        return self.recorder.invoke(time_ns=0, process=self.process, f=f, value=value)

    def end(self, index: int, outcome: OpType, value: Mapping[str, int]) -> None:
        self.recorder.complete(index, time_ns=0, type=outcome, value=value)

    def commit(self, offset: int, outcome: OpType = OpType.OK) -> None:
        self.end(self.begin("commit", {KEY: offset}), outcome, {KEY: offset})

    def read(self, offset: int) -> None:
        self.end(self.begin("committed", {}), OpType.OK, {KEY: offset})

    def stale(self) -> list[str]:
        return stale_offsets(self.recorder.history())


def test_the_last_commit_may_be_read() -> None:
    group = _Group()
    group.commit(1)
    group.commit(2)
    group.read(2)
    assert group.stale() == []


def test_a_commit_that_was_overwritten_may_not_be_read() -> None:
    group = _Group()
    group.commit(1)
    group.commit(2)
    group.read(1)
    assert group.stale() == ["records-0: offset 1 was read as committed after 2 had taken its place (operation 5)"]


def test_a_commit_without_an_answer_may_be_read_or_not() -> None:
    group = _Group()
    group.commit(1)
    group.commit(2, OpType.INFO)
    group.read(1)
    group.read(2)
    assert group.stale() == []


def test_what_was_read_once_may_not_be_unread() -> None:
    group = _Group()
    group.commit(1)
    group.commit(2, OpType.INFO)
    group.read(2)
    group.read(1)
    assert len(group.stale()) == 1


def test_commits_at_the_same_time_may_take_effect_in_any_order() -> None:
    group = _Group()
    first, second = group.begin("commit", {KEY: 5}), group.begin("commit", {KEY: 3})
    group.end(second, OpType.OK, {KEY: 3})
    group.end(first, OpType.OK, {KEY: 5})
    group.read(3)
    assert group.stale() == []
