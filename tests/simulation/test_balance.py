"""A skewed load that shifts: leadership moves because of it, and rests in the end; the eye that judges it sees the moves."""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs
import pytest

from raftkafka.base.observed import Observed, observed
from raftkafka.simulation.events import US_PER_MS, EventHeap
from raftkafka.simulation.invariants.balance_eye import BalanceEye
from raftkafka.simulation.profiles import Profile, load_profile
from raftkafka.simulation.run import Run, run_seed
from raftkafka.simulation.workload.skew import Skew
from raftkafka.simulation.world import Violation


def calm(**changed: object) -> Profile:
    profile = load_profile("balance")
    faults = attrs.evolve(profile.faults, kinds=())
    workload = attrs.evolve(profile.workload, consumers=0, group_members=0, topics=1)
    return attrs.evolve(
        profile, **{"faults": faults, "workload": workload, "duration_ms": 4_000, "rest_ms": 1_500, "choices": {}, **changed}
    )


def a_run(profile: Profile) -> Run:
    return Run(2, profile=profile, plan=None, broken_rules=(), sink=None, detailed=False)


def test_leaders_move_by_load_and_rest_in_the_end() -> None:
    run = a_run(calm())
    result = run.run()
    assert result.violations == ()
    assert run._invariants.balance.moves > 0


def test_leaders_that_never_rest_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BalanceEye, "rested_ms", lambda self, since_us: 0)
    result = run_seed(2, profile=calm(liveness_ms=3_000))
    assert [violation.invariant for violation in result.violations] == ["B5 balance-comes-to-rest"]


def moved(name: str, why: str = "broker 1 carries 0.5 MB/s, 92 % above the mean") -> Observed:
    return observed("leader-moved", partition=name, source=1, target=2, leader_epoch=1, why=why)


@pytest.fixture
def started_run() -> Iterator[Run]:
    run = a_run(calm())
    run._start()
    yield run
    run.world.heap.abandon()


def test_a_leader_that_moves_twice_within_its_cooldown_is_noticed(started_run: Run) -> None:
    started_run.world.trace.observed("n1", moved("records-0"))
    started_run.world.trace.observed("n1", moved("records-0", why="broker 2 is its first replica and in sync"))
    started_run.world.run_for(10)
    with pytest.raises(Violation, match="B3"):
        started_run.world.trace.observed("n1", moved("records-0"))


def test_a_round_without_bound_is_noticed(started_run: Run) -> None:
    for number in range(32):
        started_run.world.trace.observed("n1", moved(f"records-{number}"))
    with pytest.raises(Violation, match="B4"):
        started_run.world.trace.observed("n1", moved("records-32"))


def test_what_is_hot_shifts_until_the_load_is_held() -> None:
    heap = EventHeap()
    slots = [("records", number) for number in range(6)]
    skew = Skew(heap=heap, slots=slots, exponent=2.0, shift_ms=1_000, chance=random.Random)
    rng = random.Random(1)

    def hottest() -> tuple[str, int]:
        drawn = [skew.choose(rng) for _ in range(300)]
        top = max(slots, key=drawn.count)
        assert drawn.count(top) > 150
        return top

    found = []
    for turn in range(8):
        heap.now_us = turn * 1_000 * US_PER_MS
        found.append(hottest())
    assert len(dict.fromkeys(found)) > 2
    skew.hold()
    heap.now_us = 100_000 * US_PER_MS
    assert hottest() == found[-1]
