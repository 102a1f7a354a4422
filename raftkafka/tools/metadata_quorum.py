"""kafka-metadata-quorum: who votes on the metadata, who leads, who is how far behind; adding and removing controllers.

Not implemented: --bootstrap-controller with our own controllers, whose listener speaks no Kafka protocol.

Sources: the output of Apache Kafka 4.3.1's kafka-metadata-quorum; KIP-595, KIP-836, KIP-853.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import time
from collections.abc import Sequence
from pathlib import Path

from raftkafka.base.ids import ZERO_ID, id_to_text
from raftkafka.client.cluster import ClusterClient
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, Listener
from raftkafka.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    PartitionData,
    ReplicaState,
    RequestPartitionData,
    RequestTopicData,
)
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from raftkafka.tools.admin import run_admin
from raftkafka.tools.controller_file import ControllerFile, read_controller_file
from raftkafka.tools.errors import ToolError
from raftkafka.tools.java_errors import errors_by_name, raise_refusal
from raftkafka.tools.properties_file import read_properties
from raftkafka.tools.subcommands import CommandParser
from raftkafka.tools.tables import aligned

_METADATA_TOPIC = "__cluster_metadata"
_TIMEOUT_MS = 30_000
_ID_CHARACTERS = 24
_CLIENT_KEYS = ("client.id", "default.api.timeout.ms", "request.timeout.ms", "security.protocol")
"""What of a controller's properties is meant for the client."""
_EXAMPLES = (
    "kafka-metadata-quorum.sh --bootstrap-server localhost:9092 describe --status",
    "kafka-metadata-quorum.sh --bootstrap-server localhost:9092 describe --replication --human-readable",
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; returns its exit code."""
    given = _parser().parse_args(arguments)
    bootstrap = given.bootstrap_server or given.bootstrap_controller
    settings = _settings(given.command_config)
    if given.command == "add-controller":
        return _add_controller(bootstrap, settings, given)
    if given.command == "remove-controller":
        return _remove_controller(bootstrap, settings, given)
    if given.status and given.replication:
        raise ToolError("Only one of --status or --replication should be specified with describe sub-command")
    if given.status and given.human_readable:
        raise ToolError("The option --human-readable is only supported along with --replication")
    if not given.status and not given.replication:
        raise ToolError("One of --status or --replication must be specified with describe sub-command")

    async def work(cluster: ClusterClient) -> None:
        if given.replication:
            await _describe_replication(cluster, human_readable=given.human_readable)
        else:
            await _describe_status(cluster)

    with errors_by_name():
        run_admin(bootstrap, settings, work)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(script="kafka-metadata-quorum", summary="This tool describes kraft metadata quorum status.", examples=_EXAMPLES)
    connection = parser.add_mutually_exclusive_group(required=True)
    connection.add_argument("--bootstrap-server", help="host:port of brokers, with commas between")
    connection.add_argument("--bootstrap-controller", help="host:port of controllers, with commas between")
    parser.add_argument(
        "--command-config", help="properties file with settings of the client; for add-controller also the controller's properties"
    )
    commands = parser.commands()
    describe = commands.add("describe", "Describe the metadata quorum info", examples=_EXAMPLES)
    describe.add_argument("--status", action="store_true", help="a short summary of the quorum")
    describe.add_argument("--replication", action="store_true", help="detailed information about the status of replication")
    describe.add_argument("--human-readable", action="store_true", help="times as how long ago they were")
    add = commands.add(
        "add-controller",
        "Add a controller to the KRaft controller cluster",
        examples=(
            "kafka-metadata-quorum.sh --bootstrap-server localhost:9092 --command-config controller.properties add-controller --dry-run",
        ),
    )
    add.add_argument("--dry-run", action="store_true", help="print what would be done, but do not do it")
    remove = commands.add(
        "remove-controller",
        "Remove a controller from the KRaft controller cluster",
        examples=(
            "kafka-metadata-quorum.sh --bootstrap-server localhost:9092 remove-controller "
            "--controller-id 3 --controller-directory-id AAAAAAAAAAAAAAAAAAAAAQ",
        ),
    )
    remove.add_argument("--controller-id", "-i", type=int, required=True, help="the id of the controller to remove")
    remove.add_argument("--controller-directory-id", "-d", required=True, help="the directory id of the controller to remove")
    remove.add_argument("--dry-run", action="store_true", help="print what would be done, but do not do it")
    return parser


def _settings(path: str | None) -> dict[str, str]:
    if path is None:
        return {}
    if not Path(path).exists():
        raise ToolError(f"Properties file {path} does not exists!")
    return read_properties(path)


# --- describe


async def _quorum(cluster: ClusterClient) -> tuple[DescribeQuorumResponse, PartitionData]:
    request = DescribeQuorumRequest(
        topics=[RequestTopicData(topic_name=_METADATA_TOPIC, partitions=[RequestPartitionData(partition_index=0)])]
    )
    response: DescribeQuorumResponse = await cluster.ask_controller(request)
    raise_refusal(response.error_code, response.error_message)
    partition = response.topics[0].partitions[0]
    raise_refusal(partition.error_code, partition.error_message)
    return response, partition


def _leader(quorum: PartitionData) -> ReplicaState:
    found = next((voter for voter in quorum.current_voters if voter.replica_id == quorum.leader_id), None)
    if found is None:
        raise ToolError("No value present")
    return found


async def _describe_status(cluster: ClusterClient) -> None:
    cluster_id = (await cluster.cluster()).cluster_id
    response, quorum = await _quorum(cluster)
    leader = _leader(quorum)
    slowest = min(quorum.current_voters, key=lambda voter: voter.log_end_offset)
    if slowest is leader:
        lag_ms = 0
    elif leader.last_caught_up_timestamp >= 0 and slowest.last_caught_up_timestamp >= 0:
        lag_ms = leader.last_caught_up_timestamp - slowest.last_caught_up_timestamp
    else:
        lag_ms = -1
    endpoints = {node.node_id: [f"{each.name}://{_bracketed(each.host)}:{each.port}" for each in node.listeners] for node in response.nodes}
    print(f"ClusterId:              {cluster_id}")
    print(f"LeaderId:               {quorum.leader_id}")
    print(f"LeaderEpoch:            {quorum.leader_epoch}")
    print(f"HighWatermark:          {quorum.high_watermark}")
    print(f"MaxFollowerLag:         {leader.log_end_offset - slowest.log_end_offset}")
    print(f"MaxFollowerLagTimeMs:   {lag_ms}")
    print(f"CurrentVoters:          {_replicas_text(quorum.current_voters, endpoints)}")
    print(f"CurrentObservers:       {_replicas_text(quorum.observers, endpoints)}")


def _replicas_text(replicas: Sequence[ReplicaState], endpoints: dict[int, list[str]]) -> str:
    texts = []
    for replica in replicas:
        known = replica.replica_directory_id != ZERO_ID
        directory = f', "directoryId": "{id_to_text(replica.replica_directory_id)}"' if known else ""
        named = ", ".join(f'"{endpoint}"' for endpoint in endpoints.get(replica.replica_id, ()))
        texts.append(f'{{"id": {replica.replica_id}{directory}' + (f', "endpoints": [{named}]}}' if named else "}"))
    return f"[{', '.join(texts)}]"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _describe_replication(cluster: ClusterClient, *, human_readable: bool) -> None:
    _, quorum = await _quorum(cluster)
    leader = _leader(quorum)
    followers = [voter for voter in quorum.current_voters if voter is not leader]
    now_ms = time.time_ns() // 1_000_000
    rows: list[list[object]] = [["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"]]
    for status, replicas in (("Leader", [leader]), ("Follower", followers), ("Observer", quorum.observers)):
        for replica in replicas:
            times = [
                _time_text(each, now_ms, human_readable=human_readable)
                for each in (replica.last_fetch_timestamp, replica.last_caught_up_timestamp)
            ]
            lag = leader.log_end_offset - replica.log_end_offset
            rows.append([replica.replica_id, id_to_text(replica.replica_directory_id), replica.log_end_offset, lag, *times, status])
    for line in aligned(rows, gap="\t"):
        print(line + "\t")


def _time_text(timestamp_ms: int, now_ms: int, *, human_readable: bool) -> str:
    if not human_readable or timestamp_ms < 0:
        return str(timestamp_ms)
    return f"{max(0, now_ms - timestamp_ms)} ms ago"


# --- add-controller, remove-controller


def _add_controller(bootstrap: str, settings: dict[str, str], given: argparse.Namespace) -> int:
    if given.command_config is None:
        raise ToolError("You must supply the configuration file of the controller you are adding when using add-controller.")
    controller: ControllerFile = read_controller_file(settings)
    if not given.dry_run:
        request = AddRaftVoterRequest(
            cluster_id=None,
            timeout_ms=_TIMEOUT_MS,
            voter_id=controller.node_id,
            voter_directory_id=controller.directory_id,
            listeners=[Listener(name=each.name, host=each.host, port=each.port) for each in controller.endpoints],
        )
        _change_voters(bootstrap, settings, request)
    named = ", ".join(f"{each.name}://{_bracketed(each.host)}:{each.port}" for each in controller.endpoints)
    verb = "DRY RUN of adding" if given.dry_run else "Added"
    print(f"{verb} controller {controller.node_id} with directory id {id_to_text(controller.directory_id)} and endpoints: {named}")
    return 0


def _remove_controller(bootstrap: str, settings: dict[str, str], given: argparse.Namespace) -> int:
    if given.controller_id < 0:
        raise ToolError(f"Invalid negative --controller-id: {given.controller_id}")
    directory_id = _directory_id(given.controller_directory_id)
    if not given.dry_run:
        request = RemoveRaftVoterRequest(cluster_id=None, voter_id=given.controller_id, voter_directory_id=directory_id)
        _change_voters(bootstrap, settings, request)
    verb = "DRY RUN of removing " if given.dry_run else "Removed "
    print(f"{verb} KRaft controller {given.controller_id} with directory id {id_to_text(directory_id)}")
    return 0


def _directory_id(text: str) -> bytes:
    reason = f"Input string with prefix `{text[:_ID_CHARACTERS]}` is too long to be decoded as a base64 UUID"
    if len(text) <= _ID_CHARACTERS:
        try:
            decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            reason = f"Input string `{text}` is not base64"
        else:
            if len(decoded) == len(ZERO_ID):
                return decoded
            reason = (
                f"Input string `{text}` decoded as {len(decoded)} bytes, which is not equal to the expected {len(ZERO_ID)} bytes of a "
                "base64-encoded UUID"
            )
    raise ToolError(f"Failed to parse --controller-directory-id: {reason}")


def _change_voters(bootstrap: str, settings: dict[str, str], request: AddRaftVoterRequest | RemoveRaftVoterRequest) -> None:
    """Asks for the change; `ToolError` with the name and sentence of the error when it is refused."""

    async def work(cluster: ClusterClient) -> None:
        response = await cluster.ask_controller(request)
        raise_refusal(response.error_code, response.error_message)

    with errors_by_name():
        run_admin(bootstrap, {key: settings[key] for key in _CLIENT_KEYS if key in settings}, work)
