"""What each rule of `base.rules` says, what it prevents, and where it comes from: the text of `raftkafka rules` and of docs/rules.md.

Sources: "the paper" is Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014); "the thesis" is Ongaro's (2014);
KIP-n is a Kafka Improvement Proposal; ids such as D3 or Q12 are those of the invariants that the simulator checks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from raftkafka.base.rules import Rule


class Area(enum.Enum):
    """Which part of a node a rule belongs to."""

    RAFT = "raft"
    CONTROLLER = "controller"
    REPLICATION = "replication"
    STORAGE = "storage"
    COORDINATOR = "coordinator"


@attrs.frozen
class RuleText:
    """`sentence`: the rule. `hazard`: what a node does without it, and what comes of that. `source`: who found it."""

    area: Area
    sentence: str
    hazard: str
    source: str


RULE_TEXTS: Mapping[Rule, RuleText] = {
    Rule.PERSIST_VOTE: RuleText(
        Area.RAFT,
        "A vote, and an epoch, is on stable storage before it is told to anybody.",
        "A voter that loses power forgets whom it voted for and votes again: two leaders in one epoch.",
        'the paper, figure 2: "updated on stable storage before responding to RPCs" (Q1, Q11)',
    ),
    Rule.FSYNC_RAFT_LOG: RuleText(
        Area.RAFT,
        "A follower says that it has an entry only when the entry is on stable storage.",
        "The leader counts a copy that a power failure takes away: a committed decision of the controller is lost.",
        "the paper, figure 2 (Q4, Q7, Q8)",
    ),
    Rule.VOTE_ONCE_PER_EPOCH: RuleText(
        Area.RAFT,
        "A node votes for one candidate in an epoch.",
        "Two candidates of one epoch both find a majority: two leaders in one epoch, two histories.",
        "the paper, 5.2 (Q1)",
    ),
    Rule.COMPARE_LOGS: RuleText(
        Area.RAFT,
        "A node votes only for a candidate whose log is at least as up to date as its own.",
        "A node that was away is elected and cuts off what was committed without it.",
        "the paper, 5.4.1 (Q3, Q13)",
    ),
    Rule.PRE_VOTE: RuleText(
        Area.RAFT,
        "Before it opens an epoch a node asks whether it would be elected.",
        "A node that hears nobody opens epoch after epoch; when it is heard again its epoch deposes a leader that works.",
        "the thesis, 9.6; KIP-996 (Q14)",
    ),
    Rule.LEADER_STICKINESS: RuleText(
        Area.RAFT,
        "Who has just heard a leader votes for nobody else.",
        "One node that does not hear the leader, while all others do, deposes it again and again.",
        "the thesis, 4.2.3; KIP-996 (Q13)",
    ),
    Rule.CHECK_QUORUM: RuleText(
        Area.RAFT,
        "A leader that no majority answers resigns.",
        "A controller that is cut off goes on: whoever reaches it waits for decisions that it can never make.",
        "the thesis, 6.2; KRaft's check quorum (Q15)",
    ),
    Rule.COMMIT_ONLY_OWN_EPOCH: RuleText(
        Area.RAFT,
        "A leader counts copies only of entries of its own epoch; what is before them is committed with them.",
        "An old entry that a majority holds is taken for committed, and a leader with a newer epoch overwrites it.",
        "the paper, 5.4.2 and figure 8 (Q12)",
    ),
    Rule.CHECK_PREVIOUS_ENTRY: RuleText(
        Area.RAFT,
        "A follower takes entries only when the one before them is here, with the same epoch.",
        "A log with entries that nobody else has goes on behind them, and they count as committed.",
        "the paper, 5.3: the induction step of log matching (Q2)",
    ),
    Rule.TRUNCATE_ON_CONFLICT: RuleText(
        Area.RAFT,
        "A follower cuts its log only where an entry conflicts, not where a message ends.",
        "A message that is late and shorter takes away entries that were answered for.",
        "the paper, figure 2, AppendEntries 3 (Q4, Q7)",
    ),
    Rule.LEADER_COUNTS_ITSELF: RuleText(
        Area.RAFT,
        "A leader counts its own copy of an entry only when it is on stable storage.",
        "An entry is committed that only one node holds stably; when the leader loses power it is gone.",
        "the thesis, 10.2.1 (Q7)",
    ),
    Rule.VOTER_NEEDS_ITS_DIRECTORY: RuleText(
        Area.RAFT,
        "A voter is a node with its directory: one that comes back with an empty disk has no vote until it is given one.",
        "It votes as if it had promised and held nothing: a leader is elected that lacks what was committed.",
        "KIP-853 (Q3, Q7, Q16)",
    ),
    Rule.ANSWER_AFTER_COMMIT: RuleText(
        Area.CONTROLLER,
        "A controller answers when its decision is committed.",
        "A topic that was created is not there, or a block of producer ids is given out twice, when the controller is deposed in between.",
        "KIP-500; the paper, 8 (Q18)",
    ),
    Rule.CATCH_UP_BEFORE_CONTROLLING: RuleText(
        Area.CONTROLLER,
        "A new controller decides only when it has applied all that was committed before its epoch.",
        "It decides from an old state: what its predecessor has given away it gives away again.",
        "the paper, 8: the leader's first entry (Q18)",
    ),
    Rule.BUMP_LEADER_EPOCH: RuleText(
        Area.CONTROLLER,
        "Each election of a partition's leader has an epoch of its own.",
        "A deposed leader and its successor write in the same epoch: logs differ, and nothing tells them apart.",
        "KIP-101, KIP-320; K-election order (D10, D11)",
    ),
    Rule.ELECT_FROM_ISR: RuleText(
        Area.CONTROLLER,
        "Only a member of the ISR, or of the ELR when the ISR is empty, becomes leader.",
        "A replica that lags is elected, and the others cut off what it lacks: acknowledged records are lost.",
        "Kafka's unclean.leader.election.enable=false; KIP-966 (D1, D2)",
    ),
    Rule.MOVE_INSIDE_ISR: RuleText(
        Area.CONTROLLER,
        "A leadership that moves for balance, or goes home, goes to a member of the ISR.",
        "A broker that has just returned leads what it has not copied yet, and the others cut off what it lacks.",
        "KIP-460 (preferred elections); docs/balancing.md (D1, D2)",
    ),
    Rule.KEEP_REMOVED_IN_ELR: RuleText(
        Area.CONTROLLER,
        "Who leaves an ISR that is below its minimum stays eligible to lead.",
        "The last member of the ISR loses its unsynced tail and leads again, while another that has all of it must not.",
        "KIP-966, the last replica standing (D14)",
    ),
    Rule.EXCLUDE_UNCLEAN_FROM_ELR: RuleText(
        Area.CONTROLLER,
        "A replica that was restarted without a clean stop is no longer eligible to lead.",
        "It may have lost what it acknowledged, and is elected all the same.",
        "KIP-966 (D9)",
    ),
    Rule.REFUSE_STALE_PROPOSALS: RuleText(
        Area.CONTROLLER,
        "An ISR is accepted from the current leader only, and only if it knows the current state of the partition.",
        "A leader of the past, or one that has not heard of a change, puts a replica back that lacks committed records.",
        "KIP-497 (D2, D3)",
    ),
    Rule.REQUIRE_BROKER_EPOCH: RuleText(
        Area.CONTROLLER,
        "A replica joins the ISR only as the process whose fetch its leader saw: the broker epochs are equal.",
        "A broker restarts with less than it had, and is put into the ISR for what its earlier process fetched.",
        "KIP-903 (D2, D9)",
    ),
    Rule.REFUSE_FENCED_IN_ISR: RuleText(
        Area.CONTROLLER,
        "A broker that is fenced, or shuts down, does not join an ISR.",
        "A leader puts a broker back that the controller has just taken out; it does not fetch, and the high watermark stands still.",
        "KIP-841 (D8)",
    ),
    Rule.FENCE_AND_MOVE_TOGETHER: RuleText(
        Area.CONTROLLER,
        "Fencing a broker and moving what it leads is one decision.",
        "The controller is deposed between the two: partitions are led by a broker that is gone, and nobody knows that it is left to do.",
        "KIP-631, KIP-868 (D8)",
    ),
    Rule.CATCH_UP_BEFORE_REMOVING: RuleText(
        Area.CONTROLLER,
        "A reassignment removes replicas only when all those that stay are in the ISR.",
        "Copies of acknowledged records are deleted before there are others: one machine that loses power takes them with it.",
        "KIP-455; Kafka's PartitionReassignmentReplicas (D6, R1)",
    ),
    Rule.BUMP_EPOCH_ON_REMOVAL: RuleText(
        Area.CONTROLLER,
        "A change that removes replicas begins a new leader epoch.",
        "A replica is removed and added again before its leader hears of it: the leader counts what the emptied replica once acknowledged.",
        "Vanlightly's Kafka specification, 6.5.4: the reassignment race",
    ),
    Rule.TRUNCATE_BY_EPOCH: RuleText(
        Area.REPLICATION,
        "A follower cuts its log where the leader's epochs part from its own, not at its own high watermark.",
        "The high watermark lags by a fetch: a restarted follower cuts off a committed record, and leads before it has fetched it again.",
        "KIP-101, KIP-279 (D1, D4)",
    ),
    Rule.CHECK_DIVERGENCE: RuleText(
        Area.REPLICATION,
        "A leader compares the offset and the epoch that a follower fetches at with its own log.",
        "A follower keeps records that nobody committed and goes on behind them: replicas differ for ever.",
        "KIP-595, KIP-320 (D4)",
    ),
    Rule.COUNT_MAXIMAL_ISR: RuleText(
        Area.REPLICATION,
        "While a change of the ISR is under way, the members of both the old and the new one count.",
        "The controller elects a replica that it still takes for a member, and that the leader has stopped to wait for.",
        "KIP-497 (D3)",
    ),
    Rule.ONE_PROPOSAL: RuleText(
        Area.REPLICATION,
        "A leader proposes one change of an ISR at a time, and holds to it until it knows what became of it.",
        "It forgets a proposal that the controller then accepts, and does not wait for the member that has joined.",
        "KIP-497 (D3)",
    ),
    Rule.EXPAND_PAST_EPOCH_START: RuleText(
        Area.REPLICATION,
        "A follower joins the ISR only when it has all that the leader had at its election, and the high watermark has got there.",
        "The high watermark of a new leader lags behind what its predecessor acknowledged: a follower that has reached it may lack that.",
        "KAFKA-7128; KIP-320, fourth rule of Kip320.tla (D2)",
    ),
    Rule.FREEZE_UNDER_MIN_ISR: RuleText(
        Area.REPLICATION,
        "The high watermark stands still while the ISR is below min.insync.replicas.",
        "Records count as committed that one replica alone has; another one that is eligible is elected without them.",
        "KIP-966, part 1 (D2, D3)",
    ),
    Rule.COUNT_WHOLE_ISR: RuleText(
        Area.REPLICATION,
        "A record is committed when every member of the ISR has it.",
        "With a majority, as in Raft: any member may be elected, and one of them lacks the record.",
        "Kafka's replication: availability down to one replica in place of majorities (D3)",
    ),
    Rule.ACKS_ALL_WAITS: RuleText(
        Area.REPLICATION,
        "acks=all is answered when the high watermark has passed the records.",
        "The leader dies before anybody has fetched them.",
        "the Produce API (D1)",
    ),
    Rule.SERVE_BELOW_HIGH_WATERMARK: RuleText(
        Area.REPLICATION,
        "A consumer reads what is committed, and nothing else.",
        "It reads a record that is cut off later, and finds another one, or none, at its offset.",
        "Kafka's replication (D5)",
    ),
    Rule.LATEST_AFTER_CATCH_UP: RuleText(
        Area.REPLICATION,
        "A new leader does not say where the log ends before its high watermark has reached the start of its epoch.",
        "The end goes back: who was told 100 is told 90, and misses what was acknowledged in between.",
        "KIP-207 (D7)",
    ),
    Rule.KEEP_HIGH_WATERMARK: RuleText(
        Area.REPLICATION,
        "A follower does not lower its high watermark to that of a leader which lags.",
        "What was committed counts as uncommitted again, and a follower that becomes leader hides it.",
        "K-HW; Kafka's KAFKA-8325 and its kin (D7)",
    ),
    Rule.CHECK_SEQUENCE: RuleText(
        Area.STORAGE,
        "A batch of a producer that comes again is not appended again.",
        "A producer whose answer was lost sends its records again, and they are there twice.",
        "KIP-98 (T1)",
    ),
    Rule.REPLICATE_PRODUCER_STATE: RuleText(
        Area.STORAGE,
        "What is known of producers follows from the log, at a follower and after a restart as at the leader.",
        "A new leader knows no producer, and appends again what its predecessor had appended and could not answer any more.",
        "KIP-98 (D16)",
    ),
    Rule.RECORD_EPOCH_AT_ELECTION: RuleText(
        Area.STORAGE,
        "A leader notes where its epoch begins when it is elected, even if it never writes.",
        "Asked where an epoch ends that it does not know, it cannot say, and the follower drops all that it has.",
        "KIP-279 (D2, D7)",
    ),
    Rule.SYNC_BEFORE_MARKER: RuleText(
        Area.STORAGE,
        "The marker of a clean stop is written when all that it vouches for is on stable storage.",
        "The power fails after the stop: the broker comes back without its last records and says that it has them.",
        "KIP-966; the storage layout's invariants (D9)",
    ),
    Rule.WITHDRAW_MARKER: RuleText(
        Area.STORAGE,
        "The marker of a clean stop is gone, and that is stable, before a broker serves.",
        "After a crash the broker takes its log for whole, and does not look.",
        "reference: disk format; KIP-966 (D9)",
    ),
    Rule.SCAN_AFTER_CRASH: RuleText(
        Area.STORAGE,
        "After a crash every batch that was not known to be stable is checked by its checksum.",
        "A torn batch whose header is whole is taken for a record batch, and is served.",
        "Alagappan et al., Protocol-Aware Recovery (FAST 2018) (D12)",
    ),
    Rule.CLEAN_BELOW_HIGH_WATERMARK: RuleText(
        Area.STORAGE,
        "Only committed records are compacted, and only committed ones replace others.",
        "A value goes for the sake of a newer one that an election takes away: the key has neither.",
        "Kafka's LogCleanerManager, the first uncleanable offset (K3)",
    ),
    Rule.KEEP_TOMBSTONES: RuleText(
        Area.STORAGE,
        "A deletion stays in the log for delete.retention.ms after what it deletes is gone.",
        "A replica or reader that comes after never hears of the deletion, and keeps the value.",
        "Kafka's log compaction; KIP-534 (K1)",
    ),
    Rule.KEEP_PRODUCER_BATCHES: RuleText(
        Area.STORAGE,
        "The last batches of a producer keep their headers when their records are compacted away.",
        "A follower that copies the log, or a recovery, does not know the producer: its next batch may come twice.",
        "Kafka's Cleaner; KIP-98 (D16)",
    ),
    Rule.SWAP_ATOMICALLY: RuleText(
        Area.STORAGE,
        "A cleaned segment is stable before it takes the place of others, in renames that the next start can finish.",
        "The power fails: the old segments are gone, and the new one is empty or was not there yet.",
        "Kafka's replaceSegments; Pillai et al., All File Systems Are Not Created Equal (OSDI 2014) (K1)",
    ),
    Rule.ANSWER_COMMIT_WHEN_REPLICATED: RuleText(
        Area.COORDINATOR,
        "An offset commit is answered when its record is committed.",
        "The coordinator dies: the group goes on from an offset before the one that was committed.",
        "Kafka's offsets topic: commits are acks=all (C2)",
    ),
    Rule.LOAD_BEFORE_ANSWERING: RuleText(
        Area.COORDINATOR,
        "A new coordinator answers when it has read its log, and all of that is committed.",
        "It says that nothing was committed: the group begins again at the first record, or at the last.",
        "Kafka's COORDINATOR_LOAD_IN_PROGRESS (T10)",
    ),
    Rule.FENCE_STALE_GENERATIONS: RuleText(
        Area.COORDINATOR,
        "Only a member of the current generation commits offsets.",
        "A member that was taken for dead wakes up and sets the group back to where it was.",
        "Kafka's ILLEGAL_GENERATION (C2)",
    ),
    Rule.WAIT_FOR_ALL_MEMBERS: RuleText(
        Area.COORDINATOR,
        "A new generation begins when all members have joined it, or the time for that is over.",
        "Partitions are given to one member while another one that knows nothing of it still works on them.",
        "Kafka's classic group protocol (C1)",
    ),
}
"""For every rule, in the order of `Rule`."""
