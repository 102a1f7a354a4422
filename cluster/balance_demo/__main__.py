"""`python -m cluster.balance_demo`, which `make balance-demo` calls."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cluster.balance_demo.run import demonstrate


@click.command()
@click.option("--time", "seconds", type=click.FloatRange(min=4), default=60.0, show_default=True, help="Seconds; at half the load shifts.")
@click.option("--svg", "picture_path", type=click.Path(path_type=Path), help="Also draw the loads over time into this file.")
def main(seconds: float, picture_path: Path | None) -> None:
    """Show how three brokers balance a skewed load: all leaders on one, then a load that shifts."""
    try:
        sys.exit(demonstrate(seconds=seconds, picture_path=picture_path))
    except KeyboardInterrupt:
        sys.exit(130)


main()
