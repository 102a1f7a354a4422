"""How the voters of the metadata quorum may change: Q16 of reference/replication-rules.md, in three parts."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.ids import NodeId
from raftkafka.raft.roles import Leader
from raftkafka.simulation.invariants.memory import RaftView, Voter
from raftkafka.simulation.invariants.registry import Breach, invariant


@invariant("Q16", "one-voter-at-a-time")
def one_voter_at_a_time(node_id: NodeId, offset: int, before: Sequence[Voter], after: Sequence[Voter]) -> Breach | None:
    """A set of voters in a log differs from the one before it there by one voter. (The first one of a cluster names all of them. That the
    directory of a voter becomes known is no change.)

    Hazard: a majority of the one set meets no majority of the other: two leaders in one epoch.
    Source: reference Q16; the thesis, 4.1; KIP-853.
    """
    names_any = [node_id for node_id, directory in before if directory is None]
    known = [(node_id, None if node_id in names_any else directory) for node_id, directory in after]
    if not before or len({*before} ^ {*known}) <= 1:
        return None
    text = f"the entry at {offset} changes more than one voter"
    return Breach(text, f"voters {_names(before)}", f"n{node_id}: voters {_names(after)}")


@invariant("Q16a", "changes-wait-for-commit")
def changes_wait_for_commit(before: RaftView, view: RaftView) -> Breach | None:
    """A leader changes the voters only when the change before is committed, and an entry of its own epoch.

    Hazard: two changes that are both open are more than one at a time; without an own entry the one of another leader may be open.
    Source: reference Q16; the thesis, 4.1; Ongaro, "bug in single-server membership changes" (2015); KIP-853.
    """
    role = view.role
    if not isinstance(role, Leader) or before.role is not role or view.last_change == before.last_change:
        return None
    if view.high_watermark > max(before.last_change, role.start_offset):
        return None
    text = f"n{view.node_id} changes the voters at {view.last_change} and has committed up to {view.high_watermark}"
    return Breach(text, f"the change before at {before.last_change}, its epoch from {role.start_offset}", str(view))


@invariant("Q16b", "leaders-have-a-vote")
def leaders_have_a_vote(view: RaftView) -> Breach | None:
    """A node is elected only with a vote of its own, or while the change that takes it away may not be committed.

    Hazard: a node that was removed, or whose disk is not the one with the vote, decides for the cluster.
    Source: reference Q16 (a wiped disk is a new voter); the thesis, 4.2.2; KIP-853.
    """
    if view.is_voter or view.last_change >= view.high_watermark:
        return None
    return Breach(f"n{view.node_id} is elected and has no vote", f"voters {_names(view.voters)}", str(view))


def _names(voters: Sequence[Voter]) -> str:
    return ", ".join(f"n{node_id} {directory[:3].hex() if directory is not None else 'any'}" for node_id, directory in voters)
