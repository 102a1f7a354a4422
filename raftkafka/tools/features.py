"""kafka-features: the feature levels of a cluster, and changing them.

Sources: kafka-features of Apache Kafka 4.3.1; KIP-584 (features), KIP-1022 (version-mapping, feature-dependencies).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.client.cluster import ClusterClient, Unsupported
from raftkafka.protocol.messages.api_versions import ApiVersionsRequest
from raftkafka.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from raftkafka.tools.admin import command_config, run_admin
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.feature_levels import (
    METADATA_VERSION,
    level_text,
    levels_of_release,
    metadata_level,
    parse_level,
    print_dependencies,
    print_version_mapping,
)
from raftkafka.tools.java_errors import default_message, raise_refusal
from raftkafka.tools.subcommands import CommandParser

UPGRADE = 1
SAFE_DOWNGRADE = 2
UNSAFE_DOWNGRADE = 3
REQUEST_TIMEOUT_MS = 30_000
_DONE = {"upgrade": "upgraded", "downgrade": "downgraded", "disable": "disabled"}


def main(arguments: Sequence[str]) -> int:
    """Runs the tool."""
    try:
        given = _parser().parse_args(arguments)
    except UsageError as error:
        raise UsageError(f"Command line error: {error}. Type --help for help.", hint=False) from None
    if given.command == "version-mapping":
        print_version_mapping(given.release_version)
        return 0
    if given.command == "feature-dependencies":
        print_dependencies(given.feature)
        return 0
    bootstrap = given.bootstrap_server or given.bootstrap_controller
    if bootstrap is None:
        raise UsageError(
            "Command line error: You must specify either --bootstrap-controller or --bootstrap-server.. Type --help for help.", hint=False
        )
    settings = command_config(given.command_config)
    if given.command == "describe":
        run_admin(bootstrap, settings, _describe)
    else:
        updates = _updates(given)
        run_admin(bootstrap, settings, lambda cluster: _update(cluster, given.command, updates, dry_run=given.dry_run))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        script="kafka-features",
        summary="This tool manages feature flags in Kafka.",
        examples=("kafka-features.sh --bootstrap-server localhost:9092 describe",),
        bare_errors=True,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bootstrap-server", metavar="HOST:PORT,...", help="Brokers to connect to.")
    where.add_argument("--bootstrap-controller", metavar="HOST:PORT,...", help="Controllers to connect to.")
    parser.add_argument("--command-config", metavar="FILE", help="Property file with settings of the admin client.")
    commands = parser.commands()
    commands.add("describe", "Describes the current active feature flags.")
    for name, help_text in (("upgrade", "Upgrade one or more feature flags."), ("downgrade", "Downgrade one or more feature flags.")):
        changing = commands.add(
            name, help_text, examples=(f"kafka-features.sh --bootstrap-server localhost:9092 {name} --feature group.version=1",)
        )
        changing.add_argument("--metadata", metavar="RELEASE", help=f"DEPRECATED: the metadata version to {name} to, such as 3.3-IV3.")
        changing.add_argument("--release-version", metavar="RELEASE", help="The release whose levels all features are to have.")
        _add_changes(changing, unsafe=name == "downgrade", feature="A feature and its new level: feature=level.")
    _add_changes(
        commands.add("disable", "Disable one or more feature flags: the same as downgrading to zero."),
        unsafe=True,
        feature="A feature to disable.",
    )
    mapping = commands.add("version-mapping", "Look up the feature levels of a release.")
    mapping.add_argument("--release-version", metavar="RELEASE", help="Without it: the latest stable release.")
    dependencies = commands.add("feature-dependencies", "Look up what a feature level depends on.")
    dependencies.add_argument("--feature", action="append", required=True, metavar="FEATURE=LEVEL", help="May be given several times.")
    return parser


def _add_changes(parser: CommandParser, *, unsafe: bool, feature: str) -> None:
    parser.add_argument("--feature", action="append", metavar="FEATURE", help=feature)
    if unsafe:
        parser.add_argument("--unsafe", action="store_true", help="Do it even if it may irreversibly destroy metadata.")
    parser.add_argument("--dry-run", action="store_true", help="Only find out whether it could be done.")


async def _describe(cluster: ClusterClient) -> None:
    response = await cluster.ask(ApiVersionsRequest(client_software_name="raftkafka", client_software_version="0.1"))
    raise_refusal(response.error_code)
    finalized = {each.name: each.max_version_level for each in response.finalized_features}
    epoch = "-" if response.finalized_features_epoch < 0 else str(response.finalized_features_epoch)
    for each in sorted(response.supported_features, key=lambda feature: feature.name):
        low, high, level = (level_text(each.name, number) for number in (each.min_version, each.max_version, finalized.get(each.name, 0)))
        print(
            f"Feature: {each.name:<42}SupportedMinVersion: {low:<17}SupportedMaxVersion: {high:<17}"
            f"FinalizedVersionLevel: {level:<17}Epoch: {epoch}"
        )


def _updates(given: argparse.Namespace) -> dict[str, tuple[int, int]]:
    """The new level and the kind of change for each feature."""
    kind = UPGRADE if given.command == "upgrade" else UNSAFE_DOWNGRADE if given.unsafe else SAFE_DOWNGRADE
    levels: dict[str, int] = {}
    release = getattr(given, "release_version", None)
    metadata = getattr(given, "metadata", None)
    if release is not None:
        if metadata is not None or given.feature:
            raise ToolError("Can not specify `release-version` with other feature flags.")
        levels = levels_of_release(release)
    if metadata is not None:
        print(" `metadata` flag is deprecated and may be removed in a future release.")
        levels[METADATA_VERSION] = metadata_level(metadata)
    for text in given.feature or ():
        name, level = (text, 0) if given.command == "disable" else parse_level(text)
        if name in levels:
            raise ToolError(f"Feature {name} was specified more than once.")
        levels[name] = level
    if not levels:
        raise ToolError(f"You must specify at least one feature to {given.command}")
    return {name: (level, kind) for name, level in levels.items()}


async def _update(cluster: ClusterClient, command: str, updates: Mapping[str, tuple[int, int]], *, dry_run: bool) -> None:
    request = UpdateFeaturesRequest(
        timeout_ms=REQUEST_TIMEOUT_MS,
        feature_updates=[
            FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=kind, allow_downgrade=kind != UPGRADE)
            for name, (level, kind) in updates.items()
        ],
        validate_only=dry_run,
    )
    failed: dict[str, str] = {}
    try:
        response = await cluster.ask_controller(request)
    except Unsupported as error:
        failed = dict.fromkeys(updates, str(error))
    else:
        if response.error_code != ErrorCode.NONE:
            failed = dict.fromkeys(updates, response.error_message or default_message(response.error_code))
        for result in response.results:
            if result.error_code != ErrorCode.NONE:
                failed[result.feature] = result.error_message or default_message(result.error_code)
    for name in sorted(updates):
        target = name if command == "disable" else f"{name} to {updates[name][0]}"
        if name in failed:
            print(f"{'Can not' if dry_run else 'Could not'} {command} {target}. {failed[name]}")
        else:
            level = "" if command == "disable" else f" to {updates[name][0]}"
            print(f"{name} {'can be' if dry_run else 'was'} {_DONE[command]}{level}.")
    if failed:
        raise ToolError(f"{len(failed)} out of {len(updates)} operation(s) failed.")
