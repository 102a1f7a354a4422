"""Runs golden scripts: readable lessons on Raft that are also its tests.

A script is a text file. Lines with `#` are prose, lines with `>` are commands, and what follows a command up to the next empty line is what
happened. The commands are the methods of `Stage` whose names begin with `do_`. Nothing is random: of nodes that wait, the one with the
lower id waits shorter. A power failure loses all that was not made stable.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import msgpack

from raftkafka.base.disk import FileWrite, Persist
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import NodeId
from raftkafka.raft.codec import decode_message, encode_message
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.effects import Committed, DriverEffect, SendMessage, SnapshotLoaded
from raftkafka.raft.membership import ChangeRefused
from raftkafka.raft.messages import AppendRequest, EntryKind, RaftMessage
from raftkafka.raft.node import NotLeader
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.raft.voters import Voter, VoterSet
from raftkafka.simulation.disk import SimDisk
from tests.raft.wording import words_of_effect, words_of_log, words_of_message

_UnderWay: TypeAlias = tuple[NodeId, NodeId, RaftMessage]


class Orderly(random.Random):
    """No randomness: every choice is the first, every range is used by the nodes in the order of their ids."""

    def __init__(self, node_id: int) -> None:
        super().__init__(0)
        self._node_id = node_id

    def randint(self, a: int, b: int) -> int:
        return a + (b - a) * (self._node_id - 1) // 5

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def random(self) -> float:
        return 0.9


class Actor:
    def __init__(self, node_id: NodeId) -> None:
        self.node_id = node_id
        self.disk = SimDisk()
        self.lost_disks = 0
        self.driver: RaftDriver | None = None
        self.persists: deque[Persist] = deque()
        self.values: list[str] = []
        self.applied = 0
        self.applied_epoch = 0

    @property
    def directory_id(self) -> bytes:
        return bytes([self.node_id]) * 15 + bytes([self.node_id + self.lost_disks])

    def format(self, voters: VoterSet) -> None:
        """Writes with which voters the node begins."""
        self.disk.make_dir("raft")
        self.disk.persist(Persist(0, (FileWrite(f"raft/{INITIAL_VOTERS_FILE}", encode_initial_voters(voters)),)))


class Stage:
    """A small cluster under the hand of the script."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.actors: dict[NodeId, Actor] = {}
        self.voters: dict[NodeId, Voter] = {}
        self.config = RaftConfig()
        self.queue: deque[_UnderWay] = deque()
        self.isolated: dict[NodeId, None] = {}
        self.slow_disks: dict[NodeId, None] = {}
        self.out: list[str] = []

    def run(self, command: str) -> list[str]:
        """What happened at this command, a line each."""
        self.out = []
        name, *arguments = command.split()
        getattr(self, f"do_{name.replace('-', '_')}")(*arguments)
        return self.out or ["nothing"]

    # -- commands: the cluster

    def do_cluster(self, voters: str, observers: str = "0", *settings: str) -> None:
        """`cluster 3 1 name=value ...`: three voters and an observer, with settings of `RaftConfig`."""
        self.config = RaftConfig(**{name: int(value) for name, value in (setting.split("=") for setting in settings)})
        self.voters = {NodeId(i + 1): Voter() for i in range(int(voters))}
        for i in range(int(voters) + int(observers)):
            self.actors[NodeId(i + 1)] = Actor(NodeId(i + 1))
        for actor in self.actors.values():
            self._start(actor)
        self.out = [f"{len(self.voters)} voters" + (f", {observers} observers" if observers != "0" else "")]

    def do_formatted_cluster(self, voters: str) -> None:
        """`formatted-cluster 3`: three nodes that were formatted as voters with their directories. (KIP-853)"""
        self.actors = {NodeId(i + 1): Actor(NodeId(i + 1)) for i in range(int(voters))}
        first = {actor.node_id: Voter(directory_id=actor.directory_id) for actor in self.actors.values()}
        for actor in self.actors.values():
            actor.format(first)
            self._start(actor)
        self.out = [f"{len(first)} voters with their directories"]

    def do_start(self, *nodes: str) -> None:
        for actor in self._named(nodes):
            self._start(actor)

    def do_kill(self, *nodes: str) -> None:
        """The process is gone; what it wrote is in the page cache."""
        for actor in self._named(nodes):
            actor.driver, actor.persists = None, deque()
            actor.disk.kill()
            self.out.append(f"{actor.node_id}   is dead")

    def do_power_off(self, *nodes: str) -> None:
        """The machine is off; what was not stable is gone."""
        for actor in self._named(nodes):
            actor.driver, actor.persists = None, deque()
            actor.disk.crash(Orderly(actor.node_id))
            self.out.append(f"{actor.node_id}   is off")

    def do_damage(self, node: str, prefix: str, position: str) -> None:
        """One bit flips in the first file whose name begins so; a negative position counts from the end."""
        actor = self._actor(node)
        name = next(name for name in actor.disk.list_dir("raft") if name.startswith(prefix))
        size = len(actor.disk.read_file(f"raft/{name}"))
        actor.disk.flip_bit(f"raft/{name}", int(position) % size)
        self.out.append(f"{node}   a bit of the file {prefix} flips")

    def do_wipe(self, node: str) -> None:
        """The disk is replaced by an empty one; where voters have directories it gets one of its own, and no vote."""
        actor = self._actor(node)
        actor.disk = SimDisk()
        if not self.voters:
            actor.lost_disks += 1
            actor.format({})
        self.out.append(f"{node}   has an empty disk")

    def do_isolate(self, *nodes: str) -> None:
        for node in nodes:
            self.isolated[NodeId(int(node))] = None
            self.out.append(f"{node}   is cut off")

    def do_heal(self) -> None:
        self.isolated.clear()
        self.out.append("all are connected")

    def do_slow_disk(self, node: str) -> None:
        """What the node persists stays under way until `persisted`."""
        self.slow_disks[NodeId(int(node))] = None
        self.out.append(f"{node}   has a slow disk")

    def do_persisted(self, node: str) -> None:
        """The `Persist` under way is done."""
        actor = self._actor(node)
        self._complete(actor, actor.persists.popleft())
        self._settle(actor)

    # -- commands: time and messages

    def do_timeout(self, node: str) -> None:
        """Time passes until the patience of the node ends."""
        actor = self._actor(node)
        assert actor.driver is not None
        self.now_ms = max(self.now_ms, actor.driver.next_deadline_ms())
        actor.driver.tick(self.now_ms)
        self._settle(actor)

    def do_elect(self, node: str) -> None:
        """The patience of the node ends and all messages arrive; script 01 shows what happens then."""
        self.do_timeout(node)
        self._deliver_all(quietly=True)
        self.out = [line for line in self.out if " leads epoch " in line]

    def do_pass(self, milliseconds: str) -> None:
        """Time passes, and nobody looks at the clock."""
        self.now_ms += int(milliseconds)
        self.out.append(f"it is {self.now_ms} ms")

    def do_live(self, milliseconds: str) -> None:
        """Time passes, all clocks run and all messages arrive; heartbeats and their answers are not shown."""
        end_ms = self.now_ms + int(milliseconds)
        while True:
            running = [actor for actor in self.actors.values() if actor.driver is not None]
            due = min(running, key=lambda actor: actor.driver.next_deadline_ms())  # type: ignore[union-attr]
            assert due.driver is not None
            if due.driver.next_deadline_ms() > end_ms:
                break
            self.now_ms = max(self.now_ms, due.driver.next_deadline_ms())
            due.driver.tick(self.now_ms)
            self._settle(due)
            self._deliver_all(quietly=True)
        self.now_ms = end_ms

    def do_deliver(self, *route: str) -> None:
        """All messages, and those they lead to, until there are none; or `deliver 1 2`: what is now under way from 1 to 2."""
        if not route:
            self._deliver_all(quietly=False)
            return
        for source, to, message in self._take(route):
            self._deliver(source, to, message, quietly=False)

    def do_deliver_first(self, source: str, to: str) -> None:
        """Only the first message under way from one node to another."""
        self._deliver_one(self._under_way(source, to)[0])

    def do_deliver_last(self, source: str, to: str) -> None:
        """Only the last message under way from one node to another: it overtakes the others."""
        self._deliver_one(self._under_way(source, to)[-1])

    def do_drop(self, *route: str) -> None:
        """Messages under way are lost: all, or those from one node to another."""
        for source, to, message in self._take(route):
            self.out.append(f"{source} -> {to}  LOST: {words_of_message(message)}")

    def do_under_way(self, source: str, to: str) -> None:
        """Shows what is under way from one node to another."""
        self.out += [f"{a} -> {b}  under way: {words_of_message(message)}" for a, b, message in self._under_way(source, to)]

    def do_repeat(self, source: str, to: str) -> None:
        """The first message under way is put in the queue once more, behind all others."""
        first = self._under_way(source, to)[0]
        self.queue.append(first)
        self.out.append(f"{source} -> {to}  twice: {words_of_message(first[2])}")

    def do_lost(self, node: str, peer: str) -> None:
        """A node learns that the process of another one is gone."""
        actor = self._actor(node)
        assert actor.driver is not None
        actor.driver.peer_lost(NodeId(int(peer)), self.now_ms)
        self._settle(actor)

    # -- commands: what the owner does

    def do_propose(self, node: str, *values: str) -> None:
        actor = self._actor(node)
        assert actor.driver is not None
        try:
            last = actor.driver.propose([value.encode() for value in values], self.now_ms)
        except NotLeader as refusal:
            self.out.append(f"{node}   refuses: {refusal}")
            return
        self.out.append(f"{node}   proposed, last offset {last}")
        self._settle(actor)

    def do_transfer(self, node: str, to: str) -> None:
        actor = self._actor(node)
        assert actor.driver is not None
        actor.driver.transfer_leadership(NodeId(int(to)), self.now_ms)
        self._settle(actor)

    def do_add_voter(self, leader: str, node: str) -> None:
        """A leader is asked to make an observer a voter."""
        self._change_voters(leader, lambda driver: driver.add_voter(NodeId(int(node)), Voter(), self.now_ms))

    def do_remove_voter(self, leader: str, node: str) -> None:
        """A leader is asked to take a vote away."""
        self._change_voters(leader, lambda driver: driver.remove_voter(NodeId(int(node)), None, self.now_ms))

    def _change_voters(self, leader: str, change: Callable[[RaftDriver], int]) -> None:
        actor = self._actor(leader)
        assert actor.driver is not None
        try:
            offset = change(actor.driver)
        except (NotLeader, ChangeRefused) as refusal:
            self.out.append(f"{leader}   refuses: {refusal}")
            return
        self.out.append(f"{leader}   proposed, offset {offset}")
        self._settle(actor)

    def do_snapshot(self, node: str) -> None:
        actor = self._actor(node)
        assert actor.driver is not None
        actor.driver.save_snapshot(actor.applied, actor.applied_epoch, ",".join(actor.values).encode(), self.now_ms)
        self._settle(actor)

    def do_status(self) -> None:
        for actor in self.actors.values():
            if actor.driver is None:
                self.out.append(f"{actor.node_id}   dead")
                continue
            status = actor.driver.status(self.now_ms)
            log = words_of_log(actor.driver._node.state.log)
            self.out.append(f"{actor.node_id}   {status.role}, epoch {status.epoch}, committed below {status.high_watermark}, log {log}")

    # -- what carries it out

    def _actor(self, node: str) -> Actor:
        return self.actors[NodeId(int(node))]

    def _named(self, nodes: tuple[str, ...]) -> list[Actor]:
        return [self._actor(node) for node in nodes]

    def _start(self, actor: Actor) -> None:
        actor.driver = RaftDriver(
            node_id=actor.node_id,
            directory_id=actor.directory_id,
            voters=self.voters,
            disk=actor.disk,
            directory="raft",
            config=self.config,
            rng=Orderly(actor.node_id),
        )
        actor.values, actor.applied = [], 0
        for contact in self.actors if not self.voters else ():
            if contact != actor.node_id:
                actor.driver.met(contact)
        try:
            actor.driver.start(self.now_ms)
        except CorruptRecord as error:
            actor.driver = None
            self.out.append(f"{actor.node_id}   does not start: {error}")
            return
        self._settle(actor)

    def _settle(self, actor: Actor) -> None:
        assert actor.driver is not None
        while effects := actor.driver.drain():
            for effect in effects:
                self._carry_out(actor, effect)

    def _carry_out(self, actor: Actor, effect: DriverEffect) -> None:
        if isinstance(effect, SendMessage):
            self.queue.append((actor.node_id, effect.to, effect.message))
            return
        self.out.append(f"{actor.node_id}   {words_of_effect(effect)}")
        match effect:
            case Persist() if actor.node_id in self.slow_disks:
                actor.persists.append(effect)
            case Persist():
                self._complete(actor, effect)
            case Committed(entries=entries):
                actor.values += [entry.data.decode() for entry in entries if entry.kind is EntryKind.DATA]
                actor.applied, actor.applied_epoch = entries[-1].offset + 1, entries[-1].epoch
            case SnapshotLoaded(end_offset=end_offset, epoch=epoch, data=data):
                actor.values, actor.applied, actor.applied_epoch = data.decode().split(","), end_offset, epoch
            case _:
                pass

    def _complete(self, actor: Actor, persist: Persist) -> None:
        assert actor.driver is not None
        actor.disk.persist(persist)
        actor.driver.persisted(persist.token, self.now_ms)

    def _take(self, route: tuple[str, ...]) -> list[_UnderWay]:
        wanted = tuple(int(node) for node in route)
        taken = [item for item in self.queue if not wanted or (item[0], item[1]) == wanted]
        self.queue = deque(item for item in self.queue if item not in taken)
        return taken

    def _under_way(self, source: str, to: str) -> list[_UnderWay]:
        return [item for item in self.queue if item[:2] == (int(source), int(to))]

    def _deliver_one(self, item: _UnderWay) -> None:
        self.queue.remove(item)
        self._deliver(*item, quietly=False)

    def _deliver_all(self, *, quietly: bool) -> None:
        while self.queue:
            self._deliver(*self.queue.popleft(), quietly=quietly)

    def _deliver(self, source: NodeId, to: NodeId, message: RaftMessage, *, quietly: bool) -> None:
        actor = self.actors[to]
        if source in self.isolated or to in self.isolated or actor.driver is None:
            if not quietly:
                self.out.append(f"{source} -> {to}  does not arrive: {words_of_message(message)}")
            return
        if not quietly or not _is_routine(message):
            self.out.append(f"{source} -> {to}  {words_of_message(message)}")
        actor.driver.receive(source, decode_message(msgpack.unpackb(msgpack.packb(encode_message(message)))), self.now_ms)
        self._settle(actor)


def _is_routine(message: RaftMessage) -> bool:
    return (isinstance(message, AppendRequest) and not message.entries) or getattr(message, "accepted", False)


def run_script(text: str) -> str:
    """The script with what really happens under each command."""
    stage = Stage()
    out: list[str] = []
    expecting = False
    for line in text.splitlines():
        if line.startswith(">"):
            out += [line, *stage.run(line[1:])]
            expecting = True
        elif not line.strip():
            out.append("")
            expecting = False
        elif line.startswith("#"):
            out.append(line)
        else:
            assert expecting, f"neither prose (#) nor a command (>): {line}"
    return "\n".join(out) + "\n"
