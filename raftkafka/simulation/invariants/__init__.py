"""What must hold at every moment of a simulated cluster, seen from outside. `INVARIANTS` lists all of them."""

from raftkafka.simulation.invariants import compaction, groups, metadata, raft, replicas
from raftkafka.simulation.invariants.observer import Invariants
from raftkafka.simulation.invariants.registry import INVARIANTS, Breach, Invariant, invariant

__all__ = ["INVARIANTS", "Breach", "Invariant", "Invariants", "compaction", "groups", "invariant", "metadata", "raft", "replicas"]
