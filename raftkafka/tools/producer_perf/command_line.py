"""The options of `kafka-producer-perf-test`, old names included, and the payloads and settings that follow from them."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import attrs

from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.properties_file import read_properties
from raftkafka.tools.subcommands import CommandParser

SCRIPT = "kafka-producer-perf-test"
DEFAULT_TRANSACTION_MS = 3000


@attrs.frozen(kw_only=True)
class Workload:
    """What was asked for: either `record_size`, `payloads` from a file, or `monotonic`.

    `throughput` is in records a second, below 0 unlimited. `transaction_ms` is how long a transaction lasts; None: no transactions.
    `settings` are the producer's, in Java's names.
    """

    topic: str
    num_records: int
    record_size: int | None
    payloads: tuple[bytes, ...]
    monotonic: bool
    throughput: float
    settings: dict[str, str]
    print_metrics: bool
    transaction_ms: int | None
    warmup_records: int
    reporting_interval_ms: int


def make_parser() -> CommandParser:
    """The parser of the command line."""
    parser = CommandParser(
        script=SCRIPT,
        summary=(
            "This tool is used to verify the producer performance. To enable transactions, give a transactional id\n"
            "(--transactional-id, or transactional.id as a property or in the file) or a --transaction-duration-ms."
        ),
        examples=(
            f"{SCRIPT}.sh --bootstrap-server localhost:9092 --topic perf --num-records 100000 --record-size 100 --throughput -1",
            f"{SCRIPT}.sh --topic perf --num-records 100000 --record-size 100 --throughput 5000"
            " --producer-props bootstrap.servers=localhost:9092 acks=all",
        ),
        help_exit_code=1,
    )
    pairs = "PROP-NAME=PROP-VALUE"
    parser.add_argument("--bootstrap-server", help="The server(s) to connect to; takes precedence over bootstrap.servers.")
    parser.add_argument("--topic", required=True, help="Produce records to this topic.")
    parser.add_argument("--num-records", required=True, type=_number, help="Number of records to produce.")
    parser.add_argument("--payload-delimiter", default="\\n", help="What divides the payloads in --payload-file (default: a new line).")
    parser.add_argument("--throughput", required=True, type=float, help="Approximate limit in records a second; -1: none.")
    parser.add_argument("--producer-props", nargs="+", metavar=pairs, help="(DEPRECATED) Use --command-property.")
    parser.add_argument("--command-property", nargs="+", metavar=pairs, help="Producer properties, for example linger.ms=10.")
    parser.add_argument("--producer.config", dest="producer_config", metavar="CONFIG-FILE", help="(DEPRECATED) Use --command-config.")
    parser.add_argument("--command-config", metavar="CONFIG-FILE", help="Producer config properties file.")
    parser.add_argument("--print-metrics", action="store_true", help="Print out metrics at the end of the test.")
    parser.add_argument("--transactional-id", help="The transactional id to use.")
    parser.add_argument("--transaction-duration-ms", type=_number, help="How long a transaction lasts at most (default: 3000).")
    parser.add_argument("--warmup-records", type=_number, default=0, help="These first records are left out of a second summary.")
    parser.add_argument("--reporting-interval", type=_number, default=5000, help="Time between two reports in ms (default: 5000).")
    payload = parser.add_mutually_exclusive_group(required=True)
    payload.add_argument("--record-size", type=_number, help="Record size in bytes.")
    payload.add_argument("--payload-file", help="UTF-8 text file from which payloads are chosen at random.")
    payload.add_argument("--payload-monotonic", action="store_true", help="Payload is a monotonically increasing integer.")
    return parser


def read_command_line(parser: CommandParser, arguments: Sequence[str]) -> Workload:
    """Checks the options in the order of Apache's tool."""
    given = parser.parse_args(arguments)
    _check(given)
    payloads = () if given.payload_file is None else _read_payloads(given.payload_file, given.payload_delimiter)
    for old, new in (("producer_props", "command-property"), ("producer_config", "command-config")):
        if getattr(given, old) is not None:
            name = "producer-props" if old == "producer_props" else "producer.config"
            print(f"Option --{name} has been deprecated and will be removed in a future version. Use --{new} instead.")
    settings = _settings(given)
    transaction_ms = given.transaction_duration_ms
    if transaction_ms is not None or given.transactional_id is not None or "transactional.id" in settings:
        named = given.transactional_id or settings.get("transactional.id")
        settings["transactional.id"] = named or f"performance-producer-{uuid.uuid4()}"
        transaction_ms = transaction_ms or DEFAULT_TRANSACTION_MS
    return Workload(
        topic=given.topic,
        num_records=given.num_records,
        record_size=given.record_size,
        payloads=payloads,
        monotonic=given.payload_monotonic,
        throughput=given.throughput,
        settings=settings,
        print_metrics=given.print_metrics,
        transaction_ms=transaction_ms,
        warmup_records=given.warmup_records,
        reporting_interval_ms=given.reporting_interval,
    )


def _check(given: argparse.Namespace) -> None:
    sources = (given.bootstrap_server, given.command_property, given.producer_props, given.producer_config, given.command_config)
    if given.num_records <= 0:
        _refuse("--num-records should be greater than zero.")
    if given.warmup_records >= given.num_records:
        _refuse("The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.")
    if given.record_size is not None and given.record_size <= 0:
        _refuse("--record-size should be greater than zero.")
    if all(source is None for source in sources):
        _refuse(
            "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or --command-config"
            " must be specified."
        )
    if given.command_property is not None and given.producer_props is not None:
        _refuse("--command-property and --producer-props cannot be specified together.")
    if given.command_config is not None and given.producer_config is not None:
        _refuse("--command-config and --producer.config cannot be specified together.")
    if given.transaction_duration_ms is not None and given.transaction_duration_ms <= 0:
        _refuse("--transaction-duration-ms should be greater than zero.")
    if given.reporting_interval <= 0:
        _refuse("--reporting-interval should be greater than zero.")


def _refuse(text: str) -> NoReturn:
    raise UsageError(f"{SCRIPT}: error: {text}")


def _settings(given: argparse.Namespace) -> dict[str, str]:
    path = given.command_config or given.producer_config
    settings = read_properties(path) if path is not None else {}
    for pair in given.command_property or given.producer_props or ():
        key, _, value = pair.partition("=")
        if not key or not value or "=" in value:
            raise ToolError(f"Invalid property: {pair}")
        settings[key] = value
    if given.bootstrap_server is not None:
        settings["bootstrap.servers"] = given.bootstrap_server
    settings.setdefault("client.id", "perf-producer-client")
    return settings


def _read_payloads(path: str, delimiter: str) -> tuple[bytes, ...]:
    print(f"Reading payloads from: {Path(path).absolute()}")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        raise ToolError("File does not exist or empty file provided.")
    parts = text.split("\n" if delimiter == "\\n" else delimiter)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    print(f"Number of records read: {len(parts)}")
    return tuple(part.encode() for part in parts)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"could not convert '{text}' to Long (For input string: \"{text}\")") from None
