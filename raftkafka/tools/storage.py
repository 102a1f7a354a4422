"""kafka-storage: gives the log directories of a node their identity, or shows it.

A dynamic quorum begins with the voters that its controllers were formatted with (`broker.initial_voters`); one with
controller.quorum.voters in its properties does not.

The feature levels of our clusters are fixed, so `--release-version` and `--feature` accept only the ones that they have.

Sources: kafka-storage of Apache Kafka 4.3.1; KIP-631, KIP-858 (directory ids), KIP-853 (initial voters).
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raftkafka.tools.errors import ToolError
from raftkafka.tools.feature_levels import LATEST_STABLE, metadata_level, print_dependencies, print_version_mapping
from raftkafka.tools.subcommands import CommandParser

if TYPE_CHECKING:
    from raftkafka.broker.config import BrokerConfig
    from raftkafka.broker.initial_voters import InitialVoters


def main(arguments: Sequence[str]) -> int:
    """Runs the tool."""
    given = _parser().parse_args(arguments)
    match given.command:
        case "format":
            return _format(given)
        case "info":
            return _info(given.config)
        case "version-mapping":
            print_version_mapping(given.release_version)
        case "feature-dependencies":
            print_dependencies(given.feature)
        case _:
            from raftkafka.base.ids import id_to_text, random_id

            print(id_to_text(random_id(random.SystemRandom())))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        script="kafka-storage",
        summary="The Kafka storage tool.",
        examples=('kafka-storage.sh format --config server.properties --cluster-id "$(kafka-storage.sh random-uuid)"',),
    )
    commands = parser.commands()
    info = commands.add(
        "info",
        "Get information about the Kafka log directories on this node.",
        examples=("kafka-storage.sh info --config server.properties",),
    )
    info.add_argument("--config", "-c", required=True, metavar="FILE", help="The Kafka configuration file to use.")
    _add_format(
        commands.add(
            "format",
            "Format the Kafka log directories on this node.",
            examples=("kafka-storage.sh format --config server.properties --cluster-id MkU3OEVBNTcwNTJENDM2Qg",),
        )
    )
    mapping = commands.add("version-mapping", "Look up the feature levels of a release.")
    mapping.add_argument("--release-version", "-r", metavar="RELEASE", help="Without it: the latest stable release.")
    dependencies = commands.add("feature-dependencies", "Look up what a feature level depends on.")
    dependencies.add_argument(
        "--feature", "-f", action="append", required=True, metavar="FEATURE=LEVEL", help="May be given several times."
    )
    commands.add("random-uuid", "Print a random UUID.", examples=("kafka-storage.sh random-uuid",))
    return parser


def _add_format(parser: CommandParser) -> None:
    cluster_id = os.environ.get("CLUSTER_ID")
    parser.add_argument("--cluster-id", "-t", required=not cluster_id, default=cluster_id, metavar="ID", help="The same on every node.")
    parser.add_argument("--config", "-c", required=True, metavar="FILE", help="The Kafka configuration file to use.")
    parser.add_argument("--ignore-formatted", "-g", action="store_true", help="Skip directories that are formatted instead of failing.")
    parser.add_argument("--release-version", "-r", metavar="RELEASE", help=f"The release of the initial feature levels: {LATEST_STABLE}.")
    parser.add_argument("--feature", "-f", action="append", metavar="FEATURE=LEVEL", help="Not supported: the feature levels are fixed.")
    parser.add_argument("--add-scram", "-S", action="append", metavar="SCRAM", help="Not supported: there are no credentials yet.")
    voters = parser.add_mutually_exclusive_group()
    voters.add_argument("--standalone", "-s", action="store_true", help="This controller is the only voter of a new quorum.")
    voters.add_argument(
        "--no-initial-controllers", "-N", action="store_true", help="This node has no vote at first: it may be added to a quorum later."
    )
    voters.add_argument(
        "--initial-controllers",
        "-I",
        metavar="VOTERS",
        help="The voters of a new quorum, as id@host:port:directory id with commas between: the same on each of them.",
    )


def _format(given: argparse.Namespace) -> int:
    from raftkafka.broker.formatting import FormatError, directories_of, format_directories, inspect_directories

    config = _load(given.config)
    _check_format(given, config)
    try:
        for each in inspect_directories(config):
            if each.meta is not None and not given.ignore_formatted:
                raise ToolError(
                    f"Log directory {each.path} is already formatted. "
                    "Use --ignore-formatted to ignore this directory and format the others."
                )
            if each.meta is not None and each.meta.cluster_id != given.cluster_id:
                raise ToolError(
                    f"Invalid cluster.id in: {each.path}/meta.properties. Expected {given.cluster_id}, but read {each.meta.cluster_id}"
                )
        initial = _initial_voters(given, config)
        formatted = format_directories(config, given.cluster_id, ignore_formatted=given.ignore_formatted, initial=initial)
    except FormatError as error:
        raise ToolError(str(error)) from None
    if not formatted:
        print("All of the log directories are already formatted.")
    for path in (each for each in directories_of(config) if each in formatted):
        kind = _kind(initial) if path == config.metadata_log_dir else "data"
        print(f"Formatting {kind} directory {path} with metadata.version {LATEST_STABLE}.")
    return 0


def _initial_voters(given: argparse.Namespace, config: BrokerConfig) -> InitialVoters | None:
    """What the node is to begin with; None where the properties name the voters."""
    from raftkafka.base.ids import DirectoryId, random_id
    from raftkafka.broker.initial_voters import BadVoters, parse_initial_controllers, standalone, without_voters

    if given.standalone:
        return standalone(config, DirectoryId(random_id(random.SystemRandom())))
    if given.initial_controllers is not None:
        try:
            return parse_initial_controllers(given.initial_controllers, node_id=config.node_id, listener=config.controller_listener_name)
        except BadVoters as error:
            raise ToolError(str(error)) from None
    return without_voters() if config.is_controller and "controller.quorum.voters" not in config.static else None


def _kind(initial: InitialVoters | None) -> str:
    if initial is None or not initial.voters:
        return "metadata"
    return "dynamic metadata voter" if initial.directory_id is not None else "dynamic metadata"


def _check_format(given: argparse.Namespace, config: BrokerConfig) -> None:
    """Refuses what this cluster cannot do rather than leaving it out in silence."""
    if given.release_version is not None and metadata_level(given.release_version) != metadata_level(LATEST_STABLE):
        raise ToolError(
            f"--release-version {given.release_version} is not supported: the feature levels of raftkafka are those of {LATEST_STABLE}."
        )
    if given.feature:
        raise ToolError("--feature is not supported: the feature levels of raftkafka are fixed.")
    if given.add_scram:
        raise ToolError("--add-scram is not supported: raftkafka does not serve SCRAM credentials yet.")
    is_static = "controller.quorum.voters" in config.static
    if is_static and (given.initial_controllers is not None or given.standalone):
        raise ToolError(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to "
            "use dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead."
        )
    if given.standalone and not config.is_controller:
        raise ToolError("You can only use --standalone on a controller.")
    is_told = given.standalone or given.initial_controllers is not None or given.no_initial_controllers
    if config.is_controller and not is_static and not is_told:
        raise ToolError(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, "
            "--initial-controllers, or --no-initial-controllers."
        )


def _info(path: str) -> int:
    """Shows the directories; 1 when one is missing, not formatted, or does not belong to the others."""
    from raftkafka.base.ids import id_to_text
    from raftkafka.broker.formatting import FormatError, inspect_directories

    config = _load(path)
    try:
        found = sorted(inspect_directories(config), key=lambda each: each.path)
    except FormatError as error:
        raise ToolError(str(error)) from None
    existing = [each for each in found if os.path.isdir(each.path)]
    problems = [f"{each.path} does not exist" for each in found if each not in existing]
    problems += [f"{each.path} is not formatted." for each in existing if each.meta is None]
    metas = [(each.path, each.meta) for each in found if each.meta is not None]
    if metas:
        own = metas[0][1]
        problems += [
            f"{where}: the cluster id is {meta.cluster_id}, not {own.cluster_id}."
            for where, meta in metas
            if meta.cluster_id != own.cluster_id
        ]
        problems += [
            f"{where}: the node id is {meta.node_id}, not {config.node_id}." for where, meta in metas if meta.node_id != config.node_id
        ]
    if existing:
        print("Found log directories:" if len(existing) > 1 else "Found log directory:")
        print("".join(f"  {each.path}\n" for each in existing))
    if metas:
        own = metas[0][1]
        fields = f"cluster.id={own.cluster_id}, directory.id={id_to_text(own.directory_id)}, node.id={own.node_id}, version=1"
        print(f"Found metadata: {{{fields}}}\n")
    if problems:
        print("Found problems:" if len(problems) > 1 else "Found problem:")
        print("".join(f"  {problem}\n" for problem in problems))
    return 1 if problems else 0


def _load(path: str) -> BrokerConfig:
    from raftkafka.broker.config_loader import ConfigError, load_config

    try:
        return load_config(path, environ=os.environ)
    except ConfigError as error:
        raise ToolError("\n".join(error.problems)) from None
