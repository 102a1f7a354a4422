"""The network of a world: TCP connections that carry frames between machines, with delay, loss of connection, cuts and slow paths.

What it keeps of TCP: per connection and direction, bytes arrive once and in order or the connection breaks; a process that dies closes
its connections, a machine that loses power falls silent; a cut holds bytes back, and when it ends they arrive after all, or the connection
is reset; after a clog they always arrive.

Invariants
- All randomness comes from the network's own `random.Random`; iteration is over dicts and lists, never over sets.
- A path between two machines is open when as many cuts and clogs have ended as have begun.
- A `Side` hears of its end at most once (`closed`), and of nothing after it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from math import log
from typing import Protocol

import attrs

from raftkafka.simulation.events import US_PER_MS, Event, EventHeap
from raftkafka.simulation.trace import Trace


@attrs.frozen(kw_only=True)
class NetworkSettings:
    """Delays in microseconds, one way."""

    min_delay_us: int = 40
    mean_extra_delay_us: int = 80
    tail_share: float = 0.0
    """How many messages take much longer than the others: Pareto-distributed from `tail_us` on, up to `LONGEST_TAIL` times as long
    and never longer than `LONGEST_DELAY_US`."""
    tail_us: int = 20_000
    connect_timeout_ms: int = 2_000
    reset_after_cut_share: float = 0.5
    """How many of the connections that bytes were held back on are reset when a cut ends."""


LONGEST_TAIL = 50
LONGEST_DELAY_US = 5_000_000
"""A packet is late by no more: what TCP sends again arrives sooner, or its connection is given up."""
FAULT_TAIL_SHARE = 0.02
TAIL_SHAPE = 1.1
"""Of the Pareto distribution: near 1, so that a few are very long."""


class Receiver(Protocol):
    """Who owns a side of a connection."""

    def received(self, side: Side, data: bytes) -> None:
        """Whole frames, with their lengths, as one send gave them."""

    def closed(self, side: Side) -> None: ...


class Acceptor(Protocol):
    """A machine, as connections arrive there."""

    def powered(self) -> bool: ...

    def accept(self, side: Side, port: int) -> bool:
        """Takes a new connection; false refuses it (nobody listens)."""


@attrs.define(eq=False)
class Side:
    """One end of a connection, on one machine."""

    machine: str
    peer_machine: str
    number: int
    arrival: str
    """What the trace says when something sent from here arrives at the other end."""
    receiver: Receiver | None = None
    open: bool = True
    _peer: Side | None = None
    _arrives_us: int = 0
    _held: list[bytes | None] = attrs.field(factory=list)

    @property
    def peer(self) -> Side:
        assert self._peer is not None
        return self._peer


class Network:
    """All machines and connections. Machines are named (`n1`, `c1`) and have one address, their name."""

    def __init__(self, heap: EventHeap, trace: Trace, rng: random.Random, settings: NetworkSettings) -> None:
        self.settings = settings
        self._heap = heap
        self._trace = trace
        self._rng = rng
        self._acceptors: dict[str, Acceptor] = {}
        self._sides: dict[Side, None] = {}
        self._cuts: dict[tuple[str, str], int] = {}
        self._tail = (settings.tail_share, settings.tail_us)
        self._extra_delay_us: dict[tuple[str, str], int] = {}
        self._next_number = 1

    def add_machine(self, name: str, acceptor: Acceptor) -> None:
        self._acceptors[name] = acceptor

    # Connections

    def connect(self, machine: str, host: str, port: int, *, opened: Callable[[Side], None], failed: Callable[[bool], None]) -> Event:
        """Connects; answers with one of the two (`failed` says whether it was refused). Cancelling the event forgets the attempt only
        until the first packet arrives; later the caller closes the side it gets."""
        return self._heap.after(self._delay_us(machine, host), lambda: self._arrive(machine, host, port, opened, failed))

    def send(self, side: Side, data: bytes) -> None:
        """Sends frames; nothing happens when the side is closed."""
        if side.open:
            self._put(side, data)

    def close(self, side: Side) -> None:
        """Closes this side; the other one hears of it after all that was sent before."""
        if side.open:
            self._forget(side)
            self._put(side, None)

    def reset(self, side: Side) -> None:
        """Breaks a connection: what is under way is lost, both sides hear of it."""
        for end in (side, side.peer):
            end._held.clear()
            self._heap.after(self._delay_us(end.peer_machine, end.machine), lambda end=end: self._end(end))  # type: ignore[misc]

    def process_ended(self, machine: str) -> None:
        """The kernel closes the connections of a process that is gone."""
        for side in self._sides_of(machine):
            self.close(side)

    def power_lost(self, machine: str) -> None:
        """The machine's connections vanish without a word."""
        for side in self._sides_of(machine):
            self._forget(side)

    # Faults

    def cut(self, source: str, target: str) -> None:
        """Packets from source to target are lost, or held back, from now on. Cuts are counted."""
        self._cuts[source, target] = self._cuts.get((source, target), 0) + 1

    def heal(self, source: str, target: str, *, may_reset: bool = True) -> None:
        """Ends a cut. After the last one, connections that bytes were held back on go on, or turn out to be broken."""
        count = self._cuts.get((source, target), 0)
        if count > 1:
            self._cuts[source, target] = count - 1
            return
        if count == 0:
            return
        del self._cuts[source, target]
        for side in self._sides_between(source, target):
            if not side._held:
                continue
            if may_reset and self._rng.random() < self.settings.reset_after_cut_share:
                self._trace.line(source, f"connection {side.number} to {target} is reset after the cut")
                self.reset(side)
            else:
                self._heap.after(self._delay_us(source, target), lambda side=side: self._deliver_held(side))  # type: ignore[misc]

    def heal_all(self) -> None:
        for source, target in list(self._cuts):
            self._cuts[source, target] = 1
            self.heal(source, target)
        self._extra_delay_us.clear()
        self.lengthen_tail(0)

    def lengthen_tail(self, tail_us: int) -> None:
        """A few of all messages take this long or much longer; 0: as the settings say."""
        settings = self.settings
        self._tail = (max(settings.tail_share, FAULT_TAIL_SHARE), tail_us) if tail_us else (settings.tail_share, settings.tail_us)

    def slow(self, source: str, target: str, extra_delay_us: int) -> None:
        """Adds delay from source to target; 0 ends it."""
        self._extra_delay_us[source, target] = extra_delay_us

    def drop_connections(self, machine: str, peer_machine: str) -> None:
        """Resets every connection between two machines."""
        for side in self._sides_between(machine, peer_machine):
            self.reset(side)

    # How it works

    def _arrive(self, machine: str, host: str, port: int, opened: Callable[[Side], None], failed: Callable[[bool], None]) -> None:
        acceptor = self._acceptors.get(host)
        if acceptor is None or not acceptor.powered() or self._is_cut(machine, host) or self._is_cut(host, machine):
            self._heap.after(self.settings.connect_timeout_ms * US_PER_MS, lambda: failed(False))
            return
        near, far = self._make_connection(machine, host)
        if acceptor.accept(far, port):
            self._sides[near] = self._sides[far] = None
            # The answer comes first: what the far side sends at once is not to arrive before the near side is open.
            near_open_us = self._heap.now_us + self._delay_us(host, machine)
            far._arrives_us = near_open_us
            self._heap.at(near_open_us, lambda: opened(near))
        else:
            self._heap.after(self._delay_us(host, machine), lambda: failed(True))

    def _make_connection(self, machine: str, host: str) -> tuple[Side, Side]:
        number = self._next_number
        near = Side(machine=machine, peer_machine=host, number=number, arrival=f"received on {number} from {machine}")
        far = Side(machine=host, peer_machine=machine, number=number, arrival=f"received on {number} from {host}")
        near._peer, far._peer = far, near
        self._next_number += 1
        return near, far

    def _put(self, side: Side, data: bytes | None) -> None:
        """Puts data, or the end (None), on its way to the other side."""
        heap = self._heap
        arrives_us = heap.now_us + self._delay_us(side.machine, side.peer_machine)
        if arrives_us < side._arrives_us:
            arrives_us = side._arrives_us
        side._arrives_us = arrives_us
        if self._trace.watcher is not None:
            self._trace.watcher.sent(side.number, side.machine, side.peer_machine, data)
        heap.surely_at(arrives_us, partial(self._deliver, side, data))

    def _deliver(self, side: Side, data: bytes | None) -> None:
        if side._held or (self._cuts and self._is_cut(side.machine, side.peer_machine)):
            side._held.append(data)
        else:
            self._hand_over(side, data)

    def _deliver_held(self, side: Side) -> None:
        if not self._is_cut(side.machine, side.peer_machine):
            held, side._held = side._held, []
            for data in held:
                self._hand_over(side, data)

    def _hand_over(self, side: Side, data: bytes | None) -> None:
        peer = side._peer
        assert peer is not None
        if data is None:
            self._end(peer)
        elif peer.open:
            self._trace.detail(peer.machine, side.arrival, data)
            if self._trace.watcher is not None:
                self._trace.watcher.arrived(side.number, side.machine, peer.machine, data)
            if peer.receiver is not None:
                peer.receiver.received(peer, data)
        elif side.open and self._acceptors[peer.machine].powered():
            # The machine is back and knows nothing of this connection.
            self._heap.after(self._delay_us(peer.machine, side.machine), lambda: self._end(side))

    def _end(self, side: Side) -> None:
        if side.open:
            self._forget(side)
            if side.receiver is not None:
                side.receiver.closed(side)

    def _forget(self, side: Side) -> None:
        side.open = False
        self._sides.pop(side, None)

    def _sides_of(self, machine: str) -> list[Side]:
        return [side for side in self._sides if side.machine == machine]

    def _sides_between(self, source: str, target: str) -> list[Side]:
        return [side for side in self._sides if side.machine == source and side.peer_machine == target]

    def _is_cut(self, source: str, target: str) -> bool:
        return (source, target) in self._cuts

    def _delay_us(self, source: str, target: str) -> int:
        settings = self.settings
        delay_us = settings.min_delay_us + int(-log(1.0 - self._rng.random()) * settings.mean_extra_delay_us)  # exponentially distributed
        share, tail_us = self._tail
        if share and self._rng.random() < share:
            delay_us += min(int(min(self._rng.paretovariate(TAIL_SHAPE), LONGEST_TAIL) * tail_us), LONGEST_DELAY_US)
        return delay_us + self._extra_delay_us.get((source, target), 0) if self._extra_delay_us else delay_us


def frames_of(data: bytes) -> Iterable[bytes]:
    """The frames of a send, without their lengths."""
    if int.from_bytes(data[:4], "big") == len(data) - 4:
        return (data[4:],)
    return _many_frames(data)


def _many_frames(data: bytes) -> Iterable[bytes]:
    position = 0
    while position < len(data):
        size_bytes = int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 4 + size_bytes]
        position += 4 + size_bytes
