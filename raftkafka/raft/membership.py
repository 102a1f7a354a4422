"""Changes of the voters, one at a time, decided by the leader. (Thesis 4; KIP-853)

Rules and sources
- A set that differs by one voter is appended as an entry, and counts at once on every node whose log has it (thesis 4.1).
- The next change waits until the one before is committed, and until the leader has committed an entry of its own epoch: without that, two
  changes of two leaders could each be decided by a majority that does not meet the other's (the error of the thesis that its author mended
  in 2015, "bug in single-server membership changes").
- Whoever is to vote has observed before and has caught up: otherwise the new majority might not be able to commit anything for long
  (thesis 4.2.1).
- A node whose vote an entry takes away may stand for election until that is committed, without a vote of its own: its log may be the only
  one that goes far enough (thesis 4.2.2, figure 4.6).
- A leader that removes itself leads on, without counting itself, until that is committed; then it tells the best of the others to take over
  (thesis 4.2.2).
- Nodes answer candidates and leaders that their own set does not name, and vote although it does not name themselves: their log may be
  behind (thesis 4.1). Whether a vote or a copy counts is judged by who asked, from its own set.
- Servers that were removed and do not know it disturb nobody: pre-vote, and leader stickiness (thesis 4.2.3).
- A vote is taken away only while a majority of those that are left answers (ours; KRaft lets an administrator stop the quorum so).
- A voter is a node with its directory (KIP-853): what a node of that id with another directory votes or holds does not count. It observes,
  and gets a vote of its own when the one of the lost directory has been taken away.
"""

from __future__ import annotations

import enum

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.raft.messages import EntryKind
from raftkafka.raft.replication import append_single, new_replica
from raftkafka.raft.roles import Leader
from raftkafka.raft.state import RaftState
from raftkafka.raft.voters import Voter, VoterSet, encode_voters


class Refusal(enum.Enum):
    """Why a change is not begun. Only the first four may be otherwise a moment later."""

    CHANGE_UNDER_WAY = "another change of the voters is not committed yet"
    EPOCH_NOT_COMMITTED = "the leader has not committed an entry of its own epoch yet"
    NOT_CAUGHT_UP = "the node does not observe, or has not caught up"
    NO_MAJORITY_LEFT = "too few of the voters that would be left are there"
    DUPLICATE_VOTER = "the node is a voter already"
    VOTER_NOT_FOUND = "there is no such voter"
    LAST_VOTER = "the last voter cannot be removed"

    @property
    def passes(self) -> bool:
        """Whether asking again may help."""
        return self in (Refusal.CHANGE_UNDER_WAY, Refusal.EPOCH_NOT_COMMITTED, Refusal.NOT_CAUGHT_UP, Refusal.NO_MAJORITY_LEFT)


class ChangeRefused(Exception):
    """A change of the voters certainly was not begun."""

    definite = True

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


def add_voter(state: RaftState, node_id: NodeId, voter: Voter, now_ms: int) -> int:
    """Begins to make an observer a voter; the offset of the entry that does it. Raises `ChangeRefused`."""
    if node_id in state.history.current:
        raise ChangeRefused(Refusal.DUPLICATE_VOTER)
    _require_no_change_under_way(state)
    role = state.role
    assert isinstance(role, Leader)
    replica = role.replicas.get(node_id)
    if replica is None or not voter.has(replica.directory_id):
        raise ChangeRefused(Refusal.NOT_CAUGHT_UP)
    if now_ms - replica.last_caught_up_ms > state.config.election_timeout_min_ms or replica.last_caught_up_ms < 0:
        raise ChangeRefused(Refusal.NOT_CAUGHT_UP)
    return _change(state, {**state.history.current, node_id: attrs.evolve(voter, directory_id=replica.directory_id)}, now_ms)


def remove_voter(state: RaftState, node_id: NodeId, directory_id: bytes | None, now_ms: int) -> int:
    """Begins to make a voter an observer; the offset of the entry that does it. Raises `ChangeRefused`. A None as directory matches any."""
    voters = state.history.current
    if node_id not in voters or (None not in (directory_id, known := voters[node_id].directory_id) and directory_id != known):
        raise ChangeRefused(Refusal.VOTER_NOT_FOUND)
    if len(voters) == 1:
        raise ChangeRefused(Refusal.LAST_VOTER)
    _require_no_change_under_way(state)
    left = {each: voter for each, voter in voters.items() if each != node_id}
    _require_majority(state, left, now_ms)
    return _change(state, left, now_ms)


def update_voter(state: RaftState, node_id: NodeId, voter: Voter, now_ms: int) -> int:
    """Begins to write down a voter's other endpoints, and its directory where none was named; the offset of the entry. Raises
    `ChangeRefused`. (KIP-853, UpdateRaftVoter)
    """
    if not state.is_vote_of(node_id, voter.directory_id):
        raise ChangeRefused(Refusal.VOTER_NOT_FOUND)
    if state.voters[node_id] == voter:
        return state.history.last_change  # asked again: the connection may have ended before the answer
    _require_no_change_under_way(state)
    role = state.role
    assert isinstance(role, Leader)
    directory_id = state.directory_id if node_id == state.node_id else role.replicas[node_id].directory_id
    if voter.directory_id != directory_id:
        raise ChangeRefused(Refusal.NOT_CAUGHT_UP)
    return _change(state, {**state.voters, node_id: voter}, now_ms)


def _require_no_change_under_way(state: RaftState) -> None:
    role = state.role
    assert isinstance(role, Leader)
    if state.history.last_change >= state.high_watermark:
        raise ChangeRefused(Refusal.CHANGE_UNDER_WAY)
    if state.high_watermark <= role.start_offset:
        raise ChangeRefused(Refusal.EPOCH_NOT_COMMITTED)


def _require_majority(state: RaftState, voters: VoterSet, now_ms: int) -> None:
    """The set counts at once: if too few of it answer, nothing is committed any more, and if they are gone for good, never again."""
    role = state.role
    assert isinstance(role, Leader)
    since_ms = now_ms - state.config.election_timeout_min_ms
    answering = sum(
        1 for each, replica in role.replicas.items() if each in voters and replica.is_voter and replica.last_fetch_ms >= since_ms
    )
    if answering + (state.node_id in voters) <= len(voters) // 2:
        raise ChangeRefused(Refusal.NO_MAJORITY_LEFT)


def _change(state: RaftState, voters: VoterSet, now_ms: int) -> int:
    role = state.role
    assert isinstance(role, Leader)
    offset = append_single(state, EntryKind.VOTERS, encode_voters(voters))
    for node_id in state.other_voters:
        if node_id not in role.replicas:
            role.replicas[node_id] = new_replica(state, node_id, now_ms=now_ms)
    for node_id, replica in role.replicas.items():
        replica.is_voter = state.is_vote_of(node_id, replica.directory_id)
    return offset
