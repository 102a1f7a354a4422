"""Virtual time: one heap of events, and tasks that wait in it.

Invariants
- Events run in order of their time, and events of one time in the order in which they were scheduled.
- Nothing runs but through the heap, so one thread of events is the whole history of a world.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

T = TypeVar("T")

US_PER_MS = 1_000
US_PER_SECOND = 1_000_000


class Event:
    """Something that will happen, unless cancelled."""

    __slots__ = ("action", "at_us", "cancelled")

    def __init__(self, at_us: int, action: Callable[[], None]) -> None:
        self.at_us = at_us
        self.action = action
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class EventHeap:
    """The clock of a world (microseconds from its beginning) and what is to come."""

    def __init__(self) -> None:
        self.now_us = 0
        self.event_count = 0
        self._heap: list[tuple[int, int, Event | Callable[[], None]]] = []
        self._scheduled = 0

    def at(self, at_us: int, action: Callable[[], None]) -> Event:
        """Schedules an action; never before now."""
        event = Event(at_us if at_us > self.now_us else self.now_us, action)
        self._scheduled += 1
        heappush(self._heap, (event.at_us, self._scheduled, event))
        return event

    def surely_at(self, at_us: int, action: Callable[[], None]) -> None:
        """Schedules an action that nobody will cancel, which most are: cheaper than `at`."""
        self._scheduled += 1
        heappush(self._heap, (at_us, self._scheduled, action))

    def surely_after(self, delay_us: int, action: Callable[[], None]) -> None:
        self.surely_at(self.now_us + delay_us, action)

    def after(self, delay_us: int, action: Callable[[], None]) -> Event:
        return self.at(self.now_us + delay_us, action)

    def step(self) -> bool:
        """Lets the next event happen; false when there is none."""
        heap = self._heap
        while heap:
            at_us, _, happens = heappop(heap)
            if type(happens) is Event:
                if happens.cancelled:
                    continue
                happens = happens.action
            self.now_us = at_us
            self.event_count += 1
            happens()  # type: ignore[operator]
            return True
        return False

    def abandon(self) -> None:
        """The run is over: what was to come does not, and tasks that were to begin are closed."""
        self._heap.clear()

    async def sleep(self, delay_ms: int) -> None:
        """For tasks: waits in virtual time."""
        promise: Promise[None] = Promise()
        self.surely_after(delay_ms * US_PER_MS, partial(promise.resolve, None))
        await promise

    def spawn(self, task: Coroutine[Promise[Any], None, None]) -> None:
        """Runs a coroutine that awaits promises only. It begins in an event of its own."""
        self.surely_after(0, _Begin(task))


class Promise(Generic[T]):
    """A value that one task waits for. Settled once; later settling is ignored (an answer after its time-out)."""

    __slots__ = ("_error", "_settled", "_then", "_value")

    def __init__(self) -> None:
        self._settled = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._then: Callable[[], None] | None = None

    @property
    def settled(self) -> bool:
        return self._settled

    def resolve(self, value: T) -> None:
        if not self._settled:
            self._value = value
            self._settle()

    def fail(self, error: Exception) -> None:
        """The task that waits gets this exception."""
        if not self._settled:
            self._error = error
            self._settle()

    def then(self, action: Callable[[], None]) -> None:
        """What to do when it is settled; of an unsettled promise only."""
        self._then = action

    def result(self) -> T:
        """The value of a settled promise; raises the error that it failed with."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def __await__(self) -> Generator[Promise[Any], None, T]:
        if not self._settled:
            yield self
        return self.result()

    def _settle(self) -> None:
        self._settled = True
        if self._then is not None:
            self._then()


class _Begin:
    """The event in which a task begins. A run that ends before it closes the task, which Python would otherwise warn about."""

    __slots__ = ("_task",)

    def __init__(self, task: Coroutine[Promise[Any], None, None]) -> None:
        self._task: Coroutine[Promise[Any], None, None] | None = task

    def __call__(self) -> None:
        task, self._task = self._task, None
        assert task is not None, "an event happens once"
        _advance(task)

    def __del__(self) -> None:
        if self._task is not None:
            self._task.close()


def _advance(task: Coroutine[Promise[Any], None, None]) -> None:
    """Runs a task until it waits or ends."""
    try:
        promise = task.send(None)
    except StopIteration:
        return
    promise.then(partial(_advance, task))
