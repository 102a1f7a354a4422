"""What the coordinators of groups must never do: C1 to C3 and T11 of reference/replication-rules.md.

They look at the records of `__consumer_offsets` that are committed, and at the state of who coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.group.records import GroupMetadata
from raftkafka.group.state import GroupState
from raftkafka.simulation.invariants.registry import Breach, invariant

Assignment = Sequence[tuple[str, int]]


@invariant("C1", "one-owner")
def one_owner(group_id: str, generation: int, assignments: Mapping[str, Assignment]) -> Breach | None:
    """In one generation of a group no partition is given to two members.

    Hazard: two consumers work on the same records.
    Source: reference C1; Kafka's classic group protocol.
    """
    owners: dict[tuple[str, int], str] = {}
    for member_id, assignment in assignments.items():
        for slot in assignment:
            other = owners.setdefault(slot, member_id)
            if other != member_id:
                text = f"group {group_id}: in generation {generation} {slot[0]}-{slot[1]} has two owners"
                return Breach(text, other, member_id)
    return None


@invariant("C2", "stale-commits-refused")
def stale_commits_refused(generation: int, newest: int, text: str) -> Breach | None:
    """A commit of an earlier generation is refused once a later one has begun. `newest`: the newest one that any member had been given
    its assignment of when the commit was sent.

    Hazard: a member that was taken for dead sets the group back to where it was.
    Source: reference C2; Kafka's ILLEGAL_GENERATION.
    """
    if generation >= newest:
        return None
    return Breach(f"a commit of an earlier generation was accepted: {text}", f"generation {newest} had begun", f"generation {generation}")


@invariant("C2a", "answered-commit-is-committed")
def answered_commit_is_committed(key: str, offset: int, committed: Mapping[int, None]) -> Breach | None:
    """An offset commit that was answered is in the committed part of the log of offsets.

    Hazard: the coordinator dies, and the group goes on from an offset before the one that was committed.
    Source: reference C2, T11; Kafka's offsets topic (commits are acks=all).
    """
    if offset in committed:
        return None
    newest = next(reversed(committed), None) if committed else None
    return Breach(
        f"{key}: the commit of offset {offset} was answered and is not committed", f"last committed {newest}", f"answered {offset}"
    )


@invariant("T11a", "served-offset-is-committed")
def served_offset_is_committed(key: str, offset: int, committed: Mapping[int, None]) -> Breach | None:
    """An offset that a coordinator tells is in the committed part of the log of offsets.

    Hazard: an offset that was told goes back when the coordinator dies.
    Source: reference T11, T9; KIP-447 (require_stable).
    """
    if offset in committed:
        return None
    newest = next(reversed(committed), None) if committed else None
    return Breach(f"{key}: the group was told offset {offset}, which is not committed", f"last committed {newest}", f"told {offset}")


@invariant("C3", "generation-monotonic")
def generation_monotonic(group_id: str, before: GroupMetadata | None, after: GroupMetadata) -> Breach | None:
    """In the committed log a group's generation never decreases while the group exists.

    Hazard: a member of the past is taken for one of the current generation.
    Source: reference C3.
    """
    if before is None or after.generation >= before.generation:
        return None
    text = f"group {group_id} went from generation {before.generation} back to {after.generation}"
    return Breach(
        text, f"members {[member.member_id for member in before.members]}", f"members {[member.member_id for member in after.members]}"
    )


@invariant("T11", "live-state-is-the-replay")
def live_state_is_the_replay(partition: int, node_id: int, live: GroupState, replayed: GroupState) -> Breach | None:
    """When all that it has written is committed, a coordinator's state is what replaying the log gives.

    Hazard: a failover changes where groups are, or who is in them.
    Source: reference T11 (redpanda#31483: live state and a replay resolve the same key differently).
    """
    for group_id in dict.fromkeys((*live.groups, *replayed.groups)):
        if live.groups.get(group_id) != replayed.groups.get(group_id) or (group_id in live.groups) != (group_id in replayed.groups):
            text = f"n{node_id} has another state of group {group_id} than the log of offsets {partition} gives"
            return Breach(text, f"log: {replayed.groups.get(group_id)}"[:400], f"live: {live.groups.get(group_id)}"[:400])
        mine, others = live.offsets(group_id), replayed.offsets(group_id)
        if mine != others:
            differing = [slot for slot in dict.fromkeys((*mine, *others)) if mine.get(slot) != others.get(slot)]
            text = f"n{node_id} has another offset of group {group_id} in {differing[0]} than the log of offsets {partition} gives"
            return Breach(text, f"log: {others.get(differing[0])}", f"live: {mine.get(differing[0])}")
    return None
