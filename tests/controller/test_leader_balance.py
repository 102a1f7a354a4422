"""Leaders go home to their preferred replicas, and only when those may lead (KIP-460)."""

from __future__ import annotations

import pytest

from tests.controller.world import World

INTERVAL_MS = 5_000


def returned_broker(world: World) -> None:
    """Broker 1 was killed, which moved its leaderships to 2, and is back; it is in no ISR yet."""
    world.create("t", [[1, 2, 3], [2, 3, 1]])
    world.kill(1)
    world.join(1)
    assert [world.partition("t", index).leader for index in (0, 1)] == [2, 2]


def wait(world: World) -> None:
    """One interval passes, in which all brokers are heard."""
    for _ in range(INTERVAL_MS // 1_000 + 1):
        world.now_ms += 1_000
        for node in (1, 2, 3):
            world.heartbeat(node)
        world.controller.tick(world.now_ms)
        world.commit()


@pytest.fixture
def world() -> World:
    world = World(leader_imbalance_check_interval_ms=INTERVAL_MS)
    world.join(1, 2, 3)
    return world


def test_a_leader_goes_home_when_its_preferred_replica_is_in_sync_again(world: World) -> None:
    returned_broker(world)
    assert world.propose_isr("t", [2, 3, 1]).error == 0
    wait(world)
    partition = world.partition("t", 0)
    assert (partition.leader, set(partition.isr)) == (1, {1, 2, 3})
    assert world.partition("t", 1).leader == 2


def test_a_leader_stays_while_its_preferred_replica_is_not_in_sync(world: World) -> None:
    returned_broker(world)
    wait(world)
    assert world.partition("t", 0).leader == 2


def test_a_balanced_cluster_writes_nothing(world: World) -> None:
    world.create("t", [[1, 2, 3], [2, 3, 1]])
    before = len(world.log.entries)
    wait(world)
    assert len(world.log.entries) == before


def test_nothing_moves_by_itself_when_it_is_switched_off() -> None:
    world = World(leader_imbalance_check_interval_ms=INTERVAL_MS, auto_leader_rebalance_enable=False)
    world.join(1, 2, 3)
    returned_broker(world)
    assert world.propose_isr("t", [2, 3, 1]).error == 0
    wait(world)
    assert world.partition("t", 0).leader == 2
