"""Raft's messages and effects in words, for the golden scripts."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.disk import Persist
from raftkafka.raft.effects import Committed, DriverEffect, LeaderChanged, LeadershipGained, LeadershipLost, SnapshotLoaded, VotersChanged
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import (
    AppendRequest,
    AppendResponse,
    Entry,
    EntryKind,
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
from raftkafka.raft.voters import VoterSet, decode_voters


def words_of_message(message: RaftMessage) -> str:
    match message:
        case VoteRequest():
            question = (
                f"would you vote for me? I am in epoch {message.epoch}" if message.pre_vote else f"vote for me in epoch {message.epoch}"
            )
            asked = ", the leader asked me to" if message.transfer else ""
            return f"{question}{asked}; my log ends at {message.end_offset} in epoch {message.last_epoch}"
        case VoteResponse(granted=True):
            return f"yes, I would, in epoch {message.request_epoch}" if message.pre_vote else f"you have my vote in epoch {message.epoch}"
        case VoteResponse():
            return f"no; I am in epoch {message.epoch}"
        case AppendRequest(entries=()):
            return (
                f"heartbeat of epoch {message.epoch} at {message.base_offset} (after epoch {message.previous_epoch}), {_committed(message)}"
            )
        case AppendRequest():
            entries = words_of_entries(message.entries)
            return f"append {entries} (after epoch {message.previous_epoch}), epoch {message.epoch}, {_committed(message)}"
        case AppendResponse(accepted=True):
            return f"I have all below {message.end_offset}"
        case AppendResponse():
            diverging = f"epoch {message.diverging_epoch} ends at {message.diverging_end_offset} here"
            return f"no, not at {message.base_offset}: {diverging}; I am in epoch {message.epoch}, my log ends at {message.end_offset}"
        case ObserveRequest():
            return f"I observe, my log ends at {message.end_offset}"
        case SnapshotRequest():
            part = f"bytes {message.position} to {message.position + len(message.data)} of {message.size_bytes}"
            return f"snapshot at {message.end_offset} (epoch {message.snapshot_epoch}), {part}"
        case SnapshotResponse():
            return f"of the snapshot at {message.end_offset} I have {message.next_position} bytes"
        case TimeoutNow():
            return f"start an election now, in place of epoch {message.epoch}"
        case LeaderHint():
            return f"node {message.leader_id} leads epoch {message.epoch}"
        case Resigned():
            return f"I lead epoch {message.epoch} no more"


def _committed(message: AppendRequest) -> str:
    return f"committed below {message.high_watermark}"


def words_of_entries(entries: Sequence[Entry]) -> str:
    """`3:x@2` is the record x at offset 3, of epoch 2; `3:*@2` a leader change; members of one batch are joined by `+`."""
    text = ""
    for entry in entries:
        name = _name(entry)
        text += f"{entry.offset}:{name}@{entry.epoch}" + (" " if entry.ends_batch else "+")
    return f"[{text.strip()}]"


def _name(entry: Entry) -> str:
    match entry.kind:
        case EntryKind.LEADER_CHANGE:
            return "*"
        case EntryKind.VOTERS:
            return "voters-" + "-".join(_voters(decode_voters(entry.data)))
        case EntryKind.DATA:
            return entry.data.decode()


def words_of_log(log: RaftLog) -> str:
    snapshot = f"snapshot at {log.start_offset} (epoch {log.start_epoch}) " if log.start_offset else ""
    return snapshot + words_of_entries(log.entries(log.start_offset, log.end_offset))


def words_of_effect(effect: DriverEffect) -> str:
    match effect:
        case Persist(writes=writes, syncs=syncs):
            names = [write.path for write in writes] + list(syncs)
            return "persists " + ", ".join(dict.fromkeys(name.split("/")[-1].split("-")[0] for name in names))
        case Committed(entries=entries):
            return f"committed {words_of_entries(entries)}"
        case SnapshotLoaded(end_offset=end_offset, data=data):
            return f"state replaced by the snapshot at {end_offset}: {data.decode()}"
        case LeadershipGained(epoch=epoch, start_offset=start_offset):
            return f"leads epoch {epoch} from offset {start_offset}"
        case LeadershipLost(epoch=epoch):
            return f"leads epoch {epoch} no more"
        case LeaderChanged(epoch=epoch, leader=leader):
            return f"the leader of epoch {epoch} is {'unknown' if leader is None else f'node {leader}'}"
        case VotersChanged(voters=voters):
            return f"the voters are {', '.join(_voters(voters)) or 'not known'}"
        case _:
            return f"({effect})"


def _voters(voters: VoterSet) -> list[str]:
    """The ids; with a mark for every disk that the node had lost when it became this voter (`script.Actor`)."""
    return [str(node_id) + "'" * ((voter.directory_id or bytes([node_id]))[-1] - node_id) for node_id, voter in voters.items()]
