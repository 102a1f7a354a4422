"""`kafka-console-consumer`: the records of topics on standard output.

As Apache's tool: without --max-messages or --timeout-ms it goes on until it is interrupted; however it ends, it says how many records it
has processed. A group commits what was printed, and nothing more.

Invariants
- Only records that were printed, or skipped on purpose, are counted and committed.
- Signals are acted on within `WAKE_S`: librdkafka holds them back while it waits.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from raftkafka.tools.clients import check_bootstrap, end_on_sigterm, java_error, log, open_consumer, refusal
from raftkafka.tools.console_consumer.command_line import PARSER, CommandLine, read_command_line
from raftkafka.tools.console_consumer.errors import FormatError
from raftkafka.tools.console_consumer.formatters import Formatter, make_formatter, null_literal, shows_only_values
from raftkafka.tools.errors import UsageError
from raftkafka.tools.topic_pattern import subscription_of

WAKE_S = 0.1
BATCH_RECORDS = 1000

_TOOL = "org.apache.kafka.tools.consumer.ConsoleConsumer"
_TERMINATING = "Error processing message, terminating consumer process: "
_INTERNAL_TOPICS = "^__consumer_offsets$,^__transaction_state$,^__share_group_state$"
_WAITED_FOR = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
    }
)
"""Java waits for these to pass."""


def main(arguments: Sequence[str]) -> int:
    """Consumes until it is enough; 1 when a record cannot be shown."""
    command = read_command_line(PARSER.parse(arguments))
    try:
        formatter = make_formatter(command.formatter, command.formatter_properties)
    except KeyError:
        raise UsageError(f"{command.formatter}: this tool knows Kafka's own formatters only.") from None
    check_bootstrap(command.settings["bootstrap.servers"])
    refused = refusal(command.settings, command.topic)
    if refused is not None:
        log("ERROR", _TERMINATING, _TOOL, refused)
        print("Processed a total of 0 messages", file=sys.stderr)
        return 0
    end_on_sigterm()
    consumer = open_consumer(_librdkafka_extras(command))
    run = _Run(consumer, command, formatter)
    try:
        return run.to_the_end()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        consumer.close()
        print(f"Processed a total of {run.count} messages", file=sys.stderr)
        if command.systest_events:
            print("shutdown_complete")


class _Run:
    """One consumption: the consumer, and how many records were processed."""

    def __init__(self, consumer: Consumer, command: CommandLine, formatter: Formatter) -> None:
        self.count = 0
        self._consumer = consumer
        self._command = command
        self._join = _joiner(command, formatter)
        self._format = formatter
        self._told: set[str] = set()

    def to_the_end(self) -> int:
        """Prints what comes; the exit code."""
        self._start()
        left = self._command.max_messages
        while left is None or self.count < left:
            batch = self._next_batch(BATCH_RECORDS if left is None else min(BATCH_RECORDS, left - self.count))
            if batch is None:
                return 0
            try:
                self._print(batch)
            except FormatError as error:
                log("ERROR", "Unknown error when running consumer: ", _TOOL, str(error))
                return 1
            except BrokenPipeError:
                print("Unable to write to standard out, closing consumer.", file=sys.stderr)
                raise
        return 0

    def _start(self) -> None:
        command = self._command
        if command.include is not None:
            self._consumer.subscribe([subscription_of(command.include)])
        elif command.partition is None:
            self._consumer.subscribe([command.topic or ""])
        else:
            self._consumer.assign([TopicPartition(command.topic or "", command.partition, command.offset)])

    def _next_batch(self, limit: int) -> list[Message] | None:
        """The next records, at least one; None when none came in time, or none can come."""
        timeout_ms = self._command.timeout_ms
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        while True:
            left_s = WAKE_S if deadline is None else min(WAKE_S, max(0.0, deadline - time.monotonic()))
            first = self._consumer.poll(left_s)
            if first is not None:
                error = first.error()
                if error is None:
                    rest = self._consumer.consume(limit - 1, 0) if limit > 1 else []
                    return [first, *(each for each in rest if each.error() is None)]
                if not self._goes_on(error):
                    return None
            if deadline is not None and time.monotonic() >= deadline:
                self._tell_end("org.apache.kafka.common.errors.TimeoutException")
                return None

    def _goes_on(self, error: KafkaError) -> bool:
        """Tells an error, once; False when nothing can come after it."""
        if error.code() not in _WAITED_FOR and not error.retriable():
            self._tell_end(java_error(error))
            return False
        text = java_error(error)
        if text not in self._told:
            self._told.add(text)
            log("WARN", f"[Consumer groupId={self._command.settings['group.id']}] {error.str()}", "org.apache.kafka.clients.NetworkClient")
        return True

    def _print(self, batch: list[Message]) -> None:
        out = sys.stdout.buffer
        try:
            shown = self._join(batch)
        except FormatError:
            self._print_singly(batch)
            return
        out.write(shown)
        out.flush()
        self.count += len(batch)
        self._remember(batch)

    def _print_singly(self, batch: list[Message]) -> None:
        """Prints up to a record that cannot be shown, which is skipped or ends it all."""
        for message in batch:
            self.count += 1
            try:
                sys.stdout.buffer.write(self._format(message))
            except FormatError as error:
                if not self._command.skip_on_error:
                    sys.stdout.buffer.flush()
                    raise
                log("ERROR", "Error processing message, skipping this message: ", _TOOL, str(error))
            self._remember([message])
        sys.stdout.buffer.flush()

    def _remember(self, batch: Iterable[Message]) -> None:
        """What is printed may be committed."""
        if self._command.settings.get("enable.auto.commit", "true") != "true":
            return
        last = {(message.topic(), message.partition()): message for message in batch}
        try:
            self._consumer.store_offsets(
                offsets=[
                    TopicPartition(topic or "", partition or 0, (message.offset() or 0) + 1) for (topic, partition), message in last.items()
                ]
            )
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError._STATE, KafkaError._UNKNOWN_PARTITION):
                raise
            # The partition has just been taken from this consumer.

    def _tell_end(self, error: str) -> None:
        log("ERROR", _TERMINATING, _TOOL, error)


def _joiner(command: CommandLine, formatter: Formatter) -> Callable[[list[Message]], bytes]:
    """What is printed of a batch, with a short way for plain values."""
    separator = shows_only_values(command.formatter, command.formatter_properties)
    if separator is None:
        return lambda batch: b"".join(map(formatter, batch))
    null = null_literal(command.formatter_properties)

    def join(batch: list[Message]) -> bytes:
        values = [null if value is None else value for value in map(Message.value, batch)]
        return separator.join(values) + separator

    return join


def _librdkafka_extras(command: CommandLine) -> dict[str, str]:
    settings = dict(command.settings)
    if command.include is not None and settings.get("exclude.internal.topics", "true") == "true":
        settings.setdefault("topic.blacklist", _INTERNAL_TOPICS)
    return settings
