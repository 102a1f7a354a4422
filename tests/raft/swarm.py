"""How hard a simulated cluster is treated."""

from __future__ import annotations

import random

import attrs


@attrs.frozen(kw_only=True)
class Swarm:
    """Which faults, how often, how hard: drawn from the seed, so that each seed stresses something else."""

    voters: int
    observers: int
    loss: float
    repeat: float
    delay_ms: int
    persist_ms: int
    fault_every_ms: int
    propose_every_ms: int
    snapshot_every: int
    power_failures: float
    partitions: float
    voter_changes: float = 0.0
    """Of the faults, how many are changes of the voters."""
    wipes: float = 0.0
    """Of the faults, how many are disks that are replaced by empty ones."""

    @classmethod
    def draw(cls, rng: random.Random) -> Swarm:
        return cls(
            voters=rng.choice((1, 3, 3, 3, 5)),
            observers=rng.choice((0, 0, 1, 2)),
            loss=rng.choice((0.0, 0.0, 0.02, 0.2)),
            repeat=rng.choice((0.0, 0.05, 0.3)),
            delay_ms=rng.choice((2, 10, 100, 400)),
            persist_ms=rng.choice((1, 5, 30, 400)),
            fault_every_ms=rng.choice((100, 300, 1000, 3000)),
            propose_every_ms=rng.choice((10, 30, 100)),
            snapshot_every=rng.choice((10, 50, 10_000)),
            power_failures=rng.choice((0.0, 0.5, 1.0)),
            partitions=rng.choice((0.0, 0.3, 0.6)),
        )

    @classmethod
    def draw_changing(cls, rng: random.Random) -> Swarm:
        """A cluster whose voters change while it fails."""
        swarm = cls.draw(rng)
        changes = rng.choice((0.2, 0.5, 0.8))
        every_ms = rng.choice((50, 100, 300))
        return attrs.evolve(swarm, observers=rng.choice((1, 2, 3)), voter_changes=changes, fault_every_ms=every_ms)

    @classmethod
    def draw_wiping(cls, rng: random.Random) -> Swarm:
        """A cluster whose voters lose their disks, and in half of the seeds also change otherwise."""
        swarm = cls.draw_changing(rng)
        changes = swarm.voter_changes / 2 if rng.random() < 0.5 else 0.0
        return attrs.evolve(swarm, voters=rng.choice((3, 3, 5)), voter_changes=changes, wipes=rng.choice((0.2, 0.5)))
