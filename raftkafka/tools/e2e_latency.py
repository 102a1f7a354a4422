"""`kafka-e2e-latency`: sends a record, waits until it is consumed, and so on; tells how long that takes.

The fetch waits at the broker for the record (long poll), where Apache's tool fetches again and again: the record leaves as soon as it is
committed either way, and nobody spins.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import attrs
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from raftkafka.tools.clients import check_bootstrap, java_error, open_consumer, open_producer
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.options import OptionParser, Options, value
from raftkafka.tools.properties_file import librdkafka_settings, read_properties

POLL_TIMEOUT_S = 60.0
REPORT_EVERY = 1000

PARSER = OptionParser(
    script="kafka-e2e-latency",
    summary="This tool measures end-to-end latency in Kafka by sending messages and timing their reception.",
    examples=(
        "kafka-e2e-latency.sh --bootstrap-server localhost:9092 --topic perf --num-records 1000 --producer-acks all --record-size 100",
    ),
    options=(
        value(
            "bootstrap-server", "REQUIRED: The Kafka broker list string in the form HOST1:PORT1,HOST2:PORT2.", argument="bootstrap-server"
        ),
        value("command-config", "Optional: A property file for the producer, the consumer and the admin client.", argument="config-file"),
        value("num-headers", "Optional: The number of headers to include in each message.", argument="count", default=0),
        value("num-records", "REQUIRED: The number of messages to send.", argument="count"),
        value("producer-acks", "REQUIRED: Producer acknowledgements. Must be '1' or 'all'.", argument="producer-acks"),
        value("record-header-key-size", "Optional: The size of the message header key in bytes.", argument="bytes", default=0),
        value("record-header-size", "Optional: The size of message header value in bytes; -1 for null.", argument="bytes", default=0),
        value("record-key-size", "Optional: The size of the message key in bytes; 0 for no key.", argument="bytes", default=0),
        value("record-size", "REQUIRED: The size of each message payload in bytes.", argument="bytes"),
        value("topic", "REQUIRED: The topic to use for the test.", argument="topic-name"),
    ),
)

_NAMES = ("bootstrap-server", "topic", "num-records", "producer-acks", "record-size", "command-config")
"""The options in the order of the arguments that Kafka had before there were options."""


@attrs.frozen(kw_only=True)
class Wishes:
    """What was asked for; sizes in bytes."""

    bootstrap: str
    topic: str
    num_records: int
    acks: str
    record_size: int
    key_size: int
    header_count: int
    header_key_size: int
    header_value_size: int
    settings: dict[str, str]


Headers = list[tuple[str, str | bytes | None]]


def main(arguments: Sequence[str]) -> int:
    """Runs the test."""
    wishes = _wishes(PARSER.parse(_named(arguments)))
    check_bootstrap(wishes.bootstrap)
    settings = {**wishes.settings, "bootstrap.servers": wishes.bootstrap}
    consumer = open_consumer(
        {**settings, "group.id": f"test-group-{int(time.time() * 1000)}", "enable.auto.commit": "false", "auto.offset.reset": "latest"}
    )
    try:
        producer = open_producer({**settings, "linger.ms": "0", "acks": wishes.acks})
        _assign_ends(consumer, _partitions(consumer, wishes, settings), wishes.topic)
        _print_results(_measure(producer, consumer, wishes))
    finally:
        consumer.close()
    return 0


def _measure(producer: Producer, consumer: Consumer, wishes: Wishes) -> list[float]:
    """The latency of each record in milliseconds."""
    chance = random.Random(0)
    failures: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    latencies = []
    for number in range(wishes.num_records):
        payload = _letters(chance, wishes.record_size)
        key = _letters(chance, wishes.key_size) if wishes.key_size else None
        headers = _headers(chance, wishes)
        begin = time.perf_counter()
        producer.produce(wishes.topic, payload, key, headers=headers, on_delivery=on_delivery)
        producer.flush()
        if failures:
            raise ToolError(java_error(failures[0]))
        received = consumer.poll(POLL_TIMEOUT_S)
        elapsed_ms = (time.perf_counter() - begin) * 1000
        _check_received(received, payload, key, headers)
        if number % REPORT_EVERY == 0:
            print(f"{number}\t{elapsed_ms}", flush=True)
        latencies.append(elapsed_ms)
    return latencies


def _check_received(received: Message | None, payload: bytes, key: bytes | None, headers: Headers) -> None:
    """`ToolError` when this is not the record that was sent."""
    if received is None:
        raise ToolError(f"poll() timed out before finding a result (timeout:[{POLL_TIMEOUT_S * 1000:.0f}ms])")
    error = received.error()
    if error is not None:
        raise ToolError(java_error(error))
    if received.value() != payload:
        raise ToolError(f"The message value read [{_text(received.value())}] did not match the message value sent [{_text(payload)}]")
    if received.key() != key:
        raise ToolError(f"The message key read [{_text(received.key())}] did not match the message key sent [{_text(key)}]")
    if list(received.headers() or ()) != headers:
        raise ToolError("The message headers read did not match the message headers sent")


def _print_results(latencies: list[float]) -> None:
    print(f"Avg latency: {sum(latencies) / len(latencies):.4f} ms")
    ordered = sorted(int(latency) for latency in latencies)
    p50, p99, p999 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99, 0.999))
    print(f"Percentiles: 50th = {p50}, 99th = {p99}, 99.9th = {p999}")


def _partitions(consumer: Consumer, wishes: Wishes, settings: dict[str, str]) -> list[int]:
    """The partitions of the topic, which is created when there is none of this name."""
    topics = consumer.list_topics(timeout=POLL_TIMEOUT_S).topics
    if wishes.topic not in topics:
        print(f'Topic "{wishes.topic}" does not exist. Will create topic with 1 partition(s) and replication factor = 1')
        _create_topic(wishes.topic, settings)
    deadline = time.monotonic() + POLL_TIMEOUT_S
    while time.monotonic() < deadline:
        topic = consumer.list_topics(wishes.topic, timeout=POLL_TIMEOUT_S).topics[wishes.topic]
        if topic.error is None and topic.partitions:
            return sorted(topic.partitions)
        time.sleep(0.05)
    raise ToolError(f"Topic {wishes.topic} not present in metadata after {POLL_TIMEOUT_S * 1000:.0f} ms.")


def _create_topic(topic: str, settings: dict[str, str]) -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient(dict(librdkafka_settings(settings)))
    try:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result()
    except KafkaException as error:
        print(f"Creation of topic {topic} failed")
        raise ToolError(java_error(error.args[0])) from None


def _assign_ends(consumer: Consumer, partitions: list[int], topic: str) -> None:
    """Begins at the end of every partition: at offsets that are known before the first record is sent."""
    ends = []
    for partition in partitions:
        at = TopicPartition(topic, partition, OFFSET_END)
        watermarks = consumer.get_watermark_offsets(at, timeout=POLL_TIMEOUT_S)
        ends.append(TopicPartition(topic, partition, OFFSET_END if watermarks is None else watermarks[1]))
    consumer.assign(ends)


def _headers(chance: random.Random, wishes: Wishes) -> Headers:
    return [
        (
            _letters(chance, wishes.header_key_size).decode(),
            None if wishes.header_value_size < 0 else _letters(chance, wishes.header_value_size),
        )
        for _ in range(wishes.header_count)
    ]


def _letters(chance: random.Random, size: int) -> bytes:
    """So many times one random letter."""
    return bytes([65 + chance.randrange(26)]) * size


def _text(data: bytes | str | None) -> str:
    return "null" if data is None else data if isinstance(data, str) else data.decode(errors="replace")


def _named(arguments: Sequence[str]) -> list[str]:
    """The arguments with options' names, also when they were given by position, as they were before Kafka 4.2."""
    if not arguments or arguments[0].startswith("--"):
        return list(arguments)
    if len(arguments) not in (5, 6):
        raise ToolError(
            f"Invalid number of arguments. Expected 5 or 6 positional arguments, but got {len(arguments)}."
            " Usage: bootstrap-server topic num-records producer-acks record-size [optional] command-config"
        )
    print(
        "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named arguments instead: "
        + ", ".join(f"--{name}" for name in _NAMES)
    )
    return [word for name, argument in zip(_NAMES, arguments, strict=False) for word in (f"--{name}", argument)]


def _wishes(options: Options) -> Wishes:
    options.require("bootstrap-server", "topic", "num-records", "producer-acks", "record-size")
    acks = options.required("producer-acks")
    if acks not in ("1", "all"):
        raise UsageError(
            "Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' or 'all'."
        )
    path = options.text("command-config")
    wishes = Wishes(
        bootstrap=options.required("bootstrap-server"),
        topic=options.required("topic"),
        num_records=options.number("num-records") or 0,
        acks=acks,
        record_size=options.number("record-size") or 0,
        key_size=options.number("record-key-size") or 0,
        header_count=options.number("num-headers") or 0,
        header_key_size=options.number("record-header-key-size") or 0,
        header_value_size=options.number("record-header-size") or 0,
        settings=read_properties(path) if path is not None else {},
    )
    if wishes.num_records <= 0:
        raise UsageError("Value for --num-records must be a positive integer.")
    for name, size in (
        ("record-size", wishes.record_size),
        ("record-key-size", wishes.key_size),
        ("record-header-key-size", wishes.header_key_size),
        ("num-headers", wishes.header_count),
    ):
        if size < 0:
            raise UsageError(f"Value for --{name} must be a non-negative integer.")
    if wishes.header_value_size < -1:
        raise UsageError("Value for --record-header-size must be a non-negative integer or -1 for null header value.")
    return wishes
