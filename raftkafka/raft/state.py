"""The state of one Raft node, and the few changes that every part of the algorithm makes to it.

Invariants
- `epoch` never goes back (paper, 5.1), and a new epoch, or a vote, is written and followed by a `Barrier` before anything is sent in it.
- `high_watermark` never goes back; `persisted_end_offset` is how much of the log is on stable storage here, which only a leader needs to
  know.
- Only `take_effects` empties `effects`; everything else appends.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.base.observed import observed
from raftkafka.base.rules import Rule
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.effects import (
    Barrier,
    Committed,
    LeaderChanged,
    LeadershipLost,
    NodeEffect,
    SendMessage,
    Snapshot,
    VotersChanged,
    WriteVote,
)
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import Entry, EntryKind, RaftMessage, Resigned
from raftkafka.raft.roles import Follower, Leader, Role, Unattached
from raftkafka.raft.voters import VoterHistory, VoterSet, decode_voters

NEVER_MS = 1 << 62


@attrs.define(eq=False, kw_only=True)
class RaftState:
    """Everything that a node remembers; see the module."""

    node_id: NodeId
    directory_id: bytes
    history: VoterHistory
    config: RaftConfig
    rng: random.Random
    epoch: int = 0
    voted_for: NodeId | None = None
    log: RaftLog = attrs.Factory(RaftLog)
    snapshot: Snapshot | None = None
    high_watermark: int = 0
    persisted_end_offset: int = 0
    role: Role = attrs.Factory(lambda: Unattached(deadline_ms=NEVER_MS))
    leader_id: NodeId | None = None
    failed_rounds: int = 0
    heard_leader: bool = False
    lost_peers: dict[NodeId, None] = attrs.Factory(dict)
    contacts: dict[NodeId, None] = attrs.Factory(dict)
    """Nodes that an observer may ask who leads, beside the voters that it knows."""
    hinted_voters: VoterSet | None = None
    """Those that an observer was told of last, before it had them in its log."""
    effects: list[NodeEffect] = attrs.Factory(list)

    # -- what others ask

    @property
    def voters(self) -> VoterSet:
        """The voters that count now."""
        return self.history.current

    @property
    def is_voter(self) -> bool:
        """Whether this node, with this directory, is one of them."""
        return self._is_in(self.voters)

    @property
    def may_stand(self) -> bool:
        """Whether this node may ask for votes: a voter, or one that an entry takes the vote from which may not be committed. Its log may be
        the only one that goes far enough (thesis 4.2.2, figure 4.6). It does not vote for itself then.
        """
        is_open = self.history.last_change >= self.high_watermark
        return self.is_voter or (is_open and self._is_in(self.history.before_last_change))

    def _is_in(self, voters: VoterSet) -> bool:
        own = voters.get(self.node_id)
        return own is not None and (own.has(self.directory_id) or not self.config.applies(Rule.VOTER_NEEDS_ITS_DIRECTORY))

    def is_vote_of(self, node_id: NodeId, directory_id: bytes | None) -> bool:
        """Whether the node with this directory is a voter: whether its votes and its copies count. One that is unknown (None) is taken for
        the voter's until it speaks.
        """
        voter = self.voters.get(node_id)
        return voter is not None and (voter.has(directory_id) or not self.config.applies(Rule.VOTER_NEEDS_ITS_DIRECTORY))

    def own_vote(self) -> dict[NodeId, bool]:
        """The votes with which an election begins."""
        return {self.node_id: True} if self.is_voter else {}

    @property
    def other_voters(self) -> list[NodeId]:
        return [voter for voter in sorted(self.voters) if voter != self.node_id]

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    # -- effects

    def emit(self, effect: NodeEffect) -> None:
        self.effects.append(effect)

    def send(self, to: NodeId, message: RaftMessage) -> None:
        self.effects.append(SendMessage(to, message))

    def observe(self, kind: str, /, **fields: Any) -> None:
        self.effects.append(observed(kind, **fields))

    def barrier(self, rule: Rule = Rule.FSYNC_RAFT_LOG) -> None:
        """What is sent from here on is sent when all that was written is stable; `rule` is why."""
        if self.config.applies(rule):
            self.effects.append(Barrier())

    def take_effects(self) -> list[NodeEffect]:
        effects, self.effects = self.effects, []
        return effects

    # -- changes

    def write_vote(self, epoch: int, voted_for: NodeId | None) -> None:
        """Enters an epoch (or stays in it) with this vote; what is sent from here on is sent after the vote is stable."""
        assert epoch >= self.epoch
        self.epoch = epoch
        self.voted_for = voted_for
        self.emit(WriteVote(epoch, voted_for))
        self.barrier(Rule.PERSIST_VOTE)

    def set_leader(self, leader_id: NodeId | None) -> None:
        if self.leader_id != leader_id:
            self.leader_id = leader_id
            self.emit(LeaderChanged(self.epoch, leader_id))

    def leave_leadership(self, reason: str) -> None:
        """A leader becomes none, and says so to its followers so that they need not notice its silence."""
        if isinstance(self.role, Leader):
            self.observe("resigned", epoch=self.epoch, reason=reason)
            for node_id in self.role.replicas:
                self.send(node_id, Resigned(epoch=self.epoch))
            self.emit(LeadershipLost(self.epoch))

    def become_unattached(self, epoch: int, *, deadline_ms: int, reason: str) -> None:
        """Goes on without a leader, in this epoch or a higher one."""
        self.leave_leadership(reason)
        self.role = Unattached(deadline_ms=deadline_ms)
        if epoch > self.epoch:
            self.observe("epoch-raised", epoch=epoch, was=self.epoch, reason=reason)
            self.write_vote(epoch, None)
        self.set_leader(None)

    def become_follower(self, epoch: int, leader_id: NodeId, now_ms: int) -> Follower:
        """Follows the leader of this epoch."""
        self.leave_leadership("another leads a higher epoch")
        if epoch > self.epoch:
            self.write_vote(epoch, None)
        role = Follower(leader_id=leader_id, contact_ms=now_ms, deadline_ms=now_ms + self.election_timeout_ms())
        self.role = role
        self.heard_leader = True
        self.failed_rounds = 0
        self.set_leader(leader_id)
        self.observe("following", leader=leader_id, epoch=epoch)
        return role

    def note_voters(self, entries: Sequence[Entry]) -> None:
        """These entries are in the log now; a set of voters among them counts at once."""
        for entry in entries:
            if entry.kind is EntryKind.VOTERS:
                self.history.append(entry.offset, decode_voters(entry.data))
                self.voters_changed()

    def voters_changed(self) -> None:
        """Tells who votes now."""
        self.hinted_voters = None
        self.emit(VotersChanged(self.voters))

    def advance_high_watermark(self, high_watermark: int) -> None:
        """Everything below this offset is committed; hands it to the owner."""
        assert high_watermark <= self.log.end_offset
        if high_watermark > self.high_watermark:
            entries = self.log.entries(self.high_watermark, high_watermark)
            self.high_watermark = high_watermark
            self.emit(Committed(entries))

    # -- patience

    def election_timeout_ms(self) -> int:
        return self.rng.randint(self.config.election_timeout_min_ms, self.config.election_timeout_max_ms)

    def short_timeout_ms(self) -> int:
        """The wait before a first or a repeated attempt; longer after each round that failed."""
        base = self.rng.randint(self.config.first_election_min_ms, self.config.first_election_max_ms)
        return min(base << self.failed_rounds, self.election_timeout_ms())

    def round_timeout_ms(self) -> int:
        """How long a round of votes may stay undecided; longer after each round that failed."""
        base = self.rng.randint(self.config.retry_min_ms, self.config.retry_max_ms)
        return min(base << self.failed_rounds, self.election_timeout_ms())

    def follows_live_leader(self, now_ms: int) -> bool:
        """Leader stickiness (thesis, 4.2.3; KIP-996): whether this node leads, or has heard its leader so lately that it refuses every
        vote.
        """
        match self.role:
            case Leader():
                return True
            case Follower(leader_lost=False, contact_ms=contact_ms) if self.config.applies(Rule.LEADER_STICKINESS):
                return now_ms - contact_ms < self.config.election_timeout_min_ms
            case _:
                return False
