"""Apache Kafka 4.3.1's own command-line tools against real brokers, their output held to what they print against Apache Kafka itself.

Every call starts a JVM (one to four seconds), so a test here tells a whole story and topics are made with another client where the tool is
not what is tested. What the tools print against Apache Kafka 4.3.1 was recorded once; the exact sentences below are from those transcripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import ToolResult, requires_java, run_tool

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

Names = Callable[[str], str]
Tool = Callable[..., ToolResult]


@pytest.fixture
def tool(shared_cluster: RealCluster) -> Tool:
    """`tool("kafka-topics", "--list")`: runs a tool against the shared cluster; it must succeed unless `fails` is given."""

    def run(name: str, *arguments: str, stdin: str = "", fails: bool = False) -> ToolResult:
        result = run_tool(name, "--bootstrap-server", shared_cluster.bootstrap, *arguments, stdin=stdin)
        assert (result.exit_code != 0) == fails, result
        return result

    return run


@pytest.fixture
def topic(shared_cluster: RealCluster, fresh_name: Names) -> str:
    """A new topic of three partitions."""
    name = fresh_name("apache")
    shared_cluster.create_topic(name, partitions=3, replicas=3)
    return name


@pytest.fixture
def filled_topic(shared_cluster: RealCluster, topic: str) -> str:
    """That topic with three, two and one record in its partitions."""
    client = Producer({"bootstrap.servers": shared_cluster.bootstrap, "acks": "all"})
    for partition, count in ((0, 3), (1, 2), (2, 1)):
        for number in range(count):
            client.produce(topic, key=f"k{partition}", value=f"v{number}", partition=partition)
    assert client.flush(10) == 0
    return topic


@pytest.fixture
def group(shared_cluster: RealCluster, filled_topic: str, fresh_name: Names) -> Iterator[tuple[str, Consumer]]:
    """A group with one member that has read and committed the filled topic; the test may close the member."""
    name = fresh_name("group")
    settings = {"group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False, "client.id": "reader"}
    member = Consumer({"bootstrap.servers": shared_cluster.bootstrap, **settings})
    member.subscribe([filled_topic])
    seen = []
    eventually(lambda: (message := member.poll(0.5)) and (seen.append(message) or len(seen) == 6), what="six records")
    member.commit(asynchronous=False)
    yield name, member
    member.close()


def table(result: ToolResult) -> list[list[str]]:
    """The rows of a table, split at blanks, without the heading."""
    return [line.split() for line in result.lines[1:]]


# --- kafka-topics


def test_topics_are_created_listed_described_grown_and_deleted(tool: Tool, fresh_name: Names) -> None:
    name = fresh_name("topics")
    created = tool(
        "kafka-topics", "--create", "--topic", name, "--partitions", "3", "--replication-factor", "3", "--config", "retention.ms=172800000"
    )
    assert created.lines == [f"Created topic {name}."]
    assert name in tool("kafka-topics", "--list").lines

    head, *partitions = tool("kafka-topics", "--describe", "--topic", name).lines
    assert head.startswith(f"Topic: {name}\tTopicId: ")
    assert head.endswith("\tPartitionCount: 3\tReplicationFactor: 3\tConfigs: min.insync.replicas=1,retention.ms=172800000")
    leaders = set()
    for number, line in enumerate(partitions):
        shape = rf"\tTopic: {name}\tPartition: {number}\tLeader: ([123])\tReplicas: (\1,[123],[123])\tIsr: \2\tElr: \tLastKnownElr: "
        described = re.fullmatch(shape, line)
        assert described, line
        leaders.add(described[1])
    assert leaders == {"1", "2", "3"}

    assert tool("kafka-topics", "--alter", "--topic", name, "--partitions", "10").stdout == ""
    shrunk = tool("kafka-topics", "--alter", "--topic", name, "--partitions", "1", fails=True)
    assert shrunk.lines == [
        f"Error while executing topic command : The topic {name} currently has 10 partition(s); 1 would not be an increase."
    ]
    assert tool("kafka-topics", "--delete", "--topic", name).stdout == ""
    gone = tool("kafka-topics", "--describe", "--topic", name, fails=True)
    assert gone.lines == [f"Error while executing topic command : Topic '{name}' does not exist as expected"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--topic", "bad name!"],
            "Topic name is invalid: 'bad name!' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (["--topic", "bad-config", "--config", "no.such.config=1"], "Unknown topic config name: no.such.config"),
        (
            ["--topic", "too-many", "--replication-factor", "4"],
            "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because only 3 broker(s) "
            "are registered or some brokers have all their log directories cordoned.",
        ),
    ],
)
def test_impossible_topics_are_refused_in_apache_s_words(tool: Tool, arguments: list[str], sentence: str) -> None:
    refused = tool("kafka-topics", "--create", *arguments, fails=True)
    assert refused.lines == [f"Error while executing topic command : {sentence}"]


def test_topic_that_exists_is_refused_in_apache_s_words(tool: Tool, topic: str) -> None:
    refused = tool("kafka-topics", "--create", "--topic", topic, fails=True)
    assert refused.lines == [f"Error while executing topic command : Topic '{topic}' already exists."]


# --- the console and the performance tools


def test_console_producer_and_consumer_pass_keys_and_values_on(tool: Tool, topic: str, fresh_name: Names) -> None:
    lines = ["k1:one", "k2:two", "k1:three"]
    with_keys = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"]
    assert tool("kafka-console-producer", "--topic", topic, *with_keys, stdin="\n".join(lines) + "\n").stdout == ""

    printed = ["--formatter-property", "print.key=true", "--formatter-property", "key.separator=:"]
    reading = ["--topic", topic, "--from-beginning", "--group", fresh_name("group")]
    read = tool("kafka-console-consumer", *reading, "--max-messages", "3", *printed)
    assert sorted(read.lines) == sorted(lines)
    assert [line for line in read.lines if line.startswith("k1")] == ["k1:one", "k1:three"]
    assert "Processed a total of 3 messages" in read.stderr

    again = tool("kafka-console-consumer", *reading, "--timeout-ms", "3000")
    assert again.lines == []
    assert "Processed a total of 0 messages" in again.stderr


def test_performance_tools_produce_and_consume(tool: Tool, topic: str) -> None:
    produced = tool("kafka-producer-perf-test", "--topic", topic, "--num-records", "20000", "--record-size", "100", "--throughput", "-1")
    assert re.match(r"20000 records sent, [\d.]+ records/sec \([\d.]+ MB/sec\), .* ms 99th, .* ms 99\.9th\.", produced.lines[-1])
    heading, numbers = tool("kafka-consumer-perf-test", "--topic", topic, "--num-records", "20000").lines
    assert heading.startswith("start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg")
    assert int(numbers.split(", ")[4]) == 20000


# --- kafka-consumer-groups


def test_group_with_a_member_is_described_and_protected(
    tool: Tool, shared_cluster: RealCluster, filled_topic: str, group: tuple[str, Consumer]
) -> None:
    name, _ = group
    assert name in tool("kafka-consumer-groups", "--list").lines

    rows = table(tool("kafka-consumer-groups", "--describe", "--group", name))
    assert [row[:6] for row in rows] == [[name, filled_topic, str(p), str(end), str(end), "0"] for p, end in enumerate((3, 2, 1))]
    assert {row[7] for row in rows} == {"/127.0.0.1"}
    assert {row[8] for row in rows} == {"reader"}

    ((row,)) = table(tool("kafka-consumer-groups", "--describe", "--group", name, "--state"))
    assert re.fullmatch(rf"{name} 127\.0\.0\.1:\d+ \([123]\) range Stable 1", " ".join(row))

    ((row,)) = table(tool("kafka-consumer-groups", "--describe", "--group", name, "--members"))
    assert (row[0], row[2:]) == (name, ["/127.0.0.1", "reader", "3"])

    deleted = tool("kafka-consumer-groups", "--delete", "--group", name)
    assert (
        f"* Group '{name}' could not be deleted due to: org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty."
        in (deleted.lines)
    )


def test_offsets_of_an_empty_group_are_reset_and_deleted_and_the_group_with_them(
    tool: Tool, filled_topic: str, group: tuple[str, Consumer]
) -> None:
    name, member = group
    member.close()
    to_earliest = tool("kafka-consumer-groups", "--reset-offsets", "--group", name, "--topic", filled_topic, "--to-earliest", "--execute")
    assert sorted(table(to_earliest)) == [[name, filled_topic, str(partition), "0"] for partition in range(3)]
    shifted = tool(
        "kafka-consumer-groups", "--reset-offsets", "--group", name, "--topic", f"{filled_topic}:0", "--shift-by", "2", "--execute"
    )
    assert table(shifted) == [[name, filled_topic, "0", "2"]]
    rows = table(tool("kafka-consumer-groups", "--describe", "--group", name))
    assert [row[3:6] for row in rows] == [["2", "3", "1"], ["0", "2", "2"], ["0", "1", "1"]]

    deleted = tool("kafka-consumer-groups", "--delete-offsets", "--group", name, "--topic", f"{filled_topic}:1")
    assert f"Request succeeded for deleting offsets from group {name}." in deleted.lines
    assert deleted.lines[-1].split() == [filled_topic, "1", "Successful"]
    assert tool("kafka-consumer-groups", "--delete", "--group", name).lines == [
        f"Deletion of requested consumer groups ('{name}') was successful."
    ]
    gone = tool("kafka-consumer-groups", "--describe", "--group", name)
    assert gone.lines[0].endswith(f"org.apache.kafka.common.errors.GroupIdNotFoundException: Group {name} not found.")


# --- kafka-configs


def test_topic_configs_are_altered_described_and_bad_ones_refused(tool: Tool, topic: str) -> None:
    altered = tool("kafka-configs", "--topic", topic, "--alter", "--add-config", "min.insync.replicas=2")
    assert altered.lines == [f"Completed updating config for topic {topic}."]
    described = tool("kafka-configs", "--topic", topic, "--describe")
    assert described.lines == [
        f"Dynamic configs for topic {topic} are:",
        "  min.insync.replicas=2 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:min.insync.replicas=2, "
        "DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1, DEFAULT_CONFIG:min.insync.replicas=1}",
    ]
    refused = tool("kafka-configs", "--topic", topic, "--alter", "--add-config", "retention.ms=abc", fails=True)
    assert "InvalidConfigurationException: Invalid value abc for configuration retention.ms: Not a number of type LONG" in refused.stderr


def test_broker_configs_are_altered_described_and_deleted(tool: Tool, shared_cluster: RealCluster) -> None:
    assert tool("kafka-configs", "--broker", "1", "--alter", "--add-config", "log.cleaner.threads=2").lines == [
        "Completed updating config for broker 1."
    ]
    everything = tool("kafka-configs", "--broker", "1", "--describe", "--all").lines
    assert everything[0] == "All configs for broker 1 are:"
    assert len(everything) > 200
    synonyms = "{DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1}"
    assert f"  log.cleaner.threads=2 sensitive=false synonyms={synonyms}" in everything
    assert any(line.startswith(f"  advertised.listeners=PLAINTEXT://{shared_cluster.node(1).address}") for line in everything)
    assert tool("kafka-configs", "--broker", "1", "--alter", "--delete-config", "log.cleaner.threads").exit_code == 0
    assert tool("kafka-configs", "--broker", "1", "--describe").lines == ["Dynamic configs for broker 1 are:"]


# --- what the cluster says of itself


def test_versions_that_are_advertised_are_those_that_apache_s_client_can_use(tool: Tool, shared_cluster: RealCluster) -> None:
    said = tool("kafka-broker-api-versions").stdout
    for node in shared_cluster.layout.nodes:
        assert f"{node.address} (id: {node.node_id} rack: null isFenced: false) -> (" in said
    for api, range_and_best in {
        "Produce(0)": "0 to 13 [usable: 13]",
        "Fetch(1)": "4 to 18 [usable: 18]",
        "ListOffsets(2)": "1 to 11 [usable: 11]",
        "Metadata(3)": "0 to 13 [usable: 13]",
        "JoinGroup(11)": "0 to 9 [usable: 9]",
        "CreateTopics(19)": "2 to 7 [usable: 7]",
        "InitProducerId(22)": "0 to 5 [usable: 5]",
        "AddPartitionsToTxn(24)": "UNSUPPORTED",
    }.items():
        assert said.count(f"\t{api}: {range_and_best},") == 3, api


def test_metadata_quorum_is_described(tool: Tool, shared_cluster: RealCluster) -> None:
    controller = str(shared_cluster.controller_id())
    status = dict(line.split(":", 1) for line in tool("kafka-metadata-quorum", "describe", "--status").lines)
    assert status["ClusterId"].strip() == shared_cluster.layout.cluster_id
    assert status["LeaderId"].strip() == controller
    assert all(f"CONTROLLER://{node.controller_address}" in status["CurrentVoters"] for node in shared_cluster.layout.nodes)
    rows = table(tool("kafka-metadata-quorum", "describe", "--replication"))
    assert {row[0]: row[-1] for row in rows} == {str(n): "Leader" if str(n) == controller else "Follower" for n in (1, 2, 3)}
    assert all(int(row[3]) <= 3 for row in rows), "a follower lags behind"


def test_cluster_tool_says_id_and_endpoints(shared_cluster: RealCluster) -> None:
    server = ("--bootstrap-server", shared_cluster.bootstrap)
    assert run_tool("kafka-cluster", "cluster-id", *server).lines == [f"Cluster ID: {shared_cluster.layout.cluster_id}"]
    rows = table(run_tool("kafka-cluster", "list-endpoints", *server))
    assert rows == [[str(n.node_id), "127.0.0.1", str(n.port), "null", "unfenced", "broker"] for n in shared_cluster.layout.nodes]


def test_get_offsets_finds_the_ends_the_beginnings_and_the_newest(tool: Tool, filled_topic: str) -> None:
    for time, offsets in (("-1", (3, 2, 1)), ("-2", (0, 0, 0)), ("-3", None)):
        lines = tool("kafka-get-offsets", "--topic", filled_topic, "--time", time).lines
        assert [line.rsplit(":", 1)[0] for line in lines] == [f"{filled_topic}:{partition}" for partition in range(3)]
        if offsets is not None:
            assert [int(line.rsplit(":", 1)[1]) for line in lines] == list(offsets)


# --- kafka-dump-log on what we wrote


def test_dump_log_reads_our_segments_and_indexes(shared_cluster: RealCluster, tool: Tool, topic: str) -> None:
    """Of a segment that is complete: the indexes of the one that is being written are in memory until they are due."""
    tool("kafka-configs", "--topic", topic, "--alter", "--add-config", "segment.bytes=1048576")
    client = Producer({"bootstrap.servers": shared_cluster.bootstrap, "enable.idempotence": True, "batch.size": 8000, "linger.ms": 5})
    for number in range(3000):
        client.produce(topic, key=b"key", value=b"value %d " % number + bytes(500), headers=[("h", b"x")], partition=0)
    assert client.flush(20) == 0
    directory = shared_cluster.node(shared_cluster.leader_of(topic, 0)).data_dir / f"{topic}-0"
    segment, index, time_index = (directory / f"{0:020}.{kind}" for kind in ("log", "index", "timeindex"))
    assert len(list(directory.glob("*.log"))) == 2

    dumped = run_tool("kafka-dump-log", "--files", f"{segment},{index},{time_index}", "--print-data-log", "--deep-iteration")
    assert (dumped.exit_code, dumped.stderr) == (0, "")
    assert dumped.lines[1] == "Log starting offset: 0"
    batches = [line for line in dumped.lines if line.startswith("baseOffset")]
    assert len(batches) > 100
    assert all("magic: 2 compresscodec: none" in line and line.endswith("isvalid: true") for line in batches)
    records = [line for line in dumped.lines if line.startswith("| offset")]
    shape = r"\| offset: 7 CreateTime: \d+ keySize: 3 valueSize: 508 sequence: 7 headerKeys: \[h\] key: key payload: value 7 .*"
    assert re.fullmatch(shape, records[7])
    assert len([line for line in dumped.lines if re.fullmatch(r"offset: \d+ position: \d+", line)]) > 100
    assert len([line for line in dumped.lines if re.fullmatch(r"timestamp: \d+ offset: \d+", line)]) >= 2

    checked = run_tool("kafka-dump-log", "--files", f"{index},{time_index}", "--index-sanity-check")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert checked.lines.count(f"{index} passed sanity check.") == 1


def test_dump_log_decodes_committed_offsets_and_groups(shared_cluster: RealCluster, filled_topic: str, group: tuple[str, Consumer]) -> None:
    name, member = group
    member.close()
    files = _all_segments(shared_cluster, "__consumer_offsets-")
    dumped = run_tool("kafka-dump-log", "--offsets-decoder", "--files", ",".join(map(str, files)))
    assert dumped.exit_code == 0
    ours = [line for line in dumped.lines if f'"group":"{name}"' in line]
    commits = [line for line in ours if '"type":"1"' in line]
    assert {re.search(r'"partition":(\d)', line)[1]: re.search(r'"offset":(\d+)', line)[1] for line in commits} == {
        "0": "3",
        "1": "2",
        "2": "1",
    }  # type: ignore[index]
    assert any('"type":"2"' in line and '"protocolType":"consumer"' in line and '"members":[{' in line for line in ours)


def _all_segments(cluster: RealCluster, prefix: str) -> list[Path]:
    """The segments of one node that are not empty, of topics that begin like this."""
    directories = [each for each in cluster.node(1).data_dir.iterdir() if each.name.startswith(prefix)]
    return [log for directory in directories for log in sorted(directory.glob("*.log")) if log.stat().st_size]
