"""What a Raft node asks for, as values whose order is the order of execution.

`RaftNode` speaks of writes and of a `Barrier`; the driver turns them into disk operations and `Persist`, and what leaves the driver
(`DriverEffect`) speaks of tokens. What follows a `Barrier` starts only when everything written before it is on stable storage.
"""

from __future__ import annotations

import attrs

from raftkafka.base.disk import Persist
from raftkafka.base.ids import NodeId
from raftkafka.base.observed import Observed
from raftkafka.raft.messages import Entry, RaftMessage
from raftkafka.raft.voters import VoterSet


@attrs.frozen(kw_only=True)
class Snapshot:
    """The owner's state after all entries below `end_offset`; `epoch` is that of the last of them."""

    end_offset: int
    epoch: int
    data: bytes = attrs.field(repr=False)
    voters: bytes = b""
    """The set of voters at its end, encoded; empty when no entry had named one."""


@attrs.frozen
class SendMessage:
    """Send, at most once; it may be lost."""

    to: NodeId
    message: RaftMessage


@attrs.frozen
class Committed:
    """These entries are committed; each is reported once, in order, since the start or the last `SnapshotLoaded`."""

    entries: tuple[Entry, ...]


@attrs.frozen
class SnapshotLoaded:
    """The owner replaces its whole state by this one; the next committed entry is at `end_offset`."""

    end_offset: int
    epoch: int
    data: bytes = attrs.field(repr=False)


@attrs.frozen
class LeadershipGained:
    """This node leads the epoch. Its state is complete once the entry at `start_offset`, its own first, is committed."""

    epoch: int
    start_offset: int


@attrs.frozen
class LeadershipLost:
    """This node leads the epoch no more; what it proposed and has not seen committed may or may not become so."""

    epoch: int


@attrs.frozen
class LeaderChanged:
    """The leader of the epoch is known, or known to be unknown."""

    epoch: int
    leader: NodeId | None


@attrs.frozen
class VotersChanged:
    """From now on this set of voters counts; it may yet be taken back. Also told at the start, when the disk names one, and to an observer
    that does not have it in its log yet, so that it can reach them.
    """

    voters: VoterSet


@attrs.frozen
class WriteVote:
    """Epoch and vote (the paper's currentTerm and votedFor) into the vote file."""

    epoch: int
    voted_for: NodeId | None


@attrs.frozen
class WriteEntries:
    """The log ends at `start_offset` and these entries follow."""

    start_offset: int
    entries: tuple[Entry, ...]


@attrs.frozen
class WriteSnapshot:
    """The snapshot takes the place of every entry below its end; with `reset`, of the whole log."""

    snapshot: Snapshot
    reset: bool


@attrs.frozen
class Barrier:
    """All that was written before is on stable storage before what follows starts."""


OwnerEffect = SendMessage | Committed | SnapshotLoaded | LeadershipGained | LeadershipLost | LeaderChanged | VotersChanged | Observed
NodeEffect = OwnerEffect | WriteVote | WriteEntries | WriteSnapshot | Barrier
DriverEffect = OwnerEffect | Persist
