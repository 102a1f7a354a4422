"""One Raft node as a protocol machine: messages, proposals and time go in, effects in order come out. It does no I/O.

This file says what can happen to a node and who handles it: `election`, `replication` (the leader's side), `following` (the follower's
side), `snapshots`, `transfer`. They are functions over the one `RaftState`. The order of the effects is the order of execution: what
follows a `Barrier` starts when everything written before it is stable.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import assert_never

from raftkafka.base.ids import NodeId
from raftkafka.raft import election, following, membership, replication, snapshots, transfer
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.effects import NodeEffect, Snapshot, SnapshotLoaded, VotersChanged
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import (
    AppendRequest,
    AppendResponse,
    Entry,
    LeaderHint,
    ObserveRequest,
    RaftMessage,
    Resigned,
    SnapshotRequest,
    SnapshotResponse,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from raftkafka.raft.roles import Candidate, Follower, Leader, Prospective, Unattached
from raftkafka.raft.state import RaftState
from raftkafka.raft.voters import Voter, VoterHistory, VoterSet, decode_voters


class NotLeader(Exception):
    """A refusal: this node does not take proposals now. `leader_id` is who may, when that is known. It certainly did not happen."""

    definite = True

    def __init__(self, leader_id: NodeId | None, epoch: int) -> None:
        super().__init__(f"not the leader; in epoch {epoch} that is {'unknown' if leader_id is None else f'node {leader_id}'}")
        self.leader_id = leader_id
        self.epoch = epoch


class RaftNode:
    """The machine. Its owner takes the effects after every call, and calls `settle` before it takes them."""

    def __init__(self, *, node_id: NodeId, directory_id: bytes, voters: VoterSet, config: RaftConfig, rng: random.Random) -> None:
        self.state = RaftState(node_id=node_id, directory_id=directory_id, history=VoterHistory(voters), config=config, rng=rng)

    def start(
        self,
        *,
        epoch: int,
        voted_for: NodeId | None,
        snapshot: Snapshot | None,
        entries: Sequence[Entry],
        now_ms: int,
        initial_voters: VoterSet | None = None,
    ) -> None:
        """Begins from what stable storage held. A sole voter elects itself at once. `initial_voters`, when the node was formatted with
        some, count instead of the properties' until the log names others.
        """
        state = self.state
        if initial_voters is not None:
            state.history = VoterHistory(initial_voters, is_named=True)
            state.voters_changed()
        start_offset, start_epoch = (snapshot.end_offset, snapshot.epoch) if snapshot is not None else (0, 0)
        state.log = RaftLog(start_offset=start_offset, start_epoch=start_epoch, entries=entries)
        state.epoch = epoch
        state.voted_for = voted_for
        state.snapshot = snapshot
        if snapshot is not None and snapshot.voters:
            state.history.reset(decode_voters(snapshot.voters))
            state.voters_changed()
        state.note_voters(entries)
        state.high_watermark = state.persisted_end_offset = start_offset
        state.observe("started", epoch=epoch, start_offset=start_offset, end_offset=state.log.end_offset)
        state.barrier()
        if snapshot is not None:
            state.emit(SnapshotLoaded(snapshot.end_offset, snapshot.epoch, snapshot.data))
        if not state.may_stand:
            election.announce_observer(state, now_ms)
        elif state.is_voter and not state.other_voters:
            election.ask_for_pre_votes(state, now_ms)
        else:
            state.role = Unattached(deadline_ms=now_ms + state.short_timeout_ms())

    # -- events

    def receive(self, source: NodeId, message: RaftMessage, now_ms: int) -> None:
        """Handles a message; `PeerError` when a correct node does not say such a thing."""
        state = self.state
        state.lost_peers.pop(source, None)
        match message:
            case VoteRequest():
                election.on_vote_request(state, source, message, now_ms)
            case VoteResponse():
                election.on_vote_response(state, source, message, now_ms)
            case AppendRequest():
                following.on_append_request(state, source, message, now_ms)
            case AppendResponse():
                replication.on_append_response(state, source, message, now_ms)
            case ObserveRequest():
                self._on_observe_request(source, message, now_ms)
            case SnapshotRequest():
                following.on_snapshot_from_leader(state, source, message, now_ms)
            case SnapshotResponse():
                self._on_snapshot_response(source, message, now_ms)
            case TimeoutNow():
                self._on_timeout_now(source, message, now_ms)
            case LeaderHint():
                self._on_leader_hint(message)
            case Resigned():
                if message.epoch == state.epoch:
                    self._leader_gone(source, now_ms)
            case _:
                assert_never(message)

    def met(self, node_id: NodeId) -> None:
        """A node of the cluster can be reached that may know who leads."""
        self.state.contacts[node_id] = None

    def peer_lost(self, node_id: NodeId, now_ms: int) -> None:
        """A hint: the process of that node is gone. Its followers soon look for another leader; a leader counts it out for its check
        quorum.
        """
        state = self.state
        state.lost_peers[node_id] = None
        self._leader_gone(node_id, now_ms)
        role = state.role
        if isinstance(role, Leader) and (replica := role.replicas.get(node_id)) is not None:
            if replica.is_voter:
                replica.contact_ms = now_ms - state.config.check_quorum_timeout_ms
                replica.probing, replica.probe_sent = True, False
                replica.in_flight.clear()
            else:
                replication.forget_observer(state, role, node_id, now_ms)

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        role = self.state.role
        if isinstance(role, Leader):
            replication.leader_tick(self.state, role, now_ms)
        elif now_ms >= role.deadline_ms:
            election.patience_ended(self.state, now_ms)

    def log_persisted(self, end_offset: int) -> None:
        """The log below this offset is on stable storage here."""
        state = self.state
        state.persisted_end_offset = max(state.persisted_end_offset, min(end_offset, state.log.end_offset))
        if isinstance(state.role, Leader):
            replication.count_copies(state)

    def propose(self, records: Sequence[bytes], now_ms: int) -> int:
        """Appends one batch; the offset of its last entry. All of it will be committed or nothing of it. Raises `NotLeader`."""
        self._require_leadership()
        return replication.append_batch(self.state, records)

    def add_voter(self, node_id: NodeId, voter: Voter, now_ms: int) -> int:
        """Begins to make an observer a voter; the offset whose commit completes it. Raises `NotLeader`, `ChangeRefused`."""
        self._require_leadership()
        return membership.add_voter(self.state, node_id, voter, now_ms)

    def remove_voter(self, node_id: NodeId, directory_id: bytes | None, now_ms: int) -> int:
        """Begins to take a vote away; the offset whose commit completes it. Raises `NotLeader`, `ChangeRefused`."""
        self._require_leadership()
        return membership.remove_voter(self.state, node_id, directory_id, now_ms)

    def update_voter(self, node_id: NodeId, voter: Voter, now_ms: int) -> int:
        """Begins to write down a voter's other endpoints; as `add_voter`."""
        self._require_leadership()
        return membership.update_voter(self.state, node_id, voter, now_ms)

    def _require_leadership(self) -> None:
        role = self.state.role
        if not isinstance(role, Leader):
            raise NotLeader(self.state.leader_id, self.state.epoch)
        if role.transfer is not None:
            raise NotLeader(None, self.state.epoch)

    def settle(self) -> None:
        """Sends what became due since the last call."""
        replication.send_what_is_missing(self.state)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        match self.state.role:
            case Leader(heartbeat_ms=heartbeat_ms):
                return heartbeat_ms
            case Unattached() | Follower() | Prospective() | Candidate() as waiting:
                return waiting.deadline_ms

    # -- what is handled here because it is short

    def _on_observe_request(self, source: NodeId, request: ObserveRequest, now_ms: int) -> None:
        state = self.state
        role = state.role
        if isinstance(role, Leader) and not state.is_vote_of(source, request.directory_id):
            role.replicas[source] = replication.new_replica(state, source, directory_id=request.directory_id, now_ms=now_ms)
            state.observe("observer-joined", node=source, end_offset=request.end_offset)
        else:
            election.send_leader_hint(state, source)

    def _on_leader_hint(self, hint: LeaderHint) -> None:
        """Somebody follows a leader that this node may not know, or that does not know this node as a voter any more."""
        state = self.state
        leader_id = NodeId(hint.leader_id)
        if isinstance(state.role, Unattached | Prospective) and hint.epoch >= state.epoch and leader_id != state.node_id:
            voters = decode_voters(hint.voters)
            if leader_id not in state.voters and leader_id in voters and state.hinted_voters != voters:
                state.hinted_voters = voters
                state.emit(VotersChanged({**voters, **state.voters}))
            election.announce_to(state, leader_id)

    def _on_snapshot_response(self, source: NodeId, response: SnapshotResponse, now_ms: int) -> None:
        state = self.state
        replica = replication.hear_replica(state, source, epoch=response.epoch, directory_id=response.directory_id, now_ms=now_ms)
        if replica is not None and snapshots.on_snapshot_response(state, replica, response):
            replication.count_copies(state)

    def _on_timeout_now(self, source: NodeId, message: TimeoutNow, now_ms: int) -> None:
        state = self.state
        if message.epoch == state.epoch and state.leader_id == source and state.may_stand:
            state.observe("told-to-lead", by=source, epoch=state.epoch)
            election.ask_for_votes(state, now_ms, transfer=True)

    def _leader_gone(self, node_id: NodeId, now_ms: int) -> None:
        """The leader that this node follows leads no more: no stickiness, and little patience."""
        state = self.state
        role = state.role
        if isinstance(role, Follower) and role.leader_id == node_id and not role.leader_lost:
            role.leader_lost = True
            patience_ms = state.rng.randint(state.config.leader_lost_min_ms, state.config.leader_lost_max_ms)
            role.deadline_ms = min(role.deadline_ms, now_ms + patience_ms)
            state.observe("leader-gone", leader=node_id, epoch=state.epoch)

    def transfer_leadership(self, to: NodeId | None, now_ms: int) -> bool:
        """Begins to hand over leadership; see `transfer`."""
        return transfer.begin_transfer(self.state, to, now_ms)

    def save_snapshot(self, *, end_offset: int, epoch: int, data: bytes) -> None:
        """The owner's state at `end_offset`, which must be committed."""
        snapshots.save(self.state, end_offset=end_offset, epoch=epoch, data=data)

    def take_effects(self) -> list[NodeEffect]:
        return self.state.take_effects()
