"""`make bench`: every measure for both systems, in turns, and a table of medians.

Both clusters run at the same time and take turns measure by measure: a busy moment of the machine does not fall on one of them alone.
Where Java or Maven is missing, ours is measured alone. A measure that fails is told and left out; what was measured is printed anyway.
"""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from confluent_kafka import KafkaException

from cluster.apache_kafka import KAFKA_VERSION, KafkaUnavailable, kafka_home
from cluster.bench import balance, measures, systems
from cluster.bench.systems import System

PARTITIONS = 6
SIMULATED_LOADS = (10, 50)
"""Batches a second, in virtual time."""


@attrs.frozen(kw_only=True)
class Plan:
    """How much is done; `quick` is for trying the benchmark itself."""

    rounds: int = 3
    records_1k: int = 300_000
    records_100: int = 2_000_000
    records_java: int = 200_000
    latency_s: float = 10.0
    fault_rounds: int = 3
    partitions: int = 1_000
    simulated_seeds: int = 5
    leader_moves: int = 5
    """In each round."""
    skewed_s: float = 40.0
    return_rounds: int = 3
    """Apache Kafka's has one: it waits for a timer of five minutes."""


QUICK = Plan(
    rounds=1,
    records_1k=50_000,
    records_100=200_000,
    records_java=20_000,
    latency_s=2.0,
    fault_rounds=1,
    partitions=100,
    simulated_seeds=1,
    leader_moves=2,
    skewed_s=15.0,
    return_rounds=1,
)


@attrs.define(eq=False)
class Table:
    """Measured values by row and system."""

    rows: dict[str, dict[str, list[float]]] = attrs.field(factory=dict)
    units: dict[str, str] = attrs.field(factory=dict)
    notes: dict[tuple[str, str], str] = attrs.field(factory=dict)
    """By row and system, in place of a value that there is none of."""
    failures: int = 0

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """A measure that may fail: that is told, and the rest goes on."""
        try:
            yield
        except (KafkaException, TimeoutError, subprocess.SubprocessError) as error:
            self.failures += 1
            _say(f"{what}: failed: {error}")

    def note(self, row: str, system: System, text: str) -> None:
        """A word in place of a value."""
        self.rows.setdefault(row, {})
        self.units.setdefault(row, "")
        self.notes[row, system.name] = text
        _say(f"{system.name:13} {row}: {text}")

    def add(self, row: str, unit: str, system: System, value: float) -> None:
        self.rows.setdefault(row, {}).setdefault(system.name, []).append(value)
        self.units[row] = unit
        _say(f"{system.name:13} {row}: {_number(value)} {unit}")

    def markdown(self, names: list[str]) -> str:
        """Medians; the range behind them where there was more than one round."""
        lines = ["| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
        for row, by_system in self.rows.items():
            cells = [self._cell(row, name, by_system.get(name, [])) for name in names]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _cell(self, row: str, name: str, values: list[float]) -> str:
        note = self.notes.get((row, name))
        if note is None:
            return _cell(values, self.units[row])
        return note if not values else f"{_cell(values, self.units[row])}; {note}"


def main(*, quick: bool, output: Path | None, only_leaders: bool = False) -> int:
    """Runs the benchmark, or of it only what is about leaders that move; exit code 1 when a measure could not be taken."""
    plan = QUICK if quick else Plan()
    table = Table()
    makers: list[Callable[[Path, int], System]] = [systems.raftkafka]
    try:
        kafka_home()
        makers.append(systems.apache_kafka)
    except KafkaUnavailable as error:
        _say(f"raftkafka alone: {error}")
    with tempfile.TemporaryDirectory(prefix="raftkafka-bench-") as scratch:
        if not only_leaders:
            _start_times(table, plan, makers, Path(scratch))
        clusters = [make(Path(scratch) / f"three-{number}", 3) for number, make in enumerate(makers)]
        try:
            for cluster in clusters:
                measures.start_and_wait(cluster)
            if not only_leaders:
                _measure(table, plan, clusters)
            _leaders(table, plan, clusters)
        finally:
            for cluster in clusters:
                cluster.stop()
    if not only_leaders:
        _simulator(table, plan, clusters[0])
    report = f"{_machine()}\n\n{table.markdown([cluster.name for cluster in clusters])}\n"
    sys.stdout.write(f"\n{report}")
    if output is not None:
        output.write_text(report)
    return 1 if table.failures else 0


def _start_times(table: Table, plan: Plan, makers: list[Callable[[Path, int], System]], scratch: Path) -> None:
    for number in range(plan.rounds):
        for index, make in enumerate(makers):
            for count in (1, 3):
                directory = scratch / f"start-{number}-{index}-{count}"
                system = make(directory, count)
                try:
                    seconds, cpu_s = measures.start_and_wait(system)
                finally:
                    system.stop()
                    shutil.rmtree(directory)
                nodes = "1 node" if count == 1 else f"{count} nodes"
                table.add(f"{nodes} ready, from launch", "s", system, seconds)
                table.add(f"{nodes} ready, CPU time", "s", system, cpu_s)


def _measure(table: Table, plan: Plan, clusters: list[System]) -> None:
    for cluster in clusters:
        table.add("memory per broker, idle", "MB", cluster, measures.memory_mb(cluster))
    for _ in range(plan.rounds):
        for cluster in clusters:
            table.add("CreateTopics, 1 partition", "ms", cluster, measures.create_topic_ms(cluster, count=20))
    _throughputs(table, plan, clusters)
    for _ in range(plan.rounds):
        for cluster in clusters:
            topic = measures.new_topic(cluster, partitions=PARTITIONS)
            p50, p99 = measures.latency_ms(cluster, topic, rate=2_000, seconds=plan.latency_s)
            table.add("2,000 rec/s, acks=all, linger 0: p50", "ms", cluster, p50)
            table.add("2,000 rec/s, acks=all, linger 0: p99", "ms", cluster, p99)
    for cluster in clusters:
        table.add("memory per broker, after load", "MB", cluster, measures.memory_mb(cluster))
    _faults(table, plan, clusters)
    for _ in range(plan.rounds):
        for cluster in clusters:
            row = f"CreateTopics, {plan.partitions:,} partitions, until each took a record"
            with table.attempt(f"{cluster.name:13} {row}"):
                table.add(row, "s", cluster, measures.create_many_partitions_s(cluster, partitions=plan.partitions))


def _throughputs(table: Table, plan: Plan, clusters: list[System]) -> None:
    for _ in range(plan.rounds):
        for cluster in clusters:
            topic = measures.new_topic(cluster, partitions=PARTITIONS)
            rate = measures.produce_throughput(cluster, topic, size_bytes=1024, count=plan.records_1k)
            table.add("produce 1 KiB, librdkafka", "MB/s", cluster, rate * 1024 / 1e6)
            rate = measures.consume_throughput(cluster, topic, partitions=PARTITIONS, count=plan.records_1k)
            table.add("consume 1 KiB, librdkafka", "MB/s", cluster, rate * 1024 / 1e6)
            measures.delete_topic(cluster, topic)
        for cluster in clusters:
            topic = measures.new_topic(cluster, partitions=PARTITIONS)
            rate = measures.produce_throughput(cluster, topic, size_bytes=100, count=plan.records_100)
            table.add("produce 100 B, librdkafka", "k rec/s", cluster, rate / 1000)
            measures.delete_topic(cluster, topic)
        for cluster in clusters if len(clusters) > 1 else []:
            topic = measures.new_topic(cluster, partitions=PARTITIONS)
            rate = measures.java_produce_throughput(cluster, topic, count=plan.records_java)
            table.add("produce 1 KiB, kafka-producer-perf-test", "MB/s", cluster, rate)
            measures.delete_topic(cluster, topic)


def _faults(table: Table, plan: Plan, clusters: list[System]) -> None:
    if len(clusters) == 1:
        return
    rows = (
        ("leader killed (-9), to the next ack", signal.SIGKILL, False),
        ("leader and controller killed (-9), to the next ack", signal.SIGKILL, True),
        ("leader stopped (SIGTERM), longest pause", signal.SIGTERM, False),
    )
    for _ in range(plan.fault_rounds):
        for row, number, controller_too in rows:
            for cluster in clusters:
                table.add(row, "s", cluster, measures.fault_gap_s(cluster, number=number, controller_too=controller_too))


def _leaders(table: Table, plan: Plan, clusters: list[System]) -> None:
    """Moves of leadership, restarts one by one, a skewed load, and a broker that comes back."""
    for _ in range(plan.rounds):
        for cluster in clusters:
            row = "leadership moved (preferred election), longest pause of its producer"
            with table.attempt(f"{cluster.name:13} {row}"):
                for pause_s in balance.leader_move_pauses_s(cluster, count=plan.leader_moves):
                    table.add(row, "ms", cluster, 1000 * pause_s)
    for _ in range(plan.fault_rounds):
        for cluster in clusters:
            with table.attempt(f"{cluster.name:13} rolling restart"):
                pause_s, errors = balance.rolling_restart_pause_s(cluster)
                table.add("rolling restart of 3 nodes, longest pause of any partition", "s", cluster, pause_s)
                table.add("rolling restart of 3 nodes, records that failed", "", cluster, errors)
    for _ in range(plan.fault_rounds):
        for cluster in clusters:
            with table.attempt(f"{cluster.name:13} skewed load"):
                _skewed(table, plan, cluster)
    for number, cluster in [(number, cluster) for number in range(plan.return_rounds) for cluster in clusters]:
        row = "broker back after 5 s away, from its launch until it leads again what it should"
        if number == 0 or cluster is clusters[0]:
            with table.attempt(f"{cluster.name:13} {row}"):
                table.add(row, "s", cluster, balance.return_to_balance_s(cluster))


def _skewed(table: Table, plan: Plan, cluster: System) -> None:
    row = f"skewed load on one leader of 24, until no broker has more than {balance.BALANCED} of the mean"
    run = balance.skewed_load(cluster, seconds=plan.skewed_s)
    if run.balanced_after_s is None:
        table.note(row, cluster, f"not within {plan.skewed_s:.0f} s")
    else:
        table.add(row, "s", cluster, run.balanced_after_s)
    table.add("skewed load on one leader of 24, hottest broker in the end, of the mean", "", cluster, run.ratio)


def _simulator(table: Table, plan: Plan, ours: System) -> None:
    """Ours alone, when the clusters are down: one core does it all."""
    for batches_per_second in SIMULATED_LOADS:
        row = f"simulator, invariants on, 3 nodes and {batches_per_second} batches/s: virtual seconds per second of one core"
        with table.attempt(f"{ours.name:13} {row}"):
            for speed in measures.simulator_speeds(batches_per_second=batches_per_second, count=plan.simulated_seeds):
                table.add(row, "s", ours, speed)


def _machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?"
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return (
        f"{today}, {os.cpu_count()} cores ({model}), {memory_gib:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}; "
        f"Apache Kafka {KAFKA_VERSION} with a 1 GiB heap. Three brokers, replication factor 3; medians, with the range in brackets."
    )


def _cell(values: list[float], unit: str) -> str:
    if not values:
        return "–"
    text = f"{_number(statistics.median(values))} {unit}".rstrip()
    return f"{text} ({_number(min(values))} to {_number(max(values))})" if len(values) > 1 else text


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
