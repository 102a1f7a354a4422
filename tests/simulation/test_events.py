"""The event heap: what becomes of tasks whose run ends before they begin."""

from __future__ import annotations

import gc
import warnings

from raftkafka.simulation.events import EventHeap, Promise


def test_a_task_that_never_begins_is_closed_without_a_warning() -> None:
    heap = EventHeap()
    begun: list[int] = []

    async def task() -> None:
        begun.append(1)

    heap.spawn(task())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del heap
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
    assert begun == []


def test_a_task_that_waits_outlives_the_event_in_which_it_began() -> None:
    heap = EventHeap()
    promise: Promise[int] = Promise()
    got: list[int] = []

    async def task() -> None:
        got.append(await promise)

    heap.spawn(task())
    while heap.step():
        pass
    gc.collect()
    promise.resolve(7)
    assert got == [7]
