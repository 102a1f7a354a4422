"""The options of `kafka-console-producer`, old names included, and what they make of the producer's settings."""

from __future__ import annotations

import attrs

from raftkafka.tools.errors import UsageError
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.properties_file import parse_settings, read_properties

LINE_READER = "org.apache.kafka.tools.LineMessageReader"

_READER_PROPERTIES = """A property of the reader, key=value. There are, with their defaults:
 parse.key=false, parse.headers=false, ignore.error=false,
 key.separator=\\t, headers.delimiter=\\t, headers.separator=,, headers.key.separator=:
 null.marker= (fields equal to it are null)
With parse.headers=true and parse.key=true a line is "h1:v1,h2:v2<tab>key<tab>value"."""

PARSER = OptionParser(
    script="kafka-console-producer",
    summary="This tool helps to read data from standard input and publish it to Kafka.",
    examples=(
        "kafka-console-producer.sh --bootstrap-server localhost:9092 --topic hello.kafka",
        "kafka-console-producer.sh --bootstrap-server localhost:9092 --topic hello.kafka"
        " --reader-property parse.key=true --reader-property key.separator=:",
    ),
    options=(
        value("batch-size", "Bytes of records for a partition that are sent together (batch.size).", argument="size", default=16384),
        value("bootstrap-server", "REQUIRED: The server(s) to connect to: HOST1:PORT1,HOST2:PORT2.", argument="server to connect to"),
        value("command-config", "Producer config properties file. --command-property takes precedence.", argument="config file"),
        value("command-property", "Producer config properties in the form key=value.", argument="producer_prop"),
        value(
            "compression-codec",
            "The compression codec: either 'none', 'gzip', 'snappy', 'lz4', or 'zstd'. Without value: 'gzip'.",
            argument="compression-codec",
            optional_argument=True,
        ),
        value("line-reader", "The class that reads lines from standard in.", argument="reader_class", default=LINE_READER),
        value("max-block-ms", "How long a send may wait for the topic's partitions.", argument="max block on send", default=60_000),
        value(
            "max-memory-bytes",
            "Memory for records that wait to be sent (buffer.memory).",
            argument="total memory in bytes",
            default=32 << 20,
        ),
        value("max-partition-memory-bytes", "(Deprecated) Use --batch-size.", argument="memory in bytes per partition", default=16384),
        value("message-send-max-retries", "How often a record is sent again (retries).", argument="count", default=3),
        value(
            "metadata-expiry-ms",
            "How long metadata are believed (metadata.max.age.ms).",
            argument="metadata expiration interval",
            default=300_000,
        ),
        value("producer-property", "(DEPRECATED) Use --command-property.", argument="producer_prop"),
        value("producer.config", "(DEPRECATED) Use --command-config.", argument="config file"),
        value("property", "(DEPRECATED) Use --reader-property.", argument="prop"),
        value("reader-config", "Config properties file for the reader. --reader-property takes precedence.", argument="config file"),
        value("reader-property", _READER_PROPERTIES, argument="prop"),
        value("request-required-acks", "The required `acks` of the producer requests.", argument="request required acks", default="-1"),
        value("request-timeout-ms", "The ack timeout of the producer requests.", argument="request timeout ms", default=1500),
        value("retry-backoff-ms", "The time before a record is sent again (retry.backoff.ms).", argument="ms", default=100),
        value("socket-buffer-size", "The size of the socket's send buffer (send.buffer.bytes).", argument="size", default=102_400),
        flag("sync", "Send the records one at a time, each when the one before is acknowledged."),
        value("timeout", "How long a record may wait for others to be sent with (linger.ms).", argument="timeout_ms", default=1000),
        value("topic", "REQUIRED: The topic name to produce messages to.", argument="topic"),
    ),
)

_MERGED = (
    ("linger.ms", "timeout", 64),
    ("request.timeout.ms", "request-timeout-ms", 32),
    ("retries", "message-send-max-retries", 32),
    ("retry.backoff.ms", "retry-backoff-ms", 64),
    ("send.buffer.bytes", "socket-buffer-size", 32),
    ("buffer.memory", "max-memory-bytes", 64),
    ("batch.size", "batch-size", 32),
    ("batch.size", "max-partition-memory-bytes", 32),
    ("metadata.max.age.ms", "metadata-expiry-ms", 64),
    ("max.block.ms", "max-block-ms", 64),
)
"""Setting, option, bits of its number. An option counts when it is given, its default when the setting is not."""

_RENAMED = (
    ("command-config", "producer.config"),
    ("command-property", "producer-property"),
    ("reader-property", "property"),
)


@attrs.frozen(kw_only=True)
class CommandLine:
    """What was asked for. `settings` are the producer's, in Java's names."""

    topic: str
    bootstrap: str
    settings: dict[str, str]
    reader_properties: dict[str, str]
    sync: bool
    line_reader_class: str


def read_command_line(options: Options) -> CommandLine:
    """Checks the options and warns of old names, as Apache's tool does: on stdout."""
    options.require("topic")
    bootstrap = options.text("bootstrap-server")
    if bootstrap is None:
        raise UsageError('Missing required argument "[bootstrap-server]"')
    _check_old_names(options)
    return CommandLine(
        topic=options.required("topic"),
        bootstrap=bootstrap,
        settings=_producer_settings(options, bootstrap),
        reader_properties=_reader_properties(options),
        sync=options.has("sync"),
        line_reader_class=options.text("line-reader") or LINE_READER,
    )


def _check_old_names(options: Options) -> None:
    for new, old in _RENAMED:
        if options.has(old) and options.has(new):
            raise UsageError(f"Options --{new} and --{old} cannot be specified together.")
    for new, old in (_RENAMED[1], _RENAMED[0], _RENAMED[2]):
        if options.has(old):
            print(f"Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead.")
    if options.has("max-partition-memory-bytes"):
        print("Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use --batch-size instead.")


def _producer_settings(options: Options, bootstrap: str) -> dict[str, str]:
    path = options.text("command-config") or options.text("producer.config")
    settings = read_properties(path) if path is not None else {}
    settings |= parse_settings([*options.texts("producer-property"), *options.texts("command-property")])
    settings["bootstrap.servers"] = bootstrap
    settings["compression.type"] = (options.text("compression-codec") or "gzip") if options.has("compression-codec") else "none"
    settings.setdefault("client.id", "console-producer")
    if options.has("request-required-acks") or "acks" not in settings:
        settings["acks"] = options.text("request-required-acks") or "-1"
    for setting, option, bits in _MERGED:
        if options.has(option) or setting not in settings:
            settings[setting] = str(options.number(option, bits=bits))
    return settings


def _reader_properties(options: Options) -> dict[str, str]:
    path = options.text("reader-config")
    properties = read_properties(path) if path is not None else {}
    return properties | parse_settings([*options.texts("property"), *options.texts("reader-property")])
