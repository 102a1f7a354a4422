"""`raftkafka storage ...`: formatting and inspecting the log directories of a node, as `kafka-storage` does."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from raftkafka.broker.config import BrokerConfig

_config = click.option("-c", "--config", "config_path", type=click.Path(), required=True, help="The node's properties file.")


@click.group("storage")
def storage_group() -> None:
    """Give the log directories of a node their identity, or show it."""


@storage_group.command("format")
@_config
@click.option("-t", "--cluster-id", envvar="CLUSTER_ID", required=True, help="The same on every node; random-uuid makes one.")
@click.option("-g", "--ignore-formatted", is_flag=True, help="Leave formatted directories as they are.")
@click.option("-s", "--standalone", is_flag=True, help="Accepted for Kafka's sake: the voters are in the properties file.")
def format_storage(config_path: str, cluster_id: str, ignore_formatted: bool, standalone: bool) -> None:
    """Format the directories that a properties file names."""
    from raftkafka.broker.formatting import FormatError, format_directories

    config = _load(config_path)
    if standalone and tuple(config.quorum_voters) != (config.node_id,):
        _fail(f"--standalone is for a node that is the only voter, but controller.quorum.voters has {len(config.quorum_voters)}.")
    try:
        formatted = format_directories(config, cluster_id, ignore_formatted=ignore_formatted)
    except FormatError as error:
        _fail(str(error))
    for path in formatted:
        click.echo(f"Formatted {path} for node {config.node_id} of cluster {cluster_id}.")
    if not formatted:
        click.echo("All directories were formatted already.")


@storage_group.command("info")
@_config
def info(config_path: str) -> None:
    """Show the directories and their identity. Exit code 1 when one is not ready for a start."""
    from raftkafka.base.ids import id_to_text
    from raftkafka.broker.formatting import FormatError, inspect_directories, required_identity

    config = _load(config_path)
    try:
        for each in inspect_directories(config):
            if each.meta is None:
                click.echo(f"{each.path}: not formatted")
            else:
                directory_id = id_to_text(each.meta.directory_id)
                click.echo(f"{each.path}: node {each.meta.node_id}, directory {directory_id}, cluster {each.meta.cluster_id}")
        required_identity(config)
    except FormatError as error:
        _fail(str(error))


@storage_group.command("random-uuid")
def random_uuid() -> None:
    """Print a random cluster id."""
    import random

    from raftkafka.base.ids import id_to_text, random_id

    click.echo(id_to_text(random_id(random.SystemRandom())))


def _load(path: str) -> BrokerConfig:
    from raftkafka.broker.config_loader import ConfigError, load_config

    try:
        return load_config(path, environ=os.environ)
    except ConfigError as error:
        _fail("\n".join(error.problems))


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)
