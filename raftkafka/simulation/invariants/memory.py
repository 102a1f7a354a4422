"""What the invariants see of the nodes (views), and what they remember that no node need remember (memories).

A view is a tuple, so that "has anything changed" is one comparison. A memory begins empty and outlives all processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import attrs

from raftkafka.base.ids import NO_NODE, NodeId, PartitionKey
from raftkafka.metadata.image import MetadataImage, PartitionRegistration
from raftkafka.metadata.topics import RECOVERING
from raftkafka.raft.messages import Entry
from raftkafka.raft.roles import Role
from raftkafka.simulation.invariants.mirror import Batch, LogMirror


class ReplicaView(NamedTuple):
    """A replica of a running process. `isr`, `maximal_isr`, `min_isr`, `start_offset` say something of leaders only."""

    node_id: NodeId
    name: str
    leads: bool
    leader_epoch: int
    partition_epoch: int
    log_start_offset: int
    log_end_offset: int
    high_watermark: int
    is_online: bool
    leader_id: int = NO_NODE
    start_offset: int = -1
    isr: tuple[NodeId, ...] = ()
    maximal_isr: frozenset[NodeId] = frozenset()
    min_isr: int = 0
    is_pending: bool = False

    def __str__(self) -> str:
        role = "leader" if self.leads else "follower"
        isr = f", isr {list(self.isr)} of at least {self.min_isr}, counts {sorted(self.maximal_isr)}" if self.leads else ""
        offsets = f"log [{self.log_start_offset}, {self.log_end_offset}), high watermark {self.high_watermark}"
        return (
            f"n{self.node_id} {role} of {self.name} in epoch {self.leader_epoch} (partition epoch {self.partition_epoch}): {offsets}{isr}"
        )


Voter = tuple[NodeId, bytes | None]
"""A node with a vote and its log directory; None: any, as where the properties name the voters."""
Disk = tuple[NodeId, bytes]
"""A node and the log directory that it has, or had."""


class RaftView(NamedTuple):
    """A node of the metadata quorum. `stable_...` is what is certainly on its stable storage; `matches` what a leader takes for that of
    the other voters. `voters` is the set that counts there, which the entry at `last_change` has brought."""

    node_id: NodeId
    epoch: int
    voted_for: NodeId | None
    leader_id: NodeId | None
    role: Role
    log_start_offset: int
    log_end_offset: int
    last_epoch: int
    high_watermark: int
    stable_end_offset: int
    stable_vote: tuple[int, NodeId | None]
    matches: tuple[tuple[NodeId, int], ...] = ()
    directory_id: bytes = b""
    voters: tuple[Voter, ...] = ()
    last_change: int = -1

    @property
    def disk(self) -> Disk:
        return self.node_id, self.directory_id

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    @property
    def is_voter(self) -> bool:
        """Whether the node, with its directory, is one of the set that counts there."""
        return any(node_id == self.node_id and directory in (None, self.directory_id) for node_id, directory in self.voters)

    def __str__(self) -> str:
        vote = f", voted for {self.voted_for}" if self.voted_for is not None else ""
        log = f"log [{self.log_start_offset}, {self.log_end_offset}) to epoch {self.last_epoch}"
        stable = f"stable to {self.stable_end_offset}, vote {self.stable_vote}"
        role = type(self.role).__name__.lower()
        return f"n{self.node_id} {role} in epoch {self.epoch}{vote}: {log}, committed {self.high_watermark}, {stable}"


@attrs.define(eq=False)
class PartitionMemory:
    """What is known of a partition by looking at all of its replicas all the time."""

    key: PartitionKey
    true_high_watermark: int = 0
    """The highest that any leader ever had: what may have been acknowledged or shown."""
    delivered: dict[int, int] = attrs.field(factory=dict)
    """What consumers were given: offset -> value."""
    ends_told: dict[int, int] = attrs.field(factory=dict)
    """The highest answer to "where does it end" of the leader of each epoch."""
    committed: dict[int, Batch] = attrs.field(factory=dict)
    """The batches below the true high watermark, by base offset."""
    last_committed: Batch | None = None
    leaders: dict[int, NodeId] = attrs.field(factory=dict)
    """Who led each epoch."""
    batches: dict[tuple[int, int], tuple[Batch, Batch | None]] = attrs.field(factory=dict)
    """Each batch that was in any log, by (base offset, epoch), and the one before it where that is known."""
    views: dict[NodeId, ReplicaView] = attrs.field(factory=dict)
    """The replicas of running processes."""
    mirrors: dict[NodeId, LogMirror] = attrs.field(factory=dict)
    """The logs, also of processes that have ended."""
    registration: PartitionRegistration | None = None
    """In the newest committed metadata."""
    min_isr: int = 1
    losses: int = 0
    """How often a machine with a replica lost what was not stable."""
    losses_at: dict[int, int] = attrs.field(factory=dict)
    """The true high watermark by how many losses there had been when it was reached."""
    deletable_end: int = 0
    """Before this offset somebody has asked for the records to be deleted."""
    unclean_epoch: int = -1
    """The last leader epoch that began with a leader which lacked committed records, or may lack them."""
    is_compacted: bool = False
    """Whether batches may be missing, or may have lost records, because the log is compacted."""
    unclean: bool = False
    """That leader has not been seen yet: until then nobody knows what is lost."""

    def elected_uncleanly(self, view: ReplicaView, mirror: LogMirror | None) -> None:
        """The leader of an unclean election is there: either it had everything all the same, or what it lacked is gone.

        What counts is what it had when its epoch began: by the time that it is seen it may have appended, even more than it lacked.
        """
        self.unclean = False
        had_to = view.start_offset
        if mirror is not None:
            lacking = (base for base, batch in self.committed.items() if base >= view.log_start_offset and not mirror.holds(batch))
            had_to = min(had_to, min(lacking, default=had_to))
        if had_to >= self.true_high_watermark:
            self.unclean_epoch = -1
        else:
            self.forget_above(had_to)

    def forget_above(self, end_offset: int) -> None:
        """An unclean election: what the new leader has not is no longer committed."""
        self.true_high_watermark = min(self.true_high_watermark, end_offset)
        self.delivered = {offset: value for offset, value in self.delivered.items() if offset < end_offset}
        self.committed = {base: batch for base, batch in self.committed.items() if batch.next_offset <= end_offset}
        self.last_committed = self.committed[max(self.committed)] if self.committed else None
        self.losses_at = {losses: min(end, end_offset) for losses, end in self.losses_at.items()}

    def has_caught_up(self, view: ReplicaView) -> bool:
        """Whether a replica has all that the leader of its epoch had at its election, and has committed since."""
        registration = self.registration
        if registration is None or registration.leader_epoch != view.leader_epoch:
            return False
        leader = self.views.get(registration.leader)
        return leader is not None and leader.leads and view.log_end_offset >= max(leader.high_watermark, leader.start_offset)

    def protected_end(self) -> int:
        """Up to where everything must still be somewhere: committed since at most min.insync.replicas - 1 losses ago."""
        oldest = self.losses - (self.min_isr - 1)
        return max((end for losses, end in self.losses_at.items() if losses >= oldest), default=0)


def is_unclean(registration: PartitionRegistration) -> bool:
    """Whether its leader was elected although it may lack committed records."""
    return registration.leader_recovery_state == RECOVERING


@attrs.define(eq=False)
class ProcessMemory:
    """What is known of the process that runs on a machine, or ran last."""

    node_id: NodeId
    incarnation_id: bytes = b""
    """What it names itself by when it registers."""
    owes: dict[PartitionKey, None] = attrs.field(factory=dict)
    """The partitions in which an unclean restart has not caught up yet."""


@attrs.define(eq=False)
class RaftMemory:
    """What is known of the metadata quorum."""

    voters: tuple[Voter, ...]
    """The set by which the leader counted that committed last."""
    directories: dict[NodeId, bytes] = attrs.field(factory=dict)
    """The log directory that each node had last."""
    leaders: dict[int, NodeId] = attrs.field(factory=dict)
    votes: dict[tuple[Disk, int], NodeId] = attrs.field(factory=dict)
    """Votes that a candidate has been told of."""
    candidates: dict[tuple[int, NodeId], tuple[int, int]] = attrs.field(factory=dict)
    """(last epoch, end offset) of each candidate's log when it asked, by (epoch, candidate)."""
    entries: dict[tuple[int, int], tuple[Entry, int]] = attrs.field(factory=dict)
    """Each entry that was stable somewhere, by (offset, epoch), and the epoch of the one before."""
    committed: list[Entry | None] = attrs.field(factory=list)
    """None where a snapshot took an entry away before anybody looked, until a node is seen that has it."""
    views: dict[NodeId, RaftView] = attrs.field(factory=dict)
    durable: dict[Disk, tuple[int, int]] = attrs.field(factory=dict)
    """Up to where each node's log was ever known to be stable, and the epoch of the last entry before that. A disk that is lost keeps what
    it had: that many may be lost is more than Raft promises to survive, but nothing new may be counted on them."""
    durable_epochs: dict[Disk, dict[int, int]] = attrs.field(factory=dict)
    """The epoch of each of those entries."""
    stable_votes: dict[Disk, tuple[int, NodeId | None]] = attrs.field(factory=dict)
    transfers: dict[int, NodeId] = attrs.field(factory=dict)
    """Who was told to lead next, by the epoch of the leader that told it."""

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def disk_of(self, voter: Voter) -> Disk:
        """The disk that a voter votes with."""
        node_id, directory = voter
        return node_id, self.directories.get(node_id, b"") if directory is None else directory

    def stable_end(self, voter: Voter) -> int:
        """Up to where a voter has the log on stable storage."""
        return self.durable.get(self.disk_of(voter), (0, 0))[0]


@attrs.define(eq=False)
class ClusterMemory:
    """All that is remembered of a world."""

    raft: RaftMemory
    image: MetadataImage
    """The newest committed metadata that any node has applied."""
    partitions: dict[PartitionKey, PartitionMemory] = attrs.field(factory=dict)
    processes: dict[NodeId, ProcessMemory] = attrs.field(factory=dict)
    expired: Callable[[str, int], None] | None = None
    """Called with the name of a partition whose retention has moved the start of a log, and the start."""
    retired: Mapping[NodeId, None] = attrs.field(factory=dict)
    """Brokers that were taken away for good."""
    images: dict[int, MetadataImage] = attrs.field(factory=dict)
    """The newest images by offset, to compare those of other nodes with."""

    def is_registered(self, node_id: NodeId) -> bool:
        """Whether the metadata knows the broker as the process that runs: what it said of an earlier one may not be true any more, also
        where that one's registration is committed only now."""
        process, broker = self.processes.get(node_id), self.image.brokers.get(node_id)
        return process is not None and broker is not None and broker.incarnation_id == process.incarnation_id

    def partition(self, key: PartitionKey) -> PartitionMemory:
        memory = self.partitions.get(key)
        if memory is None:
            memory = self.partitions[key] = PartitionMemory(key)
        return memory
