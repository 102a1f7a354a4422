"""kafka-console-producer and kafka-console-consumer beside Apache's: records, keys, partitions, groups, and how they end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from cluster.apache_kafka import ToolResult
from cluster.bench import systems
from raftkafka.tools.run import run_tool
from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool as run_apaches
from tests.tools.compare import assert_same, both, ours_only, run_ours

pytestmark = pytest.mark.cluster

PRODUCER, CONSUMER = "kafka-console-producer", "kafka-console-consumer"
MATRIX_TOPIC = "matrix"
PARTITIONS = 7
KEYS = ("--reader-property", "parse.key=true", "--reader-property", "key.separator=:")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One of our brokers, as the notes' reader has one."""
    started = RealCluster(tmp_path_factory.mktemp("console"), node_count=1)
    try:
        started.up()
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def topic(cluster: RealCluster) -> str:
    """A topic with a partition, whose records have every shape."""
    fill(cluster.bootstrap, MATRIX_TOPIC)
    return MATRIX_TOPIC


def fill(bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"plain", timestamp=1_700_000_000_000)
    producer.produce(topic, "값".encode(), "열쇠".encode(), headers=[("h", b"1"), ("n", None)], timestamp=1_700_000_000_001)
    producer.produce(topic, None, b"tombstone", timestamp=1_700_000_000_002)
    producer.produce(topic, (7).to_bytes(8), (3).to_bytes(4), timestamp=1_700_000_000_003)
    producer.produce(topic, b"", b"", timestamp=1_700_000_000_004)
    producer.flush()


def consume(cluster: RealCluster, topic: str, *arguments: str) -> list[str]:
    """The lines that our consumer prints from the beginning until nothing comes any more."""
    result = ours_only(cluster, CONSUMER, "--topic", topic, "--from-beginning", "--timeout-ms", "1500", *arguments)
    assert result.exit_code == 0, result
    return result.stdout.splitlines()


def test_lines_become_records_and_records_lines(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    topic = fresh_name("hello.kafka")
    result = ours_only(cluster, PRODUCER, "--topic", topic, stdin="hello, world!\nfirst message\nsecond message\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert consume(cluster, topic) == ["hello, world!", "first message", "second message"]
    one = ours_only(cluster, CONSUMER, "--topic", topic, "--from-beginning", "--max-messages", "1")
    assert (one.exit_code, one.stdout, one.stderr) == (0, "hello, world!\n", "Processed a total of 1 messages\n")


def test_a_group_goes_on_where_it_was(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    topic, group = fresh_name("orders"), fresh_name("group")
    ours_only(cluster, PRODUCER, "--topic", topic, stdin="1\n2\n3\n4\n")
    first = ours_only(cluster, CONSUMER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "3")
    assert first.stdout.split() == ["1", "2", "3"]
    assert consume(cluster, topic, "--group", group) == ["4"]
    assert consume(cluster, topic, "--group", group) == []


def test_a_line_that_is_wrong_ends_it_after_those_before(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    topic = fresh_name("wrong")
    result = ours_only(cluster, PRODUCER, "--topic", topic, *KEYS, stdin="k:good\nno separator here\nk:never\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "org.apache.kafka.common.KafkaException: No key separator found on line number 2: 'no separator here'\n"
    assert consume(cluster, topic) == ["good"]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_records_are_asked_for_on_a_terminal_and_sent_when_interrupted(
    cluster: RealCluster, fresh_name: Callable[[str], str], number: signal.Signals, exit_code: int
) -> None:
    topic = fresh_name("typed")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "raftkafka.cli.main", PRODUCER, "--bootstrap-server", cluster.bootstrap, "--topic", topic]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    try:
        os.close(theirs)
        assert read_until(ours, ">").endswith(">")
        os.write(ours, b"hello\n")
        assert read_until(ours, "hello\r\n>").endswith(">")
        process.send_signal(number)
        assert process.wait(20) == exit_code
    finally:
        process.kill()
        os.close(ours)
    assert consume(cluster, topic) == ["hello"]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_consumer_says_how_much_it_has_printed(
    cluster: RealCluster, topic: str, fresh_name: Callable[[str], str], number: signal.Signals, exit_code: int
) -> None:
    with consumer(cluster, "--topic", topic, "--from-beginning", "--group", fresh_name("group"), "--enable-systest-events") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "plain\n"
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(20) == exit_code
        assert process.stderr.read() == "Processed a total of 5 messages\n"
        assert process.stdout.read().endswith("shutdown_complete\n")


def test_a_consumer_whose_reader_has_gone_ends_quietly(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    """It is told so by its next record."""
    gone = fresh_name("gone")
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    producer.produce(gone, b"first")
    producer.flush()
    with consumer(cluster, "--topic", gone, "--from-beginning") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        producer.produce(gone, b"second")
        producer.flush()
        assert process.wait(20) == 0
        assert process.stderr.read().startswith("Unable to write to standard out, closing consumer.\nProcessed a total of ")


def test_topics_may_be_chosen_by_a_pattern(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    stem = fresh_name("pattern")
    for suffix in ("a", "b", "c"):
        ours_only(cluster, PRODUCER, "--topic", f"{stem}.{suffix}", stdin=f"{suffix}\n")
    arguments = ("--include", rf"{stem}\.(a|b)", "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000")
    assert sorted(ours_only(cluster, CONSUMER, *arguments).stdout.split()) == ["a", "b"]


def test_an_unreachable_broker_is_told_of_in_one_line_each() -> None:
    nowhere = ("--bootstrap-server", "127.0.0.1:1", "--topic", "t")
    produced = run_ours(PRODUCER, *nowhere, "--max-block-ms", "700", stdin="hello\n")
    assert produced.exit_code == 0  # as Apache's: the record is lost, and said to be
    warning, *rest = produced.stderr.splitlines()
    assert "WARN [console-producer] A broker cannot be reached: Connect to ipv4#127.0.0.1:1 failed: Connection refused" in warning
    assert rest[1] == "org.apache.kafka.common.errors.TimeoutException: Topic t not present in metadata after 700 ms."
    synchronous = run_ours(
        PRODUCER, "--bootstrap-server", "127.0.0.1:1", "--topic", "t", "--max-block-ms", "700", "--sync", stdin="hello\n"
    )
    assert synchronous.exit_code == 1
    consumed = run_ours(CONSUMER, *nowhere, "--timeout-ms", "700")
    assert consumed.exit_code == 0
    assert consumed.stderr.splitlines()[-2:] == ["org.apache.kafka.common.errors.TimeoutException", "Processed a total of 0 messages"]


@pytest.mark.parametrize("tool", ["console-producer", "console-consumer"])
def test_a_host_without_address_ends_it(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tool(tool, ["--bootstrap-server", "nowhere.invalid:9092", "--topic", "t"]) == 1
    assert capsys.readouterr().err.startswith("No resolvable bootstrap urls given in bootstrap.servers")
    assert run_tool(tool, ["--bootstrap-server", "nocolon", "--topic", "t"]) == 1
    assert capsys.readouterr().err.startswith("Please provide valid host:port like host1:9091,host2:9092\n")


# --- beside Apache's tools

COLUMNS = tuple(
    word
    for name in ("timestamp", "partition", "offset", "epoch", "delivery", "headers", "key")
    for word in ("--formatter-property", f"print.{name}=true")
)
LONG = "org.apache.kafka.common.serialization.LongDeserializer"
CONSUMER_MATRIX: list[tuple[str, ...]] = [
    ("--from-beginning",),
    ("--from-beginning", "--property", "print.key=true", "--property", "key.separator=:"),
    ("--from-beginning", *COLUMNS),
    ("--from-beginning", *COLUMNS, "--formatter-property", "print.value=false", "--formatter-property", "headers.separator=;"),
    ("--from-beginning", "--formatter-property", "line.separator=|", "--formatter-property", "null.literal=NULL"),
    ("--partition", "0", "--from-beginning"),
    ("--partition", "0", "--offset", "2", "--formatter-property", "print.offset=true"),
    ("--partition", "0", "--offset", "earliest", "--isolation-level", "read_committed"),
    ("--partition", "0", "--offset", "3", "--value-deserializer", LONG, "--skip-message-on-error"),
    ("--partition", "0", "--from-beginning", "--value-deserializer", LONG),
    ("--partition", "0", "--from-beginning", "--value-deserializer", LONG, "--skip-message-on-error"),
    ("--partition", "0", "--from-beginning", "--formatter", "org.apache.kafka.tools.consumer.LoggingMessageFormatter"),
    ("--partition", "0", "--from-beginning", "--formatter", "org.apache.kafka.tools.consumer.NoOpMessageFormatter"),
    ("--from-beginning", "--consumer-property", "client.id=me", "--group", "old-names"),
]


@pytest.mark.java
@requires_java
@pytest.mark.parametrize("arguments", CONSUMER_MATRIX, ids=" ".join)
def test_records_are_printed_as_apaches_consumer_prints_them(cluster: RealCluster, topic: str, arguments: tuple[str, ...]) -> None:
    limit = "3" if "2" in arguments else "2" if "3" in arguments else "5"
    full = ["--topic", topic, "--max-messages", limit, "--timeout-ms", "20000", *arguments]
    ours = ours_only(cluster, CONSUMER, *(word.replace("old-names", "new-names") for word in full))
    apaches = run_theirs(cluster, CONSUMER, *full)
    assert_same(ours, apaches, stderr="ignore")
    assert processed(ours) == processed(apaches)


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(
    "arguments",
    [
        ("--topic", "a", "--include", "b"),
        (),
        ("--topic", "a", "--partition", "0", "--group", "g"),
        ("--topic", "a", "--offset", "3"),
        ("--topic", "a", "--partition", "0", "--offset", "-3"),
        ("--topic", "a", "--partition", "0", "--from-beginning", "--offset", "3"),
        ("--include", "a", "--partition", "0"),
        ("--topic", "a", "--group", "g", "--command-property", "group.id=h"),
        ("--topic", "a", "--from-beginning", "--command-property", "auto.offset.reset=latest"),
        ("--topic", "a", "--property", "a=b", "--formatter-property", "c=d"),
        ("--topic", "a", "--max-messages"),
        ("--topic", "a", "--nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_consumer_is_refused_alike(cluster: RealCluster, arguments: tuple[str, ...]) -> None:
    assert_same(*both(cluster, CONSUMER, *arguments))


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--topic", "a", "--property", "a=b", "--reader-property", "c=d"),
        ("--topic", "a", "--producer-property", "a=b", "--command-property", "c=d"),
        ("--topic", "a", "--batch-size"),
        ("--topic", "a", "--nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_producer_is_refused_alike(cluster: RealCluster, arguments: tuple[str, ...]) -> None:
    assert_same(*both(cluster, PRODUCER, *arguments))


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (PRODUCER, ("--compression-codec", "foo")),
        (PRODUCER, ("--request-required-acks", "7")),
        (PRODUCER, ("--command-property", "linger.ms=abc")),
        (PRODUCER, ("--command-property", "max.block.ms=abc")),
        (PRODUCER, ("--command-property", "max.in.flight.requests.per.connection=10")),
        (PRODUCER, ("--command-property", "enable.idempotence=true", "--request-required-acks", "1")),
        (PRODUCER, ("--command-property", "enable.idempotence=true", "--message-send-max-retries", "0")),
        (PRODUCER, ("--command-property", "delivery.timeout.ms=1000")),
        (CONSUMER, ("--isolation-level", "foo")),
        (CONSUMER, ("--command-property", "fetch.min.bytes=abc")),
    ],
)
def test_settings_that_java_refuses_are_refused_in_its_words(cluster: RealCluster, tool: str, arguments: tuple[str, ...]) -> None:
    ours, apaches = both(cluster, tool, "--topic", "t", *arguments)
    assert (ours.exit_code, ours.stdout) == (apaches.exit_code, apaches.stdout) == (1, "")
    (sentence,) = ours.stderr.splitlines()
    assert sentence in apaches.stderr


@pytest.mark.java
@requires_java
def test_separators_that_cannot_be_told_apart_are_refused_alike(cluster: RealCluster) -> None:
    ours, apaches = both(cluster, PRODUCER, "--topic", "a", "--reader-property", "null.marker=,")
    assert (ours.exit_code, ours.stdout) == (apaches.exit_code, apaches.stdout) == (1, "")
    assert ours.stderr.splitlines() == apaches.stderr.splitlines()[:1]


PRODUCER_MATRIX: list[tuple[tuple[str, ...], str]] = [
    ((), "hello\tworld\nkafka world\n\n0\n"),
    (KEYS, "k1:hello\nk2:world\nk1:bye\nk3:kafka\nk4:a\nk5:b\nk6:c\n한글:글\n:empty key\n"),
    (("--property", "parse.key=true", "--property", "key.separator=,"), "k1,a\nk2,b\n"),
    (("--reader-property", "parse.key=true"), "k1\ta\nk2\tb\n"),
    (
        ("--reader-property", "parse.headers=true", *KEYS, "--reader-property", "null.marker=NUL"),
        "a=1,b:2\tk:v\n".replace("=", ":") + "NUL\tNUL:NUL\n",
    ),
    ((*KEYS, "--reader-property", "ignore.error=true"), "none\nk:v\n"),
    (("--sync", "--request-required-acks", "1", *KEYS), "k1:a\nk2:b\n"),
    (("--command-property", "acks=0", *KEYS), "k1:a\nk2:b\n"),
    (("--compression-codec", "zstd", "--batch-size", "100", "--timeout", "5", *KEYS), "k1:a\nk2:b\n"),
    (("--compression-codec", "--max-partition-memory-bytes", "1000", *KEYS), "k1:a\nk2:b\n"),
    (("--producer-property", "linger.ms=0", *KEYS), "k1:a\nk2:b\n"),
]


@pytest.mark.java
@requires_java
def test_records_land_where_apaches_producer_puts_them(cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    """Each option group by both tools into topics of their own: the output, and every record with its partition, key and headers."""
    stem = fresh_name("p")
    names = [(f"{stem}-{number}-o", f"{stem}-{number}-a") for number in range(len(PRODUCER_MATRIX))]
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    for created in admin.create_topics([NewTopic(name, PARTITIONS, 1) for pair in names for name in pair]).values():
        created.result()
    for (ours_name, apaches_name), (arguments, stdin) in zip(names, PRODUCER_MATRIX, strict=True):
        ours = ours_only(cluster, PRODUCER, "--topic", ours_name, *arguments, stdin=stdin)
        apaches = run_theirs(cluster, PRODUCER, "--topic", apaches_name, *arguments, stdin=stdin)
        assert_same(ours, apaches, stderr="all")
        count = len(stdin.splitlines())
        assert landed_records(cluster, ours_name, count) == landed_records(cluster, apaches_name, count), arguments


@pytest.mark.java
@requires_java
@pytest.mark.parametrize(
    "arguments", [("--topic", "bad topic"), ("--topic", "matrix", "--command-property", "group.protocol=consumer")], ids=" ".join
)
def test_what_can_never_be_consumed_ends_the_consumer(cluster: RealCluster, topic: str, arguments: tuple[str, ...]) -> None:
    """Without --timeout-ms: librdkafka alone would ask for ever."""
    ours, apaches = both(cluster, CONSUMER, *arguments)
    assert (ours.exit_code, ours.stdout) == (apaches.exit_code, apaches.stdout) == (0, "")
    error, said = ours.stderr.splitlines()[-2:]
    assert error in apaches.stderr.splitlines()
    assert said == "Processed a total of 0 messages"


@pytest.mark.java
@requires_java
def test_committed_offsets_are_printed_alike(cluster: RealCluster, topic: str, fresh_name: Callable[[str], str]) -> None:
    group = fresh_name("watched")
    ours_only(cluster, CONSUMER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "5")
    arguments = (
        *("--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "2000"),
        *("--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"),
    )
    ours, apaches = both(cluster, CONSUMER, *arguments)
    assert group in ours.stdout
    assert records_of(ours, group) == records_of(apaches, group)


@pytest.mark.java
@requires_java
def test_our_tools_work_with_apaches_broker(apache_cluster: systems.System, fresh_name: Callable[[str], str]) -> None:
    topic, group = fresh_name("foreign"), fresh_name("group")
    produced = ours_only(apache_cluster, PRODUCER, "--topic", topic, *KEYS, stdin="k1:one\nk2:two\n")
    assert (produced.exit_code, produced.stderr) == (0, "")
    for protocol in ("classic", "consumer"):
        arguments = ("--topic", topic, "--group", f"{group}-{protocol}", "--from-beginning", "--max-messages", "2")
        consumed = ours_only(apache_cluster, CONSUMER, *arguments, "--command-property", f"group.protocol={protocol}")
        assert sorted(consumed.stdout.split()) == ["one", "two"], consumed


def run_theirs(cluster: RealCluster, tool: str, *arguments: str, stdin: str = "") -> ToolResult:
    return run_apaches(tool, "--bootstrap-server", cluster.bootstrap, *arguments, stdin=stdin)


def processed(result: ToolResult) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("Processed a total of ")]


def landed_records(cluster: RealCluster, topic: str, count: int) -> list[tuple[object, ...]]:
    """The records of a topic with their partitions; those without a key may be in any."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "landed"})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    try:
        found = consumer.consume(count, timeout=20)
    finally:
        consumer.close()
    assert len(found) == count
    records = [(None if each.key() is None else each.partition(), each.key(), each.value(), each.headers()) for each in found]
    return sorted(records, key=repr)


def records_of(result: ToolResult, group: str) -> list[str]:
    """The JSON objects about a group, without what stands between them (nothing)."""
    objects = result.stdout.replace('}{"key"', '}\n{"key"').splitlines()
    return sorted(text for text in objects if f'"{group}"' in text)


@contextmanager
def consumer(cluster: RealCluster, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Our consumer as a process that runs on."""
    command = [sys.executable, "-m", "raftkafka.cli.main", CONSUMER, "--bootstrap-server", cluster.bootstrap, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read_until(descriptor: int, text: str) -> str:
    """What a terminal shows, up to this text."""
    seen = ""

    def look() -> bool:
        nonlocal seen
        seen += os.read(descriptor, 1000).decode()
        return text in seen

    eventually(look, what=f"{text!r} on the terminal")
    return seen
