"""What a producer sees of moves of leadership, and how long the leaders stay unbalanced: for both systems, with the same clients.

A pause is the longest time between two acknowledgements of one partition, for a producer that writes to every partition every few
milliseconds with acks=all.
"""

from __future__ import annotations

import bisect
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from confluent_kafka import Producer

from cluster.balance_demo.load import SkewedLoad, zipf
from cluster.balance_demo.run import one_leads_all
from cluster.balance_demo.scales import Scales, balanced_after_s, peak_to_mean
from cluster.bench.leaders import elect_preferred, leaders_of, prefer, replica_order
from cluster.bench.measures import READY_TIMEOUT_S, active_controller, admin, delete_topic, in_sync, new_topic, ready
from cluster.bench.systems import Node, System, wait_until

SETTLE_S = 1.0
AWAY_S = 5.0
ACK_TIMEOUT_S = 60.0
RETURN_TIMEOUT_S = 400.0
"""Longer than Apache Kafka's interval of 300 s."""
SKEWED_PARTITIONS = 24
SKEWED_BYTES_PER_S = 4e6
LAST_SAMPLES = 10
BALANCED = 1.3
"""The hottest broker's load as a multiple of the mean: from here on down it is balanced."""


@attrs.define(eq=False)
class Acks:
    """When each partition was acknowledged, and how many records were refused for good."""

    times: dict[int, list[float]] = attrs.field(factory=dict)
    errors: int = 0

    def pause_s(self, partition: int, *, since: float) -> float:
        """The longest one of a partition that ended after `since`, a point of the monotonic clock."""
        times = self.times[partition]
        first = max(0, bisect.bisect_right(times, since) - 1)
        return max((later - earlier for earlier, later in itertools.pairwise(times[first:])), default=0.0)

    def longest_pause_s(self, *, since: float) -> float:
        """Of all partitions."""
        return max(self.pause_s(partition, since=since) for partition in self.times)

    def wait_beyond(self, when: float) -> None:
        """Until each partition has an acknowledgement later than that."""
        wait_until(lambda: all(times[-1] > when for times in self.times.values()), timeout_s=ACK_TIMEOUT_S, what="acknowledgements")


@contextmanager
def steady_writes(system: System, topic: str, *, partitions: int) -> Iterator[Acks]:
    """A producer at work in a thread: a record to every partition, 200 times a second; waits at the end for what is under way."""
    producer = Producer({"bootstrap.servers": system.bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0})
    acks = Acks(times={partition: [] for partition in range(partitions)})
    done = threading.Event()

    def delivered(error: Any, message: Any) -> None:
        if error is None:
            acks.times[message.partition()].append(time.monotonic())
        else:
            acks.errors += 1

    def write() -> None:
        while not done.is_set():
            for partition in range(partitions):
                producer.produce(topic, value=b"x" * 100, partition=partition, on_delivery=delivered)
            producer.poll(0)
            time.sleep(0.005)
        producer.flush(60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: all(acks.times.values()), timeout_s=60, what="a first acknowledgement of every partition")
        yield acks
    finally:
        done.set()
        writer.join()


def leader_move_pauses_s(system: System, *, count: int) -> list[float]:
    """The pause of the partition whose leadership a preferred election moves, for so many moves one after another."""
    client = admin(system)
    node_ids = [node.node_id for node in system.nodes]
    topic = new_topic(system, partitions=len(node_ids), min_isr=2)
    pauses = []
    with steady_writes(system, topic, partitions=len(node_ids)) as acks:
        acks.wait_beyond(time.monotonic() + SETTLE_S)
        for _ in range(count):
            target = next(each for each in node_ids if each != leaders_of(client, topic)[0])
            prefer(system, client, topic, {0: replica_order(target, node_ids)})
            acks.wait_beyond(time.monotonic() + SETTLE_S)
            begun = time.monotonic()
            elect_preferred(system, topic, [0])
            wait_until(lambda target=target: leaders_of(client, topic).get(0) == target, timeout_s=60, what="the election")  # type: ignore[misc]
            acks.wait_beyond(time.monotonic() + SETTLE_S)
            pauses.append(acks.pause_s(0, since=begun))
    return pauses


def rolling_restart_pause_s(system: System) -> tuple[float, int]:
    """The longest pause of any of six partitions while the nodes are restarted one by one, and the records that failed.

    Each is stopped with SIGTERM; the next one follows when it is back and in every ISR, the active controller last.
    """
    client = admin(system)
    partitions = 2 * len(system.nodes)
    topic = new_topic(system, partitions=partitions, min_isr=2)
    last = active_controller(system)  # Asked before, since that starts a JVM, for which everything else waits.
    with steady_writes(system, topic, partitions=partitions) as acks:
        acks.wait_beyond(time.monotonic() + SETTLE_S)
        begun = time.monotonic()
        for node in sorted(system.nodes, key=lambda node: node.node_id == last):
            restart(system, node)
            wait_until(lambda: in_sync(client, topic, len(system.nodes)), timeout_s=READY_TIMEOUT_S, what="full ISR")
            acks.wait_beyond(time.monotonic() + SETTLE_S)
    return acks.longest_pause_s(since=begun), acks.errors


def restart(system: System, node: Node, *, away_s: float = 0.0) -> float:
    """Stops a node cleanly, and starts it again after so many seconds; when it was launched, on the monotonic clock."""
    system.signal(node, signal.SIGTERM)
    assert node.process is not None
    node.process.wait(60)
    time.sleep(away_s)
    launched = time.monotonic()
    system.start([node])
    wait_until(lambda: ready(system, len(system.nodes)), timeout_s=READY_TIMEOUT_S, what="the node's return")
    return launched


def return_to_balance_s(system: System) -> float:
    """Seconds from the launch of a broker that was away until every partition of a topic is led by its preferred replica again."""
    client = admin(system)
    topic = new_topic(system, partitions=SKEWED_PARTITIONS)
    wanted = leaders_of(client, topic)  # of a new topic those that are preferred
    away = next(node for node in system.nodes if node.node_id != active_controller(system))
    launched = restart(system, away, away_s=AWAY_S)
    wait_until(lambda: leaders_of(client, topic) == wanted, timeout_s=RETURN_TIMEOUT_S, what="the preferred leaders again")
    return time.monotonic() - launched


@attrs.frozen(kw_only=True)
class SkewedRun:
    """`balanced_after_s` is None when it did not happen; `ratio` is the hottest broker's load in the last seconds, of the mean."""

    balanced_after_s: float | None
    ratio: float


def skewed_load(system: System, *, seconds: float) -> SkewedRun:
    """24 partitions that one broker leads and is the preferred leader of, and a load on them by Zipf's law: does it spread?

    The load of a broker is the traffic through it, measured from outside (`cluster.balance_demo.scales`).
    """
    topic = f"skewed-{time.monotonic_ns()}"
    one_leads_all(system.bootstrap, topic=topic, partitions=SKEWED_PARTITIONS)
    load = SkewedLoad(system.bootstrap, topic, zipf(SKEWED_PARTITIONS), bytes_per_second=SKEWED_BYTES_PER_S)
    scales = Scales(system.bootstrap, topic, load)
    try:
        time.sleep(seconds)
    finally:
        scales.stop()
        load.stop()
        delete_topic(system, topic)
    return SkewedRun(
        balanced_after_s=balanced_after_s(scales.samples, limit=BALANCED),
        ratio=peak_to_mean(scales.samples[-LAST_SAMPLES:]),
    )
