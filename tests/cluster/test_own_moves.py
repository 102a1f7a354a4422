"""On real processes: a replica moves by itself where no leader can help, throttled, under load, and nothing of it is left behind."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource
from confluent_kafka.cimpl import NewTopic

from cluster.balance_demo.load import SkewedLoad
from cluster.balance_demo.reasons import ask
from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

TOPIC = "crowded"
PARTITIONS = 4
BYTES_PER_SECOND = 3e6
THROTTLES = ("follower.replication.throttled.rate", "follower.replication.throttled.replicas", "leader.rebalance.replica.move")


def lines(cluster: RealCluster, kind: str) -> list[str]:
    """What the nodes have logged of that kind."""
    return [line for node_id in cluster.node_ids for line in cluster.log_of(node_id).splitlines() if f" {kind} " in line]


def throttles(cluster: RealCluster) -> dict[str, str]:
    """What is set of throttles and marks of moves, on topics and brokers."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    resources = [ConfigResource("topic", TOPIC), *(ConfigResource("broker", str(node_id)) for node_id in cluster.node_ids)]
    found: dict[str, str] = {}
    for resource in resources:
        described = admin.describe_configs([resource])[resource].result(10)
        found |= {entry.name: entry.value for entry in described.values() if entry.name in THROTTLES and entry.value}
    return found


def test_replicas_move_to_an_empty_broker_under_load_and_nothing_is_left_of_their_throttles(
    own_cluster: Callable[..., RealCluster],
) -> None:
    """Brokers 1 and 2 share all replicas and are equally hot; only copies on broker 3 can help."""
    cluster = own_cluster(settings={"leader.rebalance.load.cooldown.ms": "2000"})
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    placed = [[1, 2] if index % 2 == 0 else [2, 1] for index in range(PARTITIONS)]
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, replica_assignment=placed)])[TOPIC].result(30)
    load = SkewedLoad(cluster.bootstrap, TOPIC, [1 / PARTITIONS] * PARTITIONS, bytes_per_second=BYTES_PER_SECOND)
    try:
        eventually(lambda: lines(cluster, "replica-moving"), timeout_s=30, what="a replica moves by itself")
        eventually(lambda: lines(cluster, "replica-move-ended"), timeout_s=30, what="it has arrived")
        moved = [each for each in ask(cluster.bootstrap).recent if each.kind == "replica"]
        eventually(lambda: not throttles(cluster), timeout_s=40, what="the throttles are gone")
    finally:
        load.stop()
    assert load.verdict() == []
    assert moved
    assert moved[0].target == 3
    assert "no move of leaders makes broker" in moved[0].reason
    view = cluster.view()
    assert view is not None
    assert any(3 in each.isr for each in view.partitions if each.topic == TOPIC)
    for line in lines(cluster, "replica-moving"):
        assert re.search(r" target=3 size=\d+ rate=\d+ why=", line), line
    assert all("done=True" in line for line in lines(cluster, "replica-move-ended"))
