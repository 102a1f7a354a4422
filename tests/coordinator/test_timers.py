"""Timers, against a slow twin that looks at every timer each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.coordinator.timers import NEVER_MS, Instant, Timers


def test_action_runs_once_at_its_deadline() -> None:
    ran: list[int] = []
    timers = Timers()
    timers.schedule("a", 10, lambda instant: ran.append(instant.now_ms))
    timers.run_due(Instant(9, 0))
    assert ran == []
    assert timers.next_deadline_ms() == 10
    timers.run_due(Instant(12, 0))
    timers.run_due(Instant(20, 0))
    assert ran == [12]
    assert timers.next_deadline_ms() == NEVER_MS


def test_action_may_schedule_itself_again() -> None:
    ran: list[int] = []
    timers = Timers()

    def again(instant: Instant) -> None:
        ran.append(instant.now_ms)
        timers.schedule("a", instant.now_ms + 5, again)

    timers.schedule("a", 5, again)
    for now_ms in range(21):
        timers.run_due(Instant(now_ms, 0))
    assert ran == [5, 10, 15, 20]


def test_owner_is_told_of_deadlines_that_it_must_wake_up_for() -> None:
    moved: list[int] = []
    timers = Timers(moved.append)
    timers.schedule("a", 10, lambda instant: None)
    timers.schedule("a", 30, lambda instant: None)
    timers.schedule("a", 5, lambda instant: None)
    assert moved == [10, 5]


Step = tuple[str, str, int]


@given(
    st.lists(st.tuples(st.sampled_from(["schedule", "schedule", "cancel", "run"]), st.sampled_from("abc"), st.integers(0, 30)), max_size=40)
)
def test_timers_do_what_their_slow_twin_does(steps: list[Step]) -> None:
    timers, twin = Timers(), dict[str, int]()
    ran: list[str] = []
    now_ms = 0
    for what, key, value in steps:
        match what:
            case "schedule":
                twin[key] = now_ms + value
                timers.schedule(key, now_ms + value, lambda instant, key=key: ran.append(key))  # type: ignore[misc]
            case "cancel":
                twin.pop(key, None)
                timers.cancel(key)
            case _:
                now_ms += value
                due = {key for key, deadline_ms in twin.items() if deadline_ms <= now_ms}
                ran.clear()
                timers.run_due(Instant(now_ms, 0))
                assert len(ran) == len(due)
                assert set(ran) == due
                twin = {key: deadline_ms for key, deadline_ms in twin.items() if key not in due}
        assert timers.next_deadline_ms() <= min(twin.values(), default=NEVER_MS)
        assert len(timers) == len(twin)
