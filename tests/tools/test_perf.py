"""The perf tools beside Apache's: the same lines, but for the numbers that were measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from cluster.bench import systems
from tests.cluster.real_cluster import RealCluster
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool as run_apaches
from tests.tools.compare import assert_same, both, ours_only, run_ours

pytestmark = pytest.mark.cluster

PRODUCE, CONSUME, LATENCY = "kafka-producer-perf-test", "kafka-consumer-perf-test", "kafka-e2e-latency"
RECORDS = 2000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One of our brokers."""
    started = RealCluster(tmp_path_factory.mktemp("perf"), node_count=1)
    try:
        started.up()
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def filled(cluster: RealCluster) -> str:
    """A topic with `RECORDS` records of 100 bytes."""
    produced = ours_only(cluster, PRODUCE, "--topic", "filled", *load())
    assert produced.exit_code == 0, produced
    return "filled"


def load(records: int = RECORDS, *, throughput: int = -1) -> tuple[str, ...]:
    return ("--num-records", str(records), "--record-size", "100", "--throughput", str(throughput))


def without_numbers(text: str) -> str:
    """The text without its numbers; times and names of topics are made equal too."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}", "TIME", text)
    text = re.sub(r"-[0-9a-f]{8}\b", "-ID", text)
    return re.sub(r"\d+\.\d+(E-?\d+)?|\d+", lambda found: "N" + "." * ("." in found[0]), text)


def test_records_of_a_perf_test_are_there(cluster: RealCluster, filled: str) -> None:
    result = ours_only(cluster, CONSUME, "--topic", filled, "--num-records", str(RECORDS))
    header, line = result.stdout.splitlines()
    assert header.startswith("start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms")
    fields = line.split(", ")
    assert (fields[2], fields[4]) == ("0.1907", str(RECORDS))
    assert int(fields[6]) + int(fields[7]) > 0


def test_a_full_buffer_is_waited_for(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    small = ("--command-property", "buffer.memory=50000", "linger.ms=1")
    result = ours_only(cluster, PRODUCE, "--topic", fresh_name("small"), *load(), *small)
    assert result.stdout.startswith(f"{RECORDS} records sent"), result
    assert result.stderr == ""


def test_a_rate_is_held(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    result = ours_only(cluster, PRODUCE, "--topic", fresh_name("rate"), *load(1500, throughput=1000), "--reporting-interval", "500")
    *windows, total = result.stdout.splitlines()
    assert windows
    assert float(total.split()[3]) == pytest.approx(1000, rel=0.25)


def test_a_time_out_is_told_of(cluster: RealCluster, filled: str) -> None:
    result = ours_only(cluster, CONSUME, "--topic", filled, "--num-records", "1000000", "--timeout", "300", "--hide-header")
    warning, line = result.stdout.splitlines()
    assert warning == (
        "WARNING: Exiting before consuming the expected number of records: timeout (300 ms) exceeded."
        " You can use the --timeout option to increase the timeout."
    )
    assert line.split(", ")[4] == str(RECORDS)


def test_transactions_are_said_not_to_be_served(cluster: RealCluster, filled: str) -> None:
    result = ours_only(cluster, PRODUCE, "--topic", filled, *load(10), "--transactional-id", "tx")
    assert result.exit_code == 1
    assert "transactions are not served" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_our_perf_tools_work_with_apaches_broker(apache_cluster: systems.System, fresh_name: Callable[[str], str]) -> None:
    topic = fresh_name("foreign")
    produced = ours_only(apache_cluster, PRODUCE, "--topic", topic, *load())
    assert produced.stdout.startswith(f"{RECORDS} records sent, "), produced
    consumed = ours_only(apache_cluster, CONSUME, "--topic", topic, "--num-records", str(RECORDS), "--hide-header")
    assert consumed.stdout.split(", ")[4] == str(RECORDS), consumed
    measured = ours_only(apache_cluster, LATENCY, "--topic", topic, "--num-records", "5", "--producer-acks", "all", "--record-size", "10")
    assert measured.exit_code == 0, measured


PRODUCE_MATRIX: list[tuple[str, ...]] = [
    (*load(),),
    (*load(), "--command-property", "acks=1", "linger.ms=1", "batch.size=1000"),
    (*load(), "--producer-props", "acks=all", "compression.type=lz4"),
    (*load(), "--warmup-records", "500"),
    ("--num-records", "100", "--throughput", "-1", "--payload-monotonic"),
]


@pytest.mark.java
@requires_java
@pytest.mark.parametrize("arguments", PRODUCE_MATRIX, ids=" ".join)
def test_the_producers_lines_are_apaches(
    cluster: RealCluster, filled: str, fresh_name: Callable[[str], str], arguments: tuple[str, ...]
) -> None:
    ours, apaches = both(cluster, PRODUCE, "--topic", fresh_name("p"), *arguments)
    assert_same(ours, apaches, normalise=lambda text: without_numbers(steady_once(text)), stderr="ignore")
    assert ours.stdout.split(" records sent")[0] == apaches.stdout.split(" records sent")[0]


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--date-format", "HH"),
        ("--hide-header", "--fetch-size", "1000", "--from-latest", "--num-records", "1", "--timeout", "300"),
        ("--show-detailed-stats", "--reporting-interval", "1000000"),
        ("--include", "fill.d"),
        ("--command-property", "client.id=me"),
    ],
    ids=" ".join,
)
def test_the_consumers_lines_are_apaches(cluster: RealCluster, filled: str, arguments: tuple[str, ...]) -> None:
    topic = () if "--include" in arguments else ("--topic", filled)
    count = () if "--num-records" in arguments else ("--num-records", str(RECORDS))
    assert_same(*both(cluster, CONSUME, *topic, *count, *arguments), normalise=without_numbers, stderr="ignore")


@pytest.mark.java
@requires_java
def test_the_lines_of_latencies_are_apaches(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    arguments = ("--num-records", "20", "--producer-acks", "all", "--record-size", "10", "--record-key-size", "3", "--num-headers", "1")
    assert_same(*both(cluster, LATENCY, "--topic", fresh_name("l"), *arguments), normalise=without_topic_creation, stderr="ignore")
    by_position = (cluster.bootstrap, fresh_name("l"), "5", "1", "10")
    assert_same(run_ours(LATENCY, *by_position), run_apaches(LATENCY, *by_position), normalise=without_topic_creation, stderr="ignore")


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (PRODUCE, ("--topic", "t", *load(0))),
        (PRODUCE, ("--topic", "t", "--num-records", "5", "--throughput", "-1")),
        (PRODUCE, ("--topic", "t", *load(5), "--payload-monotonic")),
        (PRODUCE, ("--topic", "t", *load(5), "--warmup-records", "5")),
        (PRODUCE, ("--topic", "t", *load(5), "--transaction-duration-ms", "0")),
        (PRODUCE, load(5)),
        (CONSUME, ("--topic", "t")),
        (CONSUME, ("--num-records", "5")),
        (CONSUME, ("--topic", "t", "--num-records", "5", "--reporting-interval", "0")),
        (LATENCY, ("--topic", "t", "--num-records", "5", "--producer-acks", "0", "--record-size", "5")),
        (LATENCY, ("--topic", "t", "--num-records", "0", "--producer-acks", "1", "--record-size", "5")),
        (LATENCY, ("--topic", "t", "--num-records", "5", "--producer-acks", "1", "--record-size", "-5")),
        (LATENCY, ("--topic", "t", "--num-records", "5", "--producer-acks", "1")),
    ],
)
def test_wrong_usage_is_refused_alike(cluster: RealCluster, tool: str, arguments: tuple[str, ...]) -> None:
    ours, apaches = both(cluster, tool, *arguments)
    assert (ours.exit_code, ours.stdout) == (apaches.exit_code, apaches.stdout), (ours, apaches)
    # argparse4j breaks its sentences at the terminal's width.
    ours_words, apaches_words = (" ".join(each.stderr.split()).replace("-- ", "--") for each in (ours, apaches))
    sentence = ours_words.partition(" Try kafka-")[0].removeprefix("kafka-producer-perf-test: error: ")
    assert sentence in apaches_words


def steady_once(text: str) -> str:
    """Progress lines come by the clock, and the steady state may begin before or after one."""
    return "\n".join(line for line in text.splitlines() if "max latency." not in line)


def without_topic_creation(text: str) -> str:
    return without_numbers("\n".join(line for line in text.splitlines() if "does not exist" not in line))
