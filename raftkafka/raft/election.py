"""Elections: who asks for votes, when, and who gives them.

Rules and sources
- Paper 5.2: a majority of votes in an epoch, one vote per epoch and node, first come first served, written before it is answered.
- Paper 5.4.1: a vote only for a log that is at least as up to date: a higher last epoch, or the same and an end at least as far.
- Thesis 9.6, KIP-996: before it opens an epoch a node asks whether it would be voted for. A pre-vote changes nothing at the one who
  answers.
- Thesis 4.2.3: who has just heard a leader refuses both, and does not even take over the higher epoch, unless the leader itself asked
  (3.10).
- Thesis 6.2: a leader that no majority answers resigns (`replication.check_quorum`).

Where we add to them: of two nodes that ask at the same time the one with the lesser log, or the higher id, steps back, so that
votes are rarely split; and a voter known to be gone counts as a refusal, so that a hopeless round ends at once.
"""

from __future__ import annotations

from raftkafka.base.ids import NodeId
from raftkafka.base.rules import Rule
from raftkafka.raft.effects import LeadershipGained
from raftkafka.raft.messages import EntryKind, LeaderHint, ObserveRequest, VoteRequest, VoteResponse
from raftkafka.raft.replication import append_single, new_leader
from raftkafka.raft.roles import Candidate, Follower, Leader, Prospective, Unattached
from raftkafka.raft.state import RaftState
from raftkafka.raft.voters import encode_voters


def patience_ended(state: RaftState, now_ms: int) -> None:
    """The deadline of a node that is not the leader has passed."""
    match state.role:
        case Follower(leader_id=leader_id):
            state.observe("leader-timed-out", leader=leader_id, epoch=state.epoch)
        case Prospective() | Candidate():
            state.failed_rounds = min(state.failed_rounds + 1, 8)
            state.observe("round-undecided", epoch=state.epoch)
        case _:
            pass
    if state.may_stand:
        ask_for_pre_votes(state, now_ms)
    else:
        announce_observer(state, now_ms)


def announce_observer(state: RaftState, now_ms: int) -> None:
    """An observer without a leader tells all voters that it is there; the one that leads begins to send it the log."""
    state.become_unattached(state.epoch, deadline_ms=now_ms + state.config.observe_interval_ms, reason="no leader heard")
    for node_id in dict.fromkeys((*state.other_voters, *state.contacts)):
        announce_to(state, node_id)


def announce_to(state: RaftState, node_id: NodeId) -> None:
    """Asks that node to send the log, if it leads, and to say who leads, if it knows."""
    state.send(node_id, ObserveRequest(epoch=state.epoch, end_offset=state.log.end_offset, directory_id=state.directory_id))


def send_leader_hint(state: RaftState, to: NodeId) -> None:
    """Tells a node that looks for a leader whom this one knows."""
    if state.leader_id not in (None, to):
        state.send(to, LeaderHint(epoch=state.epoch, leader_id=state.leader_id, voters=encode_voters(state.voters)))


def ask_for_pre_votes(state: RaftState, now_ms: int) -> None:
    """Becomes Prospective: asks who would vote for it, in the epoch it is in. (Thesis 9.6, KIP-996)"""
    if not state.config.applies(Rule.PRE_VOTE):
        ask_for_votes(state, now_ms)
        return
    state.set_leader(None)
    state.role = Prospective(deadline_ms=now_ms + state.round_timeout_ms(), votes=state.own_vote())
    state.observe("prospective", epoch=state.epoch)
    _ask(state, pre_vote=True, transfer=False)
    _count_votes(state, now_ms)


def ask_for_votes(state: RaftState, now_ms: int, *, transfer: bool = False) -> None:
    """Becomes Candidate: opens the next epoch, votes for itself, and asks the others once that is stable. (Paper, 5.2)"""
    state.role = Candidate(deadline_ms=now_ms + state.round_timeout_ms(), votes=state.own_vote())
    state.write_vote(state.epoch + 1, state.node_id)
    state.set_leader(None)
    state.observe("candidate", epoch=state.epoch)
    _ask(state, pre_vote=False, transfer=transfer)
    _count_votes(state, now_ms)


def _ask(state: RaftState, *, pre_vote: bool, transfer: bool) -> None:
    request = VoteRequest(
        epoch=state.epoch,
        last_epoch=state.log.last_epoch,
        end_offset=state.log.end_offset,
        pre_vote=pre_vote,
        transfer=transfer,
        directory_id=state.directory_id,
    )
    for voter in state.other_voters:
        state.send(voter, request)


def on_vote_response(state: RaftState, source: NodeId, response: VoteResponse, now_ms: int) -> None:
    """A vote, or a refusal, for a round that may be long over."""
    if response.epoch > state.epoch:
        state.become_unattached(response.epoch, deadline_ms=now_ms + state.short_timeout_ms(), reason=f"node {source} is ahead")
        return
    role = state.role
    round_matches = isinstance(role, Prospective if response.pre_vote else Candidate) and response.request_epoch == state.epoch
    if round_matches and source in state.voters:
        assert isinstance(role, Prospective | Candidate)
        if state.is_vote_of(source, response.directory_id):
            role.votes[source] = response.granted
        else:
            role.votes.setdefault(source, False)  # the voter's directory is gone: it will hardly answer any more
        _count_votes(state, now_ms)


def _count_votes(state: RaftState, now_ms: int) -> None:
    """Ends the round as soon as its outcome is certain."""
    role = state.role
    assert isinstance(role, Prospective | Candidate)
    granted = sum(role.votes.values())
    hopeless = sum(1 for voter in state.other_voters if not role.votes.get(voter, voter not in state.lost_peers))
    if granted >= state.majority:
        if isinstance(role, Prospective):
            ask_for_votes(state, now_ms)
        else:
            become_leader(state, now_ms)
    elif len(state.voters) - hopeless < state.majority:
        state.observe("round-lost", epoch=state.epoch, round="pre-vote" if isinstance(role, Prospective) else "vote")
        state.role = Unattached(deadline_ms=now_ms + state.short_timeout_ms())
        state.failed_rounds = min(state.failed_rounds + 1, 8)


def become_leader(state: RaftState, now_ms: int) -> None:
    """A majority voted. The first entry of the new epoch is the leader's own (thesis 6.4, KIP-595 LeaderChange): committing it commits all
    before.
    """
    state.heard_leader = True
    state.failed_rounds = 0
    state.role = new_leader(state, now_ms)
    state.observe("became-leader", epoch=state.epoch, start_offset=state.log.end_offset)
    state.set_leader(state.node_id)
    state.emit(LeadershipGained(state.epoch, state.log.end_offset))
    append_single(state, EntryKind.LEADER_CHANGE)
    if state.history.is_named and state.history.last_change < 0 and state.log.start_offset == 0:
        append_single(state, EntryKind.VOTERS, encode_voters(state.voters))  # as it was formatted: whoever joins later has no such file


# -- the voter's side


def on_vote_request(state: RaftState, source: NodeId, request: VoteRequest, now_ms: int) -> None:
    """Another node asks for a vote or a pre-vote."""
    refusal = _refusal(state, source, request, now_ms)
    if request.pre_vote:
        _answer_pre_vote(state, source, request, refusal, now_ms)
        return
    adopts_epoch = request.epoch > state.epoch and (request.transfer or not state.follows_live_leader(now_ms))
    if adopts_epoch:
        state.become_unattached(
            request.epoch, deadline_ms=_deadline_after_losing_epoch(state, now_ms), reason=f"node {source} asks for votes"
        )
    if refusal is None:
        state.write_vote(request.epoch, source)
        state.role = Unattached(deadline_ms=now_ms + state.election_timeout_ms())
    _answer(state, source, request, refusal)


def _answer_pre_vote(state: RaftState, source: NodeId, request: VoteRequest, refusal: str | None, now_ms: int) -> None:
    """The answer changes nothing but this node's own patience: it lets a promising asker go first, goes soon itself when its log is
    better, and shows itself when it leads.
    """
    role = state.role
    if refusal is None and isinstance(role, Unattached):
        role.deadline_ms = max(role.deadline_ms, now_ms + state.short_timeout_ms())
    elif refusal is None and isinstance(role, Prospective) and _goes_first(state, source, request):
        state.observe("stepped-back", epoch=state.epoch, for_node=source)
        state.role = Unattached(deadline_ms=now_ms + state.round_timeout_ms())
    elif not isinstance(role, Leader) and not state.follows_live_leader(now_ms) and _log(request) < _own_log(state):
        soon_ms = state.rng.randint(state.config.first_election_min_ms, state.config.first_election_max_ms)
        role.deadline_ms = min(role.deadline_ms, now_ms + soon_ms)
    elif isinstance(role, Leader) and source in role.replicas:
        role.replicas[source].heartbeat_due = True
    _answer(state, source, request, refusal)
    if refusal is not None and not state.is_vote_of(source, request.directory_id):
        send_leader_hint(state, source)  # it has lost its vote and does not know: nobody sends it the log but who is asked to


def _answer(state: RaftState, source: NodeId, request: VoteRequest, refusal: str | None) -> None:
    round_name = "pre-vote" if request.pre_vote else "vote"
    if refusal is None:
        state.observe(f"{round_name}-granted", to=source, epoch=request.epoch)
    else:
        state.observe(f"{round_name}-refused", to=source, epoch=request.epoch, reason=refusal)
    response = VoteResponse(
        epoch=state.epoch,
        request_epoch=request.epoch,
        pre_vote=request.pre_vote,
        granted=refusal is None,
        directory_id=state.directory_id,
    )
    state.send(source, response)


def _refusal(state: RaftState, source: NodeId, request: VoteRequest, now_ms: int) -> str | None:
    """Why this node does not vote for that one; None when it does."""
    rules = state.config
    if request.epoch < state.epoch:
        return f"its epoch is below {state.epoch}"
    if not request.transfer and state.follows_live_leader(now_ms):
        return "a leader is alive"
    if rules.applies(Rule.COMPARE_LOGS) and _log(request) < _own_log(state):
        return f"this log goes further, to {state.log.end_offset} in epoch {state.log.last_epoch}"
    if request.pre_vote or request.epoch > state.epoch or not rules.applies(Rule.VOTE_ONCE_PER_EPOCH):
        return None
    if state.leader_id is not None:
        return f"node {state.leader_id} leads this epoch"
    if state.voted_for not in (None, source):
        return f"it voted for node {state.voted_for}"
    return None


def _log(request: VoteRequest) -> tuple[int, int]:
    return (request.last_epoch, request.end_offset)


def _own_log(state: RaftState) -> tuple[int, int]:
    return (state.log.last_epoch, state.log.end_offset)


def _goes_first(state: RaftState, source: NodeId, request: VoteRequest) -> bool:
    """Of two nodes that ask at the same time: the better log, then the lower id."""
    return (*_log(request), -source) > (*_own_log(state), -state.node_id)


def _deadline_after_losing_epoch(state: RaftState, now_ms: int) -> int:
    """A follower's patience goes on running when its epoch is raised without a vote; anyone else begins a new one."""
    match state.role:
        case Unattached(deadline_ms=deadline_ms) | Follower(deadline_ms=deadline_ms):
            return max(deadline_ms, now_ms)
        case Leader() | Prospective() | Candidate():
            return now_ms + state.round_timeout_ms()
