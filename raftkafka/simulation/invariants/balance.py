"""What balance must never do with leaderships that nobody asked it to move. The planner itself is tested in `tests/controller`."""

from __future__ import annotations

from collections.abc import Mapping

from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.metadata.image import BrokerRegistration, PartitionRegistration
from raftkafka.simulation.invariants.memory import is_unclean
from raftkafka.simulation.invariants.metadata import text_of
from raftkafka.simulation.invariants.registry import Breach, invariant


@invariant("B1", "leaders-move-inside-the-isr")
def leaders_move_inside_the_isr(name: str, before: PartitionRegistration, after: PartitionRegistration) -> Breach | None:
    """Leadership that is taken from a leader which stays in sync goes to a member of the ISR as it was before. Asked of one change at a
    time, as D14.

    Hazard: a partition that was well loses acknowledged records because its load was to be spread.
    Source: KIP-460, KIP-966; reference D2.
    """
    moved = after.leader not in (before.leader, NO_NODE) and before.leader in after.isr
    one_change = after.partition_epoch == before.partition_epoch + 1
    if not moved or not one_change or is_unclean(after) or after.leader in before.isr:
        return None
    return Breach(
        f"{name}: leadership was taken from n{before.leader} for n{after.leader}, which was not in sync", text_of(before), text_of(after)
    )


@invariant("B2", "no-leader-is-taken-for-nothing")
def no_leader_is_taken_for_nothing(
    name: str, before: PartitionRegistration, after: PartitionRegistration, brokers: Mapping[NodeId, BrokerRegistration]
) -> Breach | None:
    """A leader that is live and stays in sync is replaced by another leader, or stays: no partition is without one because of a move.

    Hazard: producers and consumers wait although nothing has failed.
    Source: KIP-460; docs/balancing.md.
    """
    leader = brokers.get(before.leader)
    if after.leader != NO_NODE or leader is None or not leader.is_active or before.leader not in after.isr:
        return None
    return Breach(f"{name}: n{before.leader} is live and in sync, and leads no more; nobody does", text_of(before), text_of(after))


@invariant("B3", "moved-leaders-rest")
def moved_leaders_rest(name: str, resting_ms: int, cooldown_ms: int) -> Breach | None:
    """A controller moves the leadership of a partition because of load again only after leader.rebalance.load.cooldown.ms.

    Hazard: leadership goes to and fro, and each time clients find it anew.
    Source: docs/balancing.md.
    """
    if resting_ms >= cooldown_ms:
        return None
    return Breach(f"{name} moved because of load, and again {resting_ms} ms later", f"cooldown {cooldown_ms} ms", f"{resting_ms} ms")


@invariant("B4", "rounds-are-bounded")
def rounds_are_bounded(node_id: NodeId, moves: int, most: int) -> Breach | None:
    """One round moves at most leader.rebalance.load.moves.max leaderships because of load.

    Hazard: a wrong picture of the load, for a moment, disturbs all clients at once.
    Source: docs/balancing.md.
    """
    return Breach(f"n{node_id} moves {moves} leaderships in one round", f"at most {most}", str(moves)) if moves > most else None


@invariant("B5", "balance-comes-to-rest")
def balance_comes_to_rest(moves: int, most: int, rested_ms: int, wanted_ms: int) -> Breach | None:
    """Without faults and under a steady load balance makes a bounded number of moves, and then none for a while.

    Hazard: leadership moves for ever although nothing changes.
    Source: docs/balancing.md.
    """
    if moves > most:
        return Breach(f"balance made {moves} moves under a steady load", f"at most {most}", str(moves))
    if rested_ms < wanted_ms:
        return Breach(
            "balance does not come to rest under a steady load", f"{wanted_ms} ms without a move", f"{rested_ms} ms, {moves} moves"
        )
    return None
