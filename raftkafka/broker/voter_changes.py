"""Requests to change the voters of the metadata quorum, on the node that leads it: they wait for their turn, and for the commit.

Invariant: each request is answered once. What this node has begun when it loses leadership may or may not happen: the answer is
NOT_CONTROLLER, and whoever asked looks (kafka-metadata-quorum describe).

Sources: KIP-853; the rules of the change itself are in `raft.membership`.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.broker.channel import FAR_FUTURE_MS
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from raftkafka.protocol.messages.update_raft_voter import UpdateRaftVoterRequest
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.membership import ChangeRefused, Refusal
from raftkafka.raft.node import NotLeader
from raftkafka.raft.voters import Voter

RETRY_MS = 50
COMMIT_TIMEOUT_MS = 30_000
MAX_WAITING = 100
ANY_DIRECTORY = bytes(16)

_CODES = {
    Refusal.CHANGE_UNDER_WAY: ErrorCode.REQUEST_TIMED_OUT,
    Refusal.EPOCH_NOT_COMMITTED: ErrorCode.REQUEST_TIMED_OUT,
    Refusal.NOT_CAUGHT_UP: ErrorCode.REQUEST_TIMED_OUT,
    Refusal.NO_MAJORITY_LEFT: ErrorCode.REQUEST_TIMED_OUT,
    Refusal.DUPLICATE_VOTER: ErrorCode.DUPLICATE_VOTER,
    Refusal.VOTER_NOT_FOUND: ErrorCode.VOTER_NOT_FOUND,
    Refusal.LAST_VOTER: ErrorCode.INVALID_REQUEST,
}

VoterRequest = AddRaftVoterRequest | RemoveRaftVoterRequest | UpdateRaftVoterRequest
Done = Callable[[ApiError | None], None]
"""Called with None when the change is made, or with the refusal."""


@attrs.define(eq=False, kw_only=True)
class _Waiting:
    request: VoterRequest
    done: Done
    deadline_ms: int
    offset: int | None = None
    """Of the entry that makes the change, once it is in the log."""
    why: Refusal | None = None


class VoterChanges:
    """The requests under way. `tick` must be called at `next_deadline_ms`."""

    def __init__(self, raft: RaftDriver, cluster_id: str) -> None:
        self._raft = raft
        self._cluster_id = cluster_id
        self._waiting: list[_Waiting] = []
        self._due_ms = FAR_FUTURE_MS

    def begin(self, request: VoterRequest, done: Done, now_ms: int) -> None:
        """Takes a request; this node leads the quorum."""
        if request.cluster_id is not None and request.cluster_id != self._cluster_id:
            raise ApiError(ErrorCode.INCONSISTENT_CLUSTER_ID, f"this is cluster {self._cluster_id}")
        if len(self._waiting) >= MAX_WAITING:
            raise ApiError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, f"{MAX_WAITING} changes of the voters are waiting")
        timeout_ms = request.timeout_ms if isinstance(request, AddRaftVoterRequest) else COMMIT_TIMEOUT_MS
        self._waiting.append(_Waiting(request=request, done=done, deadline_ms=now_ms + timeout_ms))
        self.tick(now_ms)

    def tick(self, now_ms: int) -> None:
        """Begins what may begin now, and answers what is decided."""
        if self._waiting:
            self._waiting = [waiting for waiting in self._waiting if not self._advance(waiting, now_ms)]
        self._due_ms = now_ms + RETRY_MS if self._waiting else FAR_FUTURE_MS

    def next_deadline_ms(self) -> int:
        return self._due_ms

    def lost_leadership(self) -> None:
        """Another node leads, or nobody."""
        waiting, self._waiting = self._waiting, []
        self._due_ms = FAR_FUTURE_MS
        for each in waiting:
            each.done(ApiError(ErrorCode.NOT_CONTROLLER, "this node has lost the leadership of the metadata quorum"))

    def _advance(self, waiting: _Waiting, now_ms: int) -> bool:
        """Whether it is answered."""
        if waiting.offset is None and not self._try_to_begin(waiting, now_ms):
            return True
        if waiting.offset is not None and (self._raft.state.high_watermark > waiting.offset or not _waits_for_commit(waiting.request)):
            waiting.done(None)
            return True
        if now_ms >= waiting.deadline_ms:
            reason = waiting.why.value if waiting.why is not None else "the change is not committed yet"
            waiting.done(ApiError(ErrorCode.REQUEST_TIMED_OUT, reason))
            return True
        return False

    def _try_to_begin(self, waiting: _Waiting, now_ms: int) -> bool:
        """Begins the change if it may begin; False when that was refused for good, and the request is answered."""
        try:
            waiting.offset = self._change(waiting.request, now_ms)
        except NotLeader as error:
            waiting.done(ApiError(ErrorCode.NOT_CONTROLLER, str(error)))
            return False
        except ChangeRefused as error:
            waiting.why = error.refusal
            if not error.refusal.passes:
                waiting.done(ApiError(_CODES[error.refusal], error.refusal.value))
                return False
        return True

    def _change(self, request: VoterRequest, now_ms: int) -> int:
        node_id = NodeId(request.voter_id)
        directory_id = None if request.voter_directory_id == ANY_DIRECTORY else request.voter_directory_id
        if isinstance(request, RemoveRaftVoterRequest):
            return self._raft.remove_voter(node_id, directory_id, now_ms)
        voter = Voter(
            directory_id=directory_id,
            endpoints=tuple((listener.name, listener.host, listener.port) for listener in request.listeners),
        )
        if isinstance(request, UpdateRaftVoterRequest):
            return self._raft.update_voter(node_id, voter, now_ms)
        return self._raft.add_voter(node_id, voter, now_ms)


def _waits_for_commit(request: VoterRequest) -> bool:
    return not isinstance(request, AddRaftVoterRequest) or request.ack_when_committed
