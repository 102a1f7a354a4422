"""Leadership transfer (thesis, 3.10): the leader hands over without waiting for anyone's patience to end.

It stops accepting proposals, brings the target up to date, and tells it to start an election at once; the target needs no pre-vote and is
not held back by leader stickiness. When nothing has come of it in time, the leader goes on leading.
"""

from __future__ import annotations

from raftkafka.base.ids import NodeId
from raftkafka.raft.messages import TimeoutNow
from raftkafka.raft.roles import Leader, Transfer
from raftkafka.raft.state import RaftState


def begin_transfer(state: RaftState, target: NodeId | None, now_ms: int) -> bool:
    """Begins to hand leadership to a voter, by default the one whose log is furthest; False when there is nobody to hand it to."""
    role = state.role
    if not isinstance(role, Leader):
        return False
    if target is None:
        alive_since_ms = now_ms - 2 * state.config.heartbeat_interval_ms
        able = [r for r in role.replicas.values() if r.is_voter and r.contact_ms >= alive_since_ms and r.node_id not in state.lost_peers]
        target = max(able, key=lambda r: (r.match_offset, -r.node_id)).node_id if able else None
    if target is None or target not in role.replicas or not role.replicas[target].is_voter:
        return False
    role.transfer = Transfer(target=target, deadline_ms=now_ms + state.config.election_timeout_min_ms)
    state.observe("transferring-leadership", target=target, epoch=state.epoch)
    return True


def tell_transfer_target(state: RaftState, role: Leader) -> None:
    """Once the target holds the whole log it is told to start an election."""
    transfer = role.transfer
    if transfer is not None and not transfer.told and role.replicas[transfer.target].match_offset >= state.log.end_offset:
        transfer.told = True
        state.send(transfer.target, TimeoutNow(epoch=state.epoch))
