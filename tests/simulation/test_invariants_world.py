"""The invariants in a real world: they are silent while it is left alone, and notice when a node's state is changed behind its back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftkafka.broker.node import BrokerNode
from raftkafka.replication.partition import Partition
from raftkafka.simulation.cluster import SimCluster
from raftkafka.simulation.invariants import Invariants
from raftkafka.simulation.workload.clients import Clients
from raftkafka.simulation.workload.settings import WorkloadSettings
from raftkafka.simulation.world import Violation, World, WorldSettings

SETTINGS = WorkloadSettings(topics=1, partitions=1, producers=1, consumers=1, group_members=1, admin_interval_ms=0, acks_one_share=0.0)


class SmallWorld:
    """Three nodes and a few clients, half a second into their work."""

    def __init__(self, seed: int = 1, *, looks: bool = True) -> None:
        self.world = World(seed, make_node=SimCluster(seed=seed, node_count=3).make_node, settings=WorldSettings(node_count=3))
        self.clients = Clients(self.world, SETTINGS)
        if looks:
            self.invariants = Invariants(self.world)
            self.invariants.listen(self.clients.recording)
        self.world.start()
        done: list[bool] = []

        async def begin() -> None:
            await self.clients.create_topics()
            self.clients.start()
            done.append(True)

        self.world.heap.spawn(begin())
        assert self.world.run_until(lambda: bool(done), timeout_ms=20_000)
        assert self.world.run_until(lambda: self.clients.recording.acknowledged_count > 10, timeout_ms=20_000)

    def node(self, name: str) -> BrokerNode:
        process = self.world.machines[name].process
        assert process is not None
        assert isinstance(process.node, BrokerNode)
        return process.node

    def partition(self, *, leads: bool, topic: str = "records") -> Partition:
        """A replica of the topic, as its node holds it."""
        for name in self.world.machines:
            for partition in self.node(name).parts.replicas.hosted.values():
                if partition.topic == topic and (partition.leader is not None) == leads:
                    return partition
        raise AssertionError("no such replica")

    def controller(self) -> BrokerNode:
        return next(node for node in map(self.node, self.world.machines) if node.parts.raft.state.leader_id == node.config.node_id)


def lower_the_high_watermark(small: SmallWorld) -> None:
    partition = small.partition(leads=False)

    def spoil(_: object) -> None:
        partition.high_watermark = min(partition.high_watermark, 3)

    small.world.machine_checks.insert(0, spoil)


def raise_the_high_watermark(small: SmallWorld) -> None:
    partition = small.partition(leads=True)
    partition.high_watermark = partition.log.log_end_offset + 5


def forget_a_member_of_the_isr(small: SmallWorld) -> None:
    leader = small.partition(leads=True).leader
    assert leader is not None
    leader.isr = leader.isr[:2]
    leader.maximal_isr = frozenset(leader.isr)


def cut_the_leaders_log(small: SmallWorld) -> None:
    partition = small.partition(leads=True)
    partition.log.truncate_to(1)
    partition.high_watermark = 0


def change_a_byte_of_a_follower(small: SmallWorld) -> None:
    partition = small.partition(leads=False)
    name = next(name for name in small.world.machines if small.node(name).parts.replicas.hosted.get(partition.key) is partition)
    data = small.world.machines[name].disk.peek(partition.log.segments.active.log_path)
    size = len(data)

    def spoil(_: object) -> None:
        if len(data) > size + 70:
            data[size + 70] = 0xEE

    small.world.machine_checks.insert(0, spoil)


def forget_the_producers(small: SmallWorld) -> None:
    following = [node.parts.replicas.hosted[small.partition(leads=False).key] for node in map(small.node, small.world.machines)]

    def spoil(_: object) -> None:
        for partition in following:
            if partition.log.producers.entries:
                partition.log.producers.clear()

    small.world.machine_checks.insert(0, spoil)
    stop_the_leader(small)


def stop_the_leader(small: SmallWorld) -> None:
    leading = small.partition(leads=True)
    for name, machine in small.world.machines.items():
        if small.node(name).parts.replicas.hosted.get(leading.key) is leading:
            machine.kill()
            return


def lead_where_another_leads(small: SmallWorld) -> None:
    small.partition(leads=False).leader = small.partition(leads=True).leader


def go_back_an_epoch(small: SmallWorld) -> None:
    state = small.controller().parts.raft.state
    state.epoch -= 1


def lower_the_quorums_high_watermark(small: SmallWorld) -> None:
    state = small.controller().parts.raft.state
    state.high_watermark -= 1


def commit_what_nobody_has(small: SmallWorld) -> None:
    driver = small.controller().parts.raft
    driver.propose([b"\x90"], 0)
    driver.state.high_watermark = driver.state.log.end_offset


def move_a_group(small: SmallWorld) -> None:
    for name in small.world.machines:
        coordinator = small.node(name).parts.groups
        for index in coordinator.partitions():
            partition = next(
                each
                for each in small.node(name).parts.replicas.hosted.values()
                if each.topic == "__consumer_offsets" and each.key.partition == index
            )
            table = coordinator.active_table(index, partition.leader_epoch)
            if table is not None and table.state.groups:
                table.state.groups["nobody"] = None


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lower_the_high_watermark, "D7 "),
        (raise_the_high_watermark, "D17 "),
        (forget_a_member_of_the_isr, "D3 "),
        (cut_the_leaders_log, "D7 |D1 |D4 "),
        (change_a_byte_of_a_follower, "D12 "),
        (forget_the_producers, "D16 "),
        (lead_where_another_leads, "D11 "),
        (go_back_an_epoch, "Q5 "),
        (lower_the_quorums_high_watermark, "Q6 |Q18 "),
        (commit_what_nobody_has, "Q7 |Q12 "),
        (move_a_group, "T11 "),
    ],
)
def test_damage_behind_a_nodes_back_is_noticed(damage: Callable[[SmallWorld], None], expected: str) -> None:
    small = SmallWorld()
    damage(small)
    with pytest.raises(Violation) as caught:
        small.world.run_for(8_000)
    assert any(caught.value.invariant.startswith(each) for each in expected.split("|")), caught.value


def test_a_world_that_is_left_alone_breaks_nothing() -> None:
    small = SmallWorld()
    small.world.run_for(300)
    stop_the_leader(small)
    small.world.run_for(1_500)
    assert small.invariants.memory.raft.committed
    assert all(each.committed for each in small.invariants.memory.partitions.values() if each.true_high_watermark)


def test_looking_changes_nothing() -> None:
    digests = []
    for looks in (True, False):
        small = SmallWorld(looks=looks)
        small.world.run_for(500)
        digests.append(small.world.trace.digest())
    assert digests[0] == digests[1]
