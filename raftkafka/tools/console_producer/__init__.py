"""`kafka-console-producer`: every line of standard input becomes a record.

As Apache's tool: on a terminal each line is asked for with `>`; a record that cannot be delivered is told of and the tool goes on, but with
--sync it ends there with exit code 1; a line that cannot be understood ends it with exit code 1, after the lines before it were sent.

Not implemented: readers of the user's own (--line-reader).
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from raftkafka.tools.clients import check_bootstrap, end_on_sigterm, java_error, log, open_producer
from raftkafka.tools.console_producer.command_line import LINE_READER, PARSER, CommandLine, read_command_line
from raftkafka.tools.console_producer.line_reader import LineRecord, ReaderError, line_reader
from raftkafka.tools.errors import ToolError

_CALLBACK = "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback"
_FIRST_LOOK_S = 0.05
_LONGEST_LOOK_S = 2.0


def main(arguments: Sequence[str]) -> int:
    """Produces until the input ends."""
    command = read_command_line(PARSER.parse(arguments))
    if command.line_reader_class != LINE_READER:
        raise ToolError(f"There is no reader {command.line_reader_class}: this tool has {LINE_READER} only.")
    check_bootstrap(command.bootstrap)
    try:
        reader = line_reader(command.reader_properties)
    except ReaderError as error:
        raise _kafka_exception(error) from None
    end_on_sigterm()
    producer = open_producer(command.settings, only_failures=not command.sync)
    records = reader.read(_lines())
    try:
        (_send_one_by_one if command.sync else _send)(producer, command, records)
    except ReaderError as error:
        raise _kafka_exception(error) from None
    finally:
        producer.flush()
    return 0


def _send(producer: Producer, command: CommandLine, records: Iterable[LineRecord]) -> None:
    """Sends without waiting; what fails is told of."""
    known = False
    for record in records:
        if not known:
            known = _has_partitions(producer, command)
            if not known:
                _tell_failure(command.topic, record.key, record.value, _not_present(command))
                continue
        _produce(producer, command.topic, record)
        producer.poll(0)


def _send_one_by_one(producer: Producer, command: CommandLine, records: Iterable[LineRecord]) -> None:
    """Sends each record when the one before is acknowledged; the first failure is the end."""
    failures: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    known = False
    for record in records:
        known = known or _has_partitions(producer, command)
        if not known:
            raise ToolError(_not_present(command))
        producer.produce(command.topic, key=record.key, value=record.value, headers=record.headers, on_delivery=on_delivery)
        producer.flush()
        if failures:
            raise ToolError(java_error(failures[0]))


def _produce(producer: Producer, topic: str, record: LineRecord) -> None:
    while True:
        try:
            producer.produce(topic, key=record.key, value=record.value, headers=record.headers, on_delivery=_on_delivery)
            return
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:
            _tell_failure(topic, record.key, record.value, java_error(error.args[0]))
            return


def _on_delivery(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        _tell_failure(message.topic() or "", message.key(), message.value(), java_error(error))


def _has_partitions(producer: Producer, command: CommandLine) -> bool:
    """Waits for the topic's partitions, up to `max.block.ms`: an unknown topic is created by the brokers, if they may."""
    deadline = time.monotonic() + int(command.settings["max.block.ms"]) / 1000
    pause_s = _FIRST_LOOK_S
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            topic = producer.list_topics(command.topic, timeout=min(left_s, _LONGEST_LOOK_S)).topics[command.topic]
        except KafkaException:
            pass  # no broker answered; the producer's own callback tells of it
        else:
            if topic.error is None:
                return True
            if topic.error.code() in (KafkaError.TOPIC_EXCEPTION, KafkaError.TOPIC_AUTHORIZATION_FAILED):
                raise ToolError(java_error(topic.error))
        producer.poll(0)
        time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
        pause_s = min(2 * pause_s, _LONGEST_LOOK_S)
    producer.poll(0)
    return False


def _not_present(command: CommandLine) -> str:
    waited = command.settings["max.block.ms"]
    return f"org.apache.kafka.common.errors.TimeoutException: Topic {command.topic} not present in metadata after {waited} ms."


def _tell_failure(topic: str, key: bytes | str | None, value: bytes | str | None, error: str) -> None:
    sizes = f"key: {_size(key)}, value: {_size(value)} with error:"
    log("ERROR", f"Error when sending message to topic {topic} with {sizes}", _CALLBACK, error)


def _size(data: bytes | str | None) -> str:
    return "null" if data is None else f"{len(data)} bytes"


def _kafka_exception(error: ReaderError) -> ToolError:
    return ToolError(f"org.apache.kafka.common.KafkaException: {error}")


def _lines() -> Iterator[str]:
    """The lines of standard input, each asked for when a person types them."""
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline=None)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield from lines
        return
    while True:
        print(">", end="", flush=True)
        line = lines.readline()
        if not line:
            return
        yield line
