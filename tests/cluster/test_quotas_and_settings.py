"""Quotas and dynamic settings on a real broker: set by Apache's kafka-configs, felt by confluent-kafka and by Apache's perf tool."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

RATE = 200_000
"""Bytes a second. With two windows of a second, one second's worth is free."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    directory: Path = tmp_path_factory.mktemp("quotas")
    made = RealCluster(directory, node_count=1, settings={"quota.window.num": "2"})
    made.up()
    yield made
    made.close()


def configs(cluster: RealCluster, *arguments: str, fails: bool = False) -> str:
    """Runs kafka-configs; returns what it printed."""
    result = run_tool("kafka-configs", "--bootstrap-server", cluster.bootstrap, *arguments)
    assert (result.exit_code != 0) == fails, result
    return result.stdout + result.stderr


def test_a_producer_is_held_to_its_quota_and_told_so(cluster: RealCluster) -> None:
    cluster.create_topic("produced")
    said = configs(cluster, "--alter", "--client", "slow", "--add-config", f"producer_byte_rate={RATE}")
    assert said == "Completed updating config for client slow.\n"
    described = configs(cluster, "--describe", "--client", "slow")
    assert described == f"Quota configs for client-id 'slow' are producer_byte_rate={RATE}.0\n"
    throttles: list[Any] = []
    elapsed_s = {}
    for client_id in ("quick", "slow"):
        settings: dict[str, Any] = {
            "bootstrap.servers": cluster.bootstrap,
            "client.id": client_id,
            "batch.size": 20_000,
            "linger.ms": 5,
            "throttle_cb": throttles.append,
        }
        producer = Producer(settings)
        begun = time.monotonic()
        for _ in range(60):
            producer.produce("produced", b"x" * 10_000)
        assert producer.flush(30) == 0
        elapsed_s[client_id] = time.monotonic() - begun
        producer.poll(0)
    assert elapsed_s["quick"] < 1.5
    assert RATE * (elapsed_s["slow"] + 2.1) >= 600_000, f"more than the quota in {elapsed_s['slow']:.1f} s"
    assert elapsed_s["slow"] < 15
    assert any(event.throttle_time > 0 for event in throttles)


def test_apaches_perf_tool_measures_the_quota(cluster: RealCluster) -> None:
    cluster.create_topic("measured")
    configs(cluster, "--alter", "--client-defaults", "--add-config", f"producer_byte_rate={RATE}")
    try:
        result = run_tool(
            *("kafka-producer-perf-test", "--bootstrap-server", cluster.bootstrap, "--topic", "measured", "--num-records", "1000"),
            *("--record-size", "1000", "--throughput", "-1", "--command-property", "batch.size=10000"),
        )
    finally:
        configs(cluster, "--alter", "--client-defaults", "--delete-config", "producer_byte_rate")
    assert result.exit_code == 0, result
    records_per_second = float(result.lines[-1].split(", ")[1].split()[0])
    assert 80 <= records_per_second <= 1.6 * RATE / 1_000, result.lines[-1]


def test_a_consumer_is_held_to_its_quota(cluster: RealCluster) -> None:
    cluster.create_topic("consumed")
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "batch.num.messages": 2})
    for _ in range(60):
        producer.produce("consumed", b"x" * 10_000)
    assert producer.flush(10) == 0
    configs(cluster, "--alter", "--client", "reader", "--add-config", f"consumer_byte_rate={RATE}")
    settings: dict[str, Any] = {
        "bootstrap.servers": cluster.bootstrap,
        "client.id": "reader",
        "group.id": "readers",
        "auto.offset.reset": "earliest",
        "fetch.max.bytes": 50_000,
        "max.partition.fetch.bytes": 50_000,
        "message.max.bytes": 50_000,
    }
    consumer = Consumer(settings)
    consumer.subscribe(["consumed"])
    first_s, count, deadline = 0.0, 0, time.monotonic() + 30
    while count < 60 and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            first_s = first_s or time.monotonic()
            count += 1
    elapsed_s = time.monotonic() - first_s
    consumer.close()
    assert count == 60
    assert RATE * (elapsed_s + 2.1) >= 600_000, f"more than the quota in {elapsed_s:.1f} s"


def refusal_of(cluster: RealCluster, topic: str, size_bytes: int) -> KafkaError | None:
    """Why the broker refuses a record of this size; None when it takes it."""
    errors: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "message.max.bytes": 2_000_000})
    producer.produce(topic, b"x" * size_bytes, on_delivery=lambda error, message: errors.append(error))
    assert producer.flush(10) == 0
    return errors[0]


def test_settings_of_a_broker_act_at_once_and_outlive_it(cluster: RealCluster) -> None:
    cluster.create_topic("limited")
    assert refusal_of(cluster, "limited", 5_000) is None
    configs(cluster, "--alter", "--broker", "1", "--add-config", "message.max.bytes=2000,max.connections.per.ip=500")
    error = refusal_of(cluster, "limited", 5_000)
    assert error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    configs(cluster, "--alter", "--topic", "limited", "--add-config", "max.message.bytes=9000")
    assert refusal_of(cluster, "limited", 5_000) is None
    cluster.stop(1)
    cluster.start(1)
    lines = configs(cluster, "--describe", "--broker", "1").splitlines()
    assert lines == [
        "Dynamic configs for broker 1 are:",
        "  max.connections.per.ip=500 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:max.connections.per.ip=500, "
        "DEFAULT_CONFIG:max.connections.per.ip=2147483647}",
        "  message.max.bytes=2000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:message.max.bytes=2000, "
        "DEFAULT_CONFIG:message.max.bytes=1048588}",
    ]
    assert "producer_byte_rate" in configs(cluster, "--describe", "--client", "slow")
    error = refusal_of(cluster, "limited", 10_000)
    assert error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    said = configs(cluster, "--alter", "--broker", "1", "--add-config", "num.partitions=3", fails=True)
    assert "org.apache.kafka.common.errors.InvalidRequestException: Cannot update these configs dynamically: [num.partitions]" in said


def test_levels_of_loggers_change_while_the_broker_runs(cluster: RealCluster) -> None:
    assert "  raftkafka.node=INFO sensitive=false synonyms={}" in configs(cluster, "--describe", "--broker-logger", "1").splitlines()
    configs(cluster, "--alter", "--broker-logger", "1", "--add-config", "raftkafka.node=ERROR")
    cluster.create_topic("silent")
    configs(cluster, "--alter", "--broker-logger", "1", "--delete-config", "raftkafka.node")
    cluster.create_topic("told")
    eventually(lambda: "told" in cluster.log_of(1), what="the log speaks again")
    assert "silent" not in cluster.log_of(1)
