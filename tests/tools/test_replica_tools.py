"""kafka-reassign-partitions, kafka-leader-election, kafka-log-dirs and kafka-metadata-quorum, ours beside Apache's, on one cluster of ours.

Sources: reference/golden 86, 87, 96-100 and 901-919 (transcripts of Apache's tools on Apache Kafka 4.3.1).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer

from cluster.apache_kafka import ToolResult
from tests.cluster.real_cluster import RealCluster, eventually
from tests.cluster.test_log_directories import Cluster as TwoDirectories
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool
from tests.tools.compare import assert_same, replacing, significant_lines
from tests.tools.in_process import both_here, each_on_its_own, run_here

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

REASSIGN, ELECT, LOG_DIRS, QUORUM = "kafka-reassign-partitions", "kafka-leader-election", "kafka-log-dirs", "kafka-metadata-quorum"
NAMES = ("moves-1", "moves-2")
_JAVA_TRACE = re.compile(r"^(\tat |\t\.\.\. |Caused by: |java\.|org\.apache\.|com\.fasterxml\.).*\n?", re.MULTILINE)


def without_trace(text: str) -> str:
    """kafka-reassign-partitions prints stack traces to stdout."""
    shown = _JAVA_TRACE.sub("", text)
    return shown.rstrip("\n") if "Error: " in shown else shown


@pytest.fixture(scope="module")
def our_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDirectories]:
    """Three brokers with two log directories each."""
    cluster = TwoDirectories(tmp_path_factory.mktemp("ours"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def replicas(our_cluster: TwoDirectories) -> TwoDirectories:
    """The cluster with a topic of some bytes, and two of equal names' length with so many that a throttled move takes its time."""
    for topic, assignment in (("still", "1:2,2:3,3:1"), *((name, "1:2,2:3") for name in NAMES)):
        made = run_here(
            "kafka-topics", "--bootstrap-server", our_cluster.bootstrap, "--create", "--topic", topic, "--replica-assignment", assignment
        )
        assert made.exit_code == 0, made
    producer = Producer({"bootstrap.servers": our_cluster.bootstrap})
    for topic, count in (("still", 3), (NAMES[0], 800), (NAMES[1], 800)):
        for number in range(count):
            producer.produce(topic, partition=number % 2, value=bytes(10_000))
            producer.poll(0)
    assert producer.flush(30) == 0
    return our_cluster


def without_directories(text: str) -> str:
    """The replicas of two topics may lie in different directories."""
    return re.sub(r"/[^ \",.]*/node\d/data(-2)?", "DIR", text)


def same(text: str) -> str:
    """What differs between what is done to one topic and to the other."""
    return without_directories(replacing(*NAMES)(text))


def plan_file(directory: Path, topic: str, targets: Mapping[int, Sequence[int]], **fields: object) -> str:
    partitions = [{"topic": topic, "partition": number, "replicas": list(target), **fields} for number, target in targets.items()]
    path = directory / f"{topic}.json"
    path.write_text(json.dumps({"version": 1, "partitions": partitions}))
    return str(path)


class Pair:
    """One plan for each tool, each for a topic of its own; what they print is compared at every step."""

    def __init__(self, cluster: RealCluster, directory: Path, targets: Mapping[int, Sequence[int]]) -> None:
        self.cluster = cluster
        self.files = tuple(plan_file(directory, name, targets) for name in NAMES)

    def step(self, arguments: str) -> ToolResult:
        ours, apaches = each_on_its_own(
            self.cluster, REASSIGN, self.files, lambda path: ("--reassignment-json-file", path, *arguments.split())
        )
        assert_same(ours, apaches, normalise=same, stderr="all")
        return ours

    def one(self, index: int, arguments: str) -> str:
        """The step of one tool alone, for what only one may do at a time."""
        full = ("--bootstrap-server", self.cluster.bootstrap, "--reassignment-json-file", self.files[index], *arguments.split())
        results = run_here(REASSIGN, *full) if index == 0 else run_tool(REASSIGN, *full)
        assert significant_lines(results.stderr) == [], results
        return f"{results.exit_code}\n{same(results.stdout)}"

    def wait_until_nothing_moves(self) -> None:
        eventually(
            lambda: "No partition" in run_here(REASSIGN, "--bootstrap-server", self.cluster.bootstrap, "--list").stdout,
            timeout_s=40,
            what="moves end",
        )


def test_moves_are_started_watched_and_finished_the_same(replicas: TwoDirectories, tmp_path: Path) -> None:
    pair = Pair(replicas, tmp_path, {0: [2, 3], 1: [3, 1]})
    pair.step("--verify")
    started = [pair.one(index, "--execute --additional") for index in (0, 1)]
    assert started[0] == started[1]
    assert "Successfully started partition reassignments for NAME-0,NAME-1" in started[0]
    pair.wait_until_nothing_moves()
    assert "Reassignment of partition moves-1-0 is completed." in pair.step("--verify").stdout
    assert_same(*both_here(replicas, REASSIGN, "--list"), stderr="all")


def test_a_throttled_move_is_listed_changed_and_cancelled_the_same(replicas: TwoDirectories, tmp_path: Path) -> None:
    pair = Pair(replicas, tmp_path, {0: [1, 2, 3], 1: [2, 1]})
    seen: list[list[str]] = [[], []]
    for index in (0, 1):
        said = seen[index]
        said.append(pair.one(index, "--execute --throttle 1000"))
        ours, apaches = both_here(replicas, REASSIGN, "--list")
        assert_same(ours, apaches, stderr="all")
        said.append(replacing(*NAMES)(ours.stdout))
        said.append(pair.one(index, "--verify"))
        said.append(pair.one(index, "--execute"))
        said.append(pair.one(index, "--execute --additional --throttle 2000"))
        said.append(_settings(replicas, NAMES[index]))
        said.append(pair.one(index, "--cancel --preserve-throttles"))
        said.append(_settings(replicas, NAMES[index]))
        said.append(pair.one(index, "--cancel"))
        said.append(_settings(replicas, NAMES[index]))
    assert seen[0] == seen[1]
    assert "still in progress" in seen[0][2]
    assert "throttled.rate=2000" in seen[0][5]
    assert "Successfully cancelled" in seen[0][6]
    assert "throttled" not in seen[0][9]
    pair.step("--verify --preserve-throttles")


def _settings(cluster: RealCluster, topic: str) -> str:
    """What throttles there are on a topic and on the brokers."""
    shown = [
        run_here("kafka-configs", "--bootstrap-server", cluster.bootstrap, "--describe", *entity).stdout
        for entity in (("--topic", topic), ("--entity-type", "brokers"))
    ]
    return replacing(*NAMES)("".join(shown))


def _is_at_home(part: Mapping[str, object], topic: str) -> bool:
    return part["partition"] == f"{topic}-0" and not part["isFuture"]


def test_moves_between_directories_are_started_and_finished_the_same(replicas: TwoDirectories, tmp_path: Path) -> None:
    """On broker 2, which has partition 0 of both topics in one of its two directories."""
    first, second = (str(path) for path in (replicas.node(2).data_dir, replicas.second(2)))

    def directory_of(topic: str) -> str:
        shown = run_here(LOG_DIRS, "--bootstrap-server", replicas.bootstrap, *f"--describe --broker-list 2 --topic-list {topic}".split())
        (broker,) = json.loads(shown.stdout.splitlines()[-1])["brokers"]
        (found,) = [each["logDir"] for each in broker["logDirs"] for part in each["partitions"] if _is_at_home(part, topic)]
        return str(found)

    targets = {topic: second if directory_of(topic) == first else first for topic in NAMES}
    pair = Pair(replicas, tmp_path, {0: [2, 3]})
    pair.files = tuple(plan_file(tmp_path, topic, {0: [2, 3]}, log_dirs=[targets[topic], "any"]) for topic in NAMES)
    assert "Partition moves-1-0 on broker 2 is not being moved from log dir" in pair.step("--verify").stdout
    assert "Successfully started moving log directory to" in pair.step("--execute --replica-alter-log-dirs-throttle 100000000").stdout
    for topic in NAMES:
        eventually(lambda topic=topic: directory_of(topic) == targets[topic], what=f"{topic} in its new directory")
    assert "Reassignment of replica moves-1-0-2 completed successfully." in pair.step("--verify").stdout
    pair.files = tuple(plan_file(tmp_path, topic, {0: [2, 3]}, log_dirs=["/nowhere", "any"]) for topic in NAMES)
    refused = pair.one(0, "--execute")
    assert refused.splitlines()[-1] == "Error: Failed to alter dir for NAME-0-2"
    assert refused == without_trace(pair.one(1, "--execute")) + "\n"


def test_proposals_begin_with_what_is(replicas: TwoDirectories, tmp_path: Path) -> None:
    """The proposal is drawn by lot, so only its shape is compared."""
    path = tmp_path / "topics.json"
    path.write_text(json.dumps({"topics": [{"topic": "still"}], "version": 1}))
    for arguments in ("--broker-list 1,2,3 --generate", "--broker-list 1,2,3 --generate --disable-rack-aware"):
        ours, apaches = both_here(replicas, REASSIGN, "--topics-to-move-json-file", str(path), *arguments.split())
        assert_same(ours, apaches, normalise=lambda text: re.sub(r'("replicas":)\[[\d,]+\](,"log_dirs":\["any")', r"\1[R]\2", text))
        proposal = json.loads(ours.stdout.splitlines()[-1])
        assert all(sorted(set(each["replicas"])) == sorted(each["replicas"]) for each in proposal["partitions"])
    for brokers in ("1", "1,1", "7,8", "x"):
        results = both_here(replicas, REASSIGN, "--topics-to-move-json-file", str(path), "--broker-list", brokers, "--generate")
        assert_same(*results, normalise=without_trace, stderr="all")


@pytest.mark.parametrize(
    "document",
    [
        {"partitions": []},
        {"partitions": [{"topic": "still", "partition": 0, "replicas": [1, 1]}]},
        {"partitions": [{"topic": "missing", "partition": 0, "replicas": [1]}]},
        {"partitions": [{"topic": "still", "partition": 9, "replicas": [1]}]},
        {"partitions": [{"topic": "still", "partition": 0, "replicas": [9]}]},
        {"partitions": [{"topic": "still"}]},
        {"version": 3},
    ],
)
def test_plans_that_cannot_be_carried_out_are_refused_the_same(replicas: TwoDirectories, tmp_path: Path, document: object) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    only_execute_minds = document == {"partitions": []} or "[9]" in path.read_text()
    for action in ("--execute",) if only_execute_minds else ("--execute", "--verify", "--cancel"):
        results = both_here(replicas, REASSIGN, "--reassignment-json-file", str(path), action)
        assert_same(*results, normalise=without_trace, stderr="all")


def test_throttles_of_a_broker_that_is_not_alive_are_told_of_at_once(replicas: TwoDirectories, tmp_path: Path) -> None:
    """Apache's tool waits for it for a minute."""
    path = plan_file(tmp_path, "still", {0: [9]})
    said = run_here(REASSIGN, "--bootstrap-server", replicas.bootstrap, "--reassignment-json-file", path, "--verify")
    assert said.exit_code == 1
    assert said.stdout.splitlines()[-1].endswith("TimeoutException: Broker 9 is not alive, so its throttles cannot be changed.")


def test_a_replication_factor_is_kept_when_it_must_be(replicas: TwoDirectories, tmp_path: Path) -> None:
    path = plan_file(tmp_path, "still", {2: [1, 2, 3]})
    arguments = ("--reassignment-json-file", path, "--execute", "--disallow-replication-factor-change")
    assert_same(*both_here(replicas, REASSIGN, *arguments), stderr="all")


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--verify",
        "--list --verify",
        "--list --throttle 1",
        "--execute",
        "--generate --topics-to-move-json-file x",
        "--execute --reassignment-json-file x --preserve-throttles",
        "--execute --reassignment-json-file /nowhere",
        "--list --bootstrap-controller x:1 --bootstrap-server x:1",
    ],
)
def test_wrong_usage_of_reassign_partitions_is_refused_the_same(replicas: TwoDirectories, arguments: str) -> None:
    assert_same(*both_here(replicas, REASSIGN, *shlex.split(arguments)), normalise=without_trace)


# --- leaders


def test_elections_end_the_same(replicas: TwoDirectories, tmp_path: Path) -> None:
    path = tmp_path / "elections.json"

    def named(*partitions: tuple[str, int]) -> None:
        path.write_text(json.dumps({"partitions": [{"topic": topic, "partition": number} for topic, number in partitions]}))

    named(("still", 0), ("still", 2), ("still", 9), ("missing", 0))
    for arguments in (
        f"--election-type preferred --path-to-json-file {path}",
        "--election-type preferred --topic still --partition 0",
        "--election-type unclean --topic still --partition 0",
        "--election-type UNCLEAN --all-topic-partitions",
        "--election-type preferred --topic missing --partition 0",
        "--election-type bogus --topic still --partition 0",
        "--election-type preferred --topic still",
        "--election-type preferred --partition 0 --all-topic-partitions",
        "--election-type preferred",
        "--topic still --partition 0",
        "",
    ):
        assert_same(*both_here(replicas, ELECT, *arguments.split()))
    for text in ('{"partitions": [{"topic": "a", "partition": 0}, {"topic": "a", "partition": 0}]}', "{}", "nonsense"):
        path.write_text(text)
        assert_same(*both_here(replicas, ELECT, "--election-type", "preferred", "--path-to-json-file", str(path)))


def test_a_leader_is_sent_home(replicas: TwoDirectories) -> None:
    """After a move the first replica leads again when it is asked for."""
    for run, topic in ((run_here, "home-1"), (run_tool, "home-2")):
        address = ("--bootstrap-server", replicas.bootstrap)
        run_here("kafka-topics", *address, "--create", "--topic", topic, "--replica-assignment", "1:2")
        assert replicas.leader_of(topic) == 1
        said = run(ELECT, *address, "--election-type", "preferred", "--topic", topic, "--partition", "0")
        assert (said.exit_code, said.stdout) == (0, f"Valid replica already elected for partitions {topic}-0\n"), said


# --- directories


@pytest.mark.parametrize(
    "arguments",
    [
        "--describe --topic-list still,missing",
        "--describe --broker-list 2,1 --topic-list still",
        "--describe --broker-list 1,9,8",
        "--describe --broker-list x",
        "--describe",
        "--topic-list still",
        "",
    ],
)
def test_log_directories_are_shown_the_same(replicas: TwoDirectories, arguments: str) -> None:
    assert_same(*both_here(replicas, LOG_DIRS, *arguments.split()))


# --- the quorum


def changing(text: str) -> str:
    """What changes from one moment to the next: offsets, lags and times."""
    text = re.sub(r"(HighWatermark|MaxFollowerLag|MaxFollowerLagTimeMs):\s+-?\d+", r"\1: N", text)
    text = re.sub(r"\b\d{13}\b *", "TIME", re.sub(r"-?\d+ ms ago *", "AGO", text))
    return re.sub(r"^(\d+ *\t\S+\t)\d+ *\t-?\d+ *\t", r"\1N\tN\t", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        "describe --status",
        "describe --replication",
        "describe --replication --human-readable",
        "describe",
        "describe --status --replication",
        "describe --status --human-readable",
        "add-controller",
        "remove-controller -i -3 -d AAAAAAAAAAAAAAAAAAAAAQ",
        "remove-controller -i 9 -d nonsense",
        "remove-controller -i 9 -d AAAAAAAAAAAAAAAAAAAAAQ --dry-run",
        "--command-config /nowhere add-controller",
    ],
)
def test_the_quorum_is_shown_the_same(replicas: TwoDirectories, arguments: str) -> None:
    assert_same(*both_here(replicas, QUORUM, *arguments.split()), normalise=changing, stderr="all")


def test_a_controller_file_is_read_the_same(replicas: TwoDirectories) -> None:
    path = str(replicas.node(2).properties_path)
    assert_same(*both_here(replicas, QUORUM, "--command-config", path, "add-controller", "--dry-run"), stderr="all")


def test_a_voter_that_there_is_not_is_refused_the_same(replicas: TwoDirectories) -> None:
    arguments = "remove-controller -i 9 -d AAAAAAAAAAAAAAAAAAAAAQ"
    ours, apaches = both_here(replicas, QUORUM, *arguments.split())
    assert ours.exit_code == apaches.exit_code == 1
    assert ours.stderr.startswith("org.apache.kafka.common.errors.VoterNotFoundException: ")
    assert significant_lines(apaches.stderr)[0].startswith("org.apache.kafka.common.errors.VoterNotFoundException: ")
