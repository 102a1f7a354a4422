"""All commands but the broker's short way, declared with click; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import click

from raftkafka.cli.balance_command import balance
from raftkafka.cli.chaos_commands import chaos
from raftkafka.cli.check_command import check
from raftkafka.cli.cluster_commands import cluster_group
from raftkafka.cli.elastic_commands import roll, scale_in, scale_out, wipe
from raftkafka.cli.rules import rules
from raftkafka.cli.sim_commands import profiles, sim, sim_many, sim_shrink, sim_speed
from raftkafka.tools.registry import TOOLS

CONTEXT = {"help_option_names": ["-h", "--help"]}


class CommandsAndTools(click.Group):
    """The commands, and in the help also the tools, which `main` runs without click."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Apache Kafka's tools (raftkafka TOOL --help; as scripts in bin/)"):
            formatter.write_dl([(subcommand, entry.summary) for subcommand, entry in TOOLS.items()])


@click.group(cls=CommandsAndTools, context_settings=CONTEXT)
@click.version_option(metadata.version("raftkafka"), prog_name="raftkafka")
def commands() -> None:
    """A Kafka-protocol-compatible cluster of brokers with an embedded Raft quorum.

    \b
    Examples:
      raftkafka cluster up                       three nodes on this machine
      raftkafka broker configs/server.properties one node in the foreground
      raftkafka topics --bootstrap-server localhost:9092 --list
      raftkafka balance                          who carries how much, and what would move
      raftkafka sim --seed 7                     a simulated cluster, the same every time
    """


@commands.command("broker", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def broker(arguments: tuple[str, ...]) -> None:
    """Run one node: raftkafka broker CONFIG.properties."""
    from raftkafka.cli.broker import run_broker_command

    sys.exit(run_broker_command(arguments))


@commands.command("bench")
@click.option("--quick", is_flag=True, help="Little of everything: to try the benchmark, not to quote it.")
@click.option(
    "--leaders", "only_leaders", is_flag=True, help="Only leaders that move: pauses, restarts, skewed load, a broker that returns."
)
@click.option("--output", type=click.Path(path_type=Path), help="Also write the table to this file.")
def bench(quick: bool, only_leaders: bool, output: Path | None) -> None:
    """Measure raftkafka beside Apache Kafka on this machine (half an hour; needs Java and Maven for the comparison)."""
    from cluster.bench.run import main

    sys.exit(main(quick=quick, output=output, only_leaders=only_leaders))


@commands.command("apis")
def apis() -> None:
    """List the Kafka APIs that are served, with their versions and what is missing, as the README's Markdown table."""
    from raftkafka.broker.support import support_table

    click.echo(support_table())


@commands.group("config")
def config_group() -> None:
    """Look at configuration keys and check properties files."""


@config_group.command("keys")
@click.option("--topic", is_flag=True, help="The keys of topics instead of brokers.")
@click.option("--acting", is_flag=True, help="Only the broker keys that have an effect here.")
@click.argument("containing", default="")
def config_keys(topic: bool, acting: bool, containing: str) -> None:
    """List keys with their types, defaults and allowed values, optionally only those CONTAINING a text."""
    from raftkafka.broker.config import ACTING_KEYS
    from raftkafka.metadata.config_defs import BROKER_DEFS, TOPIC_DEFS

    for name, definition in sorted((TOPIC_DEFS if topic else BROKER_DEFS).items()):
        if containing in name and not definition.internal and (topic or not acting or name in ACTING_KEYS):
            default = "(none)" if definition.default is None else definition.default
            click.echo("\t".join((name, definition.type.name.lower(), default, definition.allowed)).rstrip())


@config_group.command("check")
@click.argument("path", type=click.Path())
@click.option("--override", "overrides", multiple=True, metavar="KEY=VALUE", help="As for raftkafka broker.")
def config_check(path: str, overrides: tuple[str, ...]) -> None:
    """Check a properties file without starting anything."""
    from raftkafka.broker.config_loader import ConfigError, load_config

    try:
        config = load_config(path, overrides=overrides)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(1)
    for notice in config.notices:
        click.echo(notice, err=True)
    click.echo(f"{path}: node {config.node_id}, {'+'.join(config.process_roles)}: good.")


commands.add_command(balance)
commands.add_command(chaos)
commands.add_command(check)
commands.add_command(profiles)
commands.add_command(sim)
commands.add_command(sim_many)
commands.add_command(sim_shrink)
commands.add_command(sim_speed)
for elastic in (scale_out, scale_in, wipe, roll):
    cluster_group.add_command(elastic)
commands.add_command(cluster_group)
commands.add_command(rules)
