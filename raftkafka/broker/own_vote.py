"""What a controller does about its own vote: it joins the quorum by itself, and tells the leader when it listens somewhere else.

With `controller.quorum.auto.join.enable` a controller that observes asks the leader for a vote once it has caught up. When the voters name
its id with another directory (its disk was replaced), it first asks for that vote to be taken away: the directory is gone, and nobody but
this node can know. One step at a time, each decided and committed by the quorum like an administrator's (`raft.membership`).

Invariants
- A controller joins by itself at most once while its process runs: whom an administrator removes stays out until it is started again.
- Nothing is asked before the node has the whole log: what it says of the voters is not of the past.
- Without voters that formatting or the log has named (`controller.quorum.voters`) nothing is ever asked: such voters have no directories.

Sources: KIP-853 (auto join, UpdateRaftVoter); KIP-1186 (`AckWhenCommitted`); the behaviour of Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.base.observed import Observed, observed
from raftkafka.broker.channel import FAR_FUTURE_MS, ControllerChannel
from raftkafka.broker.control import ControlReply, Forward, ForwardReply
from raftkafka.protocol.framing import read_message, write_message
from raftkafka.protocol.messages import add_raft_voter, update_raft_voter
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse
from raftkafka.protocol.messages.update_raft_voter import KRaftVersionFeature, UpdateRaftVoterRequest, UpdateRaftVoterResponse
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.roles import Follower, Leader
from raftkafka.raft.voters import Endpoint, Voter

POLL_MS = 100
"""How often a node that wants something looks whether it may ask."""
RETRY_MS = 500
"""The pause after a refusal."""
CATCH_UP_TIMEOUT_MS = 5_000
"""How long the leader waits for this node to be close enough before it refuses."""
REPLY_TIMEOUT_MS = 15_000

_Request = AddRaftVoterRequest | RemoveRaftVoterRequest | UpdateRaftVoterRequest
_API: dict[type[_Request], tuple[int, int, type]] = {
    AddRaftVoterRequest: (80, 1, AddRaftVoterResponse),
    RemoveRaftVoterRequest: (81, 0, RemoveRaftVoterResponse),
    UpdateRaftVoterRequest: (82, 0, UpdateRaftVoterResponse),
}
"""Key, version and answer."""


@attrs.frozen(kw_only=True)
class OwnVoteSettings:
    """Who this node is, where other controllers reach it, and whether it joins by itself."""

    node_id: NodeId
    directory_id: bytes
    cluster_id: str
    endpoints: tuple[Endpoint, ...]
    joins: bool


class OwnVote:
    """Call `news` when leader or voters may have changed, `tick` at `next_deadline_ms`."""

    def __init__(self, settings: OwnVoteSettings, raft: RaftDriver, channel: ControllerChannel, emit: Callable[[Observed], None]) -> None:
        self._settings = settings
        self._raft = raft
        self._channel = channel
        self._emit = emit
        self._asking = False
        self._has_voted = False
        self._due_ms = FAR_FUTURE_MS

    def news(self, now_ms: int) -> None:
        """The leader or the voters have changed."""
        if self._may_want_something():
            self._due_ms = min(self._due_ms, now_ms)

    def next_deadline_ms(self) -> int:
        return self._due_ms

    def tick(self, now_ms: int) -> None:
        """Asks for what is wanted, if it may be asked for now."""
        if now_ms < self._due_ms:
            return
        self._due_ms = now_ms + POLL_MS if self._may_want_something() else FAR_FUTURE_MS
        if self._asking or not self._is_up_to_date():
            return
        state = self._raft.state
        self._has_voted = self._has_voted or state.is_voter
        request = self._wanted()
        if request is not None:
            self._ask(request, now_ms)

    def _may_want_something(self) -> bool:
        state, settings = self._raft.state, self._settings
        if not state.history.is_named:
            return False
        if state.is_voter:
            return not self._has_voted or not self._is_known_as_it_is(state.voters[settings.node_id])
        return settings.joins and not self._has_voted

    def _is_up_to_date(self) -> bool:
        """Whether this node knows all that is committed, and no change of the voters is open."""
        state = self._raft.state
        match state.role:
            case Follower(leader_high_watermark=high_watermark):
                return state.high_watermark >= high_watermark > 0 and state.history.last_change < state.high_watermark
            case Leader(start_offset=start_offset):
                return state.high_watermark > start_offset and state.history.last_change < state.high_watermark
            case _:
                return False

    def _is_known_as_it_is(self, voter: Voter) -> bool:
        return voter.directory_id is not None and voter.endpoints == self._settings.endpoints

    def _wanted(self) -> _Request | None:
        state, settings = self._raft.state, self._settings
        known = state.voters.get(settings.node_id)
        if known is None or not state.is_voter:
            if not settings.joins or self._has_voted:
                return None
            if known is not None and known.directory_id is not None:
                return RemoveRaftVoterRequest(
                    cluster_id=settings.cluster_id, voter_id=settings.node_id, voter_directory_id=known.directory_id
                )
            return AddRaftVoterRequest(
                cluster_id=settings.cluster_id,
                timeout_ms=CATCH_UP_TIMEOUT_MS,
                voter_id=settings.node_id,
                voter_directory_id=settings.directory_id,
                listeners=[add_raft_voter.Listener(name=name, host=host, port=port) for name, host, port in settings.endpoints],
                ack_when_committed=False,
            )
        if self._is_known_as_it_is(known):
            return None
        return UpdateRaftVoterRequest(
            cluster_id=settings.cluster_id,
            current_leader_epoch=state.epoch,
            voter_id=settings.node_id,
            voter_directory_id=settings.directory_id,
            listeners=[update_raft_voter.Listener(name=name, host=host, port=port) for name, host, port in settings.endpoints],
            k_raft_version_feature=KRaftVersionFeature(min_supported_version=0, max_supported_version=1),
        )

    def _ask(self, request: _Request, now_ms: int) -> None:
        api_key, version, response_class = _API[type(request)]
        self._asking = True
        self._due_ms = now_ms + RETRY_MS
        self._emit(observed(_WORDS[type(request)], leader=self._raft.state.leader_id))

        def answered(reply: ControlReply | None) -> None:
            self._asking = False
            if isinstance(reply, ForwardReply) and reply.error == ErrorCode.NONE:
                response: Any
                response, _ = read_message(response_class, version, reply.body)
                if response.error_code != ErrorCode.NONE:
                    self._emit(observed("change-of-voters-refused", error=ErrorCode(response.error_code).name))

        forward = Forward(api_key=api_key, api_version=version, client_id=None, client_host="", body=write_message(request, version))
        self._channel.request(forward, answered, deadline_ms=now_ms + REPLY_TIMEOUT_MS)


_WORDS: dict[type[_Request], str] = {
    AddRaftVoterRequest: "asks-for-a-vote",
    RemoveRaftVoterRequest: "gives-up-the-vote-of-a-lost-directory",
    UpdateRaftVoterRequest: "tells-its-endpoints",
}
