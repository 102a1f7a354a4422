"""kafka-topics: create, delete, describe, list and alter topics.

Sources: kafka-topics of Apache Kafka 4.3.1: its options, which of them exclude each other, its output; reference/kafka-tools.md.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence

from raftkafka.client.cluster import ClusterClient
from raftkafka.metadata.config_defs import TOPIC_DEFS
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import UsageError
from raftkafka.tools.java_errors import as_java_error, log_error
from raftkafka.tools.options import OptionParser, Options, flag, value
from raftkafka.tools.topic_changes import alter_topics, create_topic, delete_topics, new_topic
from raftkafka.tools.topic_descriptions import describe_topics, list_topics

LOGGER = "org.apache.kafka.tools.TopicCommand"
_ACTIONS = ("create", "list", "alter", "describe", "delete")
_REPORTS = ("under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions")
_CONFIGS_TOOL = "(To alter topic configurations, the kafka-configs tool can be used.)"

PARSER = OptionParser(
    script="kafka-topics",
    summary="Create, delete, describe, or change a topic.",
    examples=(
        "kafka-topics.sh --bootstrap-server localhost:9092 --create --topic orders --partitions 3 --replication-factor 3",
        "kafka-topics.sh --bootstrap-server localhost:9092 --describe --topic orders",
    ),
    options=(
        flag("alter", f"Alter the number of partitions and replica assignment. {_CONFIGS_TOOL}"),
        flag("at-min-isr-partitions", "When describing, show only partitions whose ISR is exactly min.insync.replicas."),
        value("bootstrap-server", "REQUIRED: The Kafka server to connect to.", argument="server to connect to"),
        value("command-config", "Property file with settings of the admin client.", argument="command config property file"),
        value(
            "config",
            "A topic configuration override for the topic being created; may be given several times. Valid names:\n"
            + "\n".join(sorted(name for name, each in TOPIC_DEFS.items() if not each.internal))
            + f"\nOnly together with --create. {_CONFIGS_TOOL}",
            argument="name=value",
        ),
        flag("create", "Create a new topic."),
        flag("delete", "Delete a topic."),
        value("delete-config", "No longer supported, deprecated since 4.0.", argument="name"),
        flag("describe", "List details for the given topics."),
        flag("exclude-internal", "Exclude internal topics when listing or describing topics; by default they are included."),
        flag("if-exists", "When altering, deleting or describing topics, act only if the topic exists."),
        flag("if-not-exists", "When creating topics, do not fail if the topic exists; the request is still sent."),
        flag("list", "List all available topics."),
        value(
            "partition-size-limit-per-response",
            "The maximum number of partitions in one DescribeTopicPartitions response.",
            argument="maximum number of partitions per response",
        ),
        value(
            "partitions",
            "The number of partitions for the topic being created or altered; when creating, the cluster's default without it. "
            "(WARNING: more partitions change where the records of a key go.)",
            argument="# of partitions",
        ),
        value(
            "replica-assignment",
            "The brokers of each partition of the topic being created or altered: replicas separated by colons, partitions by commas.",
            argument="1:2,2:3,...",
        ),
        value(
            "replication-factor",
            "The number of replicas of each partition; the cluster's default without it.",
            argument="replication factor",
        ),
        value("topic", "The topic to create, alter, describe or delete. A regular expression, except for --create.", argument="topic"),
        value("topic-id", "The topic id to describe.", argument="topic-id"),
        flag("topics-with-overrides", "When describing, show only topics that have overridden configs."),
        flag("unavailable-partitions", "When describing, show only partitions whose leader is not available."),
        flag("under-min-isr-partitions", "When describing, show only partitions whose ISR is less than min.insync.replicas."),
        flag("under-replicated-partitions", "When describing, show only under-replicated partitions."),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool. What fails after the command line was understood is said on stdout and logged on stderr, as Apache's tool does."""
    options = PARSER.parse(arguments)
    _check(options)
    settings = command_config(options.text("command-config"))
    bootstrap = options.required("bootstrap-server")
    try:
        run_admin(bootstrap, settings, _work(options))
    except Exception as error:
        failure = as_java_error(error)
        if failure is None:
            raise
        print(f"Error while executing topic command : {failure.message}")
        sys.stdout.flush()
        log_error(failure.name, failure.message, LOGGER)
        return 1
    return 0


def _work(options: Options) -> Callable[[ClusterClient], Awaitable[None]]:
    """What is to be done with the cluster; what is wrong with the values is refused before it is asked."""
    if options.has("create"):
        wanted = new_topic(options)
        return lambda cluster: create_topic(cluster, wanted, options)
    if options.has("alter"):
        altered = new_topic(options)
        return lambda cluster: alter_topics(cluster, options, altered)
    if options.has("delete"):
        return lambda cluster: delete_topics(cluster, options)
    if options.has("describe"):
        return lambda cluster: describe_topics(cluster, options)
    return lambda cluster: list_topics(cluster, options)


def _check(options: Options) -> None:
    """Refuses what Apache's tool refuses, in its order."""
    if sum(options.has(action) for action in _ACTIONS) != 1:
        raise UsageError("Command must include exactly one action: --list, --describe, --create, --alter or --delete")
    if options.has("delete-config"):
        print(
            "delete-config option is no longer supported and deprecated since version 4.0. "
            "The config will be fully removed in future releases.",
            file=sys.stderr,
        )
    if not options.has("bootstrap-server"):
        raise UsageError("--bootstrap-server must be specified")
    if options.has("describe") and options.has("if-exists"):
        if not (options.has("topic") or options.has("topic-id")):
            raise UsageError("--topic or --topic-id is required to describe a topic")
        if options.has("topic") and options.has("topic-id"):
            print("Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID")
    if not (options.has("list") or options.has("describe")):
        options.require("topic")
    if options.has("alter"):
        if options.has("config"):
            raise UsageError(f'Option combination "[[bootstrap-server], [config]]" can\'t be used with option "[alter]" {_CONFIGS_TOOL}')
        options.require("partitions")
    _check_combinations(options)


def _check_combinations(options: Options) -> None:
    """Refuses options that do not go with the action, or with each other."""
    for used, actions in (
        ("config", ("alter", "create")),
        ("partitions", ("alter", "create")),
        ("replication-factor", ("create",)),
        ("replica-assignment", ("alter", "create")),
    ):
        options.refuse(used, *(action for action in _ACTIONS if action not in actions))
    if options.has("create"):
        options.refuse("replica-assignment", "partitions", "replication-factor")
    for report in _REPORTS:
        options.refuse(report, *(action for action in _ACTIONS if action != "describe"), "topics-with-overrides")
    options.refuse("topics-with-overrides", *(action for action in _ACTIONS if action != "describe"), *_REPORTS)
    options.refuse("if-exists", "create", "list")
    options.refuse("if-not-exists", *(action for action in _ACTIONS if action != "create"))
    options.refuse("exclude-internal", "create", "alter", "delete")
