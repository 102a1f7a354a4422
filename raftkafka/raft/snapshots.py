"""Snapshots: the owner's own, which replaces the entries below it, and their transfer to a replica that lags behind the log's start.

Rules and sources
- Paper 7, thesis 5: a snapshot covers committed entries only; a follower that already has the snapshot's last entry keeps what follows it,
  any other drops its whole log.
- KIP-630: a snapshot is named by (end offset, epoch); log start > 0 means that there is one which ends exactly there.
- A leader never loads a snapshot, and a snapshot is never older than what was already handed to the owner.

A transfer is stop-and-wait: one chunk, its answer, the next. A lost chunk or answer is sent again with the next heartbeat, and an answer
that asks for the chunk under way sends nothing: otherwise each repetition would be repeated to the end of the transfer (RFC 1123, 4.2.3.1:
the Sorcerer's Apprentice).
"""

from __future__ import annotations

import xxhash

from raftkafka.base.ids import NodeId
from raftkafka.raft.effects import Snapshot, SnapshotLoaded, WriteSnapshot
from raftkafka.raft.messages import SnapshotRequest, SnapshotResponse
from raftkafka.raft.roles import Follower, ReceivedSnapshot, Replica, SentSnapshot
from raftkafka.raft.state import RaftState
from raftkafka.raft.voters import decode_voters, encode_voters


def save(state: RaftState, *, end_offset: int, epoch: int, data: bytes) -> None:
    """The owner's state at `end_offset` takes the place of the entries below it."""
    assert end_offset <= state.high_watermark, "a snapshot holds committed entries only"
    if end_offset <= state.log.start_offset:
        return
    assert epoch == state.log.epoch_at(end_offset - 1)
    assert state.log.entries(end_offset - 1, end_offset)[0].ends_batch, "a snapshot ends where a batch ends"
    state.log.trim(end_offset)
    voters = state.history.named_at(end_offset)
    state.history.trim(end_offset)
    state.snapshot = Snapshot(end_offset=end_offset, epoch=epoch, data=data, voters=encode_voters(voters) if voters is not None else b"")
    state.emit(WriteSnapshot(state.snapshot, reset=False))
    state.observe("snapshot-saved", end_offset=end_offset, epoch=epoch, size_bytes=len(data))


# -- the leader's side


def begin_snapshot(state: RaftState, replica: Replica) -> None:
    """The replica needs entries that only the snapshot holds."""
    snapshot = state.snapshot
    assert snapshot is not None
    assert snapshot.end_offset == state.log.start_offset
    replica.snapshot = SentSnapshot(snapshot=snapshot, checksum=xxhash.xxh3_64_intdigest(snapshot.data))
    replica.chunk_sent = False
    replica.in_flight.clear()
    state.observe("snapshot-sending", to=replica.node_id, end_offset=snapshot.end_offset, size_bytes=len(snapshot.data))


def send_chunk(state: RaftState, replica: Replica) -> None:
    """Sends the chunk that is due, or sends it again."""
    sent = replica.snapshot
    assert sent is not None
    snapshot = sent.snapshot
    request = SnapshotRequest(
        epoch=state.epoch,
        end_offset=snapshot.end_offset,
        snapshot_epoch=snapshot.epoch,
        position=sent.position,
        size_bytes=len(snapshot.data),
        checksum=sent.checksum,
        data=snapshot.data[sent.position : sent.position + state.config.snapshot_chunk_bytes],
        voters=snapshot.voters,
    )
    state.send(replica.node_id, request)
    replica.chunk_sent = True


def on_snapshot_response(state: RaftState, replica: Replica, response: SnapshotResponse) -> bool:
    """The replica holds more of the snapshot; True when it has installed it."""
    sent = replica.snapshot
    if sent is None or response.end_offset != sent.snapshot.end_offset:
        return False
    if response.next_position < len(sent.snapshot.data):
        if response.next_position != sent.position:
            sent.position = response.next_position
            replica.chunk_sent = False
        return False
    replica.snapshot = None
    replica.match_offset = max(replica.match_offset, response.end_offset)
    replica.next_offset = max(replica.match_offset, response.end_offset)
    replica.probing = True
    replica.probe_sent = False
    return True


# -- the follower's side


def on_snapshot_request(state: RaftState, role: Follower, source: NodeId, request: SnapshotRequest) -> None:
    """A chunk from the leader that this node follows. Chunks out of turn are answered with the position that is wanted."""
    if request.end_offset <= state.high_watermark:
        role.receiving = None
        _answer(state, source, request, next_position=request.size_bytes)
        return
    receiving = role.receiving
    if receiving is None or (receiving.end_offset, receiving.epoch) != (request.end_offset, request.snapshot_epoch):
        receiving = role.receiving = ReceivedSnapshot(end_offset=request.end_offset, epoch=request.snapshot_epoch)
    if request.position == len(receiving.data):
        receiving.data += request.data
    if len(receiving.data) >= request.size_bytes:
        role.receiving = None
        if xxhash.xxh3_64_intdigest(receiving.data) != request.checksum:
            state.observe("snapshot-damaged", end_offset=request.end_offset)
            _answer(state, source, request, next_position=0)
            return
        data = bytes(receiving.data)
        _install(state, Snapshot(end_offset=receiving.end_offset, epoch=receiving.epoch, data=data, voters=request.voters))
        _answer(state, source, request, next_position=request.size_bytes)
    else:
        _answer(state, source, request, next_position=len(receiving.data))


def _install(state: RaftState, snapshot: Snapshot) -> None:
    """Paper, figure 13, steps 6 to 8."""
    log = state.log
    keeps_rest = snapshot.end_offset <= log.end_offset and log.epoch_at(snapshot.end_offset - 1) == snapshot.epoch
    if keeps_rest:
        log.trim(snapshot.end_offset)
        state.history.trim(snapshot.end_offset)
    else:
        if snapshot.voters:
            state.history.reset(decode_voters(snapshot.voters))
            state.voters_changed()
        log.reset(snapshot.end_offset, snapshot.epoch)
        state.persisted_end_offset = snapshot.end_offset
    state.snapshot = snapshot
    state.high_watermark = snapshot.end_offset
    state.emit(WriteSnapshot(snapshot, reset=not keeps_rest))
    state.barrier()
    state.emit(SnapshotLoaded(snapshot.end_offset, snapshot.epoch, snapshot.data))
    state.observe("snapshot-installed", end_offset=snapshot.end_offset, epoch=snapshot.epoch, size_bytes=len(snapshot.data))


def _answer(state: RaftState, source: NodeId, request: SnapshotRequest, *, next_position: int) -> None:
    response = SnapshotResponse(
        epoch=state.epoch, end_offset=request.end_offset, next_position=next_position, directory_id=state.directory_id
    )
    state.send(source, response)
