"""Runs a node: carries out its effects, gives it time, and makes stable what it wants stable.

Invariants
- The node is called from the Trio thread only, and never from within one of its own calls: what an effect causes (a link that closes, a
  connection that breaks) reaches the node from another task.
- Effects are carried out in the order given. After `Halt`, or an exception out of the node, none is carried out any more.
- The timer sleeps until `next_deadline_ms` and is moved, not woken, when a settle brings the deadline forward.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Protocol, assert_never

import trio

from raftkafka.base.disk import Disk, Persist
from raftkafka.base.errors import DiskError
from raftkafka.base.observed import Observed, observed
from raftkafka.broker.effects import CloseConnection, CloseLink, Flush, Halt, LinkId, NodeEffect, OpenLink, SendOnLink
from raftkafka.broker.node_port import NodePort
from raftkafka.server.clock import NodeClock
from raftkafka.server.stream import FrameStream

PERSIST_THREADS = 16
"""How many `Persist`s run at once; more wait for a thread."""

HELD_UP_MS = 50
CATCH_UP_SECONDS = 0.01
TOLD_HELD_UP_MS = 500
"""Who is held up so long is taken for silent by others; the log says so, and what to look for."""

LONGEST_SLEEP_MS = 1_000
"""The timer looks at the wall clock this often, whatever the node asks for."""


class LinkPort(Protocol):
    """The outbound links, as the driver needs them (`server.links`)."""

    def open(self, effect: OpenLink) -> None: ...

    def send(self, effect: SendOnLink) -> None: ...

    def close(self, link_id: LinkId) -> None: ...


class NodeHalted(Exception):
    """The node asked for the end of the process (`Halt`)."""


class Usage:
    """What the process has used since this was made."""

    __slots__ = ("_cpu_s", "_page_faults")

    def __init__(self) -> None:
        self._cpu_s = time.process_time()
        self._page_faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt

    def held_up(self, late_ms: int) -> Observed:
        """Little CPU says that the process was stopped, had no core, or waited for the disk (page faults: for its own memory)."""
        return observed(
            "held-up",
            late_ms=late_ms,
            cpu_ms=int((time.process_time() - self._cpu_s) * 1000),
            page_faults=resource.getrusage(resource.RUSAGE_SELF).ru_majflt - self._page_faults,
        )


class NodeDriver:
    """Holds the node; everything that happens to it goes through here or is followed by `settle`."""

    def __init__(self, *, node: NodePort, disk: Disk, clock: NodeClock, nursery: trio.Nursery, observe: Callable[[Observed], None]) -> None:
        self.node = node
        self.clock = clock
        self.now_ms = clock.now_ms
        self.failed = False
        self.stopping = trio.Event()
        self.stopped = trio.Event()
        self.links: LinkPort | None = None
        self._disk = disk
        self._nursery = nursery
        self._observe = observe
        self._persist_limiter = trio.CapacityLimiter(PERSIST_THREADS)
        self._sleep = trio.CancelScope()
        self._wakes_ms = 0

    def start(self) -> None:
        """Starts the node; raises what it raises (`DiskError`, `CorruptRecord`)."""
        now_ms = self.now_ms()
        self.node.wall_offset_ms = self.clock.wall_offset_ms()
        self.node.start(now_ms, now_ms + self.node.wall_offset_ms)
        self.settle(now_ms)

    def begin_shutdown(self) -> None:
        """Asks the node to hand over and stop; `stopped` is set when it has."""
        now_ms = self.now_ms()
        self.node.begin_shutdown(now_ms)
        self.stopping.set()
        self.settle(now_ms)

    def settle(self, now_ms: int) -> None:
        """Carries out what the node wants done by now, and moves the timer when its next deadline is nearer than before."""
        if self.failed:
            return
        node = self.node
        try:
            for effect in node.settle(now_ms):
                if type(effect) is Flush:
                    connection = effect.connection
                    stream = connection.handle
                    assert type(stream) is FrameStream
                    stream.send(connection.out)
                    stream.resume()
                    connection.out.clear()
                else:
                    self._carry_out(effect)
            deadline_ms = node.next_deadline_ms()
        except BaseException:
            self.failed = True
            raise
        if deadline_ms < self._wakes_ms:
            self._wakes_ms = max(deadline_ms, now_ms)
            self._sleep.deadline = trio.current_time() + (deadline_ms - now_ms) / 1000
        if node.stopped:
            self.stopped.set()

    async def run_timer(self) -> None:
        """Ticks the node at its deadlines."""
        while True:
            now_ms = self.now_ms()
            # A deadline that stays in the past must not keep everybody else from running: at least 1 ms of sleep.
            self._wakes_ms = min(max(self.node.next_deadline_ms(), now_ms + 1), now_ms + LONGEST_SLEEP_MS)
            usage = Usage()
            with trio.CancelScope(deadline=trio.current_time() + (self._wakes_ms - now_ms) / 1000) as self._sleep:
                await trio.sleep_forever()
            self.node.wall_offset_ms = self.clock.wall_offset_ms()
            now_ms = self.now_ms()
            if now_ms - self._wakes_ms > HELD_UP_MS:
                if now_ms - self._wakes_ms > TOLD_HELD_UP_MS:
                    self._observe(usage.held_up(now_ms - self._wakes_ms))
                # The loop was held up. What others sent meanwhile is read before anybody is found silent.
                await trio.sleep(CATCH_UP_SECONDS)
                now_ms = self.now_ms()
            if self.node.next_deadline_ms() <= now_ms:
                self.tell(self.node.tick)

    def tell(self, event: Callable[[int], None]) -> None:
        """Gives the node one event and settles. The event gets `now_ms`; an exception out of it is a bug and stops the server."""
        if self.failed:
            return
        now_ms = self.now_ms()
        try:
            event(now_ms)
        except BaseException:
            self.failed = True
            raise
        self.settle(now_ms)

    def _carry_out(self, effect: NodeEffect) -> None:
        match effect:
            case Persist():
                self._nursery.start_soon(self._persist, effect)
            case Observed():
                self._observe(effect)
            case SendOnLink():
                assert self.links is not None
                self.links.send(effect)
            case OpenLink():
                assert self.links is not None
                self.links.open(effect)
            case CloseLink():
                assert self.links is not None
                self.links.close(effect.link_id)
            case CloseConnection():
                stream = effect.connection.handle
                assert type(stream) is FrameStream
                stream.close(effect.reason)
            case Halt():
                raise NodeHalted(effect.reason)
            case Flush():
                raise AssertionError("carried out by settle")
            case _:
                assert_never(effect)

    async def _persist(self, persist: Persist) -> None:
        try:
            await trio.to_thread.run_sync(self._disk.persist, persist, limiter=self._persist_limiter)
        except DiskError as error:
            failure = error
            self.tell(lambda now_ms: self.node.persist_failed(persist.token, failure, now_ms))
        else:
            self.tell(lambda now_ms: self.node.persisted(persist.token, now_ms))
