"""The commands that `make` and `raftkafka cluster` call; each prints what it does and raises `ClusterError` when it cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from cluster.elastic.moving import DEFAULT_THROTTLE
from cluster.elastic.rolling import roll as roll_nodes
from cluster.elastic.scaling import scale_in as remove_node
from cluster.elastic.scaling import scale_out as add_node
from cluster.elastic.wiping import wipe as wipe_node
from cluster.layout import BROKER, ClusterError, existing_layout
from raftkafka.client.connection import RequestFailed


def scale_out(*, name: str, roles: Sequence[str] = (BROKER,), bytes_per_second: int = DEFAULT_THROTTLE) -> None:
    """Adds a node to a running cluster and moves a fair share of replicas to it."""
    layout = existing_layout(name)
    _run(lambda: add_node(layout, roles=roles, bytes_per_second=bytes_per_second))


def scale_in(*, name: str, node_id: int, bytes_per_second: int = DEFAULT_THROTTLE, keep_data: bool = False) -> None:
    """Drains a node and removes it from the cluster."""
    layout = existing_layout(name)
    _run(lambda: remove_node(layout, node_id=node_id, bytes_per_second=bytes_per_second, keep_data=keep_data))


def wipe(*, name: str, node_id: int, kill: bool = False, force: bool = False) -> None:
    """Stops a node and deletes its data."""
    layout = existing_layout(name)
    _run(lambda: wipe_node(layout, node_id=node_id, kill=kill, force=force))


def roll(*, name: str) -> None:
    """Restarts the nodes one by one."""
    layout = existing_layout(name)
    _run(lambda: roll_nodes(layout))


def _run(work: Callable[[], Awaitable[None]]) -> None:
    """Runs a command to its end; what stops it on the way is no damage."""
    try:
        trio.run(work)
    except RequestFailed as error:
        raise ClusterError(f"the cluster does not answer: {error}. Call this again to go on.") from None
    except KeyboardInterrupt:
        raise ClusterError("interrupted. What was begun goes on by itself; call this again to go on with the rest.") from None
