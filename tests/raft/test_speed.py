"""How long the cluster is without a leader: distributions over many seeds, in virtual time, with messages of 1 to 2 ms and an fsync of up
to 10 ms.
"""

from __future__ import annotations

import attrs

from tests.raft.simulation import Simulation
from tests.raft.swarm import Swarm

CALM = Swarm(
    voters=3,
    observers=0,
    loss=0.0,
    repeat=0.0,
    delay_ms=2,
    persist_ms=10,
    fault_every_ms=1 << 30,
    propose_every_ms=50,
    snapshot_every=10_000,
    power_failures=0.0,
    partitions=0.0,
)
SEEDS = range(200)


def percentile(values: list[int], percent: int) -> int:
    return sorted(values)[len(values) * percent // 100]


def replacement_times(*, is_noticed: bool) -> list[int]:
    times = []
    for seed in SEEDS:
        simulation = Simulation(seed, swarm=CALM)
        simulation.start_all()
        simulation.milliseconds_to_a_leader()
        simulation._run_until(simulation.now_ms + 500)
        simulation.kill_leader(is_noticed=is_noticed)
        times.append(simulation.milliseconds_to_a_leader())
    return times


def test_three_nodes_started_together_have_a_leader_at_once() -> None:
    times = []
    for seed in SEEDS:
        simulation = Simulation(seed, swarm=CALM)
        simulation.start_all()
        times.append(simulation.milliseconds_to_a_leader())
    assert percentile(times, 50) < 120, times
    assert percentile(times, 98) < 300, times


def test_a_leader_known_to_be_dead_is_replaced_at_once() -> None:
    times = replacement_times(is_noticed=True)
    assert percentile(times, 50) < 100, times
    assert percentile(times, 95) < 200, times
    assert max(times) < 700, times


def test_a_leader_that_falls_silent_is_replaced_after_the_election_timeout() -> None:
    times = replacement_times(is_noticed=False)
    assert percentile(times, 50) < 1_000, times
    assert max(times) < 2_000, times


def test_a_sole_voter_leads_after_its_first_fsync() -> None:
    simulation = Simulation(0, swarm=attrs.evolve(CALM, voters=1))
    simulation.start_all()
    assert simulation.milliseconds_to_a_leader() <= 20
