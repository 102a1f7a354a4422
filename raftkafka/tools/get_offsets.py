"""kafka-get-offsets: the first, last, or another offset of each partition.

Partitions are printed in the order of `topic-partition` as text, as Apache's tool does: 10 before 2.

Sources: kafka-get-offsets of Apache Kafka 4.3.1; KIP-815 (filters), KIP-734 (max timestamp), KIP-405 (tiered offsets).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.bootstrap import parse_bootstrap
from raftkafka.client.cluster import ClusterClient, PartitionsUnavailable
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.java_errors import as_java_error, refusal
from raftkafka.tools.java_lists import split
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.topic_filter import INTERNAL_TOPICS, TopicFilter

UNKNOWN_OFFSET = -1
REQUEST_TIMEOUT_MS = 30_000
_LIST_OFFSETS_KEY = 2
_SPECIAL_TIMES = {
    "latest": -1,
    "earliest": -2,
    "max-timestamp": -3,
    "earliest-local": -4,
    "latest-tiered": -5,
    "earliest-pending-upload": -6,
}
_NEEDED_VERSIONS = {-3: 7, -4: 8, -5: 9, -6: 11}
"""The version of ListOffsets from which a special time is known."""
_TIMES_TEXT = (
    "-1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload"
)
_RULE = re.compile(r"(?P<topic>[^:,]*)(?::(?:(?P<one>[0-9]*)|(?:(?P<low>[0-9]*)-(?P<high>[0-9]*))))?")

Wanted = Callable[[TopicPartition], bool]

PARSER = OptionParser(
    script="kafka-get-offsets",
    summary="Print the offsets of topic-partitions, as topic:partition:offset.",
    examples=(
        "kafka-get-offsets.sh --bootstrap-server localhost:9092 --topic orders",
        "kafka-get-offsets.sh --bootstrap-server localhost:9092 --topic orders --time earliest",
    ),
    options=(
        value("bootstrap-server", "REQUIRED: The server(s) to connect to.", argument="HOST1:PORT1,...,HOST3:PORT3"),
        value("command-config", "Property file with settings of the admin client.", argument="config file"),
        flag("exclude-internal-topics", "Exclude internal topics; by default they are included."),
        value(
            "partitions", "Comma separated partition ids; all partitions without it. Not with --topic-partitions.", argument="partition ids"
        ),
        value("time", f"A timestamp in ms, or {_TIMES_TEXT}.", argument="timestamp or word", default="latest"),
        value("topic", "The topic, or a regular expression; all topics without it. Not with --topic-partitions.", argument="topic"),
        value(
            "topic-partitions",
            "Comma separated rules: a topic or a regular expression, then optionally a colon and a partition, or a range: "
            "0-3 is 0, 1 and 2.",
            argument="topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
        ),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; what fails is said after "Error occurred: ", as Apache's tool does."""
    try:
        options = PARSER.parse(arguments)
    except UsageError as error:
        raise ToolError(f"Error occurred: {error}") from None
    options.require("bootstrap-server")
    bootstrap = options.required("bootstrap-server")
    try:
        parse_bootstrap(bootstrap)
    except ValueError:
        raise UsageError("Please provide valid host:port like host1:9091,host2:9092") from None
    try:
        timestamp, wanted = _parse_time(options.required("time")), _parse_filter(options)
        settings = command_config(options.text("command-config"))
        run_admin(bootstrap, settings, lambda cluster: _print_offsets(cluster, options, wanted, timestamp))
    except Exception as error:
        failure = error if isinstance(error, ToolError) else as_java_error(error)
        if failure is None:
            raise
        raise ToolError(f"Error occurred: {failure}") from None
    return 0


async def _print_offsets(cluster: ClusterClient, options: Options, wanted: Wanted, timestamp: int) -> None:
    high = cluster.versions().get(_LIST_OFFSETS_KEY, (0, 0))[1]
    if high < _NEEDED_VERSIONS.get(timestamp, 0):
        raise ToolError(f"The broker does not support ListOffsets with the special time {timestamp}.")
    metadata = await cluster.metadata()
    partitions = [
        TopicPartition(topic.name or "", each.partition_index)
        for topic in metadata.topics
        if not (options.has("exclude-internal-topics") and (topic.is_internal or topic.name in INTERNAL_TOPICS))
        for each in topic.partitions
    ]
    chosen = sorted((each for each in partitions if wanted(each)), key=str)
    if not chosen:
        raise ToolError("Could not match any topic-partitions with the specified filters")
    offsets = await _offsets_of(cluster, chosen, timestamp)
    for partition in chosen:
        if offsets.get(partition, UNKNOWN_OFFSET) != UNKNOWN_OFFSET:
            print(f"{partition.topic}:{partition.partition}:{offsets[partition]}")


async def _offsets_of(cluster: ClusterClient, partitions: Sequence[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
    """The offset of each partition; what cannot be had is said on stderr and left out."""

    def build(asked: Sequence[TopicPartition]) -> ListOffsetsRequest:
        topics: dict[str, list[ListOffsetsPartition]] = {}
        for each in asked:
            topics.setdefault(each.topic, []).append(ListOffsetsPartition(partition_index=each.partition, timestamp=timestamp))
        return ListOffsetsRequest(
            replica_id=-1,
            topics=[ListOffsetsTopic(name=name, partitions=its) for name, its in topics.items()],
            timeout_ms=REQUEST_TIMEOUT_MS,
        )

    errors: dict[TopicPartition, int] = {}
    try:
        answers = await cluster.ask_leaders(partitions, build)
    except PartitionsUnavailable as unavailable:
        answers = list(unavailable.answers)
        errors.update(unavailable.partitions)
    offsets: dict[TopicPartition, int] = {}
    for final, response in answers:
        for topic in response.topics:
            for each in topic.partitions:
                partition = TopicPartition(topic.name, each.partition_index)
                if partition not in final:
                    continue
                if each.error_code != ErrorCode.NONE:
                    errors[partition] = each.error_code
                offsets[partition] = each.offset
    for partition, code in sorted(errors.items()):
        offsets.pop(partition, None)
        print(f"Skip getting offsets for topic-partition {partition} due to error: {refusal(code).named}", file=sys.stderr)
    return offsets


def _parse_time(text: str) -> int:
    if text in _SPECIAL_TIMES:
        return _SPECIAL_TIMES[text]
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or not -(2**63) <= int(text) < 2**63:
        raise ToolError(f"Malformed time argument {text}. Please use {_TIMES_TEXT}, or a specified long format timestamp")
    return int(text)


def _parse_filter(options: Options) -> Wanted:
    """Which partitions the options mean."""
    rules = options.text("topic-partitions")
    if rules is not None:
        if options.has("topic") or options.has("partitions"):
            raise ToolError("--topic-partitions cannot be used with --topic or --partitions")
        parsed = [_parse_rule(rule) for rule in split(rules)]
        return lambda partition: any(rule(partition) for rule in parsed)
    expression = options.text("topic")
    topics = TopicFilter(".*" if expression is None else expression)
    ids = _parse_partitions(options.text("partitions") or "")
    return lambda partition: topics.allows(partition.topic) and (not ids or partition.partition in ids)


def _parse_rule(text: str) -> Wanted:
    rule = _RULE.fullmatch(text)
    if rule is None:
        raise ToolError(f"org.apache.kafka.tools.TerseException: Invalid rule specification: {text}")
    topics = TopicFilter(rule["topic"] or ".*")
    if rule["one"]:
        low, high = int(rule["one"]), int(rule["one"]) + 1
    else:
        low, high = int(rule["low"] or 0), int(rule["high"] or 2**31)
    return lambda partition: topics.allows(partition.topic) and low <= partition.partition < high


def _parse_partitions(text: str) -> list[int]:
    try:
        return [int(each) for each in split(text)] if text else []
    except ValueError:
        raise ToolError(f"--partitions expects a comma separated list of numeric partition ids, but received: {text}") from None
