"""`raftkafka sim`: simulated clusters, one seed after the other, with the line that repeats a failure."""

from __future__ import annotations

import sys
import time
import traceback

from raftkafka.simulation.run import Result, run_seed


def simulate_seeds(*, first_seed: int, count: int, trace: bool) -> int:
    """Runs `count` seeds from `first_seed` on; 0 when every one was well, 1 at the first that was not."""
    began = time.monotonic()
    for seed in range(first_seed, first_seed + count):
        try:
            result = run_seed(seed, sink=print if trace else None)
        except Exception:  # A bug in a node is a finding like a broken invariant: it must be told with its seed.
            traceback.print_exc()
            print(f"seed {seed}: a node failed. {_repeat(seed)}", file=sys.stderr)
            return 1
        if result.violations:
            _tell(result, traced=trace)
            return 1
        print(
            f"seed {seed}: good; {result.acknowledged} batches acknowledged in {result.virtual_ms / 1000:.1f} virtual s, "
            f"{result.events} events, digest {result.digest}",
            flush=True,
        )
    if count > 1:
        print(f"{count} seeds, all good, in {time.monotonic() - began:.0f} s")
    return 0


def _tell(result: Result, *, traced: bool) -> None:
    if not traced:
        print("\n".join(result.last_lines), file=sys.stderr)
    for violation in result.violations:
        print(f"seed {result.seed}: BROKEN: {violation}", file=sys.stderr)
    print(_repeat(result.seed), file=sys.stderr)


def _repeat(seed: int) -> str:
    return f"Repeat it with: make sim SEED={seed}"
