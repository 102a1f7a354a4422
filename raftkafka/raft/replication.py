"""The leader's side of log replication: what each replica is sent, and what a majority holds.

Rules and sources
- Paper 5.3: entries go out with the epoch of the entry before them; a refusal moves the leader back, here one epoch at a time (KIP-595,
  KIP-101).
- Paper 5.4.2, figure 8: by counting copies a leader commits only an entry of its own epoch, and with it all before.
- Thesis 10.2.1: the leader sends before its own write is stable, and counts its own copy only after that.
- Thesis 10.2.2 (pipelining): after one accepted message the next ones go out without waiting.
- Thesis 6.2 (check quorum), KIP-595: a leader that no majority answers resigns.

Sending is decided in one place, `send_what_is_missing`, from what a replica lacks: entries, a newer high watermark, a sign of life. The
driver calls it once for all that was proposed and answered together.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.errors import PeerError
from raftkafka.base.ids import NodeId
from raftkafka.base.rules import Rule
from raftkafka.raft.effects import WriteEntries
from raftkafka.raft.messages import AppendRequest, AppendResponse, Entry, EntryKind, TimeoutNow
from raftkafka.raft.roles import Leader, Replica
from raftkafka.raft.snapshots import begin_snapshot, send_chunk
from raftkafka.raft.state import RaftState
from raftkafka.raft.transfer import tell_transfer_target


def new_leader(state: RaftState, now_ms: int) -> Leader:
    """The role of a leader that has just been elected and knows nothing of the others' logs."""
    replicas = {voter: new_replica(state, voter, now_ms=now_ms) for voter in state.other_voters}
    return Leader(start_offset=state.log.end_offset, heartbeat_ms=now_ms + state.config.heartbeat_interval_ms, replicas=replicas)


def new_replica(state: RaftState, node_id: NodeId, *, directory_id: bytes | None = None, now_ms: int) -> Replica:
    """What is known of a node that has not answered yet; None as directory: whichever it has."""
    return Replica(
        node_id=node_id,
        directory_id=directory_id,
        is_voter=state.is_vote_of(node_id, directory_id),
        next_offset=state.log.end_offset,
        contact_ms=now_ms,
    )


def append_single(state: RaftState, kind: EntryKind, data: bytes = b"") -> int:
    """Appends an entry that is a batch of its own; its offset."""
    offset = state.log.end_offset
    _append(state, [Entry(offset, state.epoch, kind, data, True)])
    return offset


def append_batch(state: RaftState, records: Sequence[bytes]) -> int:
    """Appends one batch to the leader's log; the offset of its last entry. All of it will be committed, or nothing."""
    assert isinstance(state.role, Leader)
    assert records, "a batch has at least one record"
    base_offset = state.log.end_offset
    last = len(records) - 1
    _append(state, [Entry(base_offset + i, state.epoch, EntryKind.DATA, data, i == last) for i, data in enumerate(records)])
    return base_offset + last


def _append(state: RaftState, entries: list[Entry]) -> None:
    state.log.append(entries)
    state.note_voters(entries)
    state.emit(WriteEntries(entries[0].offset, tuple(entries)))
    if not state.config.applies(Rule.LEADER_COUNTS_ITSELF):
        state.persisted_end_offset = state.log.end_offset


# -- sending


def send_what_is_missing(state: RaftState) -> None:
    """Sends to every replica what it lacks and may be sent now."""
    role = state.role
    if isinstance(role, Leader):
        for replica in role.replicas.values():
            _send_to(state, replica)
        tell_transfer_target(state, role)


def _send_to(state: RaftState, replica: Replica) -> None:
    if replica.snapshot is None and replica.next_offset < state.log.start_offset:
        begin_snapshot(state, replica)
    if replica.snapshot is not None:
        if not replica.chunk_sent or replica.heartbeat_due:
            send_chunk(state, replica)
    elif replica.probing:
        if not replica.probe_sent or replica.heartbeat_due:
            _send_append(state, replica, without_entries=replica.probe_sent)
            replica.probe_sent = True
    else:
        _send_pipelined(state, replica)
    replica.heartbeat_due = False


def _send_pipelined(state: RaftState, replica: Replica) -> None:
    silent = True
    while replica.next_offset < state.log.end_offset and len(replica.in_flight) < state.config.max_in_flight:
        _send_append(state, replica)
        silent = False
    if silent and (replica.heartbeat_due or replica.sent_high_watermark < state.high_watermark):
        _send_append(state, replica, without_entries=True)


def _send_append(state: RaftState, replica: Replica, *, without_entries: bool = False) -> None:
    base_offset = replica.next_offset
    entries = () if without_entries else state.log.whole_batches(base_offset, state.config.max_append_bytes)
    request = AppendRequest(
        epoch=state.epoch,
        base_offset=base_offset,
        previous_epoch=state.log.epoch_at(base_offset - 1),
        entries=entries,
        high_watermark=state.high_watermark,
    )
    state.send(replica.node_id, request)
    replica.sent_high_watermark = state.high_watermark
    if entries and not replica.probing:
        replica.next_offset += len(entries)
        replica.in_flight.append(replica.next_offset)


# -- hearing


def on_append_response(state: RaftState, source: NodeId, response: AppendResponse, now_ms: int) -> None:
    """A replica accepted or refused entries."""
    replica = hear_replica(state, source, epoch=response.epoch, directory_id=response.directory_id, now_ms=now_ms)
    if replica is None:
        return
    if response.accepted:
        _on_accepted(state, replica, response.end_offset, now_ms)
    elif replica.snapshot is None and (response.base_offset > replica.match_offset or response.end_offset < replica.match_offset):
        _move_back(state, replica, response)


def hear_replica(state: RaftState, source: NodeId, *, epoch: int, directory_id: bytes, now_ms: int) -> Replica | None:
    """Notes a sign of life; None when the answer is not for this leader, or has just ended its leadership.

    Of an answer from another directory nothing is carried over: that is another log. It may come late, from a disk that is gone: it is as
    true as it was, of a voter that will never vote again.
    """
    if epoch > state.epoch:
        state.become_unattached(epoch, deadline_ms=now_ms + state.round_timeout_ms(), reason=f"node {source} is ahead")
        return None
    if epoch < state.epoch or not isinstance(state.role, Leader):
        return None
    replica = state.role.replicas.get(source)
    if replica is None:
        return None
    if replica.directory_id != directory_id:
        if replica.directory_id is not None:
            replica = state.role.replicas[source] = new_replica(state, source, now_ms=now_ms)
        replica.directory_id, replica.is_voter = directory_id, state.is_vote_of(source, directory_id)
        if source in state.voters and not replica.is_voter:
            state.observe("another-directory", node=source)
    replica.contact_ms = now_ms
    return replica


def _on_accepted(state: RaftState, replica: Replica, end_offset: int, now_ms: int) -> None:
    if end_offset > state.log.end_offset:
        raise PeerError(f"node {replica.node_id} says to hold {end_offset} offsets of a log that ends at {state.log.end_offset}")
    replica.match_offset = max(replica.match_offset, end_offset)
    replica.next_offset = max(replica.next_offset, replica.match_offset)
    replica.probing = False
    if replica.snapshot is not None and replica.match_offset >= replica.snapshot.snapshot.end_offset:
        replica.snapshot = None
    while replica.in_flight and replica.in_flight[0] <= end_offset:
        replica.in_flight.popleft()
    _note_caught_up(state, replica, now_ms)
    count_copies(state)


def _note_caught_up(state: RaftState, replica: Replica, now_ms: int) -> None:
    """When the replica last held all that the leader had at the time of the answer before (Kafka's lastCaughtUpTimestamp)."""
    if replica.match_offset >= state.log.end_offset:
        replica.last_caught_up_ms = now_ms
    elif replica.match_offset >= replica.last_fetch_end_offset >= 0:
        replica.last_caught_up_ms = max(replica.last_caught_up_ms, replica.last_fetch_ms)
    replica.last_fetch_ms = now_ms
    replica.last_fetch_end_offset = state.log.end_offset


def _move_back(state: RaftState, replica: Replica, response: AppendResponse) -> None:
    """The logs differ before `base_offset`: go back to where they may agree. (Paper 5.3, by epoch as in KIP-101 and KIP-595)

    All entries of the follower above (diverging_epoch, diverging_end_offset) are of epochs that this log does not have there.
    """
    epoch, end_offset = state.log.end_offset_for(response.diverging_epoch)
    next_offset = min(end_offset, response.diverging_end_offset) if epoch == response.diverging_epoch else end_offset
    next_offset = min(next_offset, response.base_offset - 1)
    if response.diverging_epoch < state.log.start_epoch:
        next_offset = min(next_offset, state.log.start_offset - 1)
    state.observe("moved-back", replica=replica.node_id, start_offset=response.base_offset, to=next_offset)
    replica.next_offset = next_offset
    replica.match_offset = min(replica.match_offset, max(next_offset, 0))
    replica.probing = True
    replica.probe_sent = False
    replica.in_flight.clear()


# -- committing


def count_copies(state: RaftState) -> None:
    """Moves the high watermark to what a majority of voters holds on stable storage. Observers do not count. (Paper 5.3, 5.4.2)"""
    role = state.role
    assert isinstance(role, Leader)
    held = [replica.match_offset for replica in role.replicas.values() if replica.is_voter]
    if state.is_voter:
        held.append(state.persisted_end_offset)
    if len(held) < state.majority:
        return
    held.sort(reverse=True)
    held_by_majority = held[state.majority - 1]
    own_epoch_only = state.config.applies(Rule.COMMIT_ONLY_OWN_EPOCH)
    if held_by_majority > (role.start_offset if own_epoch_only else state.high_watermark):
        state.advance_high_watermark(held_by_majority)


# -- time


def leader_tick(state: RaftState, role: Leader, now_ms: int) -> None:
    """Heartbeats, check quorum, observers that went away, a transfer that did not happen."""
    if role.transfer is not None and now_ms >= role.transfer.deadline_ms:
        state.observe("transfer-given-up", target=role.transfer.target)
        role.transfer = None
    if now_ms < role.heartbeat_ms:
        return
    role.heartbeat_ms = now_ms + state.config.heartbeat_interval_ms
    for replica in list(role.replicas.values()):
        replica.heartbeat_due = True
        if not replica.is_voter and now_ms - replica.contact_ms > state.config.observer_timeout_ms:
            forget_observer(state, role, replica.node_id, now_ms)
    if not state.is_voter and state.history.last_change < state.high_watermark:
        _hand_over(state, role, now_ms)
    else:
        check_quorum(state, role, now_ms)


def _hand_over(state: RaftState, role: Leader, now_ms: int) -> None:
    """The leader has removed itself, and that is committed: the voter that is furthest takes over. (Thesis 4.2.2)"""
    successors = [replica for replica in role.replicas.values() if replica.is_voter]
    if successors:
        best = max(successors, key=lambda replica: (replica.match_offset, replica.contact_ms, -replica.node_id))
        state.send(best.node_id, TimeoutNow(epoch=state.epoch))
    state.become_unattached(state.epoch, deadline_ms=now_ms + state.config.observe_interval_ms, reason="this node has no vote any more")


def check_quorum(state: RaftState, role: Leader, now_ms: int) -> None:
    """A leader that no majority has answered lately cannot commit anything, and may be a leader of the past: it resigns. (Thesis 6.2)"""
    if not state.config.applies(Rule.CHECK_QUORUM):
        return
    oldest_ms = now_ms - state.config.check_quorum_timeout_ms
    answering = int(state.is_voter) + sum(1 for replica in role.replicas.values() if replica.is_voter and replica.contact_ms > oldest_ms)
    if answering < state.majority:
        state.become_unattached(state.epoch, deadline_ms=now_ms + state.election_timeout_ms(), reason="no majority answers")


def forget_observer(state: RaftState, role: Leader, node_id: NodeId, now_ms: int) -> None:
    """The observer is gone. Where a voter of that id is looked for, it is looked for again."""
    del role.replicas[node_id]
    if node_id in state.voters:
        role.replicas[node_id] = new_replica(state, node_id, now_ms=now_ms - state.config.check_quorum_timeout_ms)
    state.observe("observer-forgotten", node=node_id)
