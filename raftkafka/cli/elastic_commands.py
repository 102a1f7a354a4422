"""`raftkafka cluster scale-out`, `scale-in`, `wipe` and `roll`: what `make` calls to grow, shrink and restart a running cluster."""

from __future__ import annotations

import click

from cluster.elastic.moving import DEFAULT_THROTTLE
from raftkafka.cli.cluster_commands import name_option, node_option, reporting

_throttle = click.option(
    "--throttle",
    "bytes_per_second",
    type=click.IntRange(min=1),
    default=DEFAULT_THROTTLE,
    show_default=True,
    help="How fast replicas are copied: bytes a second on each broker.",
)


@click.command("scale-out")
@name_option
@click.option("--roles", default="broker", show_default=True, help="broker, or broker,controller.")
@_throttle
@reporting
def scale_out(name: str, roles: str, bytes_per_second: int) -> None:
    """Add a node and give it a fair share of the replicas."""
    from cluster.elastic import commands

    commands.scale_out(name=name, roles=[role.strip() for role in roles.split(",")], bytes_per_second=bytes_per_second)


@click.command("scale-in")
@name_option
@node_option
@click.option("--keep-data", is_flag=True, help="Leave the node's files where they are.")
@_throttle
@reporting
def scale_in(name: str, node_id: int, keep_data: bool, bytes_per_second: int) -> None:
    """Move everything off a node and remove it."""
    from cluster.elastic import commands

    commands.scale_in(name=name, node_id=node_id, bytes_per_second=bytes_per_second, keep_data=keep_data)


@click.command("wipe")
@name_option
@node_option
@click.option("--kill", is_flag=True, help="End the node at once instead of cleanly.")
@click.option("--force", is_flag=True, help="Also when data is lost by it.")
@reporting
def wipe(name: str, node_id: int, kill: bool, force: bool) -> None:
    """Stop a node and delete its data, as if its disk had died."""
    from cluster.elastic import commands

    commands.wipe(name=name, node_id=node_id, kill=kill, force=force)


@click.command("roll")
@name_option
@reporting
def roll(name: str) -> None:
    """Restart the nodes one by one, each when all is in sync."""
    from cluster.elastic import commands

    commands.roll(name=name)
