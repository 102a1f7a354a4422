"""Each invariant is silent about a cluster that is well, and speaks when one thing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from raftkafka.base.ids import NO_DIRECTORY_ID, NO_NODE, DirectoryId, NodeId
from raftkafka.coordinator.records import LogRecord
from raftkafka.group.records import CommittedOffset, GroupMetadata, group_record, offset_record
from raftkafka.group.state import GroupState
from raftkafka.metadata.image import BrokerRegistration, MetadataImage, PartitionRegistration
from raftkafka.metadata.records import RegisterBrokerRecord
from raftkafka.metadata.topics import RECOVERING, TopicImage, TopicsImage
from raftkafka.raft.roles import Candidate, Prospective
from raftkafka.simulation.invariants import INVARIANTS, balance, compaction, directories, groups, metadata, raft, replicas, voters
from raftkafka.simulation.invariants.memory import ClusterMemory, ProcessMemory, RaftMemory
from raftkafka.simulation.invariants.mirror import Producer
from raftkafka.simulation.world import Violation
from tests.simulation.doctored import (
    D1,
    D2,
    D3,
    DIRECTORY,
    KEY,
    N1,
    N2,
    N3,
    NAME,
    FixedLog,
    batch,
    broker,
    entry,
    follower,
    leader,
    partition,
    quorum,
    raft_log,
    registration,
    replica,
    unattached,
    voter,
)

Call = Callable[[], Any]
BROKERS = {node_id: broker(node_id) for node_id in (N1, N2, N3)}
LEADER_ROLE, LATE_LEADER = leader(), leader(2)
HELD = frozenset({N1, N2})


def with_(memory: Any, **changed: Any) -> Any:
    for name, value in changed.items():
        setattr(memory, name, value)
    return memory


def group_state(*offsets: int) -> GroupState:
    state = GroupState()
    for place, offset in enumerate(offsets):
        record = offset_record("g", "records", 0, CommittedOffset(offset=offset, commit_timestamp_ms=0))
        state.replay(LogRecord(place, record.key, record.value))
    return state


IN_THE_FIRST = (DirectoryId(b"1"), NO_DIRECTORY_ID, NO_DIRECTORY_ID)


def in_directories(*ids: bytes) -> dict[NodeId, BrokerRegistration]:
    """n1 with these log directories, and the others."""
    first = attrs.evolve(broker(N1), directories=tuple(map(DirectoryId, ids)))
    return {N1: first, N2: broker(N2), N3: broker(N3)}


def image_of(*registrations: PartitionRegistration) -> MetadataImage:
    """A topic of these partitions, and three brokers."""
    topic = TopicImage(topic_id=KEY.topic_id, name="records", partitions=dict(enumerate(registrations)))
    return MetadataImage(cluster_id="c", brokers=dict(BROKERS), topics=TopicsImage(by_id={KEY.topic_id: topic}, by_name={"records": topic}))


def members(generation: int) -> GroupMetadata:
    return GroupMetadata(protocol_type="consumer", generation=generation)


short = replica(N1, log_end_offset=5, high_watermark=5)
other_log = with_(partition(), mirrors={N1: FixedLog(batch(0), batch(5, crc=8))})
pending_shrink = replica(maximal_isr=HELD, isr=(N1, N2))
alone = replica(isr=(N1,), maximal_isr=frozenset({N1}), high_watermark=5)
lost = with_(partition(), mirrors={N1: FixedLog(batch(0)), N2: FixedLog(), N3: FixedLog()})
split = with_(partition(), leaders={0: N2})
candidate = voter(role=Candidate(deadline_ms=0, votes={N1: True, N2: True}), leader_id=None)
led_by_n2 = with_(quorum(), leaders={1: N2})
uncommitted = {"1": {10: None}}

CASES: dict[str, tuple[Call, Call]] = {
    # id: (all is well, one thing is wrong)
    "D1": (lambda: replicas.leader_completeness(replica(), partition()), lambda: replicas.leader_completeness(short, partition())),
    "D1a": (
        lambda: replicas.acknowledged_is_committed(10, NAME, partition()),
        lambda: replicas.acknowledged_is_committed(11, NAME, partition()),
    ),
    "D2": (
        lambda: replicas.leader_candidate_completeness(replica(N2), partition()),
        lambda: replicas.leader_candidate_completeness(replica(N2, log_end_offset=5), partition()),
    ),
    "D3": (
        lambda: replicas.replication_quorum_superset(replica(), partition()),
        lambda: replicas.replication_quorum_superset(pending_shrink, partition()),
    ),
    "D3a": (
        lambda: replicas.high_watermark_needs_the_isr(replica(high_watermark=5), replica(), partition()),
        lambda: replicas.high_watermark_needs_the_isr(alone, alone._replace(high_watermark=10), partition()),
    ),
    "D4": (
        lambda: replicas.log_matching(replica(), [batch(0), batch(5)], None, partition()),
        lambda: replicas.log_matching(replica(), [batch(5)], None, with_(partition(), batches={(5, 0): (batch(5, crc=8), batch(0))})),
    ),
    "D4a": (
        lambda: replicas.committed_prefix(replica(N2), [batch(0), batch(5)], partition()),
        lambda: replicas.committed_prefix(replica(N2), [batch(0), batch(5, epoch=1)], partition()),
    ),
    "D5": (
        lambda: replicas.consistent_read(3, 77, NAME, partition()),
        lambda: replicas.consistent_read(3, 77, NAME, with_(partition(), delivered={3: 76})),
    ),
    "D6": (lambda: replicas.no_global_loss(NAME, partition()), lambda: replicas.no_global_loss(NAME, lost)),
    "D7": (
        lambda: replicas.high_watermark_monotonic(replica(), replica(), partition()),
        lambda: replicas.high_watermark_monotonic(replica(), short, partition()),
    ),
    "D7a": (
        lambda: replicas.latest_never_goes_back(NAME, 0, 9, {1: 10}),
        lambda: replicas.latest_never_goes_back(NAME, 2, 9, {1: 10}),
    ),
    "D8": (
        lambda: metadata.isr_and_elr_well_formed(NAME, registration(), BROKERS, 2),
        lambda: metadata.isr_and_elr_well_formed(NAME, registration(), {**BROKERS, N3: broker(N3, fenced=True)}, 2),
    ),
    "D9": (
        lambda: metadata.unclean_exclusion(NAME, ProcessMemory(N3), registration(isr=(N1, N2))),
        lambda: metadata.unclean_exclusion(NAME, ProcessMemory(N3), registration(isr=(N1,), elr=(N3,))),
    ),
    "D10": (
        lambda: metadata.partition_epochs_monotonic(NAME, registration(), registration(leader=N2, leader_epoch=1, partition_epoch=1)),
        lambda: metadata.partition_epochs_monotonic(NAME, registration(), registration(leader=N2, partition_epoch=1)),
    ),
    "D10a": (
        lambda: metadata.broker_epochs_monotonic(N1, broker(N1), broker(N1, broker_epoch=6, process=b"b")),
        lambda: metadata.broker_epochs_monotonic(N1, broker(N1), broker(N1, process=b"b")),
    ),
    "D10b": (
        lambda: metadata.replica_epochs_monotonic(replica(), replica(leader_epoch=1, partition_epoch=1)),
        lambda: metadata.replica_epochs_monotonic(replica(leader_epoch=1), replica()),
    ),
    "D11": (lambda: replicas.one_leader_per_epoch(replica(), partition()), lambda: replicas.one_leader_per_epoch(replica(), split)),
    "D12": (
        lambda: replicas.sound_log(replica(), [batch(0), batch(5)], None, None),
        lambda: replicas.sound_log(replica(), [batch(0), batch(6)], None, None),
    ),
    "D13": (lambda: replicas.fetcher_sanity(replica(N2), [N1]), lambda: replicas.fetcher_sanity(replica(N2), [N1, N3])),
    "D14": (
        lambda: metadata.elr_keeps_min_isr(
            NAME, registration(), registration(isr=(N1,), elr=(N2, N3), partition_epoch=1), 2, {N2: False, N3: False}
        ),
        lambda: metadata.elr_keeps_min_isr(NAME, registration(), registration(isr=(N1,), partition_epoch=1), 2, {N2: False, N3: False}),
    ),
    "R1": (
        lambda: metadata.removal_keeps_copies(NAME, registration(), registration(replicas=(N1, N2), isr=(N1, N2), partition_epoch=1), 2),
        lambda: metadata.removal_keeps_copies(NAME, registration(), registration(replicas=(N1, N2), isr=(N1,), partition_epoch=1), 2),
    ),
    "R2": (
        lambda: metadata.reassignment_well_formed(NAME, registration(adding_replicas=(N3,), removing_replicas=(N1,))),
        lambda: metadata.reassignment_well_formed(NAME, registration(adding_replicas=(N3,), removing_replicas=(N3,))),
    ),
    "E1": (
        lambda: metadata.nothing_refers_to_a_removed_broker(NodeId(4), image_of(registration()), [N1, N2, N3]),
        lambda: metadata.nothing_refers_to_a_removed_broker(N3, image_of(registration(isr=(N1, N2))), [N1, N2]),
    ),
    "D15": (
        lambda: metadata.metadata_is_a_prefix(N1, MetadataImage(cluster_id="c"), MetadataImage(cluster_id="c")),
        lambda: metadata.metadata_is_a_prefix(N1, MetadataImage(cluster_id="c"), MetadataImage(cluster_id="c", next_producer_id=9)),
    ),
    "B1": (
        lambda: balance.leaders_move_inside_the_isr(NAME, registration(), registration(leader=N2, leader_epoch=1, partition_epoch=1)),
        lambda: balance.leaders_move_inside_the_isr(
            NAME, registration(isr=(N1, N2)), registration(leader=N3, leader_epoch=1, partition_epoch=1)
        ),
    ),
    "B2": (
        lambda: balance.no_leader_is_taken_for_nothing(NAME, registration(), registration(leader=N2, leader_epoch=1), BROKERS),
        lambda: balance.no_leader_is_taken_for_nothing(NAME, registration(), registration(leader=NO_NODE, leader_epoch=1), BROKERS),
    ),
    "B3": (
        lambda: balance.moved_leaders_rest(NAME, 1_000, 1_000),
        lambda: balance.moved_leaders_rest(NAME, 999, 1_000),
    ),
    "B4": (lambda: balance.rounds_are_bounded(N1, 2, 2), lambda: balance.rounds_are_bounded(N1, 3, 2)),
    "B5": (lambda: balance.balance_comes_to_rest(9, 9, 500, 500), lambda: balance.balance_comes_to_rest(9, 9, 499, 500)),
    "K1": (
        lambda: compaction.last_value_of_each_key(NAME, "a", "value 2", "value 2", is_right=True),
        lambda: compaction.last_value_of_each_key(NAME, "a", "value 1", "value 2", is_right=False),
    ),
    "K2": (
        lambda: compaction.offsets_keep_their_records(NAME, 5, "value 2", "value 2", is_it=True),
        lambda: compaction.offsets_keep_their_records(NAME, 5, "value 1", "value 2", is_it=False),
    ),
    "K3": (
        lambda: compaction.clean_below_high_watermark(replica(), 10, partition()),
        lambda: compaction.clean_below_high_watermark(replica(), 11, partition()),
    ),
    "K4": (
        lambda: compaction.cleaning_keeps_places(replica(), [batch(5, crc=8)], partition()),
        lambda: compaction.cleaning_keeps_places(
            replica(), [batch(5)._replace(next_offset=8)], with_(partition(), batches={(5, 0): (batch(5), None)})
        ),
    ),
    "D16": (
        lambda: replicas.producers_follow_from_the_log(replica(), {7: Producer(0, 4, 9)}, {7: Producer(0, 4, 9)}),
        lambda: replicas.producers_follow_from_the_log(replica(), {7: Producer(0, 4, 9)}, {}),
    ),
    "D17": (lambda: replicas.offsets_in_order(replica()), lambda: replicas.offsets_in_order(replica(high_watermark=11))),
    "D18": (
        lambda: replicas.deletion_needs_a_reason(replica(log_start_offset=3), with_(partition(), deletable_end=3)),
        lambda: replicas.deletion_needs_a_reason(replica(log_start_offset=4), with_(partition(), deletable_end=3)),
    ),
    "D18a": (
        lambda: replicas.deleted_in_every_electable_log(0, NAME, with_(partition(), views={N1: replica(), N2: replica(N2)})),
        lambda: replicas.deleted_in_every_electable_log(1, NAME, with_(partition(), views={N1: replica(), N2: replica(N2)})),
    ),
    "Q1": (lambda: raft.election_safety(voter(), quorum()), lambda: raft.election_safety(voter(), led_by_n2)),
    "Q2": (
        lambda: raft.log_matching(voter(), [entry(0), entry(1)], 0, quorum()),
        lambda: raft.log_matching(voter(), [entry(0)], 0, with_(quorum(), entries={(0, 1): (entry(0, data=b"y"), 0)})),
    ),
    "Q3": (
        lambda: raft.leader_completeness(voter(), raft_log(entry(0), entry(1)), quorum()),
        lambda: raft.leader_completeness(voter(), raft_log(entry(0)), quorum()),
    ),
    "Q5": (lambda: raft.epoch_monotonic((1, N1), voter()), lambda: raft.epoch_monotonic((2, None), voter())),
    "Q6": (
        lambda: raft.high_watermark_monotonic(voter(), voter()),
        lambda: raft.high_watermark_monotonic(voter(), voter(high_watermark=1)),
    ),
    "Q7": (
        lambda: raft.majority_holds_committed(voter(), with_(quorum(), durable={D1: (2, 1), D2: (2, 1)})),
        lambda: raft.majority_holds_committed(voter(), with_(quorum(), durable={D1: (2, 1), D2: (1, 1)})),
    ),
    "Q7a": (
        lambda: raft.stable_log_survives(voter(), raft_log(entry(0), entry(1)), (2, 1)),
        lambda: raft.stable_log_survives(voter(), raft_log(entry(0)), (2, 1)),
    ),
    "Q8": (
        lambda: raft.committed_never_changes(voter(), [entry(1), entry(2)], quorum()),
        lambda: raft.committed_never_changes(voter(), [entry(1, data=b"y")], quorum()),
    ),
    "Q9": (
        lambda: raft.snapshot_at_log_start(voter(), raft_log(start_offset=2, start_epoch=1), 2),
        lambda: raft.snapshot_at_log_start(voter(), raft_log(start_offset=2, start_epoch=1), None),
    ),
    "Q10": (
        lambda: raft.leader_appends_only(voter(role=LEADER_ROLE), voter(role=LEADER_ROLE, log_end_offset=3)),
        lambda: raft.leader_appends_only(voter(role=LEADER_ROLE), voter(role=LEADER_ROLE, log_end_offset=1)),
    ),
    "Q11": (
        lambda: raft.one_stable_vote(candidate, D2, quorum()),
        lambda: raft.one_stable_vote(candidate, D2, with_(quorum(), stable_votes={D2: (0, None)})),
    ),
    "Q11a": (
        lambda: raft.elected_by_stable_votes(voter(role=LEADER_ROLE), quorum()),
        lambda: raft.elected_by_stable_votes(voter(role=LEADER_ROLE), with_(quorum(), stable_votes={D1: (1, N1)})),
    ),
    "Q12": (
        lambda: raft.commit_own_epoch(voter(role=LEADER_ROLE, high_watermark=1), voter(role=LEADER_ROLE)),
        lambda: raft.commit_own_epoch(voter(role=LATE_LEADER, high_watermark=1), voter(role=LATE_LEADER)),
    ),
    "Q13": (
        lambda: raft.vote_for_the_up_to_date(voter(N2), with_(quorum(), candidates={(1, N1): (1, 2)})),
        lambda: raft.vote_for_the_up_to_date(voter(N2), with_(quorum(), candidates={(1, N1): (1, 1)})),
    ),
    "Q13a": (
        lambda: raft.no_votes_while_a_leader_lives(
            voter(N2, role=follower(contact_ms=0)), voter(N2, epoch=2, voted_for=N3), 900, 600, quorum()
        ),
        lambda: raft.no_votes_while_a_leader_lives(
            voter(N2, role=follower(contact_ms=800)), voter(N2, epoch=2, voted_for=N3), 900, 600, quorum()
        ),
    ),
    "Q14": (
        lambda: raft.pre_vote(voter(role=Prospective(deadline_ms=0, votes={})), voter(epoch=2), quorum()),
        lambda: raft.pre_vote(voter(role=unattached()), voter(epoch=2), quorum()),
    ),
    "Q15": (
        lambda: raft.check_quorum(voter(), [900, 0], 1000, 500),
        lambda: raft.check_quorum(voter(), [100, 0], 1000, 500),
    ),
    "Q17": (
        lambda: raft.count_what_is_there(voter(matches=((N2, 2),)), quorum()),
        lambda: raft.count_what_is_there(voter(matches=((N2, 3),)), quorum()),
    ),
    "Q16": (
        lambda: voters.one_voter_at_a_time(N1, 5, (D1, D2, D3), (D1, D2)),
        lambda: voters.one_voter_at_a_time(N1, 5, (D1, D2, D3), (D1, D2, (NodeId(4), DIRECTORY))),
    ),
    "Q16a": (
        lambda: voters.changes_wait_for_commit(voter(role=LEADER_ROLE), voter(role=LEADER_ROLE, last_change=2)),
        lambda: voters.changes_wait_for_commit(voter(role=LEADER_ROLE, last_change=2), voter(role=LEADER_ROLE, last_change=3)),
    ),
    "Q16b": (
        lambda: voters.leaders_have_a_vote(voter(role=LEADER_ROLE)),
        lambda: voters.leaders_have_a_vote(voter(role=LEADER_ROLE, directory_id=b"another")),
    ),
    "Q18": (lambda: raft.applied_is_committed(voter(), 2), lambda: raft.applied_is_committed(voter(), 3)),
    "Q18a": (
        lambda: raft.controller_has_caught_up(voter(role=leader(2)), 2),
        lambda: raft.controller_has_caught_up(voter(role=leader(2)), 1),
    ),
    "Q18b": (lambda: raft.answered_is_committed(NAME, N1, 3, 3), lambda: raft.answered_is_committed(NAME, N1, 4, 3)),
    "Q19": (
        lambda: raft.snapshot_install(voter(), raft_log(start_offset=2, start_epoch=1), quorum()),
        lambda: raft.snapshot_install(voter(), raft_log(start_offset=2, start_epoch=0), quorum()),
    ),
    "Q20": (
        lambda: raft.decisions_are_whole(voter(), raft_log(entry(0), entry(1))),
        lambda: raft.decisions_are_whole(voter(), raft_log(entry(0), entry(1, ends_batch=False))),
    ),
    "C1": (
        lambda: groups.one_owner("g", 1, {"a": [("records", 0)], "b": [("records", 1)]}),
        lambda: groups.one_owner("g", 1, {"a": [("records", 0)], "b": [("records", 0)]}),
    ),
    "C2": (lambda: groups.stale_commits_refused(2, 2, ""), lambda: groups.stale_commits_refused(1, 2, "")),
    "C2a": (
        lambda: groups.answered_commit_is_committed(NAME, 10, {10: None}),
        lambda: groups.answered_commit_is_committed(NAME, 11, {10: None}),
    ),
    "C3": (
        lambda: groups.generation_monotonic("g", members(1), members(2)),
        lambda: groups.generation_monotonic("g", members(2), members(1)),
    ),
    "L1": (
        lambda: directories.leaders_where_disks_work(NAME, registration(directories=IN_THE_FIRST), in_directories(b"1", b"2")),
        lambda: directories.leaders_where_disks_work(NAME, registration(directories=IN_THE_FIRST), in_directories(b"2")),
    ),
    "L2": (
        lambda: directories.moved_logs_are_whole(NAME, N1, [batch(0), batch(5)], [batch(0), batch(5)]),
        lambda: directories.moved_logs_are_whole(NAME, N1, [batch(0), batch(5)], [batch(0)]),
    ),
    "T11": (
        lambda: groups.live_state_is_the_replay(0, 1, group_state(4, 5), group_state(4, 5)),
        lambda: groups.live_state_is_the_replay(0, 1, group_state(4), group_state(4, 5)),
    ),
    "T11a": (
        lambda: groups.served_offset_is_committed(NAME, 10, {10: None}),
        lambda: groups.served_offset_is_committed(NAME, 11, {}),
    ),
}


@pytest.mark.parametrize("invariant_id", list(INVARIANTS))
def test_an_invariant_is_silent_while_all_is_well_and_speaks_when_one_thing_is_wrong(invariant_id: str) -> None:
    well, wrong = CASES[invariant_id]
    well()
    with pytest.raises(Violation) as caught:
        wrong()
    assert caught.value.invariant == INVARIANTS[invariant_id].title
    assert caught.value.text and caught.value.before and caught.value.after


def test_every_invariant_says_what_it_prevents_and_where_it_comes_from() -> None:
    for each in INVARIANTS.values():
        assert each.statement.endswith((".", ")")), each.id
        assert each.hazard and each.source, each.id


def test_a_leader_with_another_batch_than_was_committed_is_found() -> None:
    with pytest.raises(Violation, match="another batch at 5"):
        replicas.leader_completeness(replica(), other_log)


def test_a_consumer_that_is_given_what_is_not_committed_is_found() -> None:
    with pytest.raises(Violation, match="given offset 10"):
        replicas.consistent_read(10, 77, NAME, partition())


def test_a_high_watermark_beyond_a_member_of_the_isr_is_found() -> None:
    memory = partition()
    memory.views[N3] = replica(N3, log_end_offset=5, high_watermark=5)
    with pytest.raises(Violation, match="ISR member n3 has only 5"):
        replicas.high_watermark_needs_the_isr(replica(high_watermark=5), replica(), memory)


def test_a_batch_that_does_not_fit_its_checksum_is_found() -> None:
    with pytest.raises(Violation, match="does not fit its checksum"):
        replicas.sound_log(replica(), [batch(0)], None, batch(0))


def test_what_was_committed_may_be_gone_when_more_disks_have_failed_than_min_isr_allows() -> None:
    replicas.no_global_loss(NAME, with_(partition(), mirrors=lost.mirrors, losses=2))


def test_an_unclean_election_takes_back_what_was_committed() -> None:
    memory = partition()
    memory.forget_above(5)
    assert (memory.true_high_watermark, memory.last_committed) == (5, batch(0))
    assert not metadata.unclean_exclusion(NAME, ProcessMemory(N1), registration(isr=(N1,), leader_recovery_state=RECOVERING))


def test_a_registration_of_an_earlier_process_that_is_committed_late_is_not_that_of_the_process_that_runs() -> None:
    """A broker registers, is killed, and leads the quorum when it is back: what it had asked for is committed only then."""
    memory = ClusterMemory(raft=RaftMemory(voters=()), image=MetadataImage(cluster_id=""), processes={N1: ProcessMemory(N1, b"later")})
    for name, known in ((b"early", False), (b"later", True)):
        record = RegisterBrokerRecord(node_id=N1, broker_epoch=9, incarnation_id=name, endpoints=(), rack=None, fenced=True)
        memory.image, _ = memory.image.apply([record], memory.image.offset + 1, 1)
        assert memory.is_registered(N1) == known


@pytest.mark.parametrize("end_offset", [5, 12])
def test_what_an_unclean_leader_has_appended_since_is_not_what_it_had(end_offset: int) -> None:
    """It is seen when its node has settled, and may have appended more by then than it lacked."""
    memory = partition()
    memory.elected_uncleanly(replica(start_offset=5, log_end_offset=end_offset), FixedLog(batch(0)))
    assert (memory.true_high_watermark, memory.last_committed) == (5, batch(0))


def test_an_unclean_leader_that_has_another_batch_than_was_committed_takes_that_back() -> None:
    memory = partition()
    memory.elected_uncleanly(replica(start_offset=10), FixedLog(batch(0), batch(5, crc=8)))
    assert (memory.true_high_watermark, memory.last_committed) == (5, batch(0))


def test_balance_that_moves_for_ever_is_found() -> None:
    with pytest.raises(Violation, match="balance made 10 moves"):
        balance.balance_comes_to_rest(10, 9, 500, 500)


def test_an_unclean_leader_that_had_everything_takes_nothing_back() -> None:
    memory = partition()
    memory.elected_uncleanly(replica(start_offset=10), FixedLog(batch(0), batch(5)))
    assert (memory.true_high_watermark, memory.unclean_epoch) == (10, -1)


def test_state_of_a_group_that_the_log_does_not_give_is_found() -> None:
    live, replayed = GroupState(), GroupState()
    record = group_record("g", members(3))
    live.replay(LogRecord(0, record.key, record.value))
    with pytest.raises(Violation, match="another state of group g"):
        groups.live_state_is_the_replay(0, 1, live, replayed)


def test_the_epoch_of_another_leader_must_be_higher() -> None:
    with pytest.raises(Violation, match="partition epoch went back"):
        metadata.partition_epochs_monotonic(NAME, registration(partition_epoch=3), attrs.evolve(registration(), partition_epoch=2))


def test_the_documentation_lists_every_invariant() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
    missing = [each.title for each in INVARIANTS.values() if f"| {each.id} | {each.name} | {each.statement} |" not in text]
    assert not missing


def test_a_vote_for_whom_a_later_leader_hands_over_to_is_none_against_the_one_last_heard() -> None:
    """The voter follows the leader of epoch 1; the leader of epoch 2, of which it has not heard, has told another to stand for epoch 3."""
    heard, voted = voter(N2, role=follower(contact_ms=800)), voter(N2, epoch=3, voted_for=N3)
    raft.no_votes_while_a_leader_lives(heard, voted, 900, 600, with_(quorum(), transfers={2: N3}))
    with pytest.raises(Violation):
        raft.no_votes_while_a_leader_lives(heard, voted, 900, 600, with_(quorum(), transfers={1: N3}))
