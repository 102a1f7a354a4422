"""What the metadata quorum must never do: Q1 to Q20 of reference/replication-rules.md, as far as they are properties of states.

Not here: "nobody is stuck in Prospective" of Q14, which a run's liveness phase demands. Q17 is stated for push replication: the pull
model's rules have the same purpose, that a leader counts only what is really there. A voter is a node with its log directory: with an
empty disk it is another one, and whatever is counted of a voter is counted of its disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.ids import NodeId
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import Entry
from raftkafka.raft.roles import Candidate, Follower, Leader, Prospective
from raftkafka.simulation.invariants.memory import RaftMemory, RaftView, Voter
from raftkafka.simulation.invariants.registry import Breach, invariant


@invariant("Q1", "election-safety")
def election_safety(view: RaftView, memory: RaftMemory) -> Breach | None:
    """An epoch has one leader, whoever says so: the leader itself, or those who follow it.

    Hazard: two controllers decide in one epoch, and two histories are equally true.
    Source: reference Q1; the Raft paper, 5.2.
    """
    leader = view.node_id if isinstance(view.role, Leader) else view.leader_id
    if leader is None:
        return None
    first = memory.leaders.setdefault(view.epoch, leader)
    if first == leader:
        return None
    return Breach(
        f"epoch {view.epoch} of the quorum is led by n{first} and by n{leader}", str(memory.views.get(first, f"n{first}")), str(view)
    )


@invariant("Q2", "log-matching")
def log_matching(view: RaftView, entries: Sequence[Entry], previous_epoch: int, memory: RaftMemory) -> Breach | None:
    """Two logs that have an entry with the same offset and epoch have the same entry there, and the same epoch before it. (Entries count
    once they were stable somewhere.)

    Hazard: nodes apply different metadata and do not notice.
    Source: reference Q2; the Raft paper, 5.3.
    """
    for entry in entries:
        known, known_previous = memory.entries.setdefault((entry.offset, entry.epoch), (entry, previous_epoch))
        if known_previous != previous_epoch or (known is not entry and known != entry):
            text = f"two logs of the quorum differ at offset {entry.offset} of epoch {entry.epoch}"
            return Breach(text, f"{known} behind epoch {known_previous}", f"n{view.node_id}: {entry} behind epoch {previous_epoch}")
        previous_epoch = entry.epoch
    return None


@invariant("Q3", "leader-completeness")
def leader_completeness(view: RaftView, log: RaftLog, memory: RaftMemory) -> Breach | None:
    """A new leader has every committed entry.

    Hazard: a decision that was answered for is cut off.
    Source: reference Q3; the Raft paper, 5.4.
    """
    committed = memory.committed
    if not committed:
        return None
    if log.end_offset < len(committed):
        return Breach("the new leader's log is shorter than what is committed", f"committed up to {len(committed)}", str(view))
    last = committed[-1]
    if last is not None and last.offset >= log.start_offset and log.epoch_at(last.offset) != last.epoch:
        return Breach(f"the new leader lacks the committed entry at {last.offset}", f"committed {last}", str(view))
    return None


@invariant("Q5", "epoch-monotonic")
def epoch_monotonic(before: tuple[int, NodeId | None], view: RaftView) -> Breach | None:
    """A node's epoch never goes back, and what it had on stable storage it still knows after a restart.

    Hazard: a node votes twice, or follows a leader of the past.
    Source: reference Q5; the Raft paper, 5.1.
    """
    if view.epoch >= before[0]:
        return None
    return Breach(f"n{view.node_id} went from epoch {before[0]} back to {view.epoch}", f"epoch {before[0]}, vote {before[1]}", str(view))


@invariant("Q6", "high-watermark-monotonic")
def high_watermark_monotonic(before: RaftView, view: RaftView) -> Breach | None:
    """Within a process the high watermark never goes back.

    Hazard: an entry is applied twice.
    Source: reference Q6; Kafka's RaftEventSimulationTest.
    """
    if view.high_watermark >= before.high_watermark:
        return None
    return Breach(f"the high watermark of n{view.node_id} went back", str(before), str(view))


@invariant("Q7", "majority-holds-committed")
def majority_holds_committed(view: RaftView, memory: RaftMemory) -> Breach | None:
    """A majority of the voters by which it was counted has all that is committed on stable storage. (A disk that is lost counts with what
    it had: that it is lost is more than Raft promises to survive.)

    Hazard: the nodes that elect the next leader know nothing of what was committed.
    Source: reference Q4, Q7; the Raft paper, 5.3; Kafka's RaftEventSimulationTest.
    """
    end_offset = len(memory.committed)
    holding = [voter for voter in memory.voters if memory.stable_end(voter) >= end_offset]
    if len(holding) >= memory.majority:
        return None
    ends = ", ".join(f"n{voter[0]} to {memory.stable_end(voter)}" for voter in memory.voters)
    text = f"only {len(holding)} voters hold the {end_offset} committed entries on stable storage"
    return Breach(text, f"stable logs: {ends}", str(view))


@invariant("Q7a", "stable-log-survives")
def stable_log_survives(view: RaftView, log: RaftLog, durable: tuple[int, int]) -> Breach | None:
    """A restarted node has all of its log that was stable.

    Hazard: what it answered for is gone.
    Source: reference Q7; the Raft paper, figure 2 (persistent state).
    """
    end_offset, epoch = durable
    if log.end_offset >= end_offset and (end_offset <= log.start_offset or log.epoch_at(end_offset - 1) == epoch):
        return None
    return Breach(f"n{view.node_id} has lost a part of its stable log", f"stable up to {end_offset}, to epoch {epoch}", str(view))


@invariant("Q8", "committed-never-changes")
def committed_never_changes(view: RaftView, entries: Sequence[Entry], memory: RaftMemory) -> Breach | None:
    """What one node has committed at an offset every node commits there.

    Hazard: nodes have applied different decisions.
    Source: reference Q8; the Raft paper, 5.4.3 (state machine safety).
    """
    committed = memory.committed
    for entry in entries:
        if entry.offset > len(committed):
            committed.extend([None] * (entry.offset - len(committed)))  # a snapshot holds them: D15 compares what comes of them
        if entry.offset == len(committed):
            committed.append(entry)
        elif committed[entry.offset] is None:
            committed[entry.offset] = entry
        elif committed[entry.offset] is not entry and committed[entry.offset] != entry:
            text = f"n{view.node_id} commits another entry at {entry.offset} than was committed before"
            return Breach(text, str(committed[entry.offset]), str(entry))
    return None


@invariant("Q9", "snapshot-at-log-start")
def snapshot_at_log_start(view: RaftView, log: RaftLog, snapshot_end: int | None) -> Breach | None:
    """A log that begins behind 0 begins where its node's snapshot ends, and no snapshot goes beyond what is committed.

    Hazard: entries are missing that nobody can send any more; or what may still be cut off is in a snapshot for ever.
    Source: reference Q9; KIP-630.
    """
    if log.start_offset > view.high_watermark or (snapshot_end is not None and snapshot_end > view.high_watermark):
        return Breach(f"n{view.node_id} has a snapshot of what is not committed", f"snapshot to {snapshot_end}", str(view))
    if log.start_offset > 0 and snapshot_end != log.start_offset:
        return Breach(f"the log of n{view.node_id} begins behind its snapshot", f"snapshot to {snapshot_end}", str(view))
    return None


@invariant("Q10", "leader-appends-only")
def leader_appends_only(before: RaftView, view: RaftView) -> Breach | None:
    """A leader never cuts its log nor loads a snapshot over it.

    Hazard: a leader drops entries that it has sent.
    Source: reference Q10; the Raft paper, figure 3 (leader append-only).
    """
    if before.role is not view.role or not isinstance(view.role, Leader) or view.log_end_offset >= before.log_end_offset:
        return None
    return Breach(f"the leader n{view.node_id} has cut its log", str(before), str(view))


@invariant("Q11", "one-stable-vote")
def one_stable_vote(candidate: RaftView, voter: Voter, memory: RaftMemory) -> Breach | None:
    """A vote that a candidate counts is the voter's only one in that epoch, and is on its stable storage: on the disk that has the vote.

    Hazard: a voter that loses power, or its disk, forgets whom it voted for and votes again: two leaders in one epoch.
    Source: reference Q11; the Raft paper, figure 2; Kafka's QuorumState.
    """
    epoch, disk = candidate.epoch, memory.disk_of(voter)
    node_id = disk[0]
    first = memory.votes.setdefault((disk, epoch), candidate.node_id)
    if first != candidate.node_id:
        text = f"n{node_id} voted for n{first} and for n{candidate.node_id} in epoch {epoch}"
        return Breach(text, str(memory.views.get(node_id)), str(candidate))
    stable_epoch, stable_vote = memory.stable_votes.get(disk, (0, None))
    is_stable = stable_epoch > epoch or (stable_epoch == epoch and stable_vote == candidate.node_id)
    if is_stable or (len(candidate.voters) == 1 and node_id == candidate.node_id):
        return None
    text = f"n{candidate.node_id} counts a vote of n{node_id} in epoch {epoch} that is not on stable storage"
    return Breach(text, f"n{node_id}: stable vote {(stable_epoch, stable_vote)}", str(candidate))


@invariant("Q11a", "elected-by-stable-votes")
def elected_by_stable_votes(view: RaftView, memory: RaftMemory) -> Breach | None:
    """A new leader has the stable votes of a majority of the voters that it knows.

    Hazard: as Q11: another one is elected in the same epoch.
    Source: reference Q11; the Raft paper, 5.2.
    """
    if len(view.voters) == 1:
        return None
    votes_of = {voter[0]: memory.stable_votes.get(memory.disk_of(voter), (0, None)) for voter in view.voters}
    supporters = [node_id for node_id, vote in votes_of.items() if vote[0] > view.epoch or vote == (view.epoch, view.node_id)]
    if len(supporters) >= view.majority:
        return None
    votes = ", ".join(f"n{node_id} {vote}" for node_id, vote in votes_of.items())
    return Breach(
        f"n{view.node_id} leads epoch {view.epoch} with the stable votes of {supporters} only", f"stable votes: {votes}", str(view)
    )


@invariant("Q12", "commit-own-epoch")
def commit_own_epoch(before: RaftView, view: RaftView) -> Breach | None:
    """A leader's high watermark moves only past the start of its own epoch.

    Hazard: an old entry that a majority holds is taken for committed, and overwritten by another leader.
    Source: reference Q12; the Raft paper, 5.4.2 and figure 8.
    """
    role = view.role
    if not isinstance(role, Leader) or before.role is not role or view.high_watermark == before.high_watermark:
        return None
    if view.high_watermark > role.start_offset:
        return None
    text = f"n{view.node_id} commits up to {view.high_watermark} by counting, and its epoch begins at {role.start_offset}"
    return Breach(text, str(before), str(view))


@invariant("Q13", "vote-for-the-up-to-date")
def vote_for_the_up_to_date(voter: RaftView, memory: RaftMemory) -> Breach | None:
    """A node votes only for a candidate whose log is at least as up to date as its own: a higher last epoch, or the same and an end at
    least as far.

    Hazard: a node that was away is elected and cuts off what was committed without it.
    Source: reference Q13; the Raft paper, 5.4.1.
    """
    if voter.voted_for is None or voter.voted_for == voter.node_id:
        return None
    asked = memory.candidates.get((voter.epoch, voter.voted_for))
    if asked is None or asked >= (voter.last_epoch, voter.log_end_offset):
        return None
    text = f"n{voter.node_id} votes for n{voter.voted_for}, whose log is behind its own"
    return Breach(text, f"n{voter.voted_for} asked with a log to epoch {asked[0]}, offset {asked[1]}", str(voter))


@invariant("Q13a", "no-votes-while-a-leader-lives")
def no_votes_while_a_leader_lives(before: RaftView, view: RaftView, now_ms: int, patience_ms: int, memory: RaftMemory) -> Breach | None:
    """Who has just heard its leader votes for nobody else, unless the leader of the epoch before hands over (which may be a later one).

    Hazard: one node that does not hear the leader deposes it again and again.
    Source: reference Q13; the thesis, 4.2.3; KIP-996.
    """
    role = before.role
    if not isinstance(role, Follower) or view.voted_for is None or (view.epoch, view.voted_for) == (before.epoch, before.voted_for):
        return None
    silent_ms = now_ms - role.contact_ms
    if role.leader_lost or silent_ms >= patience_ms or memory.transfers.get(view.epoch - 1) == view.voted_for:
        return None
    text = f"n{view.node_id} votes for n{view.voted_for} although it heard its leader n{role.leader_id} {silent_ms} ms ago"
    return Breach(text, str(before), str(view))


@invariant("Q14", "pre-vote")
def pre_vote(before: RaftView, view: RaftView, memory: RaftMemory) -> Breach | None:
    """A node opens an epoch only when it has asked whether it would be elected, or was told to lead; asking raises no epoch.

    Hazard: a node that hears nobody raises its epoch again and again, and deposes a leader that works when it is heard again.
    Source: reference Q14; the thesis, 9.6; KIP-996.
    """
    if (
        isinstance(view.role, Prospective)
        and isinstance(before.role, Prospective)
        and view.role is before.role
        and view.epoch != before.epoch
    ):
        return Breach(f"n{view.node_id} asks for pre-votes and has raised its epoch", str(before), str(view))
    opened = view.epoch > before.epoch and view.voted_for == view.node_id
    if not opened or isinstance(before.role, Prospective) or len(view.voters) == 1:
        return None
    if memory.transfers.get(before.epoch) == view.node_id:
        return None
    return Breach(f"n{view.node_id} opens epoch {view.epoch} without having asked", str(before), str(view))


@invariant("Q15", "check-quorum")
def check_quorum(view: RaftView, heard_ms: Sequence[int], now_ms: int, timeout_ms: int) -> Breach | None:
    """A leader that no majority has answered for its time-out leads no more. `heard_ms`: when it last heard each of the other voters.

    Hazard: whoever reaches a controller that is cut off waits for decisions that it can never make.
    Source: reference Q15; the thesis, 6.2; KRaft's check quorum.
    """
    heard = sum(now_ms - contact_ms <= timeout_ms for contact_ms in heard_ms)
    if heard + view.is_voter >= view.majority:
        return None
    silent = ", ".join(f"{now_ms - contact_ms} ms" for contact_ms in heard_ms)
    return Breach(f"n{view.node_id} leads although no majority answers it", f"the others were heard {silent} ago", str(view))


@invariant("Q17", "count-what-is-there")
def count_what_is_there(view: RaftView, memory: RaftMemory) -> Breach | None:
    """What a leader takes for stable at another voter is stable there, unless that voter has gone on to a higher epoch.

    Hazard: the leader counts a copy that a power failure takes away: a committed decision is lost.
    Source: reference Q17 (there for the pull model), Q7; the Raft paper, figure 2.
    """
    directory_of = dict(view.voters)
    for node_id, match_offset in view.matches:
        other = memory.views.get(node_id)
        if other is None or other.epoch > view.epoch:
            continue
        stable = memory.stable_end((node_id, directory_of.get(node_id)))
        if match_offset > stable:
            text = f"n{view.node_id} counts on {match_offset} entries at n{node_id}, which has {stable} of them on stable storage"
            return Breach(text, str(other), str(view))
    return None


@invariant("Q18", "applied-is-committed")
def applied_is_committed(view: RaftView, applied_end: int) -> Breach | None:
    """A node applies metadata only when it is committed.

    Hazard: a broker acts on a decision that never becomes one.
    Source: reference Q18; the Raft paper, 5.3.
    """
    if applied_end <= view.high_watermark:
        return None
    return Breach(f"n{view.node_id} has applied metadata up to {applied_end}", f"committed up to {view.high_watermark}", str(view))


@invariant("Q18a", "controller-has-caught-up")
def controller_has_caught_up(view: RaftView, image_offset: int) -> Breach | None:
    """An active controller has applied all that was committed before its epoch.

    Hazard: it decides from an old state: what its predecessor has given away it gives away again.
    Source: reference Q18; the Raft paper, 8.
    """
    if not isinstance(view.role, Leader) or image_offset >= view.role.start_offset:
        return None
    text = f"the controller on n{view.node_id} decides, and has applied only up to {image_offset}"
    return Breach(text, f"its epoch begins at {view.role.start_offset}", str(view))


@invariant("Q18b", "answered-is-committed")
def answered_is_committed(name: str, node_id: NodeId, partition_epoch: int, committed_epoch: int) -> Breach | None:
    """What a broker knows of a partition is committed: the controller has told nobody of what may still be dropped.

    Hazard: a leader goes by an ISR that never was.
    Source: reference Q18 ("responses only after commit"); KIP-500.
    """
    if partition_epoch <= committed_epoch:
        return None
    text = f"{name}: n{node_id} was told of partition epoch {partition_epoch}, which is not committed"
    return Breach(text, f"committed: partition epoch {committed_epoch}", f"n{node_id}: {partition_epoch}")


@invariant("Q19", "snapshot-install")
def snapshot_install(view: RaftView, log: RaftLog, memory: RaftMemory) -> Breach | None:
    """A log that begins behind a snapshot knows the epoch of the last entry in it.

    Hazard: the next entry is taken for one that follows, or refused although it does.
    Source: reference Q19; KIP-630.
    """
    start_offset = log.start_offset
    committed = memory.committed[start_offset - 1] if 0 < start_offset <= len(memory.committed) else None
    if committed is None or committed.epoch == log.start_epoch:
        return None
    return Breach(
        f"the snapshot of n{view.node_id} ends in another epoch than was committed", str(committed), f"epoch {log.start_epoch}; {view}"
    )


@invariant("Q20", "decisions-are-whole")
def decisions_are_whole(view: RaftView, log: RaftLog) -> Breach | None:
    """The high watermark lies at the end of a batch: a decision of the controller is committed as a whole, or not at all.

    Hazard: half of a decision takes effect.
    Source: reference Q20; KIP-868.
    """
    end_offset = view.high_watermark
    if end_offset <= log.start_offset or log.entries(end_offset - 1, end_offset)[0].ends_batch:
        return None
    return Breach(f"n{view.node_id} commits a batch in part", f"high watermark {end_offset}", str(view))


def is_asking(view: RaftView) -> bool:
    """Whether a node has asked for votes in its epoch."""
    return isinstance(view.role, Candidate) or (isinstance(view.role, Leader) and view.voted_for == view.node_id)
