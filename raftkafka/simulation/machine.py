"""A machine of a world: a disk, two clocks, power, and at most one process that runs a node.

`SimProcess` does for a node in virtual time what `server.driver` does for it in real time, with the same contract (`broker.node_port`).

Invariants
- A node never sees an event of a process that has ended: each process drops what comes after its end.
- The bytes given with a frame are overwritten after the call, as the real shell reuses its buffer.
"""

from __future__ import annotations

import random
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial

import attrs

from raftkafka.base.disk import Disk, Persist
from raftkafka.base.errors import CorruptRecord, DecodeError, DiskError, PeerError
from raftkafka.base.observed import Observed
from raftkafka.broker.connection import Connection
from raftkafka.broker.effects import CloseConnection, CloseLink, Flush, Halt, LinkId, NodeEffect, OpenLink, SendOnLink
from raftkafka.broker.node_port import NodePort
from raftkafka.simulation.clock import SimClock
from raftkafka.simulation.disk import SimDisk
from raftkafka.simulation.events import Event, EventHeap
from raftkafka.simulation.network import Network, Side, frames_of
from raftkafka.simulation.trace import Trace
from raftkafka.storage.checkpoints import CLEAN_SHUTDOWN_FILE

SCRIBBLE = b"\xa5"


@attrs.define(kw_only=True)
class DiskBehaviour:
    """How a machine's disk behaves; faults change it. `fail_persist` may return the error of a `Persist`."""

    min_sync_us: int = 200
    mean_extra_sync_us: int = 1_500
    fail_persist: Callable[[Persist], DiskError | None] = lambda persist: None


@attrs.frozen(kw_only=True)
class Surroundings:
    """What all machines of a world share. `broken` is told what no correct node does."""

    heap: EventHeap
    network: Network
    trace: Trace
    broken: Callable[[str], None]
    changed: Callable[[Machine], None] = lambda machine: None
    """A node has settled, a process has ended, or a disk has lost something: what was seen of the machine may be out of date."""


class Machine:
    """One machine and the node that it runs. `make_node` is called anew for each process; `listeners` are its ports by listener name."""

    def __init__(
        self,
        *,
        name: str,
        surroundings: Surroundings,
        listeners: dict[int, str],
        make_node: Callable[[Disk, random.Random], NodePort],
        rng: random.Random,
        clock: SimClock,
    ) -> None:
        self.name = name
        self.clock = clock
        self.disk = SimDisk()
        self.disk_behaviour = DiskBehaviour()
        self.listeners = listeners
        self.process: SimProcess | None = None
        self.rng = rng
        self._surroundings = surroundings
        self._make_node = make_node
        self.ended_cleanly = True
        """Whether the last process stopped as it was told to, or was ended when it had only its end before it: its marker was stable."""
        self.loss_count = 0
        """How often the disk has lost what was not stable, or all."""
        self.may_fail = False
        """Whether the disk was damaged on purpose, so that a process may end by itself."""
        self.in_service = True
        """Whether the machine belongs to the cluster: one that does not is never started."""
        self._powered = True
        self._start_again = False
        surroundings.network.add_machine(name, self)

    # What the network asks

    def powered(self) -> bool:
        return self._powered

    def accept(self, side: Side, port: int) -> bool:
        if self.process is None or port not in self.listeners:
            return False
        self.process.accepted(side, self.listeners[port])
        return True

    # What happens to a machine

    def start(self) -> None:
        """Power on, if need be, and a new process; when one is about to stop, after that; nothing when one runs, or out of service."""
        if not self.in_service:
            return
        self._powered = True
        if self.process is not None:
            self._start_again = self.process.stopping
            return
        self._trace("starts")
        process = SimProcess(self, self._surroundings, self._make_node(self.disk, random.Random(self.rng.getrandbits(64))))
        self.process = process
        process.is_unclean_restart = not self.ended_cleanly
        self.ended_cleanly = False
        process.start()

    def kill(self) -> None:
        """SIGKILL: what was written stays written."""
        if self.process is not None:
            self._trace("is killed")
            self._end_process()

    def power_off(self) -> None:
        """The power fails: unsynced bytes may be lost, and connections fall silent."""
        if self._powered:
            self._trace("loses power")
            self._surroundings.network.power_lost(self.name)
            self._end_process()
            self.disk.crash(self.rng)
            self._powered = False
            self.loss_count += 1
            self._surroundings.changed(self)

    def lost_something(self) -> None:
        """Somebody took something from the disk while no process ran."""
        self.loss_count += 1
        self._surroundings.changed(self)

    def pause(self) -> None:
        """SIGSTOP: the machine answers connection attempts, the process does nothing."""
        if self.process is not None:
            self._trace("is paused")
            self.process.pause()

    def resume(self) -> None:
        if self.process is not None and self.process.paused:
            self._trace("goes on")
            self.process.resume()

    def erase(self) -> None:
        """No process runs, and the disk is replaced by an empty one: what starts there next has another directory id."""
        assert self.process is None, f"{self.name} runs"
        self._trace("has an empty disk")
        self.disk.erase()
        self.lost_something()

    def heal_disk(self) -> None:
        """The disk is quick and works again."""
        self.disk_behaviour = DiskBehaviour()

    def stop(self) -> None:
        """SIGTERM: the node hands over and its process ends by itself."""
        if self.process is not None:
            self._trace("is told to stop")
            self.process.stopping = True
            self.process.tell(self.process.node.begin_shutdown)

    def process_stopped(self) -> None:
        """The node has stopped cleanly."""
        self._trace("stopped cleanly")
        self.ended_cleanly = True
        self._end_process()
        if self._start_again:
            self._start_again = False
            self._surroundings.heap.after(0, self.start)

    def process_failed(self, reason: str) -> None:
        """The node could not go on. Unless something was done to its disk, it should have been able to."""
        self._trace(f"process ends: {reason}")
        self._end_process()
        if not self.may_fail:
            self._surroundings.broken(f"{self.name}: {reason}")

    def _end_process(self) -> None:
        if self.process is not None:
            self.process.ended = True
            self.process = None
            self._surroundings.network.process_ended(self.name)
            self.disk.kill()
            self._surroundings.changed(self)

    def _trace(self, text: str) -> None:
        self._surroundings.trace.line(self.name, text)


class SimProcess:
    """A running node. It is the receiver of all its connections, inbound and outbound."""

    def __init__(self, machine: Machine, surroundings: Surroundings, node: NodePort) -> None:
        self.node = node
        self.ended = False
        self.paused = False
        self.stopping = False
        self.is_unclean_restart = False
        self.now_ms = 0
        """What its clock said when something last happened to the node."""
        self._machine = machine
        self._surroundings = surroundings
        self._missed: deque[Callable[[int], None]] = deque()
        self._connections: dict[Side, Connection] = {}
        self._links: dict[LinkId, Side | None] = {}
        self._link_of: dict[Side, LinkId] = {}
        self._link_attempts: dict[LinkId, int] = {}
        self._timer: Event | None = None

    def start(self) -> None:
        clock = self._machine.clock
        self.tell(lambda now_ms: self.node.start(now_ms, now_ms + clock.wall_offset_ms))

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        """What was missed happens now, in order."""
        self.paused = False
        while self._missed and not self.paused and not self.ended:
            self.tell(self._missed.popleft())
        self.tell(lambda now_ms: None)

    def tell(self, event: Callable[[int], None]) -> None:
        """One event of the node, and all that follows from it."""
        if self.ended:
            return
        if self.paused:
            self._missed.append(event)
            return
        node, machine = self.node, self._machine
        now_ms = self.now_ms = machine.clock.now_ms()
        node.wall_offset_ms = machine.clock.wall_offset_ms
        try:
            event(now_ms)
            effects = node.settle(now_ms)
        except (DiskError, CorruptRecord) as error:
            machine.process_failed(f"{type(error).__name__}: {error}")
            return
        except Exception as error:
            self._surroundings.broken(f"{machine.name}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
            machine.process_failed(f"{type(error).__name__}: {error}")
            return
        for effect in effects:
            self._carry_out(effect)
            if self.ended:
                return
        if self._surroundings.trace.watcher is not None:
            self._surroundings.trace.watcher.settled(machine.name, node)
        self._surroundings.changed(machine)
        if node.stopped:
            machine.process_stopped()
            return
        self._set_timer(now_ms)

    # Connections

    def accepted(self, side: Side, listener: str) -> None:
        """A connection came in."""
        connection = Connection(listener=listener, peer=f"{side.peer_machine}:{side.number}", handle=side)
        side.receiver = self
        self._connections[side] = connection
        self.tell(lambda now_ms: self.node.connection_opened(connection))

    def received(self, side: Side, data: bytes) -> None:
        self.tell(partial(self._take_frames, side, data))

    def closed(self, side: Side) -> None:
        self.tell(partial(self._side_closed, side))

    def _take_frames(self, side: Side, data: bytes, now_ms: int) -> None:
        connection, link_id = self._connections.get(side), self._link_of.get(side)
        for frame in frames_of(data):
            buffer = bytearray(frame)
            try:
                if connection is not None:
                    self.node.frame_received(connection, memoryview(buffer), now_ms)
                elif link_id is not None:
                    self.node.link_frame(link_id, memoryview(buffer), now_ms)
            except (DecodeError, PeerError) as error:
                self._surroundings.trace.line(self._machine.name, f"closes connection {side.number}: {error}")
                self._surroundings.network.close(side)
                self._side_closed(side, now_ms)
                return
            buffer[:] = SCRIBBLE * len(buffer)

    def _side_closed(self, side: Side, now_ms: int) -> None:
        connection = self._connections.pop(side, None)
        if connection is not None:
            connection.closed = True
            self.node.connection_closed(connection, now_ms)
        link_id = self._link_of.pop(side, None)
        if link_id is not None:
            del self._links[link_id]
            self.node.link_closed(link_id, refused=False, now_ms=now_ms)

    # Effects

    def _carry_out(self, effect: NodeEffect) -> None:
        network = self._surroundings.network
        match effect:
            case Flush():
                connection = effect.connection
                data = b"".join(connection.out)
                connection.out.clear()
                side = connection.handle
                assert type(side) is Side
                if data:
                    network.send(side, data)
            case SendOnLink():
                link = self._links.get(effect.link_id)
                if link is not None:
                    network.send(link, b"".join(effect.buffers))
            case Persist():
                self._begin_persist(effect)
            case Observed():
                self._surroundings.trace.observed(self._machine.name, effect)
            case OpenLink():
                self._open_link(effect)
            case CloseLink():
                self._close_link(effect.link_id)
            case CloseConnection():
                side = effect.connection.handle
                assert isinstance(side, Side)
                network.close(side)
                self._surroundings.heap.after(0, lambda: self.closed(side))
            case Halt():
                self._machine.process_failed(f"halted: {effect.reason}")

    def _open_link(self, effect: OpenLink) -> None:
        link_id = effect.link_id
        if link_id in self._links:
            self._surroundings.broken(f"{self._machine.name}: link {link_id} is opened twice")
        self._links[link_id] = None
        attempt = self._link_attempts[link_id] = self._link_attempts.get(link_id, 0) + 1

        def is_current() -> bool:
            return not self.ended and self._link_attempts[link_id] == attempt and link_id in self._links

        def opened(side: Side) -> None:
            if not is_current():
                self._surroundings.network.close(side)
                return
            side.receiver = self
            self._links[link_id] = side
            self._link_of[side] = link_id
            self.tell(lambda now_ms: self.node.link_opened(link_id, now_ms) if self._links.get(link_id) is side else None)

        def failed(refused: bool) -> None:
            if is_current():
                self.tell(lambda now_ms: self._link_failed(link_id, refused, now_ms))

        self._surroundings.network.connect(self._machine.name, effect.host, effect.port, opened=opened, failed=failed)

    def _link_failed(self, link_id: LinkId, refused: bool, now_ms: int) -> None:
        if self._links.pop(link_id, self) is None:
            self.node.link_closed(link_id, refused=refused, now_ms=now_ms)

    def _close_link(self, link_id: LinkId) -> None:
        side = self._links.pop(link_id, None)
        if side is not None:
            del self._link_of[side]
            self._surroundings.network.close(side)

    def _begin_persist(self, persist: Persist) -> None:
        """The sync takes a while; whether the bytes are stable at its beginning or at its end is up to chance."""
        machine = self._machine
        behaviour = machine.disk_behaviour
        at_once = machine.rng.random() < 0.5
        error = self._persist(persist) if at_once else None
        delay_us = behaviour.min_sync_us + int(machine.rng.expovariate(1.0) * behaviour.mean_extra_sync_us)

        def complete() -> None:
            if self.ended:
                return
            outcome = error if at_once else self._persist(persist)
            if outcome is None:
                self.tell(lambda now_ms: self.node.persisted(persist.token, now_ms))
            else:
                self.tell(lambda now_ms: self.node.persist_failed(persist.token, outcome, now_ms))

        self._surroundings.heap.after(delay_us, complete)

    def _persist(self, persist: Persist) -> DiskError | None:
        error = self._machine.disk_behaviour.fail_persist(persist)
        if error is not None:
            return error
        try:
            self._machine.disk.persist(persist)
        except DiskError as failure:
            return failure
        if any(write.path.endswith(CLEAN_SHUTDOWN_FILE) and write.data for write in persist.writes):  # without data it is withdrawn
            self._machine.ended_cleanly = True
        return None

    # Time

    def _set_timer(self, now_ms: int) -> None:
        deadline_ms = self.node.next_deadline_ms()
        at_us = self._machine.clock.when_us(deadline_ms if deadline_ms > now_ms else now_ms + 1)
        timer = self._timer
        if timer is not None and not timer.cancelled:
            if timer.at_us <= at_us:
                return
            timer.cancel()
        self._timer = self._surroundings.heap.at(at_us, self._tick)

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now_ms = self._machine.clock.now_ms()
        if self.ended or self.paused or self.node.next_deadline_ms() <= now_ms:
            self.tell(self._tick_if_due)
        else:  # it was put off since the timer was set
            self._set_timer(now_ms)

    def _tick_if_due(self, now_ms: int) -> None:
        if self.node.next_deadline_ms() <= now_ms:
            self._surroundings.trace.detail(self._machine.name, "tick")
            self.node.tick(now_ms)
