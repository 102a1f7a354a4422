"""`raftkafka sim-many`: many seeds on all cores, with progress, a verdict and a table of what was tried."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from raftkafka.base.rules import Rule
from raftkafka.cli.sim_input import RunInput, repeat_command
from raftkafka.cli.sim_jobs import Job, Report, Workers
from raftkafka.cli.simulate import simulate
from raftkafka.simulation.profiles import Profile

QUIET_INTERVAL_S = 10.0
"""How often progress is told where no terminal shows it."""


@attrs.frozen(kw_only=True)
class ManySeeds:
    """What to run: seeds from `first_seed` on, each with one of `profiles` (by name), which take turns."""

    first_seed: int
    count: int
    profiles: Sequence[tuple[str, Profile]]
    broken_rules: tuple[Rule, ...] = ()
    keep_going: bool = False
    processes: int = 1

    def jobs(self) -> Iterator[Job]:
        """In order of their seeds."""
        for seed in range(self.first_seed, self.first_seed + self.count):
            yield Job(seed=seed, profile=self.profile_of(seed)[1], broken_rules=self.broken_rules)

    def profile_of(self, seed: int) -> tuple[str, Profile]:
        """Which profile a seed has: the same one, wherever the count begins."""
        return self.profiles[seed % len(self.profiles)]


def run_many(what: ManySeeds) -> int:
    """0 when every seed was well, else 1. The failure of the lowest seed is told, and with `keep_going` all of them."""
    tally = Tally(what.count)
    failed: list[Report] = []
    with Workers(what.processes) as workers:
        reports = workers.reports(what.jobs())
        try:
            for report in reports:
                tally.add(what.profile_of(report.job.seed)[0], report)
                if report.failure is not None:
                    failed.append(report)
                    if not what.keep_going:
                        break
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
    tally.end()
    for report in failed:
        _tell(what, report, briefly=len(failed) > 1)
    print(tally.summary(with_table=len(what.profiles) > 1))
    return 1 if failed or tally.seeds < what.count else 0


def _tell(what: ManySeeds, report: Report, *, briefly: bool) -> None:
    name, profile = what.profile_of(report.job.seed)
    assert report.failure is not None
    if briefly:
        command = repeat_command(report.job.seed, name, tuple(rule.value for rule in what.broken_rules))
        first_line = (report.failure.text.splitlines() or [""])[0]
        print(f"seed {report.job.seed}, profile {name}: {report.failure.invariant}: {first_line}\n    {command}")
    else:
        simulate(RunInput(seed=report.job.seed, profile_name=name, profile=profile, broken_rules=what.broken_rules))


class Tally:
    """What has been run so far, and the line that shows it."""

    def __init__(self, count: int) -> None:
        self.seeds = 0
        self._count = count
        self._began = time.monotonic()
        self._told = self._began
        self._virtual_ms = 0
        self._events = 0
        self._acknowledged = 0
        self._faults: Counter[str] = Counter()
        self._seeds_of: Counter[str] = Counter()
        self._failed_of: Counter[str] = Counter()
        self._virtual_ms_of: Counter[str] = Counter()
        self._faults_of: Counter[str] = Counter()
        self._acknowledged_of: Counter[str] = Counter()

    def add(self, profile: str, report: Report) -> None:
        """Counts a run and shows how far it is."""
        self.seeds += 1
        self._virtual_ms += report.virtual_ms
        self._events += report.events
        self._acknowledged += report.acknowledged
        self._faults.update(report.faults)
        self._seeds_of[profile] += 1
        self._failed_of[profile] += report.failure is not None
        self._virtual_ms_of[profile] += report.virtual_ms
        self._faults_of[profile] += sum(report.faults.values())
        self._acknowledged_of[profile] += report.acknowledged
        now = time.monotonic()
        if sys.stderr.isatty():
            print(f"\r\x1b[K{self._line()}", end="", file=sys.stderr, flush=True)
        elif now - self._told >= QUIET_INTERVAL_S:
            self._told = now
            print(self._line(), file=sys.stderr, flush=True)

    def end(self) -> None:
        """The progress line has done its work."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def summary(self, *, with_table: bool) -> str:
        """What was run, in how long, and what happened in it."""
        failed = self._failed_of.total()
        verdict = "all good" if not failed and self.seeds == self._count else f"{failed} failed"
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._faults.items()))
        lines = [f"{self._line()}: {verdict}", f"faults: {kinds or 'none'}"]
        if with_table:
            lines.append(f"{'profile':<20} {'seeds':>6} {'failed':>6} {'virtual s':>10} {'faults':>8} {'acknowledged':>12}")
            for name, seeds in sorted(self._seeds_of.items()):
                lines.append(
                    f"{name:<20} {seeds:>6} {self._failed_of[name]:>6} {self._virtual_ms_of[name] / 1000:>10.0f}"
                    f" {self._faults_of[name]:>8} {self._acknowledged_of[name]:>12}"
                )
        return "\n".join(lines)

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._began, 0.001)
        per_second, virtual_per_second = self.seeds / seconds, self._virtual_ms / 1000 / seconds
        left = f", {(self._count - self.seeds) / per_second:.0f} s left" if 0 < self.seeds < self._count else ""
        return (
            f"{self.seeds}/{self._count} seeds in {seconds:.0f} s, {per_second:.1f} seeds/s, {virtual_per_second:.0f} virtual s/s, "
            f"{self._faults.total()} faults, {self._acknowledged} batches acknowledged{left}"
        )
