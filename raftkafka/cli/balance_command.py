"""`raftkafka balance`: who carries how much, what would move, and why. Exit code 0 good, 1 no answer or refused, 2 usage, 130 Ctrl-C."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import click

if TYPE_CHECKING:
    from raftkafka.client.cluster import ClusterClient
    from raftkafka.tools.balance.pages import Section

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
WATCH_S = 2.0


@click.command("balance")
@click.option("--bootstrap-server", "bootstrap", metavar="HOST:PORT,...", help="Which cluster; the one of --name when it is not given.")
@click.option("--name", default="dev", show_default=True, help="Which cluster of `make cluster`.")
@click.option("--dry-run", is_flag=True, help="Only show what the next round would move (what happens anyway without --execute).")
@click.option("--execute", is_flag=True, help="Make the moves of one round now.")
@click.option(
    "--watch",
    "watch_s",
    type=click.FloatRange(min=0.2),
    is_flag=False,
    flag_value=WATCH_S,
    metavar="[SECONDS]",
    help="Show it again and again.",
)
@click.option(
    "--partitions", "partitions_shown", type=click.IntRange(min=0), default=10, show_default=True, help="How many of the busiest."
)
@click.option("--json", "as_json", is_flag=True, help="For programs; with --watch one line each time.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds to wait for an answer."
)
def balance(
    bootstrap: str | None,
    name: str,
    dry_run: bool,
    execute: bool,
    watch_s: float | None,
    partitions_shown: int,
    as_json: bool,
    timeout_s: float,
) -> None:
    """Show how the load is spread over the brokers, and what the controller would move to spread it better, and why.

    \b
    Examples:
      raftkafka balance                  the state and the plan
      raftkafka balance --watch 1        the same every second
      raftkafka balance --execute        do what the plan says, now
    """
    if execute and (dry_run or watch_s is not None):
        raise click.UsageError("--execute goes neither with --dry-run nor with --watch.")
    from raftkafka.tools.run import exit_code_of

    sys.exit(
        exit_code_of(
            lambda: _run(
                bootstrap or _bootstrap_of(name),
                execute=execute,
                watch_s=watch_s,
                partitions_shown=partitions_shown,
                as_json=as_json,
                timeout_s=timeout_s,
            )
        )
    )


def _bootstrap_of(name: str) -> str:
    """The brokers of a cluster on this machine; where there is none of this name, the port that `make cluster` takes."""
    from cluster.layout import ClusterError, load_layout
    from raftkafka.tools.errors import ToolError

    try:
        layout = load_layout(name)
    except ClusterError as error:
        raise ToolError(str(error)) from None
    return DEFAULT_BOOTSTRAP if layout is None else layout.bootstrap


def _run(bootstrap: str, *, execute: bool, watch_s: float | None, partitions_shown: int, as_json: bool, timeout_s: float) -> int:
    """Asks once, or until Ctrl-C."""
    import trio

    from raftkafka.client.connection import RequestFailed
    from raftkafka.tools.admin import run_admin
    from raftkafka.tools.balance.pages import Section
    from raftkafka.tools.errors import ToolError

    async def work(cluster: ClusterClient) -> None:
        async def ask() -> tuple[list[Section], str]:
            return await _ask(cluster, execute=execute, partitions_shown=partitions_shown, timeout_ms=round(1000 * timeout_s))

        if watch_s is None:
            sections, as_line = await ask()
            _print_once(sections, as_line if as_json else None)
            return
        with _screen(as_json) as show:
            while True:
                try:
                    show(*await ask())
                except (
                    RequestFailed,
                    ToolError,
                ) as error:  # A cluster without a controller, or all of whose brokers are away, may come back.
                    show([Section(sentence=f"No answer: {error}")], json.dumps({"error": str(error)}))
                await trio.sleep(watch_s)

    run_admin(bootstrap, {"default.api.timeout.ms": str(round(1000 * timeout_s)), "client.id": "raftkafka-balance"}, work)
    return 0


async def _ask(cluster: ClusterClient, *, execute: bool, partitions_shown: int, timeout_ms: int) -> tuple[list[Section], str]:
    """The page, and the same as one line of JSON."""
    from raftkafka.tools.balance.asking import NotServed, ask_balance, count_leaders
    from raftkafka.tools.balance.pages import balance_page, metadata_page
    from raftkafka.tools.errors import ToolError

    try:
        response = await ask_balance(cluster, execute=execute, timeout_ms=timeout_ms)
    except NotServed:
        if execute:
            raise ToolError("These brokers do not know BalanceCluster, which is raftkafka's own: nothing was moved.") from None
        counts = await count_leaders(cluster)
        return metadata_page(counts), json.dumps({"served": False, "brokers": [attrs.asdict(each) for each in counts]})
    page = balance_page(response, executed=execute, partitions_shown=partitions_shown)
    return page, json.dumps({"served": True, **attrs.asdict(response)})  # type: ignore[arg-type]  # made an attrs class by @message


def _print_once(sections: Sequence[Section], as_line: str | None) -> None:
    from raftkafka.tools.balance.printing import plain_text, rich_page

    if as_line is not None:
        print(as_line)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(rich_page(sections))
    else:
        print(plain_text(sections))


@contextlib.contextmanager
def _screen(as_json: bool) -> Iterator[Callable[[Sequence[Section], str], None]]:
    """A function that shows the state now: on a terminal in place of the one before, in a pipe below it with the time."""
    from raftkafka.tools.balance.printing import plain_text, rich_page

    if as_json:
        yield lambda _sections, as_line: print(as_line, flush=True)
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
            yield lambda sections, _: live.update(rich_page(sections), refresh=True)
    else:
        yield lambda sections, _: print(f"{datetime.datetime.now().astimezone():%H:%M:%S} {plain_text(sections)}\n", flush=True)
