"""kafka-consumer-groups, ours beside Apache's, on one cluster of ours: every option group, with what it prints and how it ends.

Sources: reference/golden 45-80 and 201-208 (transcripts of Apache's tool on Apache Kafka 4.3.1).
"""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from cluster.bench.systems import System
from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import requires_java
from tests.tools.compare import HasBootstrap, assert_same, replacing
from tests.tools.in_process import both_here, each_on_its_own, run_here

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

TOOL = "kafka-consumer-groups"
TOPICS = {"alpha": 3, "beta": 2}
NO_EXECUTE = "WARN: No action will be performed as the --execute option is missing."


class Members:
    """Consumers that stay in their groups until they are closed."""

    def __init__(self, bootstrap: str, groups: list[dict[str, str]]) -> None:
        self._consumers = [Consumer({"bootstrap.servers": bootstrap, "auto.offset.reset": "earliest", **group}) for group in groups]
        for consumer in self._consumers:
            consumer.subscribe(list(TOPICS))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stop.is_set():
            for consumer in self._consumers:
                consumer.poll(0.05)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for consumer in self._consumers:
            consumer.close()


def commit(cluster: HasBootstrap, group: str, offsets: list[tuple[str, int, int]]) -> None:
    """Tries again while the first use of groups makes the topic of offsets, which librdkafka does not hide."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group, "enable.auto.commit": False})

    def committed() -> bool:
        try:
            consumer.commit(offsets=[TopicPartition(*each) for each in offsets], asynchronous=False)
        except KafkaException:
            return False
        return True

    eventually(committed, what=f"a commit of {group}")
    consumer.close()


def fill(cluster: HasBootstrap) -> None:
    """Topics of which partition `n` has 5 + n records; groups with offsets and without members."""
    for topic, partitions in TOPICS.items():
        made = run_here(
            "kafka-topics", "--bootstrap-server", cluster.bootstrap, "--create", "--topic", topic, "--partitions", str(partitions)
        )
        assert made.exit_code == 0, made
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    for topic, partitions in TOPICS.items():
        for partition in range(partitions):
            for number in range(5 + partition):
                producer.produce(topic, partition=partition, value=str(number))
    producer.flush()
    commit(cluster, "g-empty", [("alpha", 0, 1), ("alpha", 1, 2), ("beta", 0, 3)])
    commit(cluster, "a-very-long-group-name", [("alpha", 0, 1), ("beta", 1, 2)])


def wait_until_all_is_read(cluster: HasBootstrap, group: str, *, members: int) -> None:
    """Until so many members have shared, read and committed everything, so that nothing changes between two tools."""

    def settled() -> bool:
        shown = run_here(TOOL, "--bootstrap-server", cluster.bootstrap, "--describe", "--group", group)
        rows = [line.split() for line in shown.stdout.splitlines() if line.startswith(group)]
        all_read = len(rows) == sum(TOPICS.values()) and all(row[5] == "0" and row[6] != "-" for row in rows)
        return all_read and len({row[6] for row in rows}) == members and not shown.stderr

    eventually(settled, timeout_s=40, what=f"{group} has read everything")


@pytest.fixture(scope="module")
def groups(our_cluster: RealCluster) -> Iterator[RealCluster]:
    """The cluster with the groups that the tests describe, two of them alive."""
    fill(our_cluster)
    members = Members(
        our_cluster.bootstrap,
        [
            {"group.id": "g-live", "client.id": "reader", "partition.assignment.strategy": "range", "auto.commit.interval.ms": "500"},
            {"group.id": "g-live", "client.id": "reader", "partition.assignment.strategy": "range", "auto.commit.interval.ms": "500"},
            {
                "group.id": "g-static",
                "group.instance.id": "one",
                "partition.assignment.strategy": "range",
                "auto.commit.interval.ms": "500",
            },
        ],
    )
    try:
        wait_until_all_is_read(our_cluster, "g-live", members=2)
        wait_until_all_is_read(our_cluster, "g-static", members=1)
        yield our_cluster
    finally:
        members.close()


DESCRIPTIONS = ["", "--offsets", "--verbose", "--members", "--members --verbose", "--state", "--state --verbose"]


@pytest.mark.parametrize("group", ["g-empty", "g-live", "g-static", "g-missing"])
def test_a_group_is_described_the_same(groups: RealCluster, group: str) -> None:
    for options in DESCRIPTIONS:
        assert_same(*both_here(groups, TOOL, "--describe", "--group", group, *options.split()), stderr="ignore")


def test_what_is_said_of_a_group_goes_to_stderr(groups: RealCluster) -> None:
    ours, apaches = both_here(groups, TOOL, "--describe", "--group", "g-empty")
    assert_same(ours, apaches, stderr="all")
    assert ours.stderr == "\nConsumer group 'g-empty' has no active members.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "--list",
        "--list --state",
        "--list --type",
        "--list --state --type",
        "--list --state Empty",
        "--list --state=stable,empty --type classic",
        "--list --type consumer",
        "--describe --all-groups",
        "--describe --all-groups --members",
        "--describe --group g-empty --group a-very-long-group-name",
        "--describe --group g-empty --group g-missing",
        "--describe --group ''",
        "--delete --group ''",
        "--delete --group g-live",
        "--delete --group missing-1 --group missing-2",
        "--delete-offsets --group g-live --topic alpha",
        "--delete-offsets --group g-missing --topic alpha",
        "--delete-offsets --group g-empty --topic nothing",
        "--delete-offsets --group g-empty --topic alpha:9",
        "--list --timeout abc",
        "--version",
        "--validate-regex a+",
        "--validate-regex (a+",
        "--validate-regex a(?=b)",
    ],
)
def test_what_it_prints_is_the_same(groups: RealCluster, arguments: str) -> None:
    """Where a hash table decides between groups of one bucket, the order is Java's whim; these names lie in buckets of their own."""
    assert_same(*both_here(groups, TOOL, *shlex.split(arguments)), stderr="ignore")


@pytest.mark.parametrize(
    "scenario",
    [
        "--to-earliest",
        "--to-latest",
        "--to-current",
        "--to-offset 3",
        "--to-offset 300",
        "--shift-by 2",
        "--shift-by -30",
        "--to-datetime 2026-01-01T00:00:00.000",
        "--to-datetime 2030-01-01T00:00:00.000+09:00",
        "--to-datetime nonsense",
        "--to-datetime 2026-01-01T00:00:00",
        "--by-duration P1D",
        "--by-duration -PT1H",
        "--by-duration nonsense",
        "--to-offset x",
    ],
)
def test_plans_are_the_same(groups: RealCluster, scenario: str) -> None:
    """For all that the group has read, and for one partition."""
    for scope in ("--all-topics", "--topic alpha:1"):
        arguments = f"--reset-offsets --group g-empty {scope} {scenario} --dry-run"
        assert_same(*both_here(groups, TOOL, *shlex.split(arguments)), stderr="ignore" if "nonsense" in scenario else "all")


@pytest.mark.parametrize(
    "arguments",
    [
        "--group g-empty --topic alpha --topic beta:1 --to-earliest --dry-run",
        "--group g-empty --group a-very-long-group-name --topic alpha --to-earliest --dry-run",
        "--group g-empty --group a-very-long-group-name --topic alpha --to-earliest --dry-run --export",
        "--all-groups --topic beta --to-latest --dry-run",
        "--group g-live --topic alpha --to-earliest --execute",
        "--group g-new --topic alpha --to-current --dry-run",
        "--group g-empty --topic nothing --to-earliest --dry-run",
        "--group g-empty --topic alpha:7,8 --to-earliest --dry-run",
        "--group g-empty --topic nothing:0 --to-earliest --dry-run",
        "--group g-empty --topic '' --to-earliest --dry-run",
    ],
)
def test_plans_of_other_scopes_are_the_same(groups: RealCluster, arguments: str) -> None:
    assert_same(*both_here(groups, TOOL, "--reset-offsets", *shlex.split(arguments)), stderr="ignore")


def test_a_plan_goes_out_as_csv_and_comes_in_again(groups: RealCluster, tmp_path: Path) -> None:
    path = tmp_path / "offsets.csv"
    reset = ("--reset-offsets", "--group", "g-empty")
    ours, apaches = both_here(groups, TOOL, *reset, "--topic", "alpha", "--to-latest", "--export", "--dry-run")
    assert_same(ours, apaches, stderr="all")
    path.write_text(ours.stdout)
    assert_same(*both_here(groups, TOOL, *reset, "--from-file", str(path), "--dry-run"), stderr="ignore")
    path.write_text("g-empty,alpha,0,3\na-very-long-group-name,alpha,1,99\n")
    both_groups = (*reset, "--group", "a-very-long-group-name", "--from-file", str(path), "--dry-run")
    assert_same(*both_here(groups, TOOL, *both_groups), stderr="ignore")
    assert_same(*both_here(groups, TOOL, *reset, "--from-file", "/nowhere", "--dry-run"), stderr="ignore")


def test_what_is_executed_is_the_same(groups: RealCluster) -> None:
    """Two groups of one length, one for each tool, through all that changes a group."""
    names = ("life-1", "life-2")
    same = replacing(*names)
    for group in names:
        commit(groups, group, [("alpha", 0, 4), ("alpha", 2, 1)])
    for arguments in (
        "--reset-offsets --group NAME --topic alpha:0 --shift-by -1 --execute",
        "--describe --group NAME",
        "--reset-offsets --group NAME --all-topics --to-latest --execute",
        "--reset-offsets --group NAME --topic beta --to-earliest --execute",
        "--describe --group NAME --verbose",
        "--delete-offsets --group NAME --topic alpha",
        "--describe --group NAME",
        "--delete --group NAME --group missing",
        "--describe --group NAME",
    ):
        given = arguments
        results = each_on_its_own(groups, TOOL, names, lambda group, given=given: tuple(given.replace("NAME", group).split()))
        assert_same(*results, normalise=same, stderr="ignore")


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--bogus",
        "--group",
        "--members --group g",
        "--list --describe",
        "--describe",
        "--describe --group g --members --state",
        "--describe --group g --state stable",
        "--delete",
        "--delete --group g --topic alpha",
        "--delete-offsets --group g",
        "--list --state bogus",
        "--list --type bogus",
        "--reset-offsets --group g-empty --to-earliest",
        "--reset-offsets --to-earliest --topic alpha",
        "--reset-offsets --group g-empty --topic alpha",
        "--reset-offsets --group g-empty --topic alpha --to-earliest --to-latest",
        "--reset-offsets --group g-empty --topic alpha --to-earliest --execute --dry-run",
        "--reset-offsets --group g-empty --topic alpha:x --to-earliest --dry-run",
        "--reset-offsets --group g-empty --topic alpha:1:2 --to-earliest --dry-run",
        "--reset-offsets --group g-new --topic alpha --shift-by 1 --dry-run",
    ],
)
def test_wrong_usage_is_refused_in_the_same_words(groups: RealCluster, arguments: str) -> None:
    """Java names the options of a set in an order that changes from start to start, so the words are compared sorted."""
    ours, apaches = both_here(groups, TOOL, *shlex.split(arguments))
    assert_same(ours, apaches, normalise=lambda text: " ".join(sorted(re.sub(r"[,.]", " ", text).split())))
    assert ours.exit_code == 1


def test_a_plan_without_execute_warns(groups: RealCluster) -> None:
    """Reference/golden 65."""
    ours, apaches = both_here(groups, TOOL, *["--reset-offsets", "--group", "g-empty", "--topic", "alpha", "--to-earliest"])
    assert_same(ours, apaches, stderr="all")
    assert ours.stderr.startswith(NO_EXECUTE)


def test_a_group_of_the_new_protocol_on_apache_kafka(apache_cluster: System) -> None:
    """KIP-848; our brokers do not have it yet."""
    fill(apache_cluster)
    member = {"group.id": "g-848", "client.id": "reader", "group.protocol": "consumer", "auto.commit.interval.ms": "500"}
    members = Members(apache_cluster.bootstrap, [member, member | {"group.instance.id": "two"}])
    try:
        wait_until_all_is_read(apache_cluster, "g-848", members=2)
        for options in DESCRIPTIONS:
            assert_same(*both_here(apache_cluster, TOOL, "--describe", "--group", "g-848", *options.split()), stderr="ignore")
        for arguments in ("--list --type", "--list --state --type consumer", "--delete --group g-848"):
            assert_same(*both_here(apache_cluster, TOOL, *arguments.split()), stderr="ignore")
    finally:
        members.close()
