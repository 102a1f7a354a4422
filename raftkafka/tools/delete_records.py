"""kafka-delete-records: deletes the records before given offsets.

Partitions are printed in the order in which Apache's tool prints them, which is that of a hash table.

Sources: kafka-delete-records of Apache Kafka 4.3.1; KIP-107 (offset -1 is the high watermark).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient, PartitionsUnavailable
from raftkafka.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import refusal
from raftkafka.tools.java_order import in_hash_map_order, partition_hash
from raftkafka.tools.options import OptionParser, value

REQUEST_TIMEOUT_MS = 30_000

PARSER = OptionParser(
    script="kafka-delete-records",
    summary="This tool helps to delete records of the given partitions down to the specified offset.",
    examples=("kafka-delete-records.sh --bootstrap-server localhost:9092 --offset-json-file offsets.json",),
    options=(
        value("bootstrap-server", "REQUIRED: The server to connect to.", argument="server(s) to use for bootstrapping"),
        value("command-config", "A property file with settings of the admin client.", argument="command config property file path"),
        value(
            "offset-json-file",
            "REQUIRED: The JSON file with the first offset to keep for each partition (-1: delete everything that is committed):\n"
            '{"partitions":\n  [{"topic": "foo", "partition": 1, "offset": 1}],\n "version":1\n}',
            argument="Offset json file path",
        ),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool. A partition that is refused is told of in its line; the exit code stays 0, as Apache's."""
    options = PARSER.parse(arguments)
    options.require("bootstrap-server", "offset-json-file")
    path = options.required("offset-json-file")
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise ToolError(f"Unable to read file {path}") from None
    offsets = parse_offsets(text)
    print("Executing records delete operation", flush=True)
    settings = command_config(options.text("command-config"))
    run_admin(options.required("bootstrap-server"), settings, lambda cluster: _delete(cluster, offsets))
    return 0


def parse_offsets(text: str) -> dict[TopicPartition, int]:
    """The partitions and offsets of a JSON file."""
    try:
        parsed = json.loads(text)
    except ValueError:
        raise ToolError("The input string is not a valid JSON") from None
    if not isinstance(parsed, dict):
        raise ToolError(f"Expected JSON object, received {json.dumps(parsed)}")
    version = parsed.get("version", 1)
    if version != 1:
        raise ToolError(f"Not supported version field value {version}")
    if not isinstance(parsed.get("partitions"), list):
        raise ToolError("Missing partitions field")
    offsets: dict[TopicPartition, int] = {}
    twice: list[TopicPartition] = []
    for entry in parsed["partitions"]:
        partition = TopicPartition(_field(entry, "topic", str), _field(entry, "partition", int))
        if partition in offsets:
            twice.append(partition)
        offsets[partition] = _field(entry, "offset", int)
    if twice:
        named = ",".join(str(each) for each in dict.fromkeys(twice))
        raise ToolError(f"Offset json file contains duplicate topic partitions: {named}")
    return offsets


def _field(entry: Any, name: str, kind: type[Any]) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        raise ToolError(f"No such field exists: `{name}`")
    bits = 32 if name == "partition" else 64
    fits = kind is str or (isinstance(entry[name], int) and -(1 << bits - 1) <= entry[name] < 1 << bits - 1)
    if not isinstance(entry[name], kind) or isinstance(entry[name], bool) or not fits:
        word = "String" if kind is str else "Integer" if name == "partition" else "Long"
        raise ToolError(f"Expected `{word}` value, received {json.dumps(entry[name])}")
    return entry[name]


async def _delete(cluster: ClusterClient, offsets: Mapping[TopicPartition, int]) -> None:
    def build(asked: Sequence[TopicPartition]) -> DeleteRecordsRequest:
        topics: dict[str, list[DeleteRecordsPartition]] = {}
        for each in asked:
            topics.setdefault(each.topic, []).append(DeleteRecordsPartition(partition_index=each.partition, offset=offsets[each]))
        return DeleteRecordsRequest(
            topics=[DeleteRecordsTopic(name=name, partitions=its) for name, its in topics.items()], timeout_ms=REQUEST_TIMEOUT_MS
        )

    lines: dict[TopicPartition, str] = {}
    try:
        answers = await cluster.ask_leaders(list(offsets), build)
    except PartitionsUnavailable as unavailable:
        answers = list(unavailable.answers)
        lines.update({each: f"error: {refusal(code).named}" for each, code in unavailable.partitions.items()})
    for final, response in answers:
        for topic in response.topics:
            for each in topic.partitions:
                partition = TopicPartition(topic.name, each.partition_index)
                if partition in final:
                    good = each.error_code == ErrorCode.NONE
                    lines[partition] = f"low_watermark: {each.low_watermark}" if good else f"error: {refusal(each.error_code).named}"
    print("Records delete operation completed:")
    for partition in in_hash_map_order(offsets, partition_hash):
        if partition in lines:
            print(f"partition: {partition}\t{lines[partition]}")
