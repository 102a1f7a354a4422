"""`raftkafka sim-shrink`: a smaller run with the same failure, as a script that a person can read and run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from raftkafka.base.rules import Rule
from raftkafka.cli.sim_input import RunInput
from raftkafka.cli.sim_jobs import Workers
from raftkafka.cli.simulate import failure_text, print_end_of_trace, run
from raftkafka.simulation.shrink import Budget, Case, Failure, NothingFails, shrink


def shrink_seed(given: RunInput, *, max_tries: int, processes: int, output: Path | None) -> int:
    """Shrinks a failing run and prints what is left; 2 when it does not fail."""
    plan = given.plan
    if plan is None:
        plan = run(given).plan
    print(f"seed {given.seed}, profile {given.profile_name}: {len(plan.faults)} faults, {given.profile.duration_ms / 1000:g} s")
    with Workers(processes) as workers:
        try:
            shrunk = shrink(
                given.seed,
                given.profile,
                plan,
                given.broken_rules,
                budget=Budget(max_tries=max_tries),
                evaluate=_SideBySide(workers, given.seed, given.broken_rules),
                progress=_show,
            )
        except NothingFails:
            print(f"Nothing to shrink: {given.command()} breaks no invariant.", file=sys.stderr)
            return 2
    script = str(given.script(shrunk.plan, shrunk.profile))
    print(f"after {shrunk.tries} tries: {len(shrunk.plan.faults)} faults, {shrunk.profile.duration_ms / 1000:g} s\n")
    print_end_of_trace(attrs.evolve(given, profile=shrunk.profile, plan=shrunk.plan))
    print(f"\n{failure_text(shrunk.violation)}\n")
    print(script)
    path = output or Path(f"seed-{given.seed}.plan")
    path.write_text(f"# {shrunk.violation.invariant}: {shrunk.violation.text.splitlines()[0]}\n{script}", encoding="utf-8")
    print(f"Repeat it with: make sim PLAN={path}")
    return 0


class _SideBySide:
    """Evaluates cases in several processes."""

    def __init__(self, workers: Workers, seed: int, broken_rules: tuple[Rule, ...]) -> None:
        self.width = workers.count
        self._workers = workers
        self._seed = seed
        self._broken_rules = broken_rules

    def __call__(self, cases: Sequence[Case]) -> Sequence[Failure | None]:
        return self._workers.failures(self._seed, cases, self._broken_rules)


def _show(tries: int, case: Case) -> None:
    line = f"try {tries}: {len(case.plan.faults)} faults, {case.profile.duration_ms / 1000:g} s, {case.profile.node_count} nodes"
    print(line, file=sys.stderr, flush=True)
