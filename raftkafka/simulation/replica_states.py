"""What the replicas of a node are at a moment, seen from outside, and what changed since they were last looked at.

Invariant: looking changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from raftkafka.base.ids import PartitionKey
from raftkafka.broker.node import BrokerNode
from raftkafka.broker.node_port import NodePort
from raftkafka.simulation.world import World

QUORUM = "quorum"
"""The name of the metadata log among the partitions."""


@attrs.frozen(kw_only=True)
class ReplicaState:
    """One replica of a partition, or of the metadata log. `isr` is what the leader goes by, `proposed_isr` what it has asked for."""

    role: str
    leader_epoch: int
    log_start_offset: int
    log_end_offset: int
    high_watermark: int
    isr: tuple[int, ...] = ()
    proposed_isr: tuple[int, ...] = ()
    epochs: tuple[tuple[int, int], ...] = ()
    """(epoch, its first offset) for each epoch in the log."""

    @property
    def leads(self) -> bool:
        return self.role == "leader"


@attrs.frozen
class ReplicaChange:
    """A replica is another than it was; `before` is None for one that was not there."""

    who: str
    subject: str
    before: ReplicaState | None
    after: ReplicaState


class ReplicaStates:
    """The states of all replicas of a world, as far as they were looked at."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._states: dict[tuple[str, str], ReplicaState] = {}
        self._topic_names: dict[bytes, str] = {}

    def topic_name(self, topic_id: bytes) -> str:
        """The name of a topic that some node has known."""
        if topic_id not in self._topic_names:
            for machine in self._world.machines.values():
                if machine.process is not None and isinstance(machine.process.node, BrokerNode):
                    for topic in machine.process.node.parts.services.image.topics.by_id.values():
                        self._topic_names[topic.topic_id] = topic.name
        return self._topic_names.get(topic_id, "topic?")

    def changes(self, who: str, node: NodePort) -> Iterator[ReplicaChange]:
        """What has changed in a node since the last look."""
        if not isinstance(node, BrokerNode):
            return
        for subject, state in _states_of(node):
            before = self._states.get((who, subject))
            if before != state:
                self._states[who, subject] = state
                yield ReplicaChange(who, subject, before, state)


def _states_of(node: BrokerNode) -> Iterator[tuple[str, ReplicaState]]:
    status = node.parts.raft.status(0)
    yield (
        QUORUM,
        ReplicaState(
            role=status.role,
            leader_epoch=status.epoch,
            log_start_offset=status.log_start_offset,
            log_end_offset=status.log_end_offset,
            high_watermark=status.high_watermark,
        ),
    )
    for topic in node.parts.services.image.topics.by_id.values():
        for number in topic.partitions:
            partition = node.parts.replicas.partition(PartitionKey(topic.topic_id, number))
            if partition is None:
                continue
            leader = partition.leader
            pending = leader.pending if leader is not None else None
            yield (
                str(partition),
                ReplicaState(
                    role="leader" if leader is not None else "follower",
                    leader_epoch=partition.leader_epoch,
                    log_start_offset=partition.log.log_start_offset,
                    log_end_offset=partition.log.log_end_offset,
                    high_watermark=partition.high_watermark,
                    isr=tuple(leader.isr) if leader is not None else (),
                    proposed_isr=tuple(pending.isr) if pending is not None else (),
                    epochs=tuple(partition.log.epochs.entries),
                ),
            )
