"""Drives one Raft node: its machine, its files, and the order of its effects.

Writes go to the files when the machine asks for them (into the page cache), and become stable with a `Persist`, of which one is under way
at a time. It covers everything written before it was issued, so that what gathers while it is under way shares the next one: group commit.

Invariants
- What follows a `Barrier` leaves only when everything written before the barrier is stable: a follower's answer, a vote, a candidate's
  request.
- A leader's entries have no barrier: they are sent before they are stable here, and `log_persisted` tells the machine when they are
  (thesis 10.2.1). So a slow disk of the leader holds back neither its heartbeats nor a commit that a majority of the others has made
  stable.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import attrs

from raftkafka.base.disk import Disk, Persist
from raftkafka.base.ids import NodeId
from raftkafka.base.observed import observed
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.effects import Barrier, DriverEffect, OwnerEffect, WriteEntries, WriteSnapshot, WriteVote
from raftkafka.raft.messages import RaftMessage
from raftkafka.raft.node import RaftNode
from raftkafka.raft.roles import Leader
from raftkafka.raft.state import RaftState
from raftkafka.raft.status import RaftStatus, status_of
from raftkafka.raft.store import RaftStore
from raftkafka.raft.voters import Voter, VoterSet


@attrs.frozen
class _Gate:
    """What is queued behind it waits until the store's writes up to this count are stable."""

    written: int


_Queued: TypeAlias = OwnerEffect | _Gate


class RaftDriver:
    """A Raft node with its files. Call `drain` after every other call, and carry out what it returns in that order."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        directory_id: bytes,
        voters: VoterSet,
        disk: Disk,
        directory: str,
        config: RaftConfig,
        rng: random.Random,
    ) -> None:
        """`voters` count until formatting or the log has named others. A node that is not among them is an observer."""
        self._node = RaftNode(node_id=node_id, directory_id=directory_id, voters=voters, config=config, rng=rng)
        self._store = RaftStore(disk, directory)
        self._queue: deque[_Queued] = deque()
        self._next_token = 1
        self._persisting: int | None = None
        self.steps = 0
        """Grows whenever something may have changed."""

    def start(self, now_ms: int) -> None:
        """Reads vote, snapshot and log; cuts off a torn tail. Raises `CorruptRecord` when something had been stable and is gone."""
        loaded = self._store.load()
        if loaded.cut_bytes:
            self._queue.append(observed("torn-tail-cut", bytes=loaded.cut_bytes))
        self._node.start(
            epoch=loaded.epoch,
            voted_for=loaded.voted_for,
            snapshot=loaded.snapshot,
            entries=loaded.entries,
            initial_voters=loaded.initial_voters,
            now_ms=now_ms,
        )
        self._write()

    # -- what happens to the node

    def receive(self, source: NodeId, message: RaftMessage, now_ms: int) -> None:
        """Handles a message of another node; raises `PeerError` when a correct node does not say such a thing."""
        self._node.receive(source, message, now_ms)
        self._write()

    def met(self, node_id: NodeId) -> None:
        """A node of the cluster, found by its address alone, can be asked who leads."""
        self._node.met(node_id)

    def peer_lost(self, node_id: NodeId, now_ms: int) -> None:
        """A hint: the process of that node is gone (its connection was closed and a new one is refused)."""
        self._node.peer_lost(node_id, now_ms)
        self._write()

    def tick(self, now_ms: int) -> None:
        """Time has passed; needed at `next_deadline_ms`, harmless at any other time."""
        self._node.tick(now_ms)
        self._write()

    def next_deadline_ms(self) -> int:
        return self._node.next_deadline_ms()

    def persisted(self, token: int, now_ms: int) -> None:
        """The `Persist` with this token is done."""
        assert token == self._persisting, f"persisted {token}, but {self._persisting} is under way"
        self._persisting = None
        self._store.complete_persist()
        self._node.log_persisted(self._store.stable_end_offset)
        self._write()

    # -- what the owner asks

    def propose(self, records: Sequence[bytes], now_ms: int) -> int:
        """Appends the records as one batch, an entry each; the offset of the last. All of them will be committed, or none. Raises
        `NotLeader`.
        """
        last_offset = self._node.propose(records, now_ms)
        self._write()
        return last_offset

    def add_voter(self, node_id: NodeId, voter: Voter, now_ms: int) -> int:
        """Begins to make an observer that has caught up a voter; it is done when the entry at the offset returned is committed. Raises
        `NotLeader` or `ChangeRefused`.
        """
        offset = self._node.add_voter(node_id, voter, now_ms)
        self._write()
        return offset

    def remove_voter(self, node_id: NodeId, directory_id: bytes | None, now_ms: int) -> int:
        """Begins to make a voter an observer; as `add_voter`. The directory may be None: any."""
        offset = self._node.remove_voter(node_id, directory_id, now_ms)
        self._write()
        return offset

    def update_voter(self, node_id: NodeId, voter: Voter, now_ms: int) -> int:
        """Begins to write down a voter's other endpoints; as `add_voter`."""
        offset = self._node.update_voter(node_id, voter, now_ms)
        self._write()
        return offset

    def transfer_leadership(self, to: NodeId | None, now_ms: int) -> bool:
        """Begins to hand over leadership, to the furthest voter if `to` is None; False when this node does not lead or there is no such
        voter.
        """
        return self._node.transfer_leadership(to, now_ms)

    @property
    def hands_over(self) -> bool:
        """Whether it leads, but is handing leadership over, and takes no proposals any more."""
        role = self._node.state.role
        return isinstance(role, Leader) and role.transfer is not None

    def save_snapshot(self, end_offset: int, epoch: int, data: bytes, now_ms: int) -> None:
        """The owner's state after all entries below `end_offset`, all of them committed; `epoch` is the last one's. The log drops them."""
        self._node.save_snapshot(end_offset=end_offset, epoch=epoch, data=data)
        self._write()

    @property
    def state(self) -> RaftState:
        """The node's state, for who checks invariants; nobody outside changes it."""
        return self._node.state

    @property
    def store(self) -> RaftStore:
        """Its files, for who checks invariants: what of the state is stable."""
        return self._store

    def status(self, now_ms: int) -> RaftStatus:
        return status_of(self._node.state, now_ms)

    # -- what comes out

    def drain(self) -> list[DriverEffect]:
        """What may be done now, in order. A leader's messages come before the `Persist` of what they carry."""
        self._node.settle()
        self._write()
        out: list[DriverEffect] = []
        while self._queue:
            effect = self._queue[0]
            if isinstance(effect, _Gate):
                if effect.written > self._store.stable:
                    break
            else:
                out.append(effect)
            self._queue.popleft()
        if self._persisting is None and self._store.written > self._store.stable:
            writes, syncs = self._store.begin_persist()
            self._persisting = self._next_token
            self._next_token += 1
            out.append(Persist(self._persisting, writes, syncs))
        return out

    def _write(self) -> None:
        """Carries out the machine's writes and queues the rest."""
        self.steps += 1
        store = self._store
        if not self._node.state.effects:
            return
        for effect in self._node.take_effects():
            match effect:
                case WriteVote(epoch=epoch, voted_for=voted_for):
                    store.write_vote(epoch, voted_for)
                case WriteEntries(start_offset=start_offset, entries=entries):
                    store.write_entries(start_offset, entries)
                case WriteSnapshot(snapshot=snapshot, reset=reset):
                    store.write_snapshot(snapshot, reset=reset)
                case Barrier():
                    self._queue.append(_Gate(store.written))
                case _:
                    self._queue.append(effect)
