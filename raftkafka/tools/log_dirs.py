"""kafka-log-dirs: what lies in the log directories of brokers, as one line of JSON.

Invariant: the JSON, also the order of its keys and entries, is that of Apache's tool.

Sources: the output of Apache Kafka 4.3.1's kafka-log-dirs; KIP-113.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResult
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import errors_by_name, exception_name, raise_refusal
from raftkafka.tools.java_order import in_hash_map_order, integer_hash, partition_hash, string_hash
from raftkafka.tools.options import OptionParser, flag, value

PARSER = OptionParser(
    script="kafka-log-dirs",
    summary="This tool helps to query log directory usage on the specified brokers.",
    examples=(
        "kafka-log-dirs.sh --bootstrap-server localhost:9092 --describe",
        "kafka-log-dirs.sh --bootstrap-server localhost:9092 --describe --topic-list my-topic --broker-list 0,1",
    ),
    options=(
        value("bootstrap-server", "REQUIRED: the server(s) to connect to.", argument="The server(s) to use for bootstrapping"),
        value("command-config", "Properties file with settings of the client.", argument="Admin client property file"),
        flag("describe", "Describe the specified log directories on the specified brokers."),
        value("topic-list", 'The topics to be queried in the form "topic1,topic2"; all without this option.', argument="Topic list"),
        value("broker-list", 'The brokers to be queried in the form "0,1,2"; all without this option.', argument="Broker list"),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; returns its exit code."""
    options = PARSER.parse(arguments)
    options.require("bootstrap-server", "describe")
    topics = _parts(options.text("topic-list"))
    broker_ids = [_broker_id(part) for part in _parts(options.text("broker-list"))]

    async def work(cluster: ClusterClient) -> None:
        await _describe(cluster, topics=topics, broker_ids=broker_ids)

    with errors_by_name():
        run_admin(options.required("bootstrap-server"), command_config(options.text("command-config")), work)
    return 0


def _parts(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _broker_id(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ToolError(f'For input string: "{text}"') from None


async def _describe(cluster: ClusterClient, *, topics: Sequence[str], broker_ids: Sequence[int]) -> None:
    existing = [broker.node_id for broker in await cluster.brokers()]
    missing = [broker_id for broker_id in broker_ids if broker_id not in existing]
    if missing:
        raise ToolError(
            f"ERROR: The given brokers do not exist from --broker-list: {_joined(missing)}. Current existent brokers: {_joined(existing)}"
        )
    print("Querying brokers for log directories information")
    asked = in_hash_map_order(broker_ids or existing, integer_hash)
    directories: dict[int, Sequence[DescribeLogDirsResult]] = {}
    for broker_id in asked:
        response = await cluster.ask(DescribeLogDirsRequest(topics=None), broker_id)
        raise_refusal(response.error_code)
        directories[broker_id] = response.results
    print(f"Received log directory information from brokers {_joined(asked)}")
    print(json.dumps(_as_json(directories, topics), separators=(",", ":"), ensure_ascii=False))


def _joined(broker_ids: Sequence[int]) -> str:
    return ",".join(map(str, in_hash_map_order(broker_ids, integer_hash)))


def _as_json(directories: Mapping[int, Sequence[DescribeLogDirsResult]], topics: Sequence[str]) -> dict[str, Any]:
    return {
        "brokers": [{"broker": broker_id, "logDirs": _log_dirs(results, topics)} for broker_id, results in directories.items()],
        "version": 1,
    }


def _log_dirs(results: Sequence[DescribeLogDirsResult], topics: Sequence[str]) -> list[dict[str, Any]]:
    by_path = {result.log_dir: result for result in results}
    return [
        {
            "partitions": _partitions(by_path[path], topics),
            "error": None if by_path[path].error_code == ErrorCode.NONE else exception_name(by_path[path].error_code),
            "logDir": path,
        }
        for path in in_hash_map_order(by_path, string_hash, capacity=len(results))
    ]


def _partitions(result: DescribeLogDirsResult, topics: Sequence[str]) -> list[dict[str, Any]]:
    shown = {
        TopicPartition(topic.name, partition.partition_index): partition
        for topic in result.topics
        for partition in topic.partitions
        if not topics or topic.name in topics
    }
    return [
        {
            "partition": str(each),
            "size": shown[each].partition_size,
            "offsetLag": shown[each].offset_lag,
            "isFuture": shown[each].is_future_key,
        }
        for each in in_hash_map_order(shown, partition_hash)
    ]
