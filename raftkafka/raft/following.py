"""The follower's side of log replication.

Rules and sources
- Paper 5.1: a message of a lower epoch is refused with the higher one, so that its sender learns of it.
- Paper 5.3: entries are accepted only when the entry before them is here with the same epoch; only an entry that conflicts, and all after
  it, is dropped, because a late message may be shorter than the log.
- Paper, figure 2: the answer leaves when the entries are on stable storage; the high watermark follows the leader's, but never beyond
  what is known to equal the leader's log.
- What is committed is never dropped: that would be a bug, and is an assertion.
"""

from __future__ import annotations

from raftkafka.base.errors import PeerError
from raftkafka.base.ids import NodeId
from raftkafka.base.rules import Rule
from raftkafka.raft.effects import WriteEntries
from raftkafka.raft.messages import AppendRequest, AppendResponse, SnapshotRequest
from raftkafka.raft.roles import Follower, Leader
from raftkafka.raft.snapshots import on_snapshot_request
from raftkafka.raft.state import RaftState


def hear_leader(state: RaftState, source: NodeId, epoch: int, now_ms: int) -> Follower | None:
    """A message that only the leader of `epoch` sends has come: follow it. None when that epoch is over."""
    if epoch < state.epoch:
        return None
    role = state.role
    if epoch == state.epoch and isinstance(role, Leader):
        raise PeerError(f"node {source} sends as the leader of epoch {epoch}, which this node leads")
    if epoch > state.epoch or not isinstance(role, Follower):
        return state.become_follower(epoch, source, now_ms)
    if role.leader_id != source:
        raise PeerError(f"nodes {role.leader_id} and {source} both send as leader of epoch {epoch}")
    role.contact_ms = now_ms
    role.deadline_ms = now_ms + state.election_timeout_ms()
    role.leader_lost = False
    return role


def on_append_request(state: RaftState, source: NodeId, request: AppendRequest, now_ms: int) -> None:
    """Entries, or a heartbeat, from a leader."""
    log = state.log
    role = hear_leader(state, source, request.epoch, now_ms)
    if role is None:
        _refuse(state, source, request)
        return
    role.leader_high_watermark = max(role.leader_high_watermark, request.high_watermark)
    if request.base_offset > log.start_offset and not _has_previous(state, request):
        _refuse(state, source, request)
        return
    _take_entries(state, request)
    known_equal = max(request.base_offset + len(request.entries), log.start_offset)
    response = AppendResponse(
        epoch=state.epoch,
        accepted=True,
        base_offset=request.base_offset,
        end_offset=known_equal,
        diverging_epoch=-1,
        diverging_end_offset=-1,
        directory_id=state.directory_id,
    )
    state.send(source, response)
    state.advance_high_watermark(min(request.high_watermark, known_equal))


def on_snapshot_from_leader(state: RaftState, source: NodeId, request: SnapshotRequest, now_ms: int) -> None:
    """A chunk of a snapshot from a leader."""
    role = hear_leader(state, source, request.epoch, now_ms)
    if role is not None:
        on_snapshot_request(state, role, source, request)


def _has_previous(state: RaftState, request: AppendRequest) -> bool:
    """The consistency check: the entry before `base_offset` is here, and of the same epoch. (Paper, 5.3)"""
    if request.base_offset > state.log.end_offset:
        return False
    matches = state.log.epoch_at(request.base_offset - 1) == request.previous_epoch
    return matches or not state.config.applies(Rule.CHECK_PREVIOUS_ENTRY)


def _take_entries(state: RaftState, request: AppendRequest) -> None:
    """Skips what is here already, drops what conflicts, appends the rest. What lies below the log's start is in the snapshot."""
    log = state.log
    new = 0
    for entry in request.entries:
        if entry.offset >= log.end_offset or (entry.offset >= log.start_offset and log.epoch_at(entry.offset) != entry.epoch):
            break
        new += 1
    entries = request.entries[new:]
    start_offset = request.base_offset + new
    if not entries and state.config.applies(Rule.TRUNCATE_ON_CONFLICT):
        return
    if start_offset < log.end_offset:
        _truncate(state, start_offset)
        if not entries:
            state.emit(WriteEntries(start_offset, ()))  # only where the rule is broken
    if entries:
        log.append(entries)
        state.note_voters(entries)
        state.emit(WriteEntries(start_offset, entries))
        state.barrier()


def _truncate(state: RaftState, end_offset: int) -> None:
    log = state.log
    assert end_offset >= state.high_watermark, f"would drop committed entries: {end_offset} < {state.high_watermark}"
    state.observe("log-truncated", end_offset=end_offset, was=log.end_offset, last_epoch=log.last_epoch)
    log.truncate(end_offset)
    if state.history.last_change >= end_offset:
        state.history.truncate(end_offset)
        state.voters_changed()
    state.persisted_end_offset = min(state.persisted_end_offset, end_offset)


def _refuse(state: RaftState, source: NodeId, request: AppendRequest) -> None:
    epoch, end_offset = state.log.end_offset_for(request.previous_epoch)
    response = AppendResponse(
        epoch=state.epoch,
        accepted=False,
        base_offset=request.base_offset,
        end_offset=state.log.end_offset,
        diverging_epoch=epoch,
        diverging_end_offset=end_offset,
        directory_id=state.directory_id,
    )
    state.send(source, response)
