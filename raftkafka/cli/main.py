"""The program `raftkafka`. The broker and the tools take a short way past the command-line library, since they must start fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_OF_THE_TOOL_CLUSTER = frozenset({"cluster-id", "list-endpoints", "unregister"})
"""The commands of `raftkafka cluster` that are Apache's kafka-cluster; the others start and break a cluster on this machine."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0 good, 1 failure, 2 usage (of the tools: Apache's exit codes)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["broker"]:
        from raftkafka.cli.broker import run_broker_command

        sys.exit(run_broker_command(given[1:]))
    from raftkafka.tools.registry import SCRIPTS, TOOLS

    subcommand = SCRIPTS.get(given[0], given[0]) if given else ""
    if subcommand in TOOLS and (given[0] != "cluster" or _OF_THE_TOOL_CLUSTER.intersection(given[1:2])):
        from raftkafka.tools.run import run_program

        sys.exit(run_program(subcommand, given[1:]))
    from raftkafka.cli.commands import commands

    commands.main(given, prog_name="raftkafka")


if __name__ == "__main__":
    main()
