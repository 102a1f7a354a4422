"""The commands of the simulator: one seed, many seeds, a smaller failure."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import click

FILE = click.Path(path_type=Path, dir_okay=False)
EXIT_CODES = "Exit code: 0 good, 1 an invariant is broken, 2 bad input."

seed_option = click.option("--seed", type=int, help="The seed; with its profile it decides everything. Default: 1.")
profile_option = click.option("--profile", "profile_name", metavar="NAME|FILE", help="What to run; `raftkafka profiles` lists them.")
break_option = click.option(
    "--break", "broken", default="", metavar="RULE[,RULE]", help="Run without these rules; `raftkafka rules` lists them."
)
plan_option = click.option("--plan", "plan_file", metavar="FILE", help="Do this to the cluster instead of what the seed draws.")
processes_option = click.option("--jobs", "processes", type=click.IntRange(min=1), help="Processes at once. Default: one per core.")


@click.command("sim", epilog=EXIT_CODES)
@seed_option
@profile_option
@break_option
@plan_option
@click.option("--trace", is_flag=True, help="Print what happens, a line for each thing worth knowing.")
@click.option("--verbose", is_flag=True, help="Print everything: fetches, heartbeats, what followers append.")
@click.option("--history", type=FILE, help="Write what the clients did and saw, as `raftkafka check` reads it.")
@click.option("--html", "page", type=FILE, help="Write a page that shows the run: open it in a browser, no network needed.")
def sim(
    seed: int | None,
    profile_name: str | None,
    broken: str,
    plan_file: str | None,
    trace: bool,
    verbose: bool,
    page: Path | None,
    history: Path | None,
) -> None:
    """Simulate a cluster in virtual time: the same seed gives the same run, always."""
    from raftkafka.cli.sim_input import run_input
    from raftkafka.cli.simulate import Shown, simulate

    given = run_input(seed=seed, profile_name=profile_name, broken=broken, plan_file=plan_file)
    sys.exit(simulate(given, Shown(trace=trace or verbose, verbose=verbose, page=page, history=history), plan_file=plan_file))


@click.command("profiles")
def profiles() -> None:
    """List the kinds of simulated runs."""
    from raftkafka.simulation.profiles import load_profile, profile_names

    for name in profile_names():
        description = load_profile(name).description.strip().partition("\n")[0]
        click.echo(f"{name:<16} {description or 'three nodes, and the usual faults'}")


@click.command("sim-many", epilog=EXIT_CODES)
@click.option("--seed", type=int, default=1, show_default=True, help="The first seed.")
@click.option("--fresh", is_flag=True, help="Begin at a seed that chance chooses.")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="How many seeds.")
@click.option("--profile", "profile_name", metavar="NAME|FILE|all", help="`all`: the profiles take turns, but for those that must fail.")
@break_option
@click.option("--keep-going", is_flag=True, help="Run all seeds, and tell of every failure.")
@processes_option
def sim_many(seed: int, fresh: bool, count: int, profile_name: str | None, broken: str, keep_going: bool, processes: int | None) -> None:
    """Simulate many seeds on all cores, stopping at the first failure."""
    from raftkafka.cli.sim_input import profiles_of, rules_of
    from raftkafka.cli.sim_jobs import core_count
    from raftkafka.cli.sim_many import ManySeeds, run_many

    if fresh:
        seed = random.SystemRandom().randrange(1, 1_000_000_000)
        click.echo(f"from seed {seed} on")
    what = ManySeeds(
        first_seed=seed,
        count=count,
        profiles=profiles_of(profile_name),
        broken_rules=rules_of(broken),
        keep_going=keep_going,
        processes=processes or core_count(),
    )
    sys.exit(run_many(what))


@click.command("sim-shrink", epilog=EXIT_CODES)
@seed_option
@profile_option
@break_option
@plan_option
@click.option("--tries", type=click.IntRange(min=1), default=400, show_default=True, help="How many runs to spend on it.")
@click.option("--output", type=FILE, help="Where to write the script. Default: seed-N.plan")
@processes_option
def sim_shrink(
    seed: int | None,
    profile_name: str | None,
    broken: str,
    plan_file: str | None,
    tries: int,
    output: Path | None,
    processes: int | None,
) -> None:
    """Find a smaller run with the same failure, and print it as a script."""
    from raftkafka.cli.sim_input import run_input
    from raftkafka.cli.sim_jobs import core_count
    from raftkafka.cli.sim_shrink import shrink_seed

    given = run_input(seed=seed, profile_name=profile_name, broken=broken, plan_file=plan_file)
    sys.exit(shrink_seed(given, max_tries=tries, processes=processes or core_count(), output=output))


@click.command("sim-speed", epilog=EXIT_CODES)
@click.option("--seed", type=int, default=1, show_default=True, help="The first seed.")
@click.option("--count", type=click.IntRange(min=1), default=5, show_default=True, help="How many seeds.")
@click.option("--batches-per-second", type=click.IntRange(min=1), default=50, show_default=True, help="Of both producers together.")
def sim_speed(seed: int, count: int, batches_per_second: int) -> None:
    """Measure how much virtual time of a loaded cluster passes in a second of one core, as JSON."""
    from raftkafka.cli.sim_speed import measure

    sys.exit(measure(first_seed=seed, count=count, batches_per_second=batches_per_second))
