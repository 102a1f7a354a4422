"""`raftkafka sim`: one simulated cluster, with its trace, its verdict and the command that repeats it."""

from __future__ import annotations

import sys
import traceback

from raftkafka.cli.sim_input import RunInput
from raftkafka.simulation.run import Result, run_seed
from raftkafka.simulation.world import Violation

SHOWN_BEFORE_FAILURE = 60
"""How many lines of the trace are shown before a violation, when the whole was not asked for."""


def simulate(given: RunInput, *, trace: bool = False, plan_file: str | None = None) -> int:
    """Runs it; 0 when all was well, 1 when an invariant was broken."""
    try:
        result = run_seed(
            given.seed,
            profile=given.profile,
            plan=given.plan,
            broken_rules=given.broken_rules,
            sink=print if trace else None,
        )
    except Exception:  # A bug in the simulator is a finding like a broken invariant: it must be told with its seed.
        traceback.print_exc()
        print(f"seed {given.seed}: the run itself failed.\nRepeat it with: {given.command(plan_file=plan_file)}", file=sys.stderr)
        return 1
    if result.violations:
        if not trace:
            print("\n".join(list(result.last_lines)[-SHOWN_BEFORE_FAILURE:]))
        _tell_violations(given, result, plan_file)
        return 1
    print(
        f"seed {given.seed}, profile {given.profile_name}: good; {result.acknowledged} batches acknowledged, "
        f"{len(result.plan.faults)} faults in {result.virtual_ms / 1000:.1f} virtual s, {result.events} events, digest {result.digest}"
    )
    return 0


def tell_failure(given: RunInput) -> None:
    """Runs a seed that failed once more, to show what led to it."""
    simulate(given)


def _tell_violations(given: RunInput, result: Result, plan_file: str | None) -> None:
    print(f"\nplan of seed {given.seed}, profile {given.profile_name}:")
    print("\n".join(f"  {line}" for line in str(result.plan).splitlines()) or "  nothing was done to the cluster")
    for violation in result.violations:
        print(f"\n{_text_of(violation)}")
    print(f"\nRepeat it with: {given.command(plan_file=plan_file)}")


def _text_of(violation: Violation) -> str:
    lines = [f"BROKEN: {violation.invariant}", *(f"  {line}" for line in violation.text.splitlines())]
    if violation.before or violation.after:
        lines += [f"  before: {violation.before}", f"  after:  {violation.after}"]
    return "\n".join(lines)
