"""`raftkafka balance` as a program, on real brokers of ours under load and on one of Apache Kafka's."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from cluster.bench import systems
from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import requires_java

pytestmark = pytest.mark.cluster


def balance(bootstrap: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raftkafka.cli.main", "balance", "--bootstrap-server", bootstrap, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def balance_json(bootstrap: str, *options: str) -> dict[str, Any]:
    done = balance(bootstrap, "--json", *options)
    assert done.returncode == 0, done
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def load_on(cluster: RealCluster, topic: str, partitions: int) -> Iterator[None]:
    """About 2 MB a second, evenly."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 5})
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for partition in range(partitions):
                producer.produce(topic, b"x" * 5_000, partition=partition)
            producer.poll(0)
            time.sleep(0.0025 * partitions)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
        producer.flush(20)


def test_balance_shows_a_load_and_has_nothing_to_do_where_it_is_even(our_cluster: RealCluster) -> None:
    """The controller balances by itself: in the end there is nothing to move, and --execute moves nothing."""
    our_cluster.create_topic("orders", partitions=6, replicas=3)
    with load_on(our_cluster, "orders", 6):

        def at_rest() -> dict[str, Any] | None:
            answer = balance_json(our_cluster.bootstrap)
            loads = [broker["load"] for broker in answer["brokers"]]
            is_even = answer["settled"] and sum(loads) > 2_000_000 and max(loads) < 1.3 * sum(loads) / 3
            return answer if is_even and not answer["moves"] else None

        answer = eventually(at_rest, timeout_s=20, what="an even load")
        assert [broker["broker_id"] for broker in answer["brokers"]] == [1, 2, 3]
        assert sum(broker["leaders"] for broker in answer["brokers"]) == 6
        assert {each["partition"] for each in answer["partitions"]} == set(range(6))
        assert answer["strategy"] == "load"
        shown = balance(our_cluster.bootstrap)
        assert shown.returncode == 0, shown
        assert "3 brokers active, mean load " in shown.stdout
        assert "Nothing to move. " in shown.stdout
        assert "6 partitions with traffic" in shown.stdout
        executed = balance(our_cluster.bootstrap, "--execute", "--partitions", "0")
        assert executed.returncode == 0, executed
        assert "Nothing was moved. " in executed.stdout


@pytest.mark.java
@requires_java
def test_apache_kafka_does_not_know_the_request(apache_cluster: systems.System) -> None:
    shown = balance(apache_cluster.bootstrap)
    assert shown.returncode == 0, shown
    assert shown.stdout.startswith("These brokers do not know BalanceCluster, which is raftkafka's own: nothing is known of their load.")
    assert "BROKER  LEADERS  PREFERRED  REPLICAS" in shown.stdout
    executed = balance(apache_cluster.bootstrap, "--execute", "--timeout", "5")
    assert (executed.returncode, executed.stdout) == (1, "")
    assert executed.stderr == "These brokers do not know BalanceCluster, which is raftkafka's own: nothing was moved.\n"
