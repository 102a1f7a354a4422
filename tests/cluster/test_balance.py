"""Balance on real processes: a skewed load is spread within seconds and nobody is disturbed; leaders go home when their broker is back."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from cluster.balance_demo.load import SkewedLoad, zipf
from cluster.balance_demo.reasons import ask
from cluster.balance_demo.run import BYTES_PER_SECOND, LIMIT, PARTITIONS, TOPIC, one_leads_all, shifted
from cluster.balance_demo.scales import Scales, balanced_after_s, peak_to_mean
from raftkafka.protocol.messages.balance_cluster import BalanceClusterResponse
from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BALANCED_S = 10.0
STEADY_S = 15.0
REST_S = 45.0
HOME_S = 5.0
REPLICAS_S = 60.0


def test_a_skewed_load_is_spread_and_followed_without_oscillating(own_cluster: Callable[..., RealCluster]) -> None:
    """24 partitions, all led by broker 1, two of them with 40 % of the load; then it shifts to what one broker leads."""
    cluster = own_cluster()
    one_leads_all(cluster.bootstrap)
    load = SkewedLoad(cluster.bootstrap, TOPIC, zipf(PARTITIONS), bytes_per_second=BYTES_PER_SECOND)
    scales = Scales(cluster.bootstrap, TOPIC, load)
    try:
        _wait_until(scales, BALANCED_S + 2)
        shift_s = scales.now_s
        load.shares = shifted(load.shares, scales.leaders)
        _wait_until(scales, shift_s + BALANCED_S)
        balance = eventually(lambda: _at_rest(cluster), timeout_s=REST_S, what=f"{STEADY_S} s without a move because of load")
        since_shift_ms = 1_000 * (scales.now_s - shift_s)
    finally:
        scales.stop()
        load.stop()
    assert load.verdict() == []
    for window in (scales.between(0.0, shift_s), scales.between(shift_s)):
        assert peak_to_mean(window[:3]) > LIMIT, "there was nothing to balance"
        balanced_s = balanced_after_s(window, limit=LIMIT)
        assert balanced_s is not None and balanced_s <= BALANCED_S, [(sample.at_s, sample.loads, sample.moved) for sample in window]
    followed = Counter(move.partition for move in balance.recent if move.age_ms < since_shift_ms and not _goes_home(move.reason))
    assert max(followed.values()) == 1, f"moved to and fro: {balance.recent}"
    loads = [each.load for each in balance.brokers]
    assert max(loads) <= LIMIT * sum(loads) / len(loads), "the controller's own account"
    seen = Counter(partition for sample in scales.samples for partition in sample.moved)
    told = Counter(move.partition for move in balance.recent if move.topic == TOPIC)
    assert told == seen == _in_logs(cluster), "every move is told with its reason"
    assert all("MB/s" in move.reason for move in balance.recent)


def test_replicas_move_where_leaders_cannot(own_cluster: Callable[..., RealCluster]) -> None:
    """Each partition has one replica, all on broker 1: copies are made, throttled, one at a time, and nothing of the throttle is left."""
    cluster = own_cluster()
    one_leads_all(cluster.bootstrap, partitions=12, replicas=[1])
    load = SkewedLoad(cluster.bootstrap, TOPIC, zipf(12), bytes_per_second=2 * BYTES_PER_SECOND)
    scales = Scales(cluster.bootstrap, TOPIC, load)
    try:
        eventually(
            lambda: len(scales.samples) > 6 and peak_to_mean(scales.samples[-6:]) < LIMIT, timeout_s=REPLICAS_S, what="balanced by replicas"
        )
        eventually(lambda: not _throttles(cluster), what="no throttle is left")
        balance = ask(cluster.bootstrap)
    finally:
        scales.stop()
        load.stop()
    assert load.verdict() == []
    assert {move.kind for move in balance.recent if move.topic == TOPIC} == {"replica"}
    print(f"balanced after {scales.samples[-1].at_s:.1f} s by {len(balance.recent)} moves")


def test_leaders_go_home_when_their_broker_is_back(own_cluster: Callable[..., RealCluster]) -> None:
    """Without waiting for a timer, and all of them at once."""
    cluster = own_cluster()
    cluster.create_topic("homes", partitions=30, replicas=3, config={"min.insync.replicas": "2"})
    cluster.kill(2)
    eventually(lambda: _leaders(cluster, "homes").get(2, 0) == 0, what="others lead")
    cluster.start(2)
    began = time.monotonic()
    eventually(lambda: _leaders(cluster, "homes").get(2) == 10, timeout_s=HOME_S, what=f"broker 2 leads its own after {HOME_S} s")
    lines = [line for node_id in cluster.node_ids for line in cluster.log_of(node_id).splitlines() if " leader-moved " in line]
    assert len(lines) == 10 and all("target=2" in line for line in lines), lines
    print(f"home after {time.monotonic() - began:.2f} s")


def _at_rest(cluster: RealCluster) -> BalanceClusterResponse | None:
    """The controller's account when nothing has moved because of load for long, nor is to move. What goes home changes little."""
    balance = ask(cluster.bootstrap)
    moves = [*balance.moves, *(move for move in balance.recent if move.age_ms < 1_000 * STEADY_S)]
    return balance if balance.settled and all(_goes_home(move.reason) for move in moves) else None


def _goes_home(reason: str) -> bool:
    return "first replica" in reason


def _wait_until(scales: Scales, at_s: float) -> None:
    time.sleep(max(0.0, at_s - scales.now_s))


def _throttles(cluster: RealCluster) -> list[str]:
    """The settings of throttles that brokers and topic have."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    resources = [ConfigResource(ConfigResource.Type.BROKER, str(node_id)) for node_id in cluster.node_ids]
    resources.append(ConfigResource(ConfigResource.Type.TOPIC, TOPIC))
    found = [entry for resource in resources for entry in admin.describe_configs([resource])[resource].result(10).values()]
    return [entry.name for entry in found if ".replication.throttled." in entry.name and not entry.is_default]


def _leaders(cluster: RealCluster, topic: str) -> Counter[int]:
    view = cluster.view()
    return Counter(each.leader_id for each in view.partitions if each.topic == topic) if view is not None else Counter()


def _in_logs(cluster: RealCluster) -> Counter[int]:
    """The moves of each partition that brokers have logged."""
    text = "\n".join(cluster.log_of(node_id) for node_id in cluster.node_ids)
    return Counter(int(number) for number in re.findall(rf" leader-moved partition={TOPIC}-(\d+) ", text))
