"""kafka-topics, ours beside Apache's, on one cluster of ours: every option group, with what it prints and how it ends.

Sources: reference/golden 02-15, 42-44, 122-125, 133-135 and 901-925 (transcripts of Apache's tool on Apache Kafka 4.3.1).
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cluster.real_cluster import RealCluster
from tests.java.apache_kafka import requires_java
from tests.tools.compare import assert_same, both, ours_only, replacing, with_bootstrap
from tests.tools.compare import run_ours as ours_anywhere

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

TOOL = "kafka-topics"
WARNING = (
    "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. "
    "To avoid issues it is best to use either, but not both."
)


@pytest.fixture(scope="module")
def topics(our_cluster: RealCluster) -> RealCluster:
    """The cluster with topics that no test here changes."""
    for arguments in (
        "--topic plain --partitions 1 --replication-factor 1",
        "--topic three --partitions 3 --replication-factor 3 --config retention.ms=172800000 --config cleanup.policy=compact",
        "--topic manual --replica-assignment 1:2,2:3,3:1",
        "--topic strict --replica-assignment 1:2,2:3 --config min.insync.replicas=2",
    ):
        made = ours_only(our_cluster, TOOL, "--create", *shlex.split(arguments))
        assert (made.exit_code, made.stderr) == (0, ""), made
    return our_cluster


@pytest.mark.parametrize(
    "arguments",
    [
        "--list",
        "--list --exclude-internal",
        "--list --topic t.*e",
        "--list --topic nothing",
        "--describe --topic plain",
        "--describe --topic three --exclude-internal",
        "--describe --topic manual --partition-size-limit-per-response 2",
        "--describe --topic ''",
        "--list --topic '(?i)PLAIN'",
        "--list --topic 'pla in'",
        "--describe --topic nothing --if-exists",
        "--describe --topic-id AAAAAAAAAAAAAAAAAAAAAA --topic plain",
        "--describe --topic plain --topic-id AAAAAAAAAAAAAAAAAAAAAA --if-exists",
        "--delete --topic nothing --if-exists",
        "--alter --topic nothing --if-exists --partitions 9",
        "--create --topic plain --if-not-exists",
    ],
)
def test_what_succeeds_prints_the_same(topics: RealCluster, arguments: str) -> None:
    ours, apaches = both(topics, TOOL, *shlex.split(arguments))
    assert_same(ours, apaches, stderr="all")
    assert ours.exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "--describe",
        "--describe --exclude-internal",
        "--describe --topic plain,manual",
        "--describe --topics-with-overrides",
        "--describe --under-replicated-partitions",
        "--describe --unavailable-partitions",
        "--describe --under-min-isr-partitions",
        "--describe --at-min-isr-partitions",
    ],
)
def test_many_topics_are_described_in_the_same_lines_and_order(topics: RealCluster, arguments: str) -> None:
    """In the order of a hash table, as Apache's tool prints several topics."""
    assert_same(*both(topics, TOOL, *shlex.split(arguments)), stderr="all")


@pytest.mark.parametrize(
    "arguments",
    [
        "--create --topic plain",
        "--create --topic with.dot --replication-factor 4",
        "--create --topic 'bad name!'",
        "--create --topic x --config no.such.config=1",
        "--create --topic x --config retention.ms=soon",
        "--create --topic x --config cleanup.policy=burn",
        "--create --topic x --config retention.ms",
        "--create --topic x --partitions 0",
        "--create --topic x --partitions -1",
        "--create --topic x --replication-factor 40000",
        "--create --topic ''",
        "--create --topic ..",
        "--create --topic x --replication-factor 0",
        "--create --topic x --partitions many",
        "--create --topic x --replica-assignment 1:1",
        "--create --topic x --replica-assignment 1:2,3",
        "--create --topic x --replica-assignment 1:b",
        "--create --topic x --replica-assignment 7",
        "--alter --topic three --partitions 2",
        "--alter --topic three --partitions 3",
        "--alter --topic nothing --partitions 3",
        "--alter --topic plain --partitions 3 --replica-assignment 1,2,9",
        "--delete --topic nothing",
        "--describe --topic nothing",
        "--describe --topic [",
        "--describe --topic-id lzQ7-Xn1Q4KFY_FFLxVp-w",
        "--describe --topic a --topic b",
    ],
)
def test_refusals_are_the_same_sentence(topics: RealCluster, arguments: str) -> None:
    ours, apaches = both(topics, TOOL, *shlex.split(arguments))
    # Apache's names the class of joptsimple's error; a script reads the sentence on stdout.
    assert_same(ours, apaches, stderr="ignore" if "joptsimple" in apaches.stderr else "first")
    assert ours.exit_code == 1
    assert "Error while executing topic command : " in ours.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "--create --list",
        "--describe --partitions 3",
        "--list --if-exists",
        "--list --config a=b",
        "--create",
        "--delete",
        "--alter --topic x",
        "--create --topic x --replica-assignment 1:2 --partitions 3",
        "--create --topic x --if-exists",
        "--delete --topic x --if-not-exists",
        "--delete --topic x --exclude-internal",
        "--describe --if-exists",
        "--describe --topics-with-overrides --under-replicated-partitions",
        "--describe --bogus",
        "--describe --topic",
        "--li",
    ],
)
def test_usage_errors_are_the_same_sentence(topics: RealCluster, arguments: str) -> None:
    ours, apaches = both(topics, TOOL, *shlex.split(arguments))
    assert_same(ours, apaches)
    assert ours.exit_code == 1


def test_settings_are_not_altered_here(topics: RealCluster) -> None:
    """Java names the two options of the combination in any order."""
    ours, apaches = both(topics, TOOL, "--alter", "--topic", "x", "--config", "a=b", "--partitions", "3")
    assert_same(ours, apaches, normalise=lambda text: text.replace("[[config], [bootstrap-server]]", "[[bootstrap-server], [config]]"))


def test_the_bootstrap_server_must_be_named(topics: RealCluster) -> None:
    ours = ours_anywhere(TOOL, "--list")
    assert (ours.exit_code, ours.stderr.splitlines()[0]) == (1, "--bootstrap-server must be specified")


def test_a_topic_created_altered_and_deleted_by_either_tool_is_the_same(topics: RealCluster) -> None:
    """Two topics with names of equal length live the same life, each by the hands of one tool."""
    from tests.java.tool_server import run_tool

    same = replacing("life.of.ours", "life.of.java")
    for arguments in (
        "--create --partitions 3 --replication-factor 3 --config retention.bytes=1000000",
        "--create --partitions 3",
        "--alter --partitions 5",
        "--alter --partitions 7 --replica-assignment 1,1,1,1,1,2:3:1,3:1:2",
        "--alter --partitions 4",
        "--delete",
        "--delete",
    ):
        ours = ours_only(topics, TOOL, *shlex.split(arguments), "--topic", "life.of.ours")
        apaches = run_tool(TOOL, *with_bootstrap(topics, TOOL, (*shlex.split(arguments), "--topic", "life.of.java")))
        assert_same(ours, apaches, normalise=same)


def test_the_lines_of_the_transcripts(topics: RealCluster) -> None:
    """The lines that the notes and reference/golden show, word for word."""
    created = ours_only(topics, TOOL, "--create", "--topic", "hello.kafka")
    assert created.stdout == f"{WARNING}\nCreated topic hello.kafka.\n"
    altered = ours_only(topics, TOOL, "--alter", "--topic", "hello.kafka", "--partitions", "10")
    assert (altered.exit_code, altered.stdout, altered.stderr) == (0, "", "")
    refused = ours_only(topics, TOOL, "--alter", "--topic", "hello.kafka", "--partitions", "1")
    sentence = "The topic hello.kafka currently has 10 partition(s); 1 would not be an increase."
    assert refused.stdout == f"Error while executing topic command : {sentence}\n"
    assert (
        f"ERROR org.apache.kafka.common.errors.InvalidPartitionsException: {sentence}\n (org.apache.kafka.tools.TopicCommand)"
        in refused.stderr
    )
    deleted = ours_only(topics, TOOL, "--delete", "--topic", "hello.kafka")
    assert (deleted.exit_code, deleted.stdout, deleted.stderr) == (0, "", "")


def test_a_partition_without_its_brokers_is_reported(topics: RealCluster, own_cluster: object, tmp_path: Path) -> None:
    """Reports of a cluster that has lost a node, compared with Apache's."""
    from collections.abc import Callable
    from typing import cast

    cluster = cast(Callable[..., RealCluster], own_cluster)(node_count=3)
    ours_only(cluster, TOOL, "--create", "--topic", "single", "--replica-assignment", "3")
    ours_only(cluster, TOOL, "--create", "--topic", "pair", "--replica-assignment", "1:3,1:2", "--config", "min.insync.replicas=2")
    cluster.kill(3)
    cluster.wait_ready()

    def lost() -> bool:
        return "none" in ours_only(cluster, TOOL, "--describe", "--topic", "single").stdout

    from tests.cluster.real_cluster import eventually

    eventually(lost, what="the loss of node 3 is seen")
    for report in (
        "--topic single",
        "--topic pair",
        "--under-replicated-partitions",
        "--unavailable-partitions",
        "--under-min-isr-partitions",
        "--at-min-isr-partitions",
    ):
        ours, apaches = both(cluster, TOOL, "--describe", *shlex.split(report))
        assert_same(ours, apaches)
        assert "Partition: 0" in ours.stdout or report.startswith("--at-min"), ours
