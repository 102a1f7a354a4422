"""kafka-leader-election: elects the preferred replicas of partitions, or any replica at the cost of records.

Sources: the output of Apache Kafka 4.3.1's kafka-leader-election; KIP-460.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.java_errors import JavaError, errors_by_name, raise_refusal, refusal
from raftkafka.tools.java_order import in_hash_map_order, partition_hash
from raftkafka.tools.options import OptionParser, Options, flag, value

_ELECTION_TYPES = {"PREFERRED": 0, "UNCLEAN": 1}
_SCOPES = ("topic", "all-topic-partitions", "path-to-json-file")
_DEFAULT_SETTINGS = {"default.api.timeout.ms": "30000", "request.timeout.ms": "15000"}
_ELECTION_TIMEOUT_MS = 30_000

PARSER = OptionParser(
    script="kafka-leader-election",
    summary=(
        "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas "
        "and unclean replicas."
    ),
    examples=(
        "kafka-leader-election.sh --bootstrap-server localhost:9092 --election-type preferred --all-topic-partitions",
        "kafka-leader-election.sh --bootstrap-server localhost:9092 --election-type unclean --topic my-topic --partition 0",
    ),
    options=(
        value("bootstrap-server", "REQUIRED: host:port of a broker, or several with commas between.", argument="host:port"),
        value("admin.config", "Old name of --command-config.", argument="config file"),
        value("command-config", "Properties file with settings of the client.", argument="Config file"),
        value(
            "path-to-json-file",
            "The partitions for which leaders are elected:\n"
            '{"partitions": [{"topic": "foo", "partition": 1}, {"topic": "foobar", "partition": 2}]}\n'
            "Not together with --all-topic-partitions or --topic.",
            argument="Path to JSON file",
        ),
        value("topic", "The topic of --partition. Not together with --path-to-json-file or --all-topic-partitions.", argument="topic name"),
        value("partition", "The partition for which a leader is elected. REQUIRED with --topic.", argument="partition id"),
        flag("all-topic-partitions", "Elect in all partitions that may be. Not together with --topic or --path-to-json-file."),
        value(
            "election-type",
            'REQUIRED: "preferred" elects the preferred replica where another one leads; "unclean" elects any replica where none leads.',
            argument="election type",
        ),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; returns its exit code."""
    options = PARSER.parse(arguments)
    election = _checked(options)
    partitions = _partitions(options)
    if options.has("admin.config"):
        print("Option --admin.config has been deprecated and will be removed in a future version. Use --command-config instead.")
    settings = _DEFAULT_SETTINGS | command_config(options.text("command-config") or options.text("admin.config"))

    async def work(cluster: ClusterClient) -> dict[TopicPartition, JavaError | None]:
        return await _elect(cluster, election, partitions)

    with errors_by_name():
        outcomes = run_admin(options.required("bootstrap-server"), settings, work)
    return _report(election, outcomes)


def _checked(options: Options) -> str:
    """The election type in capitals; refuses what does not go together."""
    missing = [name for name in ("bootstrap-server", "election-type") if not options.has(name)]
    if missing:
        raise ToolError(f"Missing required option(s): {', '.join(missing)}")
    if sum(options.has(scope) for scope in _SCOPES) != 1:
        raise ToolError(f"One and only one of the following options is required: {', '.join(_SCOPES)}")
    if options.has("topic") and not options.has("partition"):
        raise ToolError("Missing required option(s): partition")
    if options.has("partition") and not options.has("topic"):
        raise ToolError("Option partition is only allowed if topic is used")
    election = options.required("election-type")
    if election.upper() not in _ELECTION_TYPES:
        raise UsageError(f"Cannot parse argument '{election}' of option election-type")
    return election.upper()


def _partitions(options: Options) -> list[TopicPartition] | None:
    """The partitions that are named; None when all are meant."""
    if options.has("topic"):
        return [TopicPartition(options.required("topic"), options.number("partition") or 0)]
    path = options.text("path-to-json-file")
    return None if path is None else read_partitions(path)


def read_partitions(path: str) -> list[TopicPartition]:
    """The partitions of a JSON file; `ToolError` when it has none."""
    try:
        document = json.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError):
        raise ToolError(f"java.io.IOException: Unable to read file {path}") from None
    except ValueError:
        raise ToolError("Replica election data is empty") from None
    if not isinstance(document, dict) or not isinstance(document.get("partitions"), list):
        raise ToolError('Replica election data is missing "partitions" field')
    partitions = [_partition(entry) for entry in document["partitions"]]
    repeated = [each for index, each in enumerate(partitions) if each in partitions[:index]]
    if repeated:
        named = ", ".join(map(str, in_hash_map_order(repeated, partition_hash)))
        raise ToolError(f"Replica election data contains duplicate partitions: [{named}]")
    return partitions


def _partition(entry: object) -> TopicPartition:
    fields = entry if isinstance(entry, dict) else {}
    for name, kind in (("topic", str), ("partition", int)):
        if name not in fields:
            raise ToolError(f"No such field exists: `{name}`")
        if not isinstance(fields[name], kind):
            raise ToolError(f"`{name}` of a partition is no {'text' if kind is str else 'number'}: {json.dumps(fields[name])}")
    return TopicPartition(fields["topic"], fields["partition"])


async def _elect(
    cluster: ClusterClient, election: str, partitions: Sequence[TopicPartition] | None
) -> dict[TopicPartition, JavaError | None]:
    """How each election ended; None when a leader was elected."""
    topics: dict[str, TopicPartitions] = {}
    for topic, number in partitions or ():
        topics.setdefault(topic, TopicPartitions(topic=topic, partitions=[])).partitions.append(number)
    request = ElectLeadersRequest(
        election_type=_ELECTION_TYPES[election],
        topic_partitions=None if partitions is None else list(topics.values()),
        timeout_ms=_ELECTION_TIMEOUT_MS,
    )
    response = await cluster.ask_controller(request)
    raise_refusal(response.error_code)
    found: dict[TopicPartition, JavaError | None] = {}
    for topic in response.replica_election_results:
        for each in topic.partition_result:
            error = None if each.error_code == ErrorCode.NONE else refusal(each.error_code, each.error_message)
            found[TopicPartition(topic.topic, each.partition_id)] = error
    return found


def _report(election: str, outcomes: Mapping[TopicPartition, JavaError | None]) -> int:
    not_needed = refusal(ErrorCode.ELECTION_NOT_NEEDED).name
    ordered = in_hash_map_order(outcomes, partition_hash)
    elected = [str(each) for each in ordered if outcomes[each] is None]
    already = [str(each) for each in ordered if _is(outcomes[each], not_needed)]
    failed = [each for each in ordered if outcomes[each] is not None and not _is(outcomes[each], not_needed)]
    if elected:
        print(f"Successfully completed leader election ({election}) for partitions {', '.join(elected)}")
    if already:
        print(f"Valid replica already elected for partitions {', '.join(already)}")
    for each in failed:
        error = outcomes[each]
        assert error is not None
        print(f"Error completing leader election ({election}) for partition: {each}: {error.named}")
    if failed:
        sys.stdout.flush()
        print(f"{len(failed)} replica(s) could not be elected", file=sys.stderr)
    return 1 if failed else 0


def _is(error: JavaError | None, name: str) -> bool:
    return error is not None and error.name == name
