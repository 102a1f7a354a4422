"""What Raft nodes say to each other, and the entries of their log.

The words are KRaft's. The table to the paper's words:

| here | the Raft paper |
| --- | --- |
| epoch | term |
| offset; `base_offset` of a message is that of its first entry | index; `prevLogIndex` is `base_offset - 1` |
| `end_offset` (exclusive) | `lastLogIndex + 1` |
| `high_watermark` (exclusive) | `commitIndex + 1` |
| `VoteRequest`, with `pre_vote` | RequestVote; PreVote of the thesis, 9.6 and KIP-996 |
| `AppendRequest` | AppendEntries |
| `SnapshotRequest` | InstallSnapshot |
| `TimeoutNow` | the same (thesis, 3.10) |
| `Resigned` | not in the paper; EndQuorumEpoch of KIP-595 |
| `LeaderHint` | not in the paper; the leader in KRaft's Fetch response (KIP-595) |
| voter, observer | member, learner |

Every message carries the sender's epoch. All of them may be lost, repeated and reordered.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import attrs


class EntryKind(enum.IntEnum):
    """What an entry is for. Only `DATA` carries something for the owner of the log; `VOTERS` a set of voters (`voters.encode_voters`)."""

    DATA = 0
    LEADER_CHANGE = 1
    VOTERS = 2


class Entry(NamedTuple):
    """One entry. Entries proposed together are one batch, which is written, sent, cut off and committed as a whole."""

    offset: int
    epoch: int
    kind: EntryKind
    data: bytes
    ends_batch: bool


@attrs.frozen(kw_only=True)
class VoteRequest:
    """Asks for a vote, or with `pre_vote` whether one would be given. `last_epoch` and `end_offset` describe the asker's log.

    The epoch of a pre-vote is the one the asker is in; that of a vote is the one it wants to lead. `transfer` says that the leader itself
    asked for this election, which lifts leader stickiness.
    """

    epoch: int
    last_epoch: int
    end_offset: int
    pre_vote: bool
    transfer: bool
    directory_id: bytes


@attrs.frozen(kw_only=True)
class VoteResponse:
    """`request_epoch` repeats the request's epoch; `epoch` is the voter's own."""

    epoch: int
    request_epoch: int
    pre_vote: bool
    granted: bool
    directory_id: bytes


@attrs.frozen(kw_only=True)
class AppendRequest:
    """The leader's entries from `base_offset` on; without entries a heartbeat. `previous_epoch` is the epoch of the entry before them."""

    epoch: int
    base_offset: int
    previous_epoch: int
    entries: tuple[Entry, ...]
    high_watermark: int


@attrs.frozen(kw_only=True)
class AppendResponse:
    """Accepted: the log equals the leader's below `end_offset`, on stable storage. Refused: `end_offset` is where the follower's log ends,
    and (`diverging_epoch`, `diverging_end_offset`) is its largest epoch up to the request's `previous_epoch` and where that ends.
    """

    epoch: int
    accepted: bool
    base_offset: int
    end_offset: int
    diverging_epoch: int
    diverging_end_offset: int
    directory_id: bytes


@attrs.frozen(kw_only=True)
class ObserveRequest:
    """A node that is no voter asks whoever leads to send it the log."""

    epoch: int
    end_offset: int
    directory_id: bytes


@attrs.frozen(kw_only=True)
class LeaderHint:
    """Who leads, to an observer that asked somebody else. `voters` is the set that counts here, encoded (`voters.encode_voters`)."""

    epoch: int
    leader_id: int
    voters: bytes


@attrs.frozen(kw_only=True)
class SnapshotRequest:
    """One chunk, from `position`, of the snapshot that holds the state up to `end_offset`, whose last entry has `snapshot_epoch`."""

    epoch: int
    end_offset: int
    snapshot_epoch: int
    position: int
    size_bytes: int
    checksum: int
    data: bytes
    voters: bytes = b""
    """The set of voters at its end, encoded; empty: no entry had named one."""


@attrs.frozen(kw_only=True)
class SnapshotResponse:
    """The follower holds the snapshot's first `next_position` bytes; all of them: it is installed, on stable storage."""

    epoch: int
    end_offset: int
    next_position: int
    directory_id: bytes


@attrs.frozen(kw_only=True)
class TimeoutNow:
    """The leader tells a caught-up voter to start an election at once."""

    epoch: int


@attrs.frozen(kw_only=True)
class Resigned:
    """The leader of this epoch leads no more: do not wait for its silence to be noticed."""

    epoch: int


RaftMessage = (
    VoteRequest
    | VoteResponse
    | AppendRequest
    | AppendResponse
    | ObserveRequest
    | SnapshotRequest
    | SnapshotResponse
    | TimeoutNow
    | Resigned
    | LeaderHint
)
