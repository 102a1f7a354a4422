"""Voters that lose their disks and come back as somebody else: a fault of the simulation of Raft, and what their owner does about it.

The owner is a stand-in for `broker.own_vote`: a node that has been wiped takes away the vote of its lost directory, and then asks for its
own, whenever it knows all that its leader has committed. It asks the leader at once and in person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkafka.base.disk import FileWrite, Persist
from raftkafka.base.ids import NodeId
from raftkafka.raft.membership import ChangeRefused
from raftkafka.raft.node import NotLeader
from raftkafka.raft.roles import Follower, Leader
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.raft.voters import VoterSet
from raftkafka.simulation.disk import SimDisk
from tests.raft.sim_node import SimNode

if TYPE_CHECKING:
    from tests.raft.simulation import Simulation

JOIN_EVERY_MS = 50


def format_disk(node: SimNode, voters: VoterSet) -> None:
    """Formatting: the voters that the node is to begin with, on stable storage."""
    node.disk.make_dir("raft")
    node.disk.persist(Persist(0, (FileWrite(f"raft/{INITIAL_VOTERS_FILE}", encode_initial_voters(voters)),)))


def wipe_one(sim: Simulation) -> None:
    """A node loses its disk, unless that would leave some set of voters, in force anywhere, without a majority for good."""
    node = sim.rng.choice(list(sim.nodes.values()))
    if not _is_survivable(sim, node):
        return
    if node.driver is not None:
        sim.stop(node, power_failure=True)
    sim.say(f"wipe {node.node_id}")
    sim.invariants.disk_lost(node)
    sim.wipes += 1
    node.lost_disks += 1
    node.durable_end_offset = 0
    node.disk = SimDisk()
    format_disk(node, {})


def _is_survivable(sim: Simulation, victim: SimNode) -> bool:
    return all(has_majority(sim, voters, without=victim) for voters in _sets_in_force(sim))


def has_majority(sim: Simulation, voters: VoterSet, *, without: SimNode | None = None) -> bool:
    """Whether most of these voters still have the disks that they voted with, so that they can elect somebody when they run."""
    there = {node.identity for node in sim.nodes.values() if node is not without}
    return sum(1 for node_id, voter in voters.items() if (node_id, voter.directory_id) in there) > len(voters) // 2


def _sets_in_force(sim: Simulation) -> list[VoterSet]:
    """Those that count for somebody, or may again: at the end of the logs of all, and the one that the last commit was counted by."""
    sets: list[VoterSet] = [sim.invariants.voters, sim.voters] if not sim.invariants.committed else [sim.invariants.voters]
    return sets + [voters for node in sim.nodes.values() for voters in node.sets_seen]


def join_often(sim: Simulation) -> None:
    """Every wiped node does its next step towards a vote."""
    sim.after(JOIN_EVERY_MS, lambda: join_often(sim))
    for node in sim.running():
        if node.lost_disks and not node.state.is_voter and _is_up_to_date(node):
            leader = sim.nodes[NodeId(node.state.leader_id or 0)]
            if leader.driver is not None and isinstance(leader.state.role, Leader):
                _ask(sim, node, leader)


def _is_up_to_date(node: SimNode) -> bool:
    role, state = node.state.role, node.state
    return isinstance(role, Follower) and state.high_watermark >= role.leader_high_watermark > 0


def _ask(sim: Simulation, node: SimNode, leader: SimNode) -> None:
    assert leader.driver is not None
    known = node.state.voters.get(node.node_id)
    try:
        if known is not None:
            leader.driver.remove_voter(node.node_id, known.directory_id, sim.now_ms)
            sim.say(f"{node.node_id} gives up the vote of its lost disk at {leader.node_id}")
        else:
            leader.driver.add_voter(node.node_id, node.as_voter, sim.now_ms)
            sim.say(f"{node.node_id} gets a vote from {leader.node_id}")
    except (NotLeader, ChangeRefused):
        return
    sim.settle(leader)
