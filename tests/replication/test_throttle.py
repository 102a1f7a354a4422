"""Replication throttles (KIP-73): they hold, over any time, at both ends; members of the ISR are not held back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.metadata.records import ConfigRecord, PartitionChangeRecord
from raftkafka.replication.throttle import (
    FOLLOWER_RATE,
    FOLLOWER_REPLICAS,
    LEADER_RATE,
    LEADER_REPLICAS,
    NO_LIMIT,
    SAVED_MS,
    ByteRate,
)
from raftkafka.replication.values import ReplicaSettings
from tests.replication.world import KEY, TOPIC, World, batch

BATCH = "x" * 1_000
BATCH_BYTES = len(batch(BATCH))
RATES = {"leader": (LEADER_RATE, LEADER_REPLICAS), "follower": (FOLLOWER_RATE, FOLLOWER_REPLICAS)}


def configure(world: World, name: str, value: str | None, *, broker: str | None = None) -> None:
    """Sets a config of a broker, or (`broker` None) of the topic."""
    kind, resource = (ResourceType.TOPIC, TOPIC) if broker is None else (ResourceType.BROKER, broker)
    world.decide(ConfigRecord(resource_type=kind, resource_name=resource, name=name, value=value))
    world.run()


def filled_world(count: int) -> World:
    """Nodes 1 and 2 hold so many batches of about 1 KB; node 3 is about to be added."""
    world = World(settings=ReplicaSettings(replica_lag_time_max_ms=60_000, fetch_max_bytes=10_000))
    world.create_topic(1, 2)
    world.run()
    for _ in range(count):
        world.produce(1, BATCH)
        world.run()
    return world


def add_node_3(world: World, key: PartitionKey = KEY) -> None:
    nodes = (NodeId(1), NodeId(2), NodeId(3))
    world.decide(PartitionChangeRecord(topic_id=key.topic_id, partition=key.partition, replicas=nodes, adding_replicas=(NodeId(3),)))
    world.run()


def copied_bytes(world: World) -> int:
    partition = world[3].manager.partition(KEY)
    return 0 if partition is None else partition.log.log_end_offset * BATCH_BYTES


@pytest.mark.parametrize("end", ["leader", "follower"])
def test_a_throttle_holds_at_either_end_and_the_move_still_finishes(end: str) -> None:
    rate, replicas = RATES[end]
    world = filled_world(60)
    configure(world, rate, "5000", broker="1" if end == "leader" else "3")
    configure(world, replicas, "0:1" if end == "leader" else "0:3")
    add_node_3(world)
    start_ms = world.now_ms
    while 3 not in world.isr():
        world.advance(500)
        elapsed_ms = world.now_ms - start_ms
        assert copied_bytes(world) <= 5 * elapsed_ms + 5_000 + 2 * BATCH_BYTES
        assert elapsed_ms < 20_000, "60 KB at 5 KB a second take 12 s"
    assert world.now_ms - start_ms >= 9_000


def test_without_a_throttle_the_same_is_done_at_once() -> None:
    world = filled_world(60)
    configure(world, LEADER_RATE, "5000", broker=CLUSTER_DEFAULT)
    configure(world, LEADER_REPLICAS, "0:2,7:1")
    add_node_3(world)
    world.advance(100)
    assert 3 in world.isr()


def test_members_of_the_isr_are_not_throttled() -> None:
    world = filled_world(1)
    for rate, replicas in RATES.values():
        configure(world, rate, "10", broker=CLUSTER_DEFAULT)
        configure(world, replicas, "*")
    for _ in range(20):
        answer = world.produce(1, BATCH)
        world.run()
        assert answer.produced.error_code == 0


@pytest.mark.parametrize("end", ["leader", "follower"])
def test_many_partitions_share_a_throttle(end: str) -> None:
    rate, replicas = RATES[end]
    world = World(settings=ReplicaSettings(replica_lag_time_max_ms=60_000))
    keys = [PartitionKey(KEY.topic_id, index) for index in range(8)]
    for key in keys:
        world.create_topic(1, 2, key=key)
    for key in keys:
        for _ in range(20):
            world.produce(1, BATCH, key=key)
            world.run()
    configure(world, rate, "20000", broker=CLUSTER_DEFAULT)
    configure(world, replicas, "*")
    world.advance(2_000)
    for key in keys:
        add_node_3(world, key)
    start_ms = world.now_ms
    while any(3 not in world.isr(key) for key in keys):
        world.advance(100)
        copied = sum(world[3].partition(key).log.log_end_offset for key in keys) * BATCH_BYTES
        assert copied <= 20 * (world.now_ms - start_ms) + 20_000 + 2 * BATCH_BYTES
        assert world.now_ms - start_ms < 20_000, "170 KB at 20 KB a second take 8 s"


@pytest.mark.parametrize("end", ["leader", "follower"])
def test_a_throttle_that_is_lifted_lets_the_rest_pass_at_once(end: str) -> None:
    rate, replicas = RATES[end]
    world = filled_world(40)
    configure(world, rate, "1", broker=CLUSTER_DEFAULT)
    configure(world, replicas, "*")
    add_node_3(world)
    world.advance(5_000)
    assert 3 not in world.isr()
    configure(world, rate, None, broker=CLUSTER_DEFAULT)
    world.advance(1_600)
    assert 3 in world.isr()


def test_the_rate_of_a_broker_goes_before_the_rate_of_all() -> None:
    world = filled_world(40)
    configure(world, LEADER_RATE, "1", broker=CLUSTER_DEFAULT)
    configure(world, LEADER_RATE, "100000000", broker="1")
    configure(world, LEADER_REPLICAS, "*")
    add_node_3(world)
    world.advance(100)
    assert 3 in world.isr()


def test_a_rate_of_nothing_stops_what_it_holds() -> None:
    world = filled_world(10)
    configure(world, FOLLOWER_RATE, "0", broker="3")
    configure(world, FOLLOWER_REPLICAS, "*")
    add_node_3(world)
    world.advance(10_000)
    assert copied_bytes(world) <= 10 * BATCH_BYTES
    assert world[3].manager.next_deadline_ms() > world.now_ms


@given(
    limit=st.integers(1, 1_000_000),
    steps=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 50_000)), max_size=60),
)
def test_what_passes_in_any_time_is_bounded(limit: int, steps: list[tuple[int, int]]) -> None:
    """Whoever sends only when something is available: at most the rate, one second's worth and one batch."""
    rate, now_ms = ByteRate(), 1_000
    rate.set_limit(limit, now_ms)
    passed: list[tuple[int, int]] = []
    for pause_ms, size in steps:
        now_ms += pause_ms
        if rate.available(now_ms) > 0:
            rate.spend(size, now_ms)
            passed.append((now_ms, size))
        assert rate.available(rate.ready_ms(now_ms)) > 0
    for first, (start_ms, _) in enumerate(passed):
        total = 0
        for end_ms, size in passed[first:]:
            total += size
            assert total <= limit * (end_ms - start_ms + SAVED_MS) / 1_000 + max(size for _, size in passed)


def test_without_a_limit_everything_passes() -> None:
    rate = ByteRate()
    rate.spend(10**9, 5)
    assert rate.available(5) == NO_LIMIT
    assert rate.ready_ms(5) == 5
