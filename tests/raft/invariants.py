"""The invariants of Raft, checked after every event of the simulation. Names are those of the project's rule book (Q1, Q2 ...).

They look at the nodes from outside: at what was sent, reported as committed, and stable; each is stated over all nodes and all time,
crashes included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from raftkafka.base.ids import NodeId
from raftkafka.raft.effects import Committed, DriverEffect, LeadershipGained, SendMessage, SnapshotLoaded
from raftkafka.raft.messages import AppendRequest, Entry, VoteRequest, VoteResponse
from raftkafka.raft.roles import Leader
from raftkafka.raft.voters import Voter, VoterSet

if TYPE_CHECKING:
    from tests.raft.sim_node import Identity, SimNode


class Violation(AssertionError):
    """An invariant does not hold."""


def require(condition: bool, text: str) -> None:
    if not condition:
        raise Violation(text)


class Invariants:
    """What was true once and must stay so. Who votes and speaks is a node with its directory: one that was wiped owes nothing to the one
    that it was.
    """

    def __init__(self, voters: VoterSet, nodes: Mapping[NodeId, SimNode]) -> None:
        self.voters = voters
        """The set by which the leader counted that committed last."""
        self._nodes = nodes
        self._lost_disks: dict[Identity, int] = {}
        self._leaders: dict[int, Identity] = {}
        self._votes: dict[tuple[Identity, int], NodeId] = {}
        self._entries: dict[tuple[int, int], tuple[Entry, int]] = {}
        self._sent_epoch: dict[Identity, int] = {}
        self._high_watermarks: dict[NodeId, int] = {}
        self._checked_logs: dict[NodeId, tuple[int, int]] = {}
        self.committed: list[Entry] = []

    def check_effect(self, node: SimNode, effect: DriverEffect) -> None:
        """An effect leaves a node."""
        match effect:
            case SendMessage(message=message):
                self._sent_epoch[node.identity] = max(self._sent_epoch.get(node.identity, 0), message.epoch)
                if isinstance(message, VoteResponse) and message.granted and not message.pre_vote:
                    self._check_vote(node, message.request_epoch, effect.to)
                if isinstance(message, VoteRequest) and not message.pre_vote:
                    self._check_vote(node, message.epoch, node.node_id)
                if isinstance(message, AppendRequest):
                    self._check_entries(message.entries, message.previous_epoch)
            case LeadershipGained(epoch=epoch):
                self._check_leader(node, epoch)
            case Committed(entries=entries):
                self._check_committed(node, entries)
            case SnapshotLoaded(end_offset=end_offset):
                require(not isinstance(node.state.role, Leader) or node.applied == 0, "Q10: a leader loaded a snapshot")
                require(end_offset <= len(self.committed), "Q9: a snapshot goes beyond what is committed")
            case _:
                pass

    def check_started(self, node: SimNode) -> None:
        """A node has read its files."""
        state = node.state
        sent_epoch = self._sent_epoch.get(node.identity, 0)
        require(state.epoch >= sent_epoch, f"Q5: node {node.node_id} is back in epoch {state.epoch} but had spoken in {sent_epoch}")
        require(state.log.end_offset >= node.durable_end_offset, f"Q7: node {node.node_id} lost what was stable")
        self._high_watermarks[node.node_id] = state.high_watermark
        self._checked_logs.pop(node.node_id, None)

    def disk_lost(self, node: SimNode) -> None:
        """The node's disk is gone, with what it held."""
        self._lost_disks[node.identity] = node.durable_end_offset

    def check_state(self, node: SimNode) -> None:
        """A node has handled an event."""
        state = node.state
        before = self._high_watermarks.get(node.node_id, 0)
        require(state.high_watermark >= before, f"Q6: the high watermark went back from {before} to {state.high_watermark}")
        self._high_watermarks[node.node_id] = state.high_watermark
        require(state.log.start_offset <= state.high_watermark, "Q9: the log starts above the high watermark")
        if state.log.start_offset > 0:
            require(
                state.snapshot is not None and state.snapshot.end_offset == state.log.start_offset, "Q9: no snapshot at the log's start"
            )
        if isinstance(state.role, Leader) and state.high_watermark > before:
            require(state.high_watermark > state.role.start_offset, "Q12: a leader committed below its own epoch's start")
        if isinstance(state.role, Leader) and state.high_watermark == len(self.committed) > before:
            self.voters = state.voters
        self._check_log(node)
        holding = sum(1 for node_id, voter in self.voters.items() if self._held_by(node_id, voter) >= len(self.committed))
        require(
            holding > len(self.voters) // 2,
            f"Q7: only {holding} of the voters {sorted(self.voters)} hold the {len(self.committed)} committed entries on stable storage",
        )

    def _held_by(self, node_id: NodeId, voter: Voter) -> int:
        """Where the log on the disk of a voter ends; of a lost disk, where it ended."""
        node = self._nodes[node_id]
        if voter.has(node.directory_id):
            return node.durable_end_offset
        assert voter.directory_id is not None
        return self._lost_disks[node_id, voter.directory_id]

    def _check_vote(self, node: SimNode, epoch: int, candidate: NodeId) -> None:
        first = self._votes.setdefault((node.identity, epoch), candidate)
        require(first == candidate, f"Q11: node {node.node_id} voted for {first} and for {candidate} in epoch {epoch}")

    def _check_leader(self, node: SimNode, epoch: int) -> None:
        first = self._leaders.setdefault(epoch, node.identity)
        require(first == node.identity, f"Q1: nodes {first} and {node.identity} both lead epoch {epoch}")
        log = node.state.log
        require(log.end_offset >= len(self.committed), "Q3: the new leader's log is shorter than what is committed")
        for entry in self.committed[log.start_offset :]:
            require(log.epoch_at(entry.offset) == entry.epoch, f"Q3: the new leader lacks the committed entry {entry.offset}")

    def _check_committed(self, node: SimNode, entries: tuple[Entry, ...]) -> None:
        require(entries[-1].ends_batch, "Q20: a batch was committed in part")
        for entry in entries:
            if entry.offset < len(self.committed):
                known = self.committed[entry.offset]
                require(known == entry, f"Q8: node {node.node_id} committed {entry} where {known} had been committed")
            else:
                require(entry.offset == len(self.committed), f"Q8: node {node.node_id} left out offset {len(self.committed)}")
                self.committed.append(entry)

    def _check_log(self, node: SimNode) -> None:
        """What was never stable nor sent does not count: a sole voter that loses its vote and its first entries may use the epoch again."""
        log, end_offset = node.state.log, node.durable_end_offset
        checked_end, checked_epoch = self._checked_logs.get(node.node_id, (0, 0))
        is_extension = log.start_offset < checked_end <= end_offset and log.epoch_at(checked_end - 1) == checked_epoch
        start_offset = checked_end if is_extension else log.start_offset
        if start_offset < end_offset:
            self._checked_logs[node.node_id] = (end_offset, log.epoch_at(end_offset - 1))
            self._check_entries(log.entries(start_offset, end_offset), log.epoch_at(start_offset - 1))

    def _check_entries(self, entries: tuple[Entry, ...], previous_epoch: int) -> None:
        for entry in entries:
            known, known_previous = self._entries.setdefault((entry.offset, entry.epoch), (entry, previous_epoch))
            require(
                known == entry and known_previous == previous_epoch, f"Q2: two logs differ at offset {entry.offset} of epoch {entry.epoch}"
            )
            previous_epoch = entry.epoch
