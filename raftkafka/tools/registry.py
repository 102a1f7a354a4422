"""Every tool: its subcommand of `raftkafka`, its script under Apache's name in `bin/`, its module.

A module is imported when its tool runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs


@attrs.frozen
class ToolEntry:
    """Where a tool is. Its module has `main(arguments: Sequence[str]) -> int`, which returns the exit code."""

    script: str
    module: str
    summary: str


TOOLS: Mapping[str, ToolEntry] = MappingProxyType(
    {
        "broker-api-versions": ToolEntry(
            "kafka-broker-api-versions", "raftkafka.tools.broker_api_versions", "The API versions of each broker."
        ),
        "cluster": ToolEntry("kafka-cluster", "raftkafka.tools.cluster", "The id and the endpoints of a cluster; unregister a broker."),
        "configs": ToolEntry("kafka-configs", "raftkafka.tools.configs", "Describe and change settings, quotas and credentials."),
        "console-consumer": ToolEntry("kafka-console-consumer", "raftkafka.tools.console_consumer", "Print the records of topics."),
        "console-producer": ToolEntry("kafka-console-producer", "raftkafka.tools.console_producer", "Send lines of text as records."),
        "consumer-groups": ToolEntry(
            "kafka-consumer-groups", "raftkafka.tools.consumer_groups", "List, describe and delete groups, reset their offsets."
        ),
        "consumer-perf-test": ToolEntry(
            "kafka-consumer-perf-test", "raftkafka.tools.consumer_perf", "Measure how fast records are consumed."
        ),
        "delete-records": ToolEntry("kafka-delete-records", "raftkafka.tools.delete_records", "Delete records before given offsets."),
        "dump-log": ToolEntry("kafka-dump-log", "raftkafka.tools.dump_log", "What is in the files of a log directory."),
        "e2e-latency": ToolEntry("kafka-e2e-latency", "raftkafka.tools.e2e_latency", "Measure how long a record takes to its consumer."),
        "features": ToolEntry("kafka-features", "raftkafka.tools.features", "Feature levels of a cluster."),
        "get-offsets": ToolEntry("kafka-get-offsets", "raftkafka.tools.get_offsets", "First, last and other offsets of partitions."),
        "leader-election": ToolEntry("kafka-leader-election", "raftkafka.tools.leader_election", "Elect leaders of partitions."),
        "log-dirs": ToolEntry("kafka-log-dirs", "raftkafka.tools.log_dirs", "What lies in the log directories of brokers."),
        "metadata-quorum": ToolEntry("kafka-metadata-quorum", "raftkafka.tools.metadata_quorum", "The voters on the metadata."),
        "producer-perf-test": ToolEntry(
            "kafka-producer-perf-test", "raftkafka.tools.producer_perf", "Measure how fast records are produced."
        ),
        "reassign-partitions": ToolEntry(
            "kafka-reassign-partitions", "raftkafka.tools.reassign_partitions", "Move replicas between brokers and log directories."
        ),
        "server-start": ToolEntry("kafka-server-start", "raftkafka.tools.server_start", "Run a node."),
        "server-stop": ToolEntry("kafka-server-stop", "raftkafka.tools.server_stop", "Stop the nodes that run on this machine."),
        "storage": ToolEntry("kafka-storage", "raftkafka.tools.storage", "Format the directories of a node, or show them."),
        "topics": ToolEntry("kafka-topics", "raftkafka.tools.topics", "Create, delete, describe, or change a topic."),
    }
)
"""By subcommand, in alphabetical order. Each line is independent: add yours."""

SCRIPTS: Mapping[str, str] = MappingProxyType({entry.script: subcommand for subcommand, entry in TOOLS.items()})
"""The subcommand of each script. `raftkafka kafka-topics` is `raftkafka topics`; this is how the scripts in `bin/` call it."""
