"""What a Raft node tells of itself, for people and for DescribeQuorum."""

from __future__ import annotations

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.raft.roles import Follower, Leader, Replica
from raftkafka.raft.state import RaftState


@attrs.frozen(kw_only=True)
class ReplicaStatus:
    """A replica as its leader sees it; times in milliseconds, -1 when never."""

    node_id: NodeId
    directory_id: bytes | None
    log_end_offset: int
    last_fetch_ms: int
    last_caught_up_ms: int


@attrs.frozen(kw_only=True)
class RaftStatus:
    """`voters` and `observers` are complete only on the leader; elsewhere `voters` holds this node and the names of the others."""

    leader_id: NodeId | None
    epoch: int
    high_watermark: int
    log_start_offset: int
    log_end_offset: int
    role: str
    voters: tuple[ReplicaStatus, ...]
    observers: tuple[ReplicaStatus, ...]


def status_of(state: RaftState, now_ms: int) -> RaftStatus:
    """The status at this moment; the leader's own entry is always caught up."""
    role = state.role
    replicas = role.replicas if isinstance(role, Leader) else {}
    own = ReplicaStatus(
        node_id=state.node_id,
        directory_id=state.directory_id,
        log_end_offset=state.log.end_offset,
        last_fetch_ms=now_ms if isinstance(role, Leader) else -1,
        last_caught_up_ms=now_ms if isinstance(role, Leader) else -1,
    )
    voters = [
        own if state.is_voter and voter == state.node_id else _status_of_voter(state, voter, replicas.get(voter))
        for voter in sorted(state.voters)
    ]
    observers = [_status(node_id, replica.directory_id, replica) for node_id, replica in sorted(replicas.items()) if not replica.is_voter]
    if not state.is_voter:
        observers.append(own)
    return RaftStatus(
        leader_id=state.leader_id,
        epoch=state.epoch,
        high_watermark=state.high_watermark,
        log_start_offset=state.log.start_offset,
        log_end_offset=state.log.end_offset,
        role=role_name(state),
        voters=tuple(voters),
        observers=tuple(observers),
    )


def role_name(state: RaftState) -> str:
    """`leader`, `follower`, `candidate`, `prospective`, `unattached`, or `observer` for any node that has no vote."""
    if not state.is_voter and isinstance(state.role, Follower):
        return "observer"
    return type(state.role).__name__.lower()


def _status_of_voter(state: RaftState, node_id: NodeId, replica: Replica | None) -> ReplicaStatus:
    """A node of that id with another directory is not it."""
    if replica is not None and replica.is_voter:
        return _status(node_id, replica.directory_id or state.voters[node_id].directory_id, replica)
    return _status(node_id, state.voters[node_id].directory_id, None)


def _status(node_id: NodeId, directory_id: bytes | None, replica: Replica | None) -> ReplicaStatus:
    return ReplicaStatus(
        node_id=node_id,
        directory_id=directory_id,
        log_end_offset=replica.match_offset if replica is not None else -1,
        last_fetch_ms=replica.last_fetch_ms if replica is not None else -1,
        last_caught_up_ms=replica.last_caught_up_ms if replica is not None else -1,
    )
