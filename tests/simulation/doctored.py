"""Views and memories of small clusters, for the tests of invariants: a good one of each, to be spoilt."""

from __future__ import annotations

from typing import Any

from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.metadata.brokers import BrokerRegistration
from raftkafka.metadata.image import PartitionRegistration
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import Entry, EntryKind
from raftkafka.raft.roles import Follower, Leader, Replica, Unattached
from raftkafka.simulation.disk import SimDisk
from raftkafka.simulation.invariants.memory import PartitionMemory, RaftMemory, RaftView, ReplicaView
from raftkafka.simulation.invariants.mirror import Batch, LogMirror

N1, N2, N3 = NodeId(1), NodeId(2), NodeId(3)
DIRECTORY = b"d"
D1, D2, D3 = (N1, DIRECTORY), (N2, DIRECTORY), (N3, DIRECTORY)
"""The voters, each with its disk."""
KEY = PartitionKey(TopicId(bytes(15) + b"\1"), 0)
NAME = "records-0"


def batch(base_offset: int, *, epoch: int = 0, count: int = 5, crc: int = 7) -> Batch:
    return Batch(base_offset, base_offset + count, epoch, crc)


class FixedLog(LogMirror):
    """A log of these batches, on no disk."""

    def __init__(self, *batches: Batch) -> None:
        super().__init__(SimDisk())
        self.batches = list(batches)
        self._bases = [each.base_offset for each in batches]


def registration(**changed: Any) -> PartitionRegistration:
    """Led by n1 in epoch 0, all in sync."""
    fields: dict[str, Any] = {"replicas": (N1, N2, N3), "isr": (N1, N2, N3), "leader": N1, "leader_epoch": 0, "partition_epoch": 0}
    return PartitionRegistration(**{**fields, **changed})


def broker(node_id: NodeId, *, broker_epoch: int = 5, fenced: bool = False, process: bytes = b"a") -> BrokerRegistration:
    return BrokerRegistration(node_id=node_id, broker_epoch=broker_epoch, incarnation_id=process, endpoints=(), fenced=fenced)


def replica(node_id: NodeId = N1, **changed: Any) -> ReplicaView:
    """n1 leads, the others follow; two batches, both committed."""
    fields: dict[str, Any] = {
        "node_id": node_id,
        "name": NAME,
        "leads": node_id == N1,
        "leader_epoch": 0,
        "partition_epoch": 0,
        "log_start_offset": 0,
        "log_end_offset": 10,
        "high_watermark": 10,
        "is_online": True,
        "leader_id": N1,
        "start_offset": 0 if node_id == N1 else -1,
        "isr": (N1, N2, N3) if node_id == N1 else (),
        "maximal_isr": frozenset({N1, N2, N3}) if node_id == N1 else frozenset(),
        "min_isr": 2 if node_id == N1 else 0,
    }
    return ReplicaView(**{**fields, **changed})


def partition() -> PartitionMemory:
    """Two batches, [0, 5) and [5, 10), committed and everywhere."""
    memory = PartitionMemory(KEY, true_high_watermark=10, registration=registration(), min_isr=2)
    for each in (batch(0), batch(5)):
        memory.committed[each.base_offset] = memory.last_committed = each
    for node_id in (N1, N2, N3):
        memory.views[node_id] = replica(node_id)
        memory.mirrors[node_id] = FixedLog(batch(0), batch(5))
    memory.losses_at = {0: 10}
    return memory


def entry(offset: int, *, epoch: int = 1, data: bytes = b"x", ends_batch: bool = True) -> Entry:
    return Entry(offset, epoch, EntryKind.DATA, data, ends_batch)


def raft_log(*entries: Entry, start_offset: int = 0, start_epoch: int = 0) -> RaftLog:
    return RaftLog(start_offset=start_offset, start_epoch=start_epoch, entries=entries)


def leader(start_offset: int = 0) -> Leader:
    return Leader(start_offset=start_offset, heartbeat_ms=0, replicas={N2: _replica(N2), N3: _replica(N3)})


def _replica(node_id: NodeId) -> Replica:
    return Replica(node_id=node_id, is_voter=True, next_offset=0, contact_ms=0)


def follower(*, contact_ms: int = 0, leader_id: NodeId = N1) -> Follower:
    return Follower(leader_id=leader_id, contact_ms=contact_ms, deadline_ms=0)


def unattached() -> Unattached:
    return Unattached(deadline_ms=0)


def voter(node_id: NodeId = N1, **changed: Any) -> RaftView:
    """A voter in epoch 1 that voted for n1, with two stable entries, both committed."""
    fields: dict[str, Any] = {
        "node_id": node_id,
        "epoch": 1,
        "voted_for": N1,
        "leader_id": N1,
        "role": follower(),
        "log_start_offset": 0,
        "log_end_offset": 2,
        "last_epoch": 1,
        "high_watermark": 2,
        "stable_end_offset": 2,
        "stable_vote": (1, N1),
        "directory_id": DIRECTORY,
        "voters": (D1, D2, D3),
    }
    return RaftView(**{**fields, **changed})


def quorum() -> RaftMemory:
    """Three voters that agree on two entries of epoch 1, which n1 leads."""
    memory = RaftMemory((D1, D2, D3))
    memory.committed = [entry(0), entry(1)]
    memory.leaders = {1: N1}
    for node_id in (N1, N2, N3):
        memory.directories[node_id] = DIRECTORY
        memory.durable[node_id, DIRECTORY] = (2, 1)
        memory.stable_votes[node_id, DIRECTORY] = (1, N1)
        memory.views[node_id] = voter(node_id)
    return memory
