"""What holds for racks: where replicas are placed, who leads when a rack is gone, and where balance moves leaderships."""

from __future__ import annotations

from collections import Counter

from raftkafka.base.ids import NodeId
from raftkafka.controller.load_balance import BalanceLimits, plan_leaders
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from tests.controller.balance_world import MB, BalanceWorld
from tests.controller.test_load_balance import partition
from tests.controller.world import World

RACK_OF = {1: "a", 2: "a", 3: "b", 4: "b", 5: "c", 6: "c"}
PARTITIONS = 60


def six_in_three_racks(world: World) -> None:
    for node_id, rack in RACK_OF.items():
        world.register(node_id, rack=rack)
        world.heartbeat(node_id)
    topic = CreatableTopic(name="t", num_partitions=PARTITIONS, replication_factor=3, assignments=[], configs=[])
    assert world.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1_000)).topics[0].error_code == 0


def leaders(world: World) -> Counter[int]:
    return Counter(int(world.partition("t", index).leader) for index in range(PARTITIONS))


def test_every_partition_is_in_every_rack_and_every_broker_leads_its_share() -> None:
    world = World()
    six_in_three_racks(world)
    for index in range(PARTITIONS):
        assert sorted(RACK_OF[replica] for replica in world.partition("t", index).replicas) == ["a", "b", "c"]
    assert set(leaders(world).values()) == {PARTITIONS // 6}


def test_a_rack_that_is_gone_leaves_no_partition_without_a_leader_and_no_broker_with_more_than_twice_its_share() -> None:
    """An election takes the first live member of the ISR in the order of the replicas, and placement has mixed that order."""
    world = World()
    six_in_three_racks(world)
    world.kill(1)
    world.kill(2)
    left = leaders(world)
    assert sorted(left) == [3, 4, 5, 6]
    assert max(left.values()) <= 2 * PARTITIONS / 4


def test_a_leadership_goes_to_the_cooler_rack_where_brokers_are_equally_cool() -> None:
    """Brokers 2 and 3 are idle; the rack of 2 has another broker with load, that of 3 has none."""
    racks: dict[NodeId, str | None] = {NodeId(1): "a", NodeId(2): "b", NodeId(3): "c", NodeId(4): "b"}
    partitions = [partition(0, 1, (1, 2, 3), 0, bytes_out=4 * MB), partition(1, 1, (1, 2, 3), 0, bytes_out=4 * MB)]
    partitions.append(partition(2, 4, (4,), 0, bytes_out=2 * MB))
    limits = BalanceLimits()
    with_racks = plan_leaders(sorted(racks), partitions, limits, racks=racks)
    assert [move.target for move in with_racks.moves] == [3]
    assert [move.target for move in plan_leaders(sorted(racks), partitions, limits).moves] == [2], "without racks the lower id"


def test_balance_under_load_keeps_every_partition_in_its_racks() -> None:
    world = BalanceWorld(brokers=0, auto_leader_rebalance_enable=True)
    six_in_three_racks(world)
    for index in range(PARTITIONS):
        world.write("t", index, (4 if world.partition("t", index).leader in (1, 2) else 0.5) * MB)
    world.copy_ms = 1_000
    assert world.excess() > 1.5
    said = world.pass_time(30_000)
    assert world.moves(said)
    assert world.excess() <= 1.1
    for index in range(PARTITIONS):
        assert {RACK_OF[replica] for replica in world.partition("t", index).replicas} == {"a", "b", "c"}
