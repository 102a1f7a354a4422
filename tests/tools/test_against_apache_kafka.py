"""Our tools on a broker of Apache Kafka 4.3.1, beside Apache's own: the main commands of every tool.

The other matrices run both on our brokers; here the broker is Apache's too, so nothing of ours but the tool is tried.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType

from cluster.bench.systems import System
from tests.cluster.real_cluster import eventually
from tests.java.apache_kafka import requires_java
from tests.java.apache_kafka import run_tool as run_as_process
from tests.java.tool_server import run_tool
from tests.tools.compare import assert_same, both, ours_only, replacing, run_ours, with_bootstrap

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

Arguments = str


@pytest.fixture(scope="module")
def apache(apache_cluster: System) -> System:
    """The broker with two topics of records, and a group that has read one of them."""
    for topic in ("read.ours", "read.java"):
        assert ours_only(apache_cluster, "kafka-topics", "--create", "--topic", topic, "--partitions", "3").exit_code == 0
        lines = "".join(f"key{number}\tvalue{number}\n" for number in range(20))
        sent = ours_only(apache_cluster, "kafka-console-producer", "--topic", topic, "--reader-property", "parse.key=true", stdin=lines)
        assert sent.exit_code == 0, sent
    consumed = ours_only(
        apache_cluster, "kafka-console-consumer", "--topic", "read.ours", "--group", "readers", "--from-beginning", "--max-messages", "20"
    )
    assert (consumed.exit_code, consumed.stderr) == (0, "Processed a total of 20 messages\n"), consumed
    return apache_cluster


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("kafka-topics", "--list"),
        ("kafka-topics", "--describe"),
        ("kafka-topics", "--describe --under-min-isr-partitions"),
        ("kafka-topics", "--describe --topics-with-overrides"),
        ("kafka-topics", "--describe --topic missing"),
        ("kafka-topics", "--create --topic read.ours"),
        ("kafka-topics", "--alter --topic read.ours --partitions 1"),
        ("kafka-get-offsets", ""),
        ("kafka-get-offsets", "--topic read.ours --time earliest"),
        ("kafka-get-offsets", "--topic read.ours --time -3"),
        ("kafka-broker-api-versions", ""),
        ("kafka-cluster", "cluster-id"),
        ("kafka-cluster", "list-endpoints"),
        ("kafka-cluster", "unregister --id 77"),
        ("kafka-features", "describe"),
        ("kafka-features", "upgrade --feature no.such=1"),
        ("kafka-features", "upgrade --feature group.version=1 --dry-run"),
        ("kafka-features", "downgrade --feature group.version=0 --dry-run"),
        ("kafka-features", "disable --feature share.version --dry-run"),
        ("kafka-configs", "--describe --topic read.ours"),
        ("kafka-configs", "--describe --topic read.ours --all"),
        ("kafka-configs", "--describe --broker 1 --all"),
        ("kafka-configs", "--describe --broker-defaults"),
        ("kafka-consumer-groups", "--list"),
        ("kafka-consumer-groups", "--list --state"),
        ("kafka-consumer-groups", "--describe --group readers"),
        ("kafka-consumer-groups", "--describe --group readers --state"),
        ("kafka-consumer-groups", "--describe --all-groups"),
        ("kafka-consumer-groups", "--reset-offsets --group readers --topic read.ours --to-earliest --dry-run"),
        ("kafka-consumer-groups", "--describe --group missing"),
        ("kafka-console-consumer", "--topic read.ours --partition 0 --offset earliest --timeout-ms 2000"),
        ("kafka-leader-election", "--election-type preferred --topic read.ours --partition 0"),
        ("kafka-log-dirs", "--describe --topic-list read.ours"),
        ("kafka-reassign-partitions", "--list"),
        ("kafka-metadata-quorum", "describe --replication"),
    ],
)
def test_a_question_has_the_same_answer(apache: System, tool: str, arguments: Arguments) -> None:
    changing = re.compile(r"Epoch: \d+|\b\d{13}\b")
    if tool == "kafka-metadata-quorum":
        changing = re.compile(r"\b\d{3,}\b")
    assert_same(*both(apache, tool, *shlex.split(arguments)), normalise=lambda text: changing.sub("N", text))


def test_both_partition_by_the_same_hash(apache: System) -> None:
    """Keys that our producer sends lie where Apache's puts them, which sends its last records when its process ends."""
    lines = "".join(f"key{number}\tvalue{number}\n" for number in range(20))
    ours_only(apache, "kafka-topics", "--create", "--topic", "hashed", "--partitions", "3")
    sent = run_as_process(
        "kafka-console-producer",
        *with_bootstrap(apache, "kafka-console-producer", ("--topic", "hashed", "--reader-property", "parse.key=true")),
        stdin=lines,
    )
    assert sent.exit_code == 0, sent
    counts = [
        re.sub(r"^[^:]*:", "", ours_only(apache, "kafka-get-offsets", "--topic", topic).stdout, flags=re.MULTILINE)
        for topic in ("read.ours", "hashed")
    ]
    assert counts[0] == counts[1]


def test_what_each_tool_changes_is_the_same(apache: System, tmp_path: Path) -> None:
    """A topic's life by the hands of each implementation: settings, records, more partitions, the end."""
    same = replacing("life.ours", "life.java")

    def do(tool: str, arguments: str, *, stdin: str = "") -> None:
        results = []
        for topic, run in (("life.ours", run_ours), ("life.java", run_tool)):
            offsets = tmp_path / f"{topic}.json"
            offsets.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 0, "offset": 2}], "version": 1}))
            full = with_bootstrap(apache, tool, tuple(shlex.split(arguments.format(topic=topic, offsets=offsets))))
            results.append(run(tool, *full, stdin=stdin))
        assert_same(*results, normalise=same)

    do("kafka-topics", "--create --topic {topic} --config retention.ms=1000000")
    do("kafka-configs", "--alter --topic {topic} --add-config max.message.bytes=100000,retention.ms=2000000")
    do("kafka-configs", "--describe --topic {topic}")
    do("kafka-configs", "--alter --topic {topic} --add-config no.such.key=1")
    do("kafka-configs", "--alter --topic {topic} --delete-config retention.ms")
    do("kafka-console-producer", "--topic {topic}", stdin="a\nb\nc\n")
    do("kafka-console-consumer", "--topic {topic} --from-beginning --max-messages 3")
    do("kafka-delete-records", "--offset-json-file {offsets}")
    do("kafka-get-offsets", "--topic {topic} --time earliest")
    do("kafka-topics", "--alter --topic {topic} --partitions 3")
    do("kafka-topics", "--delete --topic {topic}")
    eventually(lambda: "life." not in ours_only(apache, "kafka-topics", "--list").stdout, what="both topics are gone")
    do("kafka-topics", "--delete --topic {topic}")


@pytest.fixture(scope="module")
def denied(apache: System) -> System:
    """The broker with the topic `secret` and the group `secrets`, which nobody may touch."""
    ours_only(apache, "kafka-topics", "--create", "--topic", "secret")
    everything = ResourcePatternType.LITERAL, "User:*", "*", AclOperation.ALL, AclPermissionType.DENY
    rules = [AclBinding(ResourceType.TOPIC, "secret", *everything), AclBinding(ResourceType.GROUP, "secrets", *everything)]
    admin = AdminClient({"bootstrap.servers": apache.bootstrap})
    for made in admin.create_acls(rules).values():
        made.result(10)
    return apache


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("kafka-topics", "--list"),
        ("kafka-topics", "--create --topic secret"),
        ("kafka-topics", "--describe --topic secret"),
        ("kafka-topics", "--alter --topic secret --partitions 3"),
        ("kafka-topics", "--delete --topic secret"),
        ("kafka-get-offsets", "--topic secret"),
        ("kafka-configs", "--describe --topic secret"),
        ("kafka-configs", "--alter --topic secret --add-config retention.ms=1"),
        ("kafka-consumer-groups", "--list"),
        ("kafka-consumer-groups", "--describe --group secrets"),
        ("kafka-consumer-groups", "--delete --group secrets"),
        ("kafka-leader-election", "--election-type preferred --topic secret --partition 0"),
        ("kafka-console-consumer", "--topic secret --from-beginning --timeout-ms 3000"),
        ("kafka-console-consumer", "--topic read.ours --group secrets --timeout-ms 3000"),
    ],
)
def test_a_denied_operation_ends_in_the_same_sentence(denied: System, tool: str, arguments: Arguments) -> None:
    assert_same(*both(denied, tool, *shlex.split(arguments)))


def test_records_of_a_forbidden_topic_are_not_deleted(denied: System, tmp_path: Path) -> None:
    """Ours says why; Apache's tool waits a minute for a leader of a topic that it may not see."""
    path = tmp_path / "offsets.json"
    path.write_text('{"partitions": [{"topic": "secret", "partition": 0, "offset": 1}]}')
    done = ours_only(denied, "kafka-delete-records", "--offset-json-file", str(path))
    assert "secret-0\terror: org.apache.kafka.common.errors.TopicAuthorizationException: " in done.stdout, done


def test_what_a_broker_cannot_do_is_told(apache: System) -> None:
    """A voter that is not there cannot be removed."""
    voter = "remove-controller --controller-id 9 --controller-directory-id 3kFHlYBASI2ehLdkxqIQRA"
    ours, apaches = both(apache, "kafka-metadata-quorum", *shlex.split(voter))
    assert ours.exit_code == apaches.exit_code == 1
    assert "Traceback" not in ours.stderr
