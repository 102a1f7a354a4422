"""`raftkafka chaos`: what `make chaos` calls. Exit code 0 valid, 1 invalid, 2 bad input, 3 unknown."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

BAD_INPUT = 2
UNKNOWN = 3


@click.command("chaos")
@click.option("--time", "time_s", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds of faults and work.")
@click.option("--faults", help="Which faults, separated by commas (all but the special partitions by default); --list shows them.")
@click.option("--system", default="raftkafka", show_default=True, help="raftkafka, or kafka for Apache Kafka.")
@click.option("--break", "broken_rules", default="", help="Rules that the nodes do without, separated by commas.")
@click.option("--seed", type=int, default=1, show_default=True, help="Draws the faults and what the clients do.")
@click.option("--nodes", "node_count", type=click.IntRange(1, 9), default=3, show_default=True)
@click.option("--workers", type=click.IntRange(1, 100), default=5, show_default=True, help="How many clients work at the same time.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Operations a second of one client at most.")
@click.option("--subscribe", is_flag=True, help="Consumers are members of one group, in place of assigning keys.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("reports/chaos"), show_default=True, help="Where report folders go."
)
@click.option("--list", "list_faults", is_flag=True, help="Show the faults and exit.")
def chaos(
    time_s: float,
    faults: str | None,
    system: str,
    broken_rules: str,
    seed: int,
    node_count: int,
    workers: int,
    rate: float,
    subscribe: bool,
    output: Path,
    list_faults: bool,
) -> None:
    """Break a cluster of real processes while real clients use it, and judge what they saw."""
    if importlib.util.find_spec("confluent_kafka") is None:
        click.echo("chaos needs the Python package confluent-kafka, which is not installed: `make setup` installs it.", err=True)
        sys.exit(BAD_INPUT)
    from jepsen_like.chaos.faults import DEFAULT_FAULTS, FAULTS, UnknownFault
    from jepsen_like.chaos.run import BadWish, ChaosError, Wishes, run_chaos
    from jepsen_like.chaos.workload import WorkloadSettings
    from raftkafka.base.rules import UnknownRule, rules_named

    if list_faults:
        for name, fault in FAULTS.items():
            click.echo(f"{name:<16}{fault.sentence}")
        return
    wishes = Wishes(
        time_s=time_s,
        faults=faults if faults is not None else DEFAULT_FAULTS,
        system=system,
        broken_rules=broken_rules,
        seed=seed,
        node_count=node_count,
        workload=WorkloadSettings(workers=workers, operations_per_s=rate, subscribe=subscribe),
        directory=output,
    )
    try:
        rules_named(broken_rules)
        done = run_chaos(wishes)
    except (UnknownFault, UnknownRule, BadWish) as error:
        click.echo(str(error), err=True)
        sys.exit(BAD_INPUT)
    except ChaosError as error:
        click.echo(str(error), err=True)
        sys.exit(UNKNOWN)
    except KeyboardInterrupt:
        click.echo("interrupted before there was anything to report; no process is left.", err=True)
        sys.exit(UNKNOWN)
    click.echo((done.directory / "report.txt").read_text(), nl=False)
    click.echo(f"\n{done.directory / 'report.html'}")
    sys.exit(done.exit_code)
