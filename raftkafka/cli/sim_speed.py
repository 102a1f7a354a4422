"""`raftkafka sim-speed`: how much virtual time of a loaded cluster passes in a second of one core, with every invariant checked.

The load is undisturbed, so that the same work is measured each time: three nodes, one topic of two partitions with three replicas, two
idempotent producers that wait for all replicas, and two consumers that follow both partitions. A batch has one to five records.
"""

from __future__ import annotations

import json
import statistics
import time

import attrs
import click

from raftkafka.cli.sim_jobs import collect_garbage_seldom
from raftkafka.simulation.faults import FaultPlan
from raftkafka.simulation.profiles import Profile
from raftkafka.simulation.run import run_seed
from raftkafka.simulation.workload.settings import WorkloadSettings

LOADED = WorkloadSettings(
    topics=1,
    partitions=2,
    producers=2,
    consumers=2,
    group_members=0,
    admin_interval_ms=0,
    acks_one_share=0,
    plain_share=0,
    move_share=0,
    crash_share=0,
    leave_share=0,
)


def measure(*, first_seed: int, count: int, batches_per_second: int) -> int:
    """Prints what it found as JSON; 1 when a run was not good."""
    collect_garbage_seldom()
    profile = Profile(name="loaded", workload=attrs.evolve(LOADED, batches_per_second=batches_per_second))
    run_seed(first_seed, profile=attrs.evolve(profile, duration_ms=1_000), plan=FaultPlan(()))  # whatever is made on first use
    speeds: list[float] = []
    virtual_s = 0.0
    events = batches = 0
    for seed in range(first_seed, first_seed + count):
        begin_s = time.process_time()
        result = run_seed(seed, profile=profile, plan=FaultPlan(()))
        speeds.append(result.virtual_ms / 1000 / (time.process_time() - begin_s))
        if result.violations:
            click.echo(f"seed {seed}: {result.violations[0]}", err=True)
            return 1
        virtual_s += result.virtual_ms / 1000
        events += result.events
        batches += result.acknowledged
    found = {
        "virtual_s_per_cpu_s": round(statistics.median(speeds), 1),
        "runs": [round(speed, 1) for speed in speeds],
        "events_per_virtual_s": round(events / virtual_s),
        "batches_per_virtual_s": round(batches / virtual_s),
    }
    click.echo(json.dumps(found))
    return 0
