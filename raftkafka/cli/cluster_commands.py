"""`raftkafka cluster ...`: what `make cluster`, `make kill` and the like call."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

from cluster import commands as cluster
from cluster.layout import ClusterError

P = ParamSpec("P")


def _node_ids(_context: click.Context, _parameter: click.Parameter, text: str) -> list[int]:
    """Node ids with commas between them."""
    try:
        return sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of node ids, such as 1 or 2,3.") from None


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Turns a refusal into its sentence on stderr and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ClusterError as error:
            click.echo(str(error), err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("interrupted; what was started keeps running (`make cluster-down` stops it).", err=True)
            sys.exit(1)

    return run


name_option = click.option("--name", default="dev", show_default=True, help="Which cluster.")
node_option = click.option("--node", "node_id", type=int, required=True, help="The id of the node.")


@click.group("cluster")
def cluster_group() -> None:
    """Clusters of real processes on this machine: start, show, stop, break.

    The commands cluster-id, list-endpoints and unregister are those of Apache Kafka's kafka-cluster, for any cluster.
    """


@cluster_group.command("up")
@name_option
@click.option("--nodes", "node_count", type=int, help="How many nodes (3, or as many as the cluster has).")
@click.option("--port", "first_port", type=int, help="The port of the first node (9092, or the one the cluster has).")
@reporting
def up(name: str, node_count: int | None, first_port: int | None) -> None:
    """Start a cluster and wait until every broker is unfenced."""
    cluster.up(name=name, node_count=node_count, first_port=first_port)


@cluster_group.command("status")
@name_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@reporting
def status(name: str, as_json: bool) -> None:
    """Show nodes, quorum, leaders and ISR. Exit code 1 when no node answers."""
    if not cluster.status(name=name, as_json=as_json):
        sys.exit(1)


@cluster_group.command("down")
@name_option
@reporting
def down(name: str) -> None:
    """Stop every node cleanly; keep the data."""
    cluster.down(name=name)


@cluster_group.command("clean")
@name_option
@reporting
def clean(name: str) -> None:
    """Stop the cluster and delete its data."""
    cluster.clean(name=name)


@cluster_group.command("kill")
@name_option
@node_option
@reporting
def kill(name: str, node_id: int) -> None:
    """End a node at once (SIGKILL)."""
    cluster.kill(name=name, node_id=node_id)


@cluster_group.command("pause")
@name_option
@node_option
@reporting
def pause(name: str, node_id: int) -> None:
    """Freeze a node (SIGSTOP)."""
    cluster.pause(name=name, node_id=node_id)


@cluster_group.command("resume")
@name_option
@node_option
@reporting
def resume(name: str, node_id: int) -> None:
    """Let a frozen node go on (SIGCONT)."""
    cluster.resume(name=name, node_id=node_id)


@cluster_group.command("start")
@name_option
@node_option
@reporting
def start(name: str, node_id: int) -> None:
    """Start a node again."""
    cluster.start(name=name, node_id=node_id)


@cluster_group.command("stop")
@name_option
@node_option
@reporting
def stop(name: str, node_id: int) -> None:
    """Stop a node cleanly (SIGTERM)."""
    cluster.stop(name=name, node_id=node_id)


@cluster_group.command("partition")
@name_option
@click.option("--from", "from_ids", callback=_node_ids, required=True, help="The nodes to cut off, such as 1 or 1,2.")
@click.option("--to", "to_ids", callback=_node_ids, default="", help="From which nodes; all others when not given.")
@click.option("--one-way", is_flag=True, help="Only what the first send to the second is lost.")
@reporting
def partition(name: str, from_ids: list[int], to_ids: list[int], one_way: bool) -> None:
    """Cut the network between two sets of nodes."""
    cluster.partition(name=name, from_ids=from_ids, to_ids=to_ids, one_way=one_way)


@cluster_group.command("heal")
@name_option
@reporting
def heal(name: str) -> None:
    """Undo every cut."""
    cluster.heal(name=name)
