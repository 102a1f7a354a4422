"""What is measured, one function each, with librdkafka (confluent-kafka) as the client unless it says otherwise.

A throughput is taken from the first `produce` to the last acknowledgement; a gap is the longest time between two acknowledgements around
the fault, so it holds everything that a producer sees: detection, election, and the client finding the new leader.
"""

from __future__ import annotations

import itertools
import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cluster.apache_kafka import run_tool
from cluster.bench.systems import Node, System, wait_until

READY_TIMEOUT_S = 120
BATCH = 10_000
_numbers = itertools.count(int(time.time()))


def admin(system: System) -> AdminClient:
    return AdminClient({"bootstrap.servers": system.bootstrap, "log_level": 0})


def delete_topic(system: System, topic: str) -> None:
    client = admin(system)
    client.delete_topics([topic])[topic].result(60)


def ready(system: System, count: int) -> bool:
    """Whether this many brokers are there for a client."""
    try:
        return len(admin(system).list_topics(timeout=1).brokers) >= count
    except KafkaException:
        return False


def start_and_wait(system: System) -> tuple[float, float]:
    """Seconds from launch until a client sees all brokers, and the CPU seconds that took."""
    begin = time.monotonic()
    system.start()
    wait_until(lambda: ready(system, len(system.nodes)), timeout_s=READY_TIMEOUT_S, what=f"{system.name} ready")
    return time.monotonic() - begin, sum(node.cpu_s() for node in system.nodes)


def new_topic(system: System, *, partitions: int, min_isr: int = 1, replicas: int | None = None) -> str:
    """Creates a topic and waits until it has leaders."""
    name = f"bench-{next(_numbers)}"
    config = {"min.insync.replicas": str(min_isr)}
    factor = replicas if replicas is not None else min(3, len(system.nodes))
    client = admin(system)
    client.create_topics([NewTopic(name, partitions, factor, config=config)])[name].result(60)
    wait_until(lambda: all_led(client, name, partitions), timeout_s=60, what=f"leaders of {name}")
    return name


def all_led(client: AdminClient, topic: str, partitions: int) -> bool:
    found = client.list_topics(topic, timeout=10).topics[topic].partitions
    return len(found) == partitions and all(partition.leader >= 0 for partition in found.values())


def produce_throughput(system: System, topic: str, *, size_bytes: int, count: int) -> float:
    """Records per second, acks=all, librdkafka's defaults but for the length of its queue."""
    producer = Producer(
        {
            "bootstrap.servers": system.bootstrap,
            "acks": "all",
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 512 * 1024,
            "log_level": 0,
        }
    )
    value = b"x" * size_bytes
    batch = [{"value": value} for _ in range(BATCH)]
    room = max(2 * BATCH, min(500_000, (256 << 20) // size_bytes))
    begin = time.monotonic()
    for _ in range(count // BATCH):
        while len(producer) > room:
            producer.poll(0.005)
        producer.produce_batch(topic, list(batch))
        producer.poll(0)
    left = producer.flush(300)
    if left:
        raise TimeoutError(f"{left} records were not acknowledged by {system.name}")
    return count / (time.monotonic() - begin)


def consume_throughput(system: System, topic: str, *, partitions: int, count: int) -> float:
    """Records per second from the first record to the last."""
    consumer = Consumer(
        {
            "bootstrap.servers": system.bootstrap,
            "group.id": f"bench-{next(_numbers)}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    consumed, begin = 0, 0.0
    deadline = time.monotonic() + 300
    while consumed < count and time.monotonic() < deadline:
        messages = consumer.consume(BATCH, timeout=1.0)
        if not begin and messages:
            begin = time.monotonic()
        consumed += len(messages)
    elapsed = time.monotonic() - begin
    consumer.close()
    if consumed < count:
        raise TimeoutError(f"only {consumed} of {count} records came from {system.name}")
    return count / elapsed


def java_produce_throughput(system: System, topic: str, *, count: int) -> float:
    """Megabytes per second of Apache's kafka-producer-perf-test with records of 1 KiB and its defaults."""
    result = run_tool(
        "kafka-producer-perf-test",
        *("--topic", topic, "--num-records", str(count), "--record-size", "1024", "--throughput", "-1"),
        *("--producer-props", f"bootstrap.servers={system.bootstrap}", "acks=all"),
        timeout_s=300,
    )
    summary = result.lines[-1]
    return float(summary.split(" records/sec (")[1].split(" MB/sec")[0])


def latency_ms(system: System, topic: str, *, rate: int, seconds: float) -> tuple[float, float]:
    """p50 and p99 from `produce` to acknowledgement at a steady rate, acks=all, linger 0. A thread waits for the acknowledgements, so that
    the client leaves the processors to the brokers.
    """
    producer = Producer({"bootstrap.servers": system.bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0})
    producer.produce(topic, value=b"first")
    producer.flush(30)
    taken: list[float] = []
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            producer.poll(0.1)

    poller = threading.Thread(target=poll)
    poller.start()
    begin = time.perf_counter()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        producer.produce(topic, value=b"x" * 100, on_delivery=_timer(taken, time.perf_counter()))
    producer.flush(30)
    done.set()
    poller.join()
    taken.sort()
    return 1000 * taken[len(taken) // 2], 1000 * taken[int(len(taken) * 0.99)]


def _timer(taken: list[float], sent_at: float) -> Callable[[Any, Any], None]:
    def delivered(error: Any, _message: Any) -> None:
        if error is None:
            taken.append(time.perf_counter() - sent_at)

    return delivered


def fault_gap_s(system: System, *, number: signal.Signals, controller_too: bool) -> float:
    """The longest pause of a producer on one partition when that partition's leader gets the signal; the node is started again.

    The producer writes to a partition of every broker. (One that knows a single broker needs up to a second to open another connection.)
    """
    client = admin(system)
    node, topic, watched = partition_led_by(system, client, the_controller=controller_too)
    producer = Producer({"bootstrap.servers": system.bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0})
    acknowledged: list[float] = []

    def delivered(error: Any, message: Any) -> None:
        if error is None and message.partition() == watched:
            acknowledged.append(time.monotonic())

    def produce_for(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for partition in range(len(system.nodes)):
                producer.produce(topic, value=b"x", partition=partition, on_delivery=delivered)
            producer.poll(0)
            time.sleep(0.005)

    produce_for(2.0)
    fault_at = time.monotonic()
    system.signal(node, number)
    produce_for(1.0)
    while not (acknowledged and acknowledged[-1] > fault_at + 0.9) and time.monotonic() < fault_at + 30:
        produce_for(0.2)
    producer.flush(30)
    assert node.process is not None
    node.process.wait(60)
    system.start([node])
    wait_until(lambda: ready(system, len(system.nodes)), timeout_s=READY_TIMEOUT_S, what="the node's return")
    wait_until(lambda: in_sync(client, topic, len(system.nodes)), timeout_s=60, what="full ISR")
    around = [when for when in acknowledged if when > fault_at - 0.5]
    return max(later - earlier for earlier, later in itertools.pairwise(around))


def in_sync(client: AdminClient, topic: str, count: int) -> bool:
    found = client.list_topics(topic, timeout=10).topics[topic].partitions
    return all(len(partition.isrs) == count for partition in found.values())


def partition_led_by(system: System, client: AdminClient, *, the_controller: bool) -> tuple[Node, str, int]:
    """A new topic with a partition per broker, and the one that the active controller's node leads, or one that it does not."""
    for _ in range(30):
        topic = new_topic(system, partitions=len(system.nodes), min_isr=2)
        controller = active_controller(system)
        for partition in client.list_topics(topic, timeout=10).topics[topic].partitions.values():
            if (partition.leader == controller) == the_controller:
                return system.node(partition.leader), topic, partition.id
    raise TimeoutError("no topic got the leader that was wanted")


def active_controller(system: System) -> int:
    """The leader of the metadata quorum, which only Apache's own tool asks for (Metadata names any broker)."""
    result = run_tool("kafka-metadata-quorum", "--bootstrap-server", system.bootstrap, "describe", "--status")
    return next(int(line.split(":")[1]) for line in result.lines if line.startswith("LeaderId:"))


def create_topic_ms(system: System, *, count: int) -> float:
    """The median time of CreateTopics for one partition with three replicas."""
    client = admin(system)
    taken = []
    for _ in range(count):
        name = f"bench-{next(_numbers)}"
        begin = time.perf_counter()
        client.create_topics([NewTopic(name, 1, min(3, len(system.nodes)))])[name].result(60)
        taken.append(1000 * (time.perf_counter() - begin))
    return statistics.median(taken)


def create_many_partitions_s(system: System, *, partitions: int) -> float:
    """Seconds until a topic of many partitions is usable: CreateTopics answered, and one record acknowledged by every partition."""
    name = f"bench-{next(_numbers)}"
    client = admin(system)
    producer = Producer({"bootstrap.servers": system.bootstrap, "acks": "all", "log_level": 0})
    begin = time.monotonic()
    client.create_topics([NewTopic(name, partitions, min(3, len(system.nodes)))])[name].result(120)
    for partition in range(partitions):
        producer.produce(name, value=b"x", partition=partition)
    if producer.flush(120):
        raise TimeoutError(f"{system.name} did not take a record for each of {partitions} partitions")
    taken = time.monotonic() - begin
    client.delete_topics([name])[name].result(120)
    return taken


def memory_mb(system: System) -> float:
    """The mean resident memory of a broker."""
    return statistics.mean(node.memory_mb() for node in system.nodes)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def simulator_speeds(*, batches_per_second: int, count: int) -> list[float]:
    """Virtual seconds of an undisturbed three-node cluster per second of CPU time, one for each seed; the load is that of `sim-speed`."""
    command = [sys.executable, "-m", "raftkafka.cli.main", "sim-speed"]
    options = ["--count", str(count), "--batches-per-second", str(batches_per_second)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, timeout=600)
    speeds: list[float] = json.loads(done.stdout)["runs"]
    return speeds
