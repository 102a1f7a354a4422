"""What somebody who sees all nodes at once knows of a cluster. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from raftkafka.base.ids import NodeId
from raftkafka.broker.node import BrokerNode
from raftkafka.metadata.image import MetadataImage, PartitionRegistration
from raftkafka.simulation.machine import Machine
from raftkafka.simulation.world import World
from raftkafka.storage.meta_properties import read_meta_properties

METADATA_LOG_DIR = "data"
"""As `simulation.cluster` formats it."""


def running_nodes(world: World) -> Iterator[tuple[str, BrokerNode]]:
    """The nodes that have a process, by the names of their machines."""
    for name, machine in world.machines.items():
        if machine.process is not None and isinstance(machine.process.node, BrokerNode):
            yield name, machine.process.node


def newest_image(world: World) -> MetadataImage | None:
    """The newest metadata that any running node has applied."""
    images = [node.parts.services.image for _, node in running_nodes(world)]
    return max(images, key=lambda image: image.offset, default=None)


def controller_of(world: World) -> str | None:
    """The machine of the active controller; the one that became it last, as far as the nodes' quorum epochs tell."""
    active = [
        (node.parts.raft.state.epoch, name)
        for name, node in running_nodes(world)
        if node.parts.controller is not None and node.parts.controller.active
    ]
    return max(active)[1] if active else None


def partitions_of(image: MetadataImage) -> Iterator[tuple[str, PartitionRegistration]]:
    """All partitions with their names, in order."""
    for name in sorted(image.topics.by_name):
        for index, partition in sorted(image.topics.by_name[name].partitions.items()):
            yield f"{name}-{index}", partition


def leaders_of(world: World) -> list[str]:
    """The leader of each partition that has one."""
    image = newest_image(world)
    return [machine_of(partition.leader) for _, partition in partitions_of(image) if partition.leader >= 0] if image is not None else []


def unsettled_directories(world: World) -> list[str]:
    """Which logs are still on their way to another directory, and which are elsewhere than the metadata has them."""
    image = newest_image(world)
    found = []
    for name, node in running_nodes(world):
        logs = node.parts.logs
        found += [f"{name} still moves {move.place}" for move in logs.moves]
        for log in logs:
            partition = image.partition(log.key) if image is not None else None
            if partition is not None and partition.directory(node.config.node_id) != logs.placement.assignment(log.key):
                found.append(f"{name} has {log.topic}-{log.partition} in {log.directory}, and the metadata has it elsewhere")
    return found


def first_offsets(world: World) -> dict[str, int]:
    """By the name of a partition, the first offset that its leader still has."""
    found = {}
    for _, node in running_nodes(world):
        image = node.parts.services.image
        for log in node.parts.logs:
            partition = image.partition(log.key)
            if partition is not None and partition.leader == node.config.node_id:
                found[f"{log.topic}-{log.partition}"] = log.log_start_offset
    return found


def others_have_all(world: World, name: str) -> bool:
    """Whether every partition of a node has another replica that must have its records: then the node may lose them.

    That is a member of the ISR that runs and has registered. Before, the ISR tells of the process that ran there earlier, whose records
    may be gone.
    """
    image = newest_image(world)
    if image is None:
        return False
    registered = [machine for machine, node in running_nodes(world) if _has_registered(node, image)]
    return all(
        any(machine_of(member) in registered and machine_of(member) != name for member in partition.isr)
        for _, partition in partitions_of(image)
        if name in map(machine_of, partition.replicas)
    )


def lost_votes(world: World) -> list[str]:
    """Who has a vote, as any running node knows it, with a directory that is on no disk any more, or without being in service."""
    found: dict[str, None] = {}
    for _, node in running_nodes(world):
        for node_id, voter in node.parts.raft.state.voters.items():
            machine = world.machines[machine_of(node_id)]
            if not machine.in_service or not voter.has(_directory_of(machine)):
                found[machine.name] = None
    return list(found)


def without_vote(world: World) -> list[str]:
    """The controllers that join the quorum by themselves, and have not."""
    return [
        name for name, node in running_nodes(world) if node.config.controller_quorum_auto_join_enable and not node.parts.raft.state.is_voter
    ]


def others_vote_with_their_disks(world: World, name: str) -> bool:
    """Whether a node may lose its disk: in each set of voters that a running node knows, a majority is left, and no vote is lost before."""
    sets = [[machine_of(node_id) for node_id in node.parts.raft.state.voters] for _, node in running_nodes(world)]
    enough = all(len([voter for voter in voters if voter != name]) > len(voters) // 2 for voters in sets)
    return bool(sets) and enough and all(lost == name for lost in lost_votes(world))


def _directory_of(machine: Machine) -> bytes | None:
    """The id of the directory with the metadata log; None on a disk that was not formatted yet."""
    meta = read_meta_properties(machine.disk, METADATA_LOG_DIR)
    return meta.directory_id if meta is not None else bytes(16)


def _has_registered(node: BrokerNode, image: MetadataImage) -> bool:
    """Whether the metadata tell of this process, not of one before it."""
    lifecycle, registration = node.parts.lifecycle, image.brokers.get(node.config.node_id)
    return lifecycle is not None and registration is not None and lifecycle.broker_epoch == registration.broker_epoch


def machine_of(node_id: NodeId) -> str:
    """The machine that runs a node."""
    return f"n{node_id}"
