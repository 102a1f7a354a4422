"""`python -m jepsen_like check HISTORY [--out DIRECTORY]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jepsen_like.command import BAD_INPUT, check_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m jepsen_like", description="Judge what clients of a log saw.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    checking = commands.add_parser("check", help="Judge a history. Exit code 0: valid, 1: invalid, 2: bad input, 3: unknown.")
    checking.add_argument("history", type=Path, metavar="HISTORY", help="A history as JSON lines.")
    checking.add_argument("--out", type=Path, metavar="DIRECTORY", help="Also write plots, as SVG files.")
    given = parser.parse_args(arguments)
    code, text = check_command(given.history, given.out)
    (sys.stderr if code == BAD_INPUT else sys.stdout).write(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
