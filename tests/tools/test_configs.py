"""kafka-configs, ours beside Apache's, on one cluster of ours: every entity and option group, with what it prints and how it ends.

Sources: reference/golden 16-24 and 920 (transcripts of Apache's tool on Apache Kafka 4.3.1).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.bench.systems import System
from raftkafka.tools.configs.key_list import settable_keys
from raftkafka.tools.configs.settings_text import parse_pairs
from raftkafka.tools.errors import ToolError
from tests.cluster.real_cluster import RealCluster
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool
from tests.tools.compare import HasBootstrap, assert_same, replacing, sorted_lines
from tests.tools.in_process import both_here, each_on_its_own, run_here

TOOL = "kafka-configs"


def on_a_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that runs both tools."""
    return pytest.mark.cluster(pytest.mark.java(requires_java(test)))


def matrix(cluster: HasBootstrap, *lines: str, stderr: str = "all") -> None:
    """Runs each line with both tools, in order."""
    for line in lines:
        assert_same(*both_here(cluster, TOOL, *shlex.split(line)), stderr=stderr)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("k=v", {"k": "v"}),
        ("k1=v1,k2=[v1,v2],k3=", {"k1": "v1", "k2": "v1,v2", "k3": ""}),
        (" k1 = v1 , k2=v2,", {"k1": "v1", "k2": "v2"}),
        ("k=[a=b,c=d]", {"k": "a=b,c=d"}),
    ],
)
def test_pairs_are_read_with_brackets_around_commas(text: str, pairs: dict[str, str]) -> None:
    assert parse_pairs(text) == pairs


@pytest.mark.parametrize("text", ["k", "a=b,k", "k=v=w"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ToolError, match="must be in the format"):
        parse_pairs(text)


@pytest.mark.slow
@pytest.mark.java
@requires_java
def test_the_help_names_the_keys_that_apaches_names() -> None:
    """Its help is a column of 40 characters, in which a key begins with a tab and may go on in the next line."""
    column = run_tool(TOOL, "--help").stderr.partition("--add-config <")[2].partition("Entity types")[0]
    unwrapped = re.sub(r"\n {39,41}(?! *\t|For)", "", re.sub(r" +$", "", column, flags=re.MULTILINE))
    theirs = {part.partition("':")[0]: [key.strip() for key in part.split("\t")[1:]] for part in unwrapped.split("For entity-type '")[1:]}
    assert theirs == settable_keys()
    ours = run_here(TOOL, "--help")
    assert all(key in ours.stderr for keys in theirs.values() for key in keys)


@pytest.fixture(scope="module")
def configured(our_cluster: RealCluster) -> RealCluster:
    """The cluster with two topics."""
    for topic in ("orders", "orders2"):
        our_cluster.create_topic(topic)
    return our_cluster


@on_a_cluster
def test_settings_of_topics_are_added_shown_and_deleted(configured: RealCluster, tmp_path: Path) -> None:
    path = tmp_path / "add.properties"
    path.write_text("# some\nretention.ms=5000\nflush.ms = 900\n")
    matrix(
        configured,
        "--alter --topic orders --add-config retention.ms=100000,cleanup.policy=[compact,delete]",
        "--describe --topic orders",
        "--describe --entity-type topics --entity-name orders",
        "--alter --topic orders --delete-config segment.ms",
        "--alter --topic orders --delete-config retention.ms,cleanup.policy --add-config segment.ms=77777",
        "--describe --topic orders --all",
        "--alter --topic orders --delete-config segment.ms",
        f"--alter --topic orders --add-config-file {path}",
        "--describe --topic orders",
        "--alter --topic orders --delete-config retention.ms,flush.ms",
        "--describe --topic orders",
    )


@on_a_cluster
def test_all_topics_are_described(configured: RealCluster) -> None:
    assert_same(*both_here(configured, TOOL, "--describe", "--entity-type", "topics"), normalise=sorted_lines)


@on_a_cluster
def test_topics_that_are_not_there_and_wrong_settings_are_refused(configured: RealCluster) -> None:
    matrix(
        configured,
        "--describe --topic missing",
        "--describe --topic bad/name",
        "--describe --topic ..",
        "--alter --topic missing --add-config retention.ms=1000",
        "--alter --topic orders --add-config retention.ms=abc",
        "--alter --topic orders --add-config bogus=1",
        "--alter --topic orders --add-config a^b=1",
        "--alter --topic orders --add-config nothing",
        "--alter --topic orders --add-config-file /nowhere",
        stderr="first",
    )


@on_a_cluster
def test_settings_of_one_broker_and_of_all_are_shown_and_changed(configured: RealCluster) -> None:
    matrix(
        configured,
        "--describe --broker 1",
        "--broker 1 --all --describe",
        "--describe --broker-defaults",
        "--describe --entity-type brokers --entity-default",
        "--describe --entity-type brokers",
        "--describe --broker 9",
        "--alter --broker 1 --add-config log.cleaner.threads=2",
        "--describe --broker 1",
        "--alter --broker 1 --delete-config log.cleaner.threads",
        "--alter --broker-defaults --add-config log.retention.ms=99999999",
        "--describe --broker-defaults",
        "--describe --broker 2 --all",
        "--alter --broker-defaults --delete-config log.retention.ms",
    )


@on_a_cluster
def test_what_a_broker_cannot_change_is_refused(configured: RealCluster) -> None:
    matrix(
        configured,
        "--describe --broker x",
        "--alter --broker 1 --add-config log.dirs=/x",
        "--alter --broker 1 --add-config log.cleaner.threads=abc",
        "--alter --entity-type brokers --add-config log.retention.ms=1",
        stderr="first",
    )


@on_a_cluster
def test_loggers_are_shown_and_unknown_ones_refused(configured: RealCluster) -> None:
    matrix(
        configured,
        "--describe --broker-logger 1",
        "--describe --entity-type broker-loggers",
        "--alter --broker-logger 1 --add-config no.such.logger=DEBUG",
        "--alter --broker-logger 1 --delete-config no.such.logger",
        stderr="first",
    )


@on_a_cluster
def test_settings_of_groups_and_metrics_live_without_them(configured: RealCluster) -> None:
    matrix(
        configured,
        "--describe --group nobody",
        "--alter --group readers --add-config consumer.session.timeout.ms=50000",
        "--describe --group readers",
        "--describe --group readers --all",
        "--describe --entity-type groups",
        "--alter --group readers --add-config bogus=1",
        "--alter --group readers --delete-config consumer.session.timeout.ms",
        "--describe --group readers",
        "--alter --client-metrics m1 --add-config interval.ms=1000,metrics=[a,b]",
        "--describe --client-metrics m1",
        "--describe --entity-type client-metrics",
        "--describe --client-metrics none",
        "--alter --client-metrics m1 --add-config bogus=1",
        "--alter --client-metrics m1 --delete-config interval.ms,metrics",
        stderr="first",
    )


@on_a_cluster
def test_quotas_of_users_clients_and_addresses(configured: RealCluster) -> None:
    matrix(
        configured,
        "--alter --user alice --add-config producer_byte_rate=1024,consumer_byte_rate=20480000,request_percentage=0.5",
        "--alter --client app --add-config request_percentage=50",
        "--alter --user alice --client app --add-config producer_byte_rate=1",
        "--alter --user-defaults --add-config producer_byte_rate=999",
        "--alter --client-defaults --add-config producer_byte_rate=998",
        "--alter --entity-type users --entity-default --entity-type clients --entity-default --add-config consumer_byte_rate=7",
        "--alter --entity-type clients --entity-default --entity-type users --entity-name carol --add-config consumer_byte_rate=7",
        "--alter --ip 127.0.0.1 --add-config connection_creation_rate=100000",
        "--alter --ip-defaults --add-config connection_creation_rate=200000",
    )
    matrix(
        configured,
        "--describe --user alice",
        "--describe --client app",
        "--describe --user alice --client app",
        "--describe --entity-type users",
        "--describe --entity-type clients",
        "--describe --entity-type users --entity-type clients",
        "--describe --entity-type clients --entity-type users",
        "--describe --user-defaults",
        "--describe --client-defaults",
        "--describe --ip 127.0.0.1",
        "--describe --entity-type ips",
        "--describe --ip-defaults",
        "--describe --user nobody",
    )


@on_a_cluster
def test_quotas_are_deleted(configured: RealCluster) -> None:
    names = ("dave", "emil")
    for verb in ("--add-config producer_byte_rate=5000", "--delete-config producer_byte_rate", "--delete-config producer_byte_rate"):
        given = verb
        results = each_on_its_own(configured, TOOL, names, lambda name, given=given: ("--alter", "--user", name, *given.split()))
        assert_same(*results, normalise=replacing(*names), stderr="all")


@on_a_cluster
def test_what_is_no_quota_is_refused(configured: RealCluster) -> None:
    matrix(
        configured,
        "--alter --user alice --add-config bogus=1",
        "--alter --client app --add-config bogus=1",
        "--alter --user alice --delete-config bogus",
        "--alter --client app --delete-config bogus,other",
        "--alter --ip 127.0.0.1 --add-config bogus=1",
        "--alter --ip 'not an address' --add-config connection_creation_rate=1",
        "--alter --user alice --add-config producer_byte_rate=abc",
        "--alter --user alice --add-config producer_byte_rate=0.5",
        "--alter --user alice --add-config producer_byte_rate=-1",
        "--alter --entity-type users --add-config producer_byte_rate=1",
        stderr="first",
    )


@on_a_cluster
def test_credentials_on_apache_kafka(apache_cluster: System) -> None:
    """Our brokers have none, and say so."""
    matrix(
        apache_cluster,
        "--alter --user alice --add-config SCRAM-SHA-256=[iterations=5000,password=x]",
        "--alter --user alice --add-config SCRAM-SHA-512=[password=y]",
        "--describe --user alice",
        "--describe --entity-type users",
        "--alter --user alice --add-config SCRAM-SHA-256=[password=x],SCRAM-SHA-512=[password=y]",
        "--alter --user alice --add-config SCRAM-SHA-256=[iterations=1,password=x]",
        "--alter --user alice --add-config SCRAM-SHA-256=nonsense",
        "--alter --user alice --add-config SCRAM-SHA-256=[password=z],producer_byte_rate=1",
        "--alter --user-defaults --add-config SCRAM-SHA-256=[password=z]",
        "--alter --user bob --delete-config SCRAM-SHA-256",
        stderr="first",
    )


@on_a_cluster
def test_a_broker_without_credentials_says_so(configured: RealCluster) -> None:
    arguments = "--alter --user alice --add-config SCRAM-SHA-256=[password=x]"
    ours = run_here(TOOL, "--bootstrap-server", configured.bootstrap, *arguments.split())
    assert ours.exit_code == 1
    assert ours.stderr.splitlines()[1] == (
        "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnsupportedVersionException: "
        "The broker does not support AlterUserScramCredentials."
    )


@on_a_cluster
def test_what_does_not_go_together_is_refused(configured: RealCluster) -> None:
    matrix(
        configured,
        "",
        "--bogus",
        "--topic orders",
        "--describe --alter --topic orders",
        "--describe",
        "--describe --entity-type bogus",
        "--describe --entity-type topics --topic orders",
        "--describe --entity-type users --entity-type users",
        "--describe --topic orders --client app",
        "--describe --topic orders --add-config a=b",
        "--describe --user alice --user bob",
        "--describe --user alice --entity-type clients",
        "--describe --entity-type topics --entity-default",
        "--alter --topic orders",
        "--alter --entity-type topics --add-config a=b",
        "--alter --topic orders --add-config a=b --add-config-file /nowhere",
        "--describe --topic orders --bootstrap-controller 127.0.0.1:1 --bootstrap-server 127.0.0.1:1",
        stderr="first",
    )
