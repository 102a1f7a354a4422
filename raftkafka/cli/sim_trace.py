"""How the trace of a run is shown: in colours on a terminal, plain in a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import groupby

import click

from raftkafka.simulation.narrator import Narrator, TraceLine
from raftkafka.simulation.phrases import What
from raftkafka.simulation.world import World

COLOURS = {
    What.FAULT: "bright_red",
    What.VIOLATION: "bright_red",
    What.MACHINE: "red",
    What.ELECTION: "yellow",
    What.LEADER: "bright_yellow",
    What.ISR: "magenta",
    What.HIGH_WATERMARK: "green",
    What.LOG: "bright_magenta",
    What.BROKER: "cyan",
    What.TOPIC: "cyan",
    What.GROUP: "blue",
    What.RAFT: "bright_black",
    What.CONTROL: "bright_black",
    What.MESSAGE: "bright_black",
}
BOLD = (What.FAULT, What.VIOLATION)

HEADING = f"       {'time':>5}  {'who':<7} {'what':<9} {'where':<20} "


def print_trace(*, verbose: bool) -> Callable[[World], Narrator]:
    """Watches a world and prints each line as it happens."""
    click.echo(HEADING.rstrip())
    in_colour = sys.stdout.isatty()
    return lambda world: Narrator(world, lambda line: print(shown(line, in_colour=in_colour)), verbose=verbose)


def merged(lines: Sequence[TraceLine]) -> list[TraceLine]:
    """The lines with one for many that say at once the same of several logs."""
    kept: list[TraceLine] = []
    for (at_us, who, what, text), group in groupby(lines, key=lambda line: (line.at_us, line.who, line.what, line.text)):
        places = [line.where for line in group]
        where = places[0] if len(places) == 1 else f"{places[0]} +{len(places) - 1}"
        kept.append(TraceLine(at_us=at_us, who=who, what=what, where=where, text=text))
    return kept


def shown(line: TraceLine, *, in_colour: bool) -> str:
    """A line as it is printed."""
    colour = COLOURS.get(line.what)
    if not in_colour or colour is None:
        return str(line)
    return click.style(str(line), fg=colour, bold=line.what in BOLD)
