"""The program `raftkafka`. `raftkafka broker` takes a short way past the command-line library, since brokers must start fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0 good, 1 failure, 2 usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["broker"]:
        from raftkafka.cli.broker import run_broker_command

        sys.exit(run_broker_command(given[1:]))
    from raftkafka.cli.commands import commands

    commands.main(given, prog_name="raftkafka")


if __name__ == "__main__":
    main()
