"""`raftkafka sim`: one simulated cluster, with its trace, its verdict and the command that repeats it."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import attrs

from jepsen_like.history import HistoryWriter
from raftkafka.cli.sim_input import RunInput
from raftkafka.cli.sim_trace import merged, print_trace, shown
from raftkafka.simulation.events import US_PER_SECOND
from raftkafka.simulation.narrator import Narrator, TraceLine
from raftkafka.simulation.phrases import What
from raftkafka.simulation.run import Result, run_seed
from raftkafka.simulation.shrink import Failure
from raftkafka.simulation.viewer.film import Film
from raftkafka.simulation.viewer.page import page_of
from raftkafka.simulation.watch import Watcher
from raftkafka.simulation.world import World

SHOWN_LINES = 60
"""How many lines of the trace are shown before a violation, when the whole was not asked for."""
TELLING = (What.FAULT, What.MACHINE, What.ELECTION, What.LEADER, What.ISR, What.LOG, What.BROKER, What.VIOLATION)
"""Lines that explain a failure even when it comes a while later."""


@attrs.frozen(kw_only=True)
class Shown:
    """What is wanted of a run besides its verdict: its trace on the screen, a page and the history of its clients in files."""

    trace: bool = False
    verbose: bool = False
    page: Path | None = None
    history: Path | None = None


def simulate(given: RunInput, wanted: Shown | None = None, *, plan_file: str | None = None) -> int:
    """Runs it; 0 when all was well, 1 when an invariant was broken."""
    wanted = wanted or Shown()
    try:
        result = run(given, print_trace(verbose=wanted.verbose) if wanted.trace else None)
    except BrokenPipeError:  # Whoever read the trace has seen enough (`make sim | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # A bug in the simulator is a finding like a broken invariant: it must be told with its seed.
        if not wanted.trace:
            print_end_of_trace(given)
        traceback.print_exc()
        print(f"seed {given.seed}: the run itself failed.\nRepeat it with: {given.command(plan_file=plan_file)}", file=sys.stderr)
        return 1
    if wanted.history is not None:
        _write_history(result, wanted.history)
    if wanted.page is not None:
        _write_page(given, wanted.page, plan_file)
    if result.violations:
        if not wanted.trace:
            print_end_of_trace(given)
        _tell_violations(given, result, plan_file)
        return 1
    print(
        f"seed {given.seed}, profile {given.profile_name}: good; {result.acknowledged} batches acknowledged, "
        f"{len(result.plan.faults)} faults in {result.virtual_ms / 1000:.1f} virtual s, {result.events} events, digest {result.digest}"
    )
    return 0


def run(given: RunInput, watch: Callable[[World], Watcher] | None = None) -> Result:
    """What came of it."""
    return run_seed(given.seed, profile=given.profile, plan=given.plan, broken_rules=given.broken_rules, watch=watch)


def print_end_of_trace(given: RunInput) -> None:
    """Runs it once more, to show what led to its end: the last lines, and before them those that tell how the cluster changed."""
    lines: list[TraceLine] = []
    with contextlib.suppress(Exception):  # It is the end of a run that failed: what it fails with has been told.
        run(given, lambda world: Narrator(world, lines.append))
    recent = len(lines) - SHOWN_LINES // 2
    telling = [line for index, line in enumerate(lines) if index >= recent or (line.what in TELLING and line.at_us > US_PER_SECOND // 10)]
    in_colour = sys.stdout.isatty()
    print("\n".join(shown(line, in_colour=in_colour) for line in merged(telling)[-SHOWN_LINES:]))


def _write_history(result: Result, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        writer = HistoryWriter(file, result.history.options)
        for operation in result.history.operations:
            writer.write(operation)
        writer.close()
    print(f"history: {path}; judge it with: raftkafka check {path}")


def _write_page(given: RunInput, path: Path, plan_file: str | None) -> None:
    """Runs it once more, with somebody who films it."""
    films: list[Film] = []

    def watch(world: World) -> Film:
        films.append(Film(world))
        return films[0]

    result = run(given, watch)
    names = [rule.value for rule in given.broken_rules]
    path.write_text(page_of(films[0], result, broken_rules=names, command=given.command(plan_file=plan_file)), encoding="utf-8")
    print(f"page: {path}")


def failure_text(failure: Failure) -> str:
    """What was broken, and the two states."""
    lines = [f"BROKEN: {failure.invariant}", *(f"  {line}" for line in failure.text.splitlines())]
    if failure.before or failure.after:
        lines += [f"  before: {failure.before}", f"  after:  {failure.after}"]
    return "\n".join(lines)


def _tell_violations(given: RunInput, result: Result, plan_file: str | None) -> None:
    plan = "\n".join(f"  {fault}" for fault in result.plan.faults) or "  nothing was done to the cluster"
    rules = "".join(f", without {rule.value}" for rule in given.broken_rules)
    print(f"\nseed {given.seed}, profile {given.profile_name}{rules}; the plan:\n{plan}")
    for each in result.violations:
        print(f"\n{failure_text(Failure(invariant=each.invariant, text=each.text, before=each.before, after=each.after))}")
    print(f"\nRepeat it with: {given.command(plan_file=plan_file)}")
