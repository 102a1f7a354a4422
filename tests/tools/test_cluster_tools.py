"""The small tools that ask a cluster about itself, ours beside Apache's on one cluster of ours.

Sources: reference/golden 01, 88-95, 109-111 and 924.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.cluster.real_cluster import RealCluster
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool
from tests.tools.compare import assert_same, both, ours_only, replacing, sorted_lines, with_bootstrap

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

OFFSETS = "kafka-get-offsets"
DELETE = "kafka-delete-records"


@pytest.fixture(scope="module")
def filled(our_cluster: RealCluster) -> RealCluster:
    """The cluster with twelve partitions of `many` (partition n has n records at 1000, 2000 ... ms), and the pair `ours`, `java`."""
    our_cluster.create_topic("many", partitions=12, replicas=3)
    our_cluster.create_topic("ours", partitions=3, replicas=3)
    our_cluster.create_topic("java", partitions=3, replicas=3)
    producer = Producer({"bootstrap.servers": our_cluster.bootstrap})
    for partition in range(12):
        for index in range(partition):
            producer.produce("many", b"value", partition=partition, timestamp=1000 * (index + 1))
    for topic in ("ours", "java"):
        for index in range(30):
            producer.produce(topic, b"value", partition=index % 3)
    assert producer.flush(20) == 0
    return our_cluster


@pytest.mark.parametrize(
    "arguments",
    [
        "--topic many",
        "--topic many --time earliest",
        "--topic many --time -1",
        "--topic many --time -2",
        "--topic many --time -3",
        "--topic many --time max-timestamp",
        "--topic many --time -4",
        "--topic many --time latest-tiered",
        "--topic many --time 3000",
        "--topic many --time 2999",
        "--topic many --time 99999999999999",
        "--topic many --partitions 1,2,11",
        "--topic many --partitions 1,,",
        "--topic many --partitions ''",
        "--topic many --time -7",
        "--topic-partitions many:3,,",
        "--topic ma.*,none",
        "--topic-partitions many:3",
        "--topic-partitions many:2-4,ours:1-,java:-1",
        "--topic-partitions :0",
        "--exclude-internal-topics",
        "",
    ],
)
def test_offsets_are_the_same(filled: RealCluster, arguments: str) -> None:
    ours, apaches = both(filled, OFFSETS, *shlex.split(arguments))
    assert_same(ours, apaches, stderr="all")
    assert ours.exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "--topic nothing",
        "--topic ''",
        "--time 9223372036854775808",
        "--time soon",
        "--partitions one",
        "--topic-partitions many:a",
        "--topic-partitions many --topic many",
        "--bogus",
        "--topic",
    ],
)
def test_offsets_that_cannot_be_had_end_in_the_same_sentence(filled: RealCluster, arguments: str) -> None:
    ours, apaches = both(filled, OFFSETS, *shlex.split(arguments))
    assert_same(ours, apaches)
    assert ours.exit_code == 1


def test_records_are_deleted_alike(filled: RealCluster, tmp_path: Path) -> None:
    """Below an offset, all of them, beyond the end, twice; each tool on a topic of its own."""
    same = replacing("ours", "java")

    def delete(*entries: tuple[int, int]) -> None:
        results = []
        for topic in ("ours", "java"):
            path = tmp_path / f"{topic}.json"
            partitions = [{"topic": topic, "partition": partition, "offset": offset} for partition, offset in entries]
            path.write_text(json.dumps({"partitions": partitions, "version": 1}))
            arguments = ("--offset-json-file", str(path))
            results.append(
                ours_only(filled, DELETE, *arguments) if topic == "ours" else run_tool(DELETE, *with_bootstrap(filled, DELETE, arguments))
            )
        assert_same(*results, normalise=lambda text: sorted_lines(same(text)), stderr="ignore")

    delete((0, 4))
    delete((0, 4), (1, -1))
    delete((2, 999), (0, 5))
    delete((0, 1), (0, 2))
    offsets = [ours_only(filled, OFFSETS, "--topic", topic, "--time", "earliest").stdout for topic in ("ours", "java")]
    assert same(offsets[0]) == same(offsets[1]) == "NAME:0:5\nNAME:1:10\nNAME:2:0\n"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[]",
        '{"partitions": [{"topic": "a", "partition": 9999999999, "offset": 1}]}',
        '{"partitions": [], "version": 2}',
        '{"partitions": [{"topic": "a"}]}',
    ],
)
def test_a_wrong_offset_file_is_told_in_one_sentence(filled: RealCluster, tmp_path: Path, text: str) -> None:
    path = tmp_path / "offsets.json"
    path.write_text(text)
    ours, apaches = both(filled, DELETE, "--offset-json-file", str(path))
    assert ours.exit_code == apaches.exit_code == 1
    assert len(ours.stderr.splitlines()) == 1


def test_api_versions_of_each_broker_are_the_same(filled: RealCluster) -> None:
    """Apache's tool names the brokers in any order, ours by their ids."""
    ours, apaches = both(filled, "kafka-broker-api-versions")
    assert ours.exit_code == 0
    paragraphs = [re.findall(r".*?\n\)\n", each.stdout, re.DOTALL) for each in (ours, apaches)]
    assert paragraphs[0] == sorted(paragraphs[1], key=lambda text: text.partition("(id:")[2])


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("kafka-cluster", "cluster-id"),
        ("kafka-cluster", "list-endpoints"),
        ("kafka-cluster", "list-endpoints --include-fenced-brokers"),
        ("kafka-cluster", "unregister --id 77"),
        ("kafka-features", "describe"),
        ("kafka-features", "upgrade"),
        ("kafka-features", "upgrade --feature group.version"),
        ("kafka-features", "upgrade --release-version 9.9"),
        ("kafka-features", "version-mapping --release-version 3.9"),
        ("kafka-features", "feature-dependencies --feature eligible.leader.replicas.version=1 --feature group.version=1"),
        ("kafka-features", "feature-dependencies --feature no.such=1"),
        ("kafka-features", "feature-dependencies --feature group.version=9"),
        ("kafka-cluster", "bogus"),
    ],
)
def test_clusters_and_features_are_told_alike(filled: RealCluster, tool: str, arguments: str) -> None:
    """A command that ends its JVM for wrong usage is slow to compare: there is one, at the end."""
    normalise = lambda text: re.sub(r"Epoch: \d+", "Epoch: N", text)  # noqa: E731
    assert_same(*both(filled, tool, *shlex.split(arguments)), normalise=normalise)
