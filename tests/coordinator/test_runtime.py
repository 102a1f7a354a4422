"""The runtime, with a shard that only remembers."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode
from raftkafka.coordinator import runtime as runtime_module
from raftkafka.coordinator.records import CoordinatorRecord, LogRecord
from raftkafka.coordinator.runtime import CoordinatorRuntime, ShardHandle
from raftkafka.coordinator.timers import NEVER_MS, Instant
from tests.coordinator.fake_log import FakeLog


class Memory:
    """A shard whose state is the list of its records."""

    def __init__(self, handle: ShardHandle) -> None:
        self.handle = handle
        self.records: list[LogRecord] = []
        self.high_watermark = 0
        self.events: list[str] = []

    def replay(self, record: LogRecord) -> None:
        self.records.append(record)

    def committed(self, high_watermark: int) -> None:
        self.high_watermark = high_watermark

    def loaded(self, instant: Instant) -> None:
        self.events.append("loaded")

    def unloaded(self, instant: Instant) -> None:
        self.events.append("unloaded")


class Outcome:
    """A `Committed` that remembers how often and how it was called."""

    def __init__(self) -> None:
        self.errors: list[ErrorCode | None] = []

    def __call__(self, error: ApiError | None, instant: Instant) -> None:
        self.errors.append(None if error is None else error.code)


def at(now_ms: int) -> Instant:
    return Instant(now_ms, now_ms + 1_000_000)


def started(log: FakeLog, *, commit_timeout_ms: int = 100) -> CoordinatorRuntime[Memory]:
    runtime = CoordinatorRuntime(log=log, open_shard=Memory, commit_timeout_ms=commit_timeout_ms)
    runtime.elected(3, 1, at(0))
    return runtime


def records(*values: str) -> list[CoordinatorRecord]:
    return [CoordinatorRecord(value.encode(), value.encode()) for value in values]


def test_records_are_replayed_at_the_append_and_answered_at_the_commit() -> None:
    log = FakeLog(commits_at_once=False)
    runtime = started(log)
    shard, outcome = runtime.shard(3), Outcome()
    shard.handle.append(records("a", "b"), outcome, at(1))
    assert shard.records == [LogRecord(0, b"a", b"a"), LogRecord(1, b"b", b"b")]
    runtime.high_watermark_advanced(3, 1, at(2))
    assert outcome.errors == []
    runtime.high_watermark_advanced(3, 2, at(2))
    assert outcome.errors == [None]
    assert shard.high_watermark == 2


def test_commit_during_the_append_is_answered_too() -> None:
    runtime = started(FakeLog())
    outcome = Outcome()
    runtime.shard(3).handle.append(records("a"), outcome, at(1))
    assert outcome.errors == [None]


def test_next_term_replays_the_log() -> None:
    log = FakeLog()
    runtime = started(log)
    runtime.shard(3).handle.append(records("a", "b"), Outcome(), at(1))
    before = runtime.shard(3)
    runtime.resigned(3, at(2))
    runtime.elected(3, 2, at(3))
    after = runtime.shard(3)
    assert after is not before
    assert after.records == before.records
    assert (before.events, after.events) == (["loaded", "unloaded"], ["loaded"])


def test_resigning_answers_what_waits() -> None:
    runtime = started(FakeLog(commits_at_once=False))
    first, second = Outcome(), Outcome()
    handle = runtime.shard(3).handle
    handle.append(records("a"), first, at(1))
    handle.after_commit(second, at(1))
    runtime.resigned(3, at(2))
    assert (first.errors, second.errors) == ([ErrorCode.NOT_COORDINATOR], [ErrorCode.NOT_COORDINATOR])
    with pytest.raises(ApiError, match="NOT_COORDINATOR"):
        runtime.shard(3)
    with pytest.raises(ApiError, match="NOT_COORDINATOR"):
        handle.append(records("b"), Outcome(), at(3))


def test_new_epoch_of_a_term_under_way_changes_nothing() -> None:
    runtime = started(FakeLog())
    shard = runtime.shard(3)
    runtime.elected(3, 2, at(1))
    assert runtime.shard(3) is shard
    assert shard.handle.leader_epoch == 2


def test_commit_that_takes_too_long_is_given_up_once() -> None:
    runtime = started(FakeLog(commits_at_once=False))
    outcome = Outcome()
    runtime.shard(3).handle.append(records("a"), outcome, at(10))
    assert runtime.next_deadline_ms() == 110
    runtime.tick(at(109))
    assert outcome.errors == []
    runtime.tick(at(110))
    runtime.high_watermark_advanced(3, 1, at(111))
    assert outcome.errors == [ErrorCode.REQUEST_TIMED_OUT]
    assert runtime.next_deadline_ms() == NEVER_MS


def test_refused_append_changes_nothing() -> None:
    log = FakeLog()
    runtime = started(log)
    log.refusal = ApiError(ErrorCode.NOT_ENOUGH_REPLICAS)
    outcome = Outcome()
    with pytest.raises(ApiError, match="NOT_ENOUGH_REPLICAS"):
        runtime.shard(3).handle.append(records("a"), outcome, at(1))
    assert runtime.shard(3).records == []
    assert outcome.errors == []


def test_long_log_is_loaded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FakeLog()
    runtime = started(log)
    for number in range(50):
        runtime.shard(3).handle.append(records(f"{number:04}"), Outcome(), at(1))
    expected = runtime.shard(3).records
    monkeypatch.setattr(runtime_module, "LOAD_CHUNK_BYTES", 1_000)
    other: CoordinatorRuntime[Memory] = CoordinatorRuntime(log=log, open_shard=Memory, commit_timeout_ms=100)
    other.elected(3, 2, at(5))
    ticks = 0
    while other.next_deadline_ms() == 5:
        with pytest.raises(ApiError, match="COORDINATOR_LOAD_IN_PROGRESS"):
            other.shard(3)
        other.tick(at(5))
        ticks += 1
    assert ticks > 2
    assert other.shard(3).records == expected


def test_new_leader_serves_nobody_before_everything_it_has_is_committed() -> None:
    """Its high watermark may be behind what the leader before it has acknowledged: a committed offset must not go back."""
    log = FakeLog(commits_at_once=False)
    started(log).shard(3).handle.append(records("a"), Outcome(), at(1))
    runtime = started(log)
    with pytest.raises(ApiError, match="COORDINATOR_LOAD_IN_PROGRESS"):
        runtime.shard(3)
    runtime.high_watermark_advanced(3, log.commit(3), at(2))
    assert runtime.shard(3).events == ["loaded"]
    assert runtime.shard(3).high_watermark == 1


def test_loading_looks_at_the_last_record_of_a_key_only() -> None:
    log = FakeLog()
    runtime = started(log)
    runtime.shard(3).handle.append(records("a", "b", "a"), Outcome(), at(1))
    runtime.resigned(3, at(2))
    runtime.elected(3, 2, at(3))
    assert [(record.offset, record.key) for record in runtime.shard(3).records] == [(1, b"b"), (2, b"a")]


def test_shard_whose_log_cannot_be_read_stays_closed_until_its_next_term() -> None:
    log = FakeLog()
    log.read_error = CorruptRecord("wrong checksum")
    runtime = started(log)
    with pytest.raises(ApiError, match="NOT_COORDINATOR"):
        runtime.shard(3)
    assert [event.kind for event in runtime.drain()] == ["coordinator-load-failed"]
    log.read_error = None
    runtime.elected(3, 2, at(1))
    assert runtime.shard(3).events == ["loaded"]


def test_many_records_go_into_several_batches() -> None:
    log = FakeLog()
    runtime = started(log)
    outcome = Outcome()
    large = [CoordinatorRecord(f"{number}".encode(), bytes(200_000)) for number in range(10)]
    runtime.shard(3).handle.append(large, outcome, at(1))
    assert outcome.errors == [None]
    assert len(runtime.shard(3).records) == 10
    assert [record.offset for record in runtime.shard(3).records] == list(range(10))


def test_append_inside_an_answer_keeps_the_order_of_answers() -> None:
    log = FakeLog(commits_at_once=False)
    runtime = started(log)
    handle = runtime.shard(3).handle
    order: list[str] = []

    def first(error: ApiError | None, instant: Instant) -> None:
        order.append("first")
        handle.append(records("c"), lambda error, instant: order.append("third"), instant)

    handle.append(records("a"), first, at(1))
    handle.append(records("b"), lambda error, instant: order.append("second"), at(1))
    runtime.high_watermark_advanced(3, log.commit(3), at(2))
    assert order == ["first", "second"]
    runtime.high_watermark_advanced(3, log.commit(3), at(3))
    assert order == ["first", "second", "third"]
