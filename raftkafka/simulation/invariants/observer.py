"""Looks at a world from outside, while it runs: whenever a machine's node has settled, what has changed is checked.

    Invariants(world) ── each machine ── a process ── RaftEye, ReplicaEye ──▶ raft.py, replicas.py
                      └─ the newest metadata ── MetadataEye ──▶ metadata.py

Invariants
- Looking changes nothing of a node, and draws nothing from chance.
- It costs a comparison of a few numbers per replica where nothing has changed.
"""

from __future__ import annotations

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.broker.node import BrokerNode
from raftkafka.broker.services import Services
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.image import MetadataImage
from raftkafka.simulation.invariants.balance_eye import BalanceEye
from raftkafka.simulation.invariants.client_eye import ClientEye
from raftkafka.simulation.invariants.group_eye import GroupEye
from raftkafka.simulation.invariants.memory import ClusterMemory, ProcessMemory, RaftMemory
from raftkafka.simulation.invariants.metadata_eye import MetadataEye
from raftkafka.simulation.invariants.raft_eye import RaftEye
from raftkafka.simulation.invariants.replica_eye import ReplicaEye
from raftkafka.simulation.machine import Machine, SimProcess
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.world import World


@attrs.define(eq=False, kw_only=True)
class _Seen:
    """A process that is looked at."""

    process: SimProcess
    node: BrokerNode
    services: Services
    raft: RaftEye
    replicas: ReplicaEye
    image: MetadataImage | None = None
    ended: bool = False


class Invariants:
    """Checks a world from its beginning. It puts itself on `World.machine_checks`."""

    def __init__(self, world: World) -> None:
        voters = tuple((NodeId(number), None) for number in range(1, world.settings.node_count + 1))
        self.memory = ClusterMemory(raft=RaftMemory(voters), image=MetadataImage(cluster_id=""))
        self._seen: dict[str, _Seen] = {}
        self._losses: dict[str, int] = {}
        self._metadata: MetadataEye | None = None
        self._groups = GroupEye()
        self.balance = BalanceEye(world)
        world.machine_checks.append(self.look)

    def listen(self, recording: Recording) -> None:
        """From now on what the clients are told is checked too."""
        eye = ClientEye(self.memory, self._groups, acks_all=recording.options["acks"] == "all")
        recording.told, recording.end_told, recording.commit_told = eye.told, eye.end_told, eye.commit_told
        recording.ends_known, recording.deletion_told = eye.ends_known, eye.deletion_told

        def expired(name: str, offset: int) -> None:
            topic, _, index = name.rpartition("-")
            recording.expired((topic, int(index)), offset)

        self.memory.expired = expired

    def look(self, machine: Machine) -> None:
        """Something has happened to a machine; raises `Violation`."""
        seen, process = self._seen.get(machine.name), machine.process
        if process is None:
            self._ended(machine, seen)
            return
        if seen is None or seen.process is not process:
            if type(process.node) is not BrokerNode:
                return
            self._ended(machine, seen)
            seen = self._seen[machine.name] = self._begin(machine, process, process.node)
        seen.raft.look(process.now_ms)
        image = seen.services.image
        if image is not seen.image and self._metadata is not None:
            seen.image = image
            self._metadata.look(seen.services.node_id, image)
        if seen.replicas.touched:
            seen.replicas.look()

    def _begin(self, machine: Machine, process: SimProcess, node: BrokerNode) -> _Seen:
        """A process has begun."""
        memory, parts = self.memory, node.parts
        node_id = parts.services.node_id
        if self._metadata is None:
            config = node.config
            settings = ControllerSettings(min_insync_replicas=config.min_insync_replicas)
            self._metadata = MetadataEye(memory, settings)
        memory.processes[node_id] = ProcessMemory(
            node_id,
            incarnation_id=parts.links.incarnation_id,
            owes=dict.fromkeys(key for key, each in memory.partitions.items() if node_id in each.mirrors)
            if process.is_unclean_restart
            else {},
        )
        return _Seen(
            process=process,
            node=node,
            services=parts.services,
            raft=RaftEye(memory.raft, parts.raft, parts),
            replicas=ReplicaEye(
                memory, memory.processes[node_id], parts, machine.disk, group_eye=self._groups, is_damaged=machine.may_fail
            ),
        )

    def _ended(self, machine: Machine, seen: _Seen | None) -> None:
        """There is no process now; its disk may have lost something."""
        if seen is not None and not seen.ended:
            seen.ended = True
            seen.raft.ended()
            seen.replicas.ended()
        losses = self._losses.get(machine.name, 0)
        if machine.loss_count == losses:
            return
        self._losses[machine.name] = machine.loss_count
        if seen is not None:
            for partition in self.memory.partitions.values():
                if seen.node.config.node_id in partition.mirrors:
                    partition.losses += machine.loss_count - losses
            seen.replicas.lost_bytes()
