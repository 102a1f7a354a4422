"""`kafka-consumer-perf-test`: consumes records as fast as it can and tells the rate.

Records are taken from librdkafka in batches, and only their sizes are looked at. It ends at exactly --num-records, where Apache's tool
counts the rest of its last batch too.

Not implemented: the metrics of a Java client (--print-metrics prints what librdkafka counts).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import attrs
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from raftkafka.tools.clients import check_bootstrap, java_error, open_consumer, refusal
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.metrics_table import LastStatistics
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.progress import progress
from raftkafka.tools.properties_file import parse_settings, read_properties
from raftkafka.tools.topic_pattern import subscription_of

BATCH_RECORDS = 10_000
POLL_S = 0.1
PREFETCHED_RECORDS = 1_000_000
PREFETCHED_KIBIBYTES = 256 << 10
_MEBIBYTE = 1024.0 * 1024.0
_WAITED_FOR = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT})

PARSER = OptionParser(
    script="kafka-consumer-perf-test",
    summary="This tool is used to verify the consumer performance.",
    examples=("kafka-consumer-perf-test.sh --bootstrap-server localhost:9092 --topic perf --num-records 100000",),
    options=(
        value("bootstrap-server", "REQUIRED: The server(s) to connect to.", argument="server to connect to"),
        value("command-config", "Config properties file.", argument="config file"),
        value("command-property", "Consumer properties like client.id=x; they take precedence over the file.", argument="prop1=val1"),
        value("consumer.config", "(DEPRECATED) Use --command-config.", argument="config file"),
        value(
            "date-format", "How times are shown, as java.text.SimpleDateFormat.", argument="date format", default="yyyy-MM-dd HH:mm:ss:SSS"
        ),
        value("fetch-size", "The maximum amount of data to fetch from a partition per request.", argument="size", default=1 << 20),
        flag("from-latest", "If the group has no committed offset, start with the latest record rather than the earliest."),
        value("group", "The group id to consume on (default: a random one).", argument="gid"),
        flag("hide-header", "If set, skips printing the header for the stats."),
        value("include", "Regular expression specifying list of topics to include for consumption.", argument="regex"),
        value("messages", "(DEPRECATED) Use --num-records.", argument="count"),
        value("num-records", "REQUIRED: The number of records to consume.", argument="count"),
        flag("print-metrics", "Print out the metrics."),
        value("reporting-interval", "Interval in milliseconds at which to print progress info.", argument="interval_ms", default=5000),
        flag("show-detailed-stats", "If set, stats are reported for each reporting interval."),
        value("socket-buffer-size", "The size of the tcp RECV size.", argument="size", default=2 << 20),
        value(
            "timeout",
            "The maximum allowed time in milliseconds between returned records.",
            argument="milliseconds",
            default=10_000,
            optional_argument=True,
        ),
        value("topic", "The topic to consume from.", argument="topic"),
    ),
)


@attrs.frozen(kw_only=True)
class Wishes:
    """What was asked for. `settings` are the consumer's, in Java's names."""

    topic: str
    num_records: int
    settings: dict[str, str]
    detailed: bool
    interval_ms: int
    timeout_ms: int
    show_time: Callable[[float], str]


def main(arguments: Sequence[str]) -> int:
    """Consumes until there are enough records, or none came for the time-out."""
    options = PARSER.parse(arguments)
    wishes = _wishes(options)
    if not options.has("hide-header"):
        first = "time, threadId" if wishes.detailed else "start.time, end.time"
        print(
            f"{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec,"
            " rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
        )
    if wishes.interval_ms <= 0:
        raise ToolError("Reporting interval must be greater than 0.")
    check_bootstrap(wishes.settings["bootstrap.servers"])
    refused = refusal(wishes.settings, None if options.has("include") else wishes.topic)
    if refused is not None:
        raise ToolError(refused)
    statistics = LastStatistics()
    consumer = open_consumer(wishes.settings, on_statistics=statistics.keep if options.has("print-metrics") else None)
    run = _Run(wishes)
    try:
        with progress("consuming", total=wishes.num_records, unit="records") as tell:
            run.consume(consumer, tell)
    finally:
        consumer.close()
    run.print_total()
    if options.has("print-metrics"):
        statistics.print_table("consumer-metrics", wishes.settings["client.id"])
    return 0


class _Run:
    """One run: what was consumed, and how long joining the group took."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._records = self._bytes = 0
        self._reported_records = self._reported_bytes = 0
        self._started = self._ended = self._reported = self._join_started = time.time()
        self._joining_ms = self._round_joining_ms = 0

    def consume(self, consumer: Consumer, tell: Callable[[int], None]) -> None:
        """Takes batches until it is enough; `tell` hears how many records there were so far."""
        wishes = self._wishes
        self._started = self._reported = self._join_started = time.time()
        consumer.subscribe([wishes.topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
        last_consumed = now = time.time()
        while self._records < wishes.num_records and (now - last_consumed) * 1000 <= wishes.timeout_ms:
            batch = self._take(consumer, wishes.num_records - self._records)
            now = time.time()
            if batch:
                last_consumed = now
                self._records += len(batch)
                self._bytes += sum(map(len, batch)) + sum(len(key) for key in map(Message.key, batch) if key)
                tell(self._records)
            if (now - self._reported) * 1000 >= wishes.interval_ms and batch:
                self._report(now)
        self._ended = time.time()
        if self._records < wishes.num_records:
            print(
                f"WARNING: Exiting before consuming the expected number of records: timeout ({wishes.timeout_ms} ms) exceeded."
                " You can use the --timeout option to increase the timeout."
            )

    def print_total(self) -> None:
        """Prints the summary, unless each interval was told of."""
        if self._wishes.detailed:
            return
        elapsed_ms = round((self._ended - self._started) * 1000)
        fetching_ms = elapsed_ms - self._joining_ms
        mebibytes = self._bytes / _MEBIBYTE
        times = f"{self._wishes.show_time(self._started)}, {self._wishes.show_time(self._ended)}"
        rates = f"{mebibytes:.4f}, {_rate(mebibytes, elapsed_ms)}, {self._records}, {_rate(self._records, elapsed_ms)}"
        fetching = f"{_rate(mebibytes, fetching_ms)}, {_rate(self._records, fetching_ms)}"
        print(f"{times}, {rates}, {self._joining_ms}, {fetching_ms}, {fetching}")

    def _take(self, consumer: Consumer, wanted: int) -> list[Message]:
        """What is there now, up to `wanted`; waits a little for the first record."""
        first = consumer.poll(POLL_S)
        if first is None:
            return []
        batch = [first]
        if wanted > 1:
            batch += consumer.consume(min(wanted - 1, BATCH_RECORDS), 0)
        for message in batch:
            error = message.error()
            if error is not None:
                return _without_errors(batch)
        return batch

    def _report(self, now: float) -> None:
        if self._wishes.detailed:
            elapsed_ms = (now - self._reported) * 1000
            fetching_ms = round(elapsed_ms) - self._round_joining_ms
            mebibytes = (self._bytes - self._reported_bytes) / _MEBIBYTE
            records = self._records - self._reported_records
            fetching = f"{_rate(mebibytes, fetching_ms)}, {_rate(records, fetching_ms)}" if fetching_ms > 0 else "0.0000, 0.0000"
            print(
                f"{self._wishes.show_time(now)}, 0, {self._bytes / _MEBIBYTE:.4f}, {_rate(mebibytes, elapsed_ms)}, {self._records},"
                f" {_rate(records, elapsed_ms)}, {self._round_joining_ms}, {fetching_ms}, {fetching}",
                flush=True,
            )
        self._round_joining_ms = 0
        self._reported, self._reported_records, self._reported_bytes = now, self._records, self._bytes

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        joining_ms = round((time.time() - self._join_started) * 1000)
        self._joining_ms += joining_ms
        self._round_joining_ms += joining_ms

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._join_started = time.time()


def _without_errors(batch: list[Message]) -> list[Message]:
    """The records among these; `ToolError` for an error that does not pass by itself."""
    for message in batch:
        error = message.error()
        if error is not None and error.code() not in _WAITED_FOR and not error.retriable():
            raise ToolError(java_error(error))
    return [message for message in batch if message.error() is None]


def _wishes(options: Options) -> Wishes:
    for names in (("topic", "include"), ("messages", "num-records")):
        if options.has(names[0]) == options.has(names[1]):
            raise UsageError(f"Exactly one of the following arguments is required: [{names[0]}], [{names[1]}]")
    options.require("bootstrap-server")
    for old, new in (("messages", "num-records"), ("consumer.config", "command-config")):
        if options.has(old):
            if options.has(new):
                raise UsageError(f'Option "[{old}]" can\'t be used with option "[{new}]"')
            print(f"Warning: --{old} is deprecated. Use --{new} instead.")
    include = options.text("include")
    return Wishes(
        topic=options.required("topic") if include is None else subscription_of(include),
        num_records=options.number("num-records" if options.has("num-records") else "messages", bits=64) or 0,
        settings=_settings(options),
        detailed=options.has("show-detailed-stats"),
        interval_ms=options.number("reporting-interval", bits=64) or 0,
        timeout_ms=options.number("timeout", bits=64) or 0,
        show_time=date_format(options.required("date-format")),
    )


def _settings(options: Options) -> dict[str, str]:
    path = options.text("command-config") or options.text("consumer.config")
    settings = read_properties(path) if path is not None else {}
    settings |= parse_settings(options.texts("command-property"))
    settings["bootstrap.servers"] = options.required("bootstrap-server")
    settings["group.id"] = options.text("group") or f"perf-consumer-{random.SystemRandom().randrange(100_000)}"
    settings["receive.buffer.bytes"] = str(options.number("socket-buffer-size"))
    settings["max.partition.fetch.bytes"] = str(options.number("fetch-size"))
    settings["auto.offset.reset"] = "latest" if options.has("from-latest") else "earliest"
    settings["check.crcs"] = "false"
    settings.setdefault("client.id", "perf-consumer-client")
    settings.setdefault("enable.auto.offset.store", "true")
    settings.setdefault("queued.min.messages", str(PREFETCHED_RECORDS))
    settings.setdefault("queued.max.messages.kbytes", str(PREFETCHED_KIBIBYTES))
    return settings


_DATE_LETTERS = {"y": "%Y", "M": "%m", "d": "%d", "H": "%H", "h": "%I", "m": "%M", "s": "%S", "a": "%p", "E": "%a", "Z": "%z", "D": "%j"}
_SHORT_OR_LONG = {"yy": "%y", "MMM": "%b", "MMMM": "%B", "EEEE": "%A"}
_DATE_PARTS = re.compile(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z']+")


def date_format(pattern: str) -> Callable[[float], str]:
    """How a time in seconds is shown by a pattern of java.text.SimpleDateFormat: its common letters, and text in quotes."""
    parts = [found.group() for found in _DATE_PARTS.finditer(pattern)]
    for part in parts:
        if part[0].isalpha() and part[0] not in _DATE_LETTERS and part[0] != "S":
            raise ToolError(f"Illegal pattern character '{part[0]}'")

    def show(seconds: float) -> str:
        moment = datetime.fromtimestamp(seconds).astimezone()
        return "".join(_date_part(part, moment) for part in parts)

    return show


def _date_part(part: str, moment: datetime) -> str:
    if part.startswith("'"):
        return part[1:-1] or "'"
    if not part[0].isalpha():
        return part
    if part[0] == "S":
        return f"{moment.microsecond // 1000:0{len(part)}d}"
    shown = moment.strftime(_SHORT_OR_LONG.get(part) or _DATE_LETTERS[part[0]])
    return shown.lstrip("0") or "0" if len(part) == 1 and shown.isdecimal() else shown


def _rate(amount: float, elapsed_ms: float) -> str:
    """An amount per second as Java shows it, also over no time at all."""
    if elapsed_ms == 0:
        return "NaN" if amount == 0 else "Infinity"
    return f"{1000.0 * amount / elapsed_ms:.4f}"
