"""The options of `kafka-console-consumer`, old names included, and what they make of the consumer's and the formatter's settings."""

from __future__ import annotations

import random

import attrs
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END

from raftkafka.tools.console_consumer.formatters import DEFAULT_FORMATTER
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.properties_file import parse_settings, read_properties

_FORMATTER_PROPERTIES = """A property of the formatter, key=value. There are:
 print.timestamp, print.key, print.offset, print.epoch, print.partition, print.headers, print.value: true or false
 key.separator, line.separator, headers.separator, null.literal: text
 key.deserializer, value.deserializer, headers.deserializer: one of Kafka's classes"""

PARSER = OptionParser(
    script="kafka-console-consumer",
    summary="This tool helps to read data from Kafka topics and outputs it to standard output.",
    examples=(
        "kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic hello.kafka --from-beginning",
        "kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic hello.kafka --from-beginning --group hello-group"
        " --formatter-property print.key=true --formatter-property key.separator=:",
    ),
    options=(
        value("bootstrap-server", "REQUIRED: The server(s) to connect to.", argument="server to connect to"),
        value("command-config", "Consumer config properties file. --command-property takes precedence.", argument="config file"),
        value("command-property", "Consumer config properties in the form key=value.", argument="consumer_prop"),
        value("consumer-property", "(DEPRECATED) Use --command-property.", argument="consumer_prop"),
        value("consumer.config", "(DEPRECATED) Use --command-config.", argument="config file"),
        flag("enable-systest-events", "Log lifecycle events of the consumer in addition to logging consumed messages."),
        value("formatter", "The class that formats records for display.", argument="class", default=DEFAULT_FORMATTER),
        value(
            "formatter-config", "Config properties file for the formatter. --formatter-property takes precedence.", argument="config file"
        ),
        value("formatter-property", _FORMATTER_PROPERTIES, argument="prop"),
        flag("from-beginning", "If the group has no committed offset, start with the earliest record rather than the latest."),
        value("group", "The consumer group id of the consumer.", argument="consumer group id"),
        value("include", "Regular expression specifying list of topics to include for consumption.", argument="regex"),
        value("isolation-level", "read_committed or read_uncommitted.", argument="level", default="read_uncommitted"),
        value("key-deserializer", "The class that deserializes keys.", argument="deserializer for keys"),
        value("max-messages", "The maximum number of messages to consume before exiting.", argument="num_messages"),
        value(
            "offset",
            "The offset to consume from (a non-negative number), or 'earliest', or 'latest'.",
            argument="consume offset",
            default="latest",
        ),
        value("partition", "The partition to consume from, from its end unless --offset is given.", argument="partition"),
        value("property", "(DEPRECATED) Use --formatter-property.", argument="prop"),
        flag("skip-message-on-error", "If there is an error when processing a message, skip it instead of halt."),
        value("timeout-ms", "Exit if no message is available for consumption for the specified interval.", argument="timeout_ms"),
        value("topic", "The topic to consume from.", argument="topic"),
        value("value-deserializer", "The class that deserializes values.", argument="deserializer for values"),
    ),
)

_RENAMED = (("command-property", "consumer-property"), ("command-config", "consumer.config"))
_OFFSETS = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END}


@attrs.frozen(kw_only=True)
class CommandLine:
    """What was asked for: either `topic`, perhaps one `partition` of it, or `include`. `settings` are the consumer's, in Java's names."""

    topic: str | None
    include: str | None
    partition: int | None
    offset: int
    settings: dict[str, str]
    formatter: str
    formatter_properties: dict[str, str]
    max_messages: int | None
    timeout_ms: int | None
    skip_on_error: bool
    systest_events: bool


def read_command_line(options: Options) -> CommandLine:
    """Checks the options in the order of Apache's tool, and warns of old names, as it does: on stdout."""
    partition = options.number("partition")
    _check_combinations(options)
    options.require("bootstrap-server")
    for new, old in _RENAMED:
        if options.has(old) and options.has(new):
            raise UsageError(f"Options --{old} and --{new} cannot be specified together.")
    for new, old in _RENAMED:
        if options.has(old):
            print(f"Option --{old} is deprecated and will be removed in a future version. Use --{new} instead.")
    settings = _consumer_settings(options)
    offset = _offset(options)
    timeout_ms = options.number("timeout-ms", bits=64)
    max_messages = options.number("max-messages")
    return CommandLine(
        topic=options.text("topic"),
        include=options.text("include"),
        partition=partition,
        offset=offset,
        settings=settings,
        formatter=options.text("formatter") or DEFAULT_FORMATTER,
        formatter_properties=_formatter_properties(options),
        max_messages=None if max_messages is None or max_messages == -1 else max_messages,
        timeout_ms=None if timeout_ms is None or timeout_ms < 0 else timeout_ms,
        skip_on_error=options.has("skip-message-on-error"),
        systest_events=options.has("enable-systest-events"),
    )


def _check_combinations(options: Options) -> None:
    if options.has("topic") == options.has("include"):
        raise UsageError("Exactly one of the following arguments is required: [topic], [include]")
    if options.has("partition"):
        if not options.has("topic"):
            raise UsageError("The topic is required when partition is specified.")
        if options.has("from-beginning") and options.has("offset"):
            raise UsageError("Options from-beginning and offset cannot be specified together.")
    elif options.has("offset"):
        raise UsageError("The partition is required when offset is specified.")


def _consumer_settings(options: Options) -> dict[str, str]:
    path = options.text("command-config") or options.text("consumer.config")
    from_file = read_properties(path) if path is not None else {}
    given = parse_settings([*options.texts("consumer-property"), *options.texts("command-property")])
    group = _group(options, from_file, given)
    settings = from_file | given
    _set_offset_reset(options, settings)
    settings["bootstrap.servers"] = options.required("bootstrap-server")
    settings.setdefault("client.id", "console-consumer")
    if options.has("isolation-level") or "isolation.level" not in settings:
        settings["isolation.level"] = options.text("isolation-level") or "read_uncommitted"
    if group is None:
        group = f"console-consumer-{random.SystemRandom().randrange(100_000)}"
        settings.setdefault("enable.auto.commit", "false")
    settings["group.id"] = group
    return settings


def _group(options: Options, from_file: dict[str, str], given: dict[str, str]) -> str | None:
    """The group that was named; the same wherever it was named."""
    named = [options.text("group"), from_file.get("group.id"), given.get("group.id")]
    groups = sorted({group for group in named if group is not None})
    if len(groups) > 1:
        raise UsageError(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config')"
            " do not match. Detected group ids: " + ", ".join(f"'{group}'" for group in groups)
        )
    if groups and options.has("partition"):
        raise UsageError("Options group and partition cannot be specified together.")
    return groups[0] if groups else None


def _set_offset_reset(options: Options, settings: dict[str, str]) -> None:
    given = settings.get("auto.offset.reset")
    if given is None:
        settings["auto.offset.reset"] = "earliest" if options.has("from-beginning") else "latest"
    elif options.has("from-beginning") and given != "earliest":
        raise ToolError(
            f"Can't simultaneously specify --from-beginning and 'auto.offset.reset={given}', please remove one option",
        )


def _offset(options: Options) -> int:
    """Where to begin, as librdkafka says it."""
    if not options.has("offset"):
        return OFFSET_BEGINNING if options.has("from-beginning") else OFFSET_END
    text = options.text("offset") or ""
    named = _OFFSETS.get(text.lower())
    if named is not None:
        return named
    if not text.isdecimal() or int(text) >= 1 << 63:
        raise UsageError(f"The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.")
    return int(text)


def _formatter_properties(options: Options) -> dict[str, str]:
    if options.has("property") and options.has("formatter-property"):
        raise UsageError("Options --property and --formatter-property cannot be specified together.")
    if options.has("property"):
        print("Option --property is deprecated and will be removed in a future version. Use --formatter-property instead.")
    path = options.text("formatter-config")
    properties = read_properties(path) if path is not None else {}
    for option, key in (("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")):
        if options.text(option):
            properties[key] = options.text(option) or ""
    return properties | parse_settings([*options.texts("property"), *options.texts("formatter-property")])
