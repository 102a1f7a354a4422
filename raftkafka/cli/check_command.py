"""`raftkafka check HISTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("check")
@click.argument("history", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIRECTORY", help="Also write plots, as SVG files.")
def check(history: Path, out: Path | None) -> None:
    """Judge HISTORY, what clients of a log saw, as JSON lines.

    Exit code 0: valid, 1: invalid, 2: bad input, 3: unknown, since nothing was written or nothing was read.
    """
    from jepsen_like.command import BAD_INPUT, check_command

    code, text = check_command(history, out)
    click.echo(text, nl=False, err=code == BAD_INPUT)
    sys.exit(code)
