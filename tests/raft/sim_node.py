"""One node of the simulation of Raft alone."""

from __future__ import annotations

from raftkafka.base.ids import NodeId
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.state import RaftState
from raftkafka.raft.voters import Voter, VoterSet
from raftkafka.simulation.disk import SimDisk

Identity = tuple[NodeId, bytes]
"""A node with its directory: after its disk was replaced it is another one."""


class SimNode:
    """Its disk, which outlives it, its driver while it runs, and its owner's state: the values committed so far."""

    def __init__(self, node_id: NodeId) -> None:
        self.node_id = node_id
        self.disk = SimDisk()
        self.lost_disks = 0
        self.driver: RaftDriver | None = None
        self.incarnation = 0
        self.durable_end_offset = 0
        self.values: list[bytes] = []
        self.applied = 0
        self.applied_epoch = 0
        self.snapshot_at = 0
        self.sets_seen: tuple[VoterSet, ...] = ()
        """The voters at the end of its log when it last did something, and before the last change."""

    @property
    def directory_id(self) -> bytes:
        return bytes([self.node_id]) * 15 + bytes([self.node_id + self.lost_disks])

    @property
    def identity(self) -> Identity:
        return (self.node_id, self.directory_id)

    @property
    def as_voter(self) -> Voter:
        return Voter(directory_id=self.directory_id)

    @property
    def state(self) -> RaftState:
        assert self.driver is not None
        return self.driver.state

    def note_durable(self) -> None:
        """What of the log a power failure now would leave, and who votes."""
        assert self.driver is not None
        self.sets_seen = (self.state.history.current, self.state.history.before_last_change)
        if self.driver.store.stable:
            self.durable_end_offset = self.driver.store.stable_end_offset
        self.durable_end_offset = min(self.durable_end_offset, self.state.log.end_offset)
