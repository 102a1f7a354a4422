"""Who becomes leader and what becomes of ISR and ELR (KIP-966, K-election order and K-966 of reference/replication-rules.md)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.ids import NO_NODE, NodeId, PartitionKey, TopicId
from raftkafka.controller.election import Election, PartitionTarget, change_partition
from raftkafka.metadata.records import NO_LEADER_CHANGE, NodeIds
from raftkafka.metadata.topics import RECOVERED, RECOVERING, PartitionRegistration
from tests.controller.world import World

KEY = PartitionKey(TopicId(bytes(16)), 0)


def nodes(*ids: int) -> NodeIds:
    return tuple(NodeId(i) for i in ids)


REPLICAS = nodes(1, 2, 3)


def partition(isr: NodeIds, leader: int, *, replicas: NodeIds = REPLICAS, **fields: Any) -> PartitionRegistration:
    return PartitionRegistration(replicas=replicas, isr=isr, leader=NodeId(leader), leader_epoch=5, partition_epoch=9, **fields)


def change(
    old: PartitionRegistration,
    *,
    live: NodeIds,
    min_isr: int = 2,
    election: Election = Election.ONLINE,
    **target: Any,
) -> PartitionRegistration:
    record = change_partition(
        KEY, old, PartitionTarget(**target), min_isr=min_isr, election=election, may_lead=lambda replica: replica in live
    )
    return old if record is None else old.changed_by(record)


def test_leader_stays_while_it_is_valid() -> None:
    after = change(partition(nodes(1, 2, 3), 2), live=nodes(1, 2), isr=nodes(1, 2))
    assert (after.leader, after.leader_epoch, after.partition_epoch) == (2, 5, 10)


def test_first_live_isr_member_in_assignment_order_is_elected() -> None:
    old = partition(nodes(3, 2, 1), 1, replicas=nodes(1, 2, 3))
    after = change(old, live=nodes(2, 3), isr=nodes(3, 2))
    assert (after.leader, after.leader_epoch) == (2, 6)


def test_isr_shrink_alone_keeps_the_leader_epoch() -> None:
    record = change_partition(
        KEY,
        partition(nodes(1, 2, 3), 1),
        PartitionTarget(isr=nodes(1, 2)),
        min_isr=1,
        election=Election.ONLINE,
        may_lead=lambda _: True,
    )
    assert record is not None
    assert record.leader == NO_LEADER_CHANGE


def test_nothing_to_change_gives_no_record() -> None:
    old = partition(nodes(1, 2, 3), 1)
    assert change(old, live=nodes(1, 2, 3)) is old


def test_replica_outside_the_isr_is_not_elected_while_the_isr_has_members() -> None:
    after = change(partition(nodes(1, 2), 1), live=nodes(3), isr=nodes(2))
    assert after.leader == NO_NODE
    assert after.isr == nodes(2)
    assert after.last_known_elr == nodes(1)


@pytest.mark.parametrize(
    ("isr", "expected_isr", "expected_elr"),
    [
        (nodes(1, 2), nodes(1, 2), ()),  # at the minimum: the high watermark still moves, so who left is not eligible
        (nodes(1), nodes(1), nodes(2, 3)),
        ((), (), nodes(1, 2, 3)),
    ],
)
def test_members_that_leave_below_min_isr_become_eligible(isr: NodeIds, expected_isr: NodeIds, expected_elr: NodeIds) -> None:
    after = change(partition(nodes(1, 2, 3), 1), live=isr, isr=isr)
    assert (after.isr, tuple(sorted(after.elr))) == (expected_isr, expected_elr)


def test_isr_at_the_minimum_again_clears_the_elr() -> None:
    after = change(partition(nodes(1), 1, elr=nodes(2)), live=nodes(1, 3), isr=nodes(1, 3))
    assert (after.isr, after.elr) == (nodes(1, 3), ())


def test_minimum_above_the_replica_count_counts_as_the_replica_count() -> None:
    old = partition(nodes(1), 1, replicas=nodes(1))
    assert change(old, live=nodes(1), min_isr=2).elr == ()


def test_eligible_replica_is_elected_when_the_isr_is_empty_and_becomes_the_isr() -> None:
    after = change(partition((), -1, elr=nodes(2, 3), last_known_elr=nodes(2)), live=nodes(3))
    assert (after.leader, after.isr, after.elr, after.last_known_elr) == (3, nodes(3), nodes(2), ())
    assert after.leader_recovery_state == RECOVERED


def test_unclean_restart_makes_a_replica_ineligible() -> None:
    after = change(partition(nodes(1), 1, elr=nodes(2, 3)), live=nodes(1), isr=nodes(1), unclean_shutdown=nodes(2))
    assert after.elr == nodes(3)


def test_last_known_leader_is_elected_when_isr_and_elr_are_empty_and_must_recover() -> None:
    old = partition((), -1, last_known_elr=nodes(2))
    assert change(old, live=nodes(1, 3)).leader == NO_NODE
    after = change(old, live=nodes(1, 2, 3))
    assert (after.leader, after.isr, after.leader_recovery_state, after.last_known_elr) == (2, nodes(2), RECOVERING, ())


def test_last_known_leader_is_not_elected_while_somebody_is_eligible() -> None:
    assert change(partition((), -1, elr=nodes(3), last_known_elr=nodes(2)), live=nodes(2)).leader == NO_NODE


def test_unclean_election_takes_any_live_replica_only_when_allowed() -> None:
    old = partition(nodes(1), 1)
    assert change(old, live=nodes(2, 3), isr=()).leader == NO_NODE
    after = change(old, live=nodes(2, 3), isr=(), election=Election.UNCLEAN)
    assert (after.leader, after.isr, after.elr, after.leader_recovery_state) == (2, nodes(2), (), RECOVERING)


def test_preferred_election_moves_to_the_first_replica_but_never_to_nobody() -> None:
    old = partition(nodes(1, 2), 2)
    assert change(old, live=nodes(1, 2), election=Election.PREFERRED).leader == 1
    assert change(old, live=nodes(2), election=Election.PREFERRED) is old


def test_reassignment_completes_when_the_new_replicas_are_in_the_isr_and_bumps_the_leader_epoch() -> None:
    old = partition(nodes(1, 2), 1, replicas=nodes(1, 2, 3), adding_replicas=nodes(3), removing_replicas=nodes(2))
    after = change(old, live=nodes(1, 2, 3), isr=nodes(1, 2, 3))
    assert (after.replicas, after.isr, after.adding_replicas, after.removing_replicas) == (nodes(1, 3), nodes(1, 3), (), ())
    assert (after.leader, after.leader_epoch) == (1, 6)


STEPS = st.lists(st.tuples(st.sampled_from(["lose", "lose-unclean", "return"]), st.sampled_from([1, 2, 3])), max_size=25)


@given(steps=STEPS, min_isr=st.integers(1, 3))
def test_isr_and_elr_stay_well_formed(steps: list[tuple[str, int]], min_isr: int) -> None:
    """D8, D10, D14 over random losses and returns of brokers; a broker that returns is taken into the ISR by the leader."""
    state = partition(nodes(1, 2, 3), 1)
    live = {NodeId(1), NodeId(2), NodeId(3)}
    for step, number in steps:
        node = NodeId(number)
        before = state
        if step == "return":
            live.add(node)
            state = change(state, live=tuple(live), min_isr=min_isr)
            if state.leader != NO_NODE and node not in state.isr:
                state = change(state, live=tuple(live), min_isr=min_isr, isr=(*state.isr, node))
        else:
            live.discard(node)
            isr = tuple(replica for replica in state.isr if replica != node)
            lossy = (node,) if step == "lose-unclean" else ()
            state = change(state, live=tuple(live), min_isr=min_isr, isr=isr, unclean_shutdown=lossy)
        assert not set(state.isr) & set(state.elr)
        assert {*state.isr, *state.elr} <= set(state.replicas)
        assert len(state.isr) < min_isr or not state.elr
        assert state.leader == NO_NODE or (state.leader in state.isr and state.leader in live)
        assert set(state.isr) <= live
        assert state.leader_epoch >= before.leader_epoch
        assert state.leader_epoch == before.leader_epoch or state.partition_epoch > before.partition_epoch
        if "lose-unclean" not in {kind for kind, _ in steps}:
            assert len(state.isr) + len(state.elr) >= min_isr


class TestThroughTheController:
    """The same rules, as brokers live and die."""

    def test_last_replica_standing_leads_again_after_a_clean_restart(self) -> None:
        world = World(min_insync_replicas=2).join(1, 2, 3)
        world.create("t")
        for node in (2, 3):
            world.kill(node)
        epoch = world.epoch(1)
        world.kill(1)
        state = world.partition("t")
        assert (state.leader, state.isr, set(state.elr)) == (-1, (), {1, 3})
        world.register(1, previous_epoch=epoch)
        world.heartbeat(1)
        state = world.partition("t")
        assert (state.leader, state.isr, state.elr) == (1, nodes(1), nodes(3))

    def test_unclean_restart_of_the_last_replica_lets_an_eligible_one_lead(self) -> None:
        """VL 5.2.1: the last replica standing lost its tail; it must not be elected before one that has everything."""
        world = World(min_insync_replicas=2).join(1, 2, 3)
        world.create("t")
        epoch = world.epoch(3)
        for node in (2, 3, 1):
            world.kill(node)
        world.register(1)
        world.heartbeat(1)
        assert world.partition("t").leader == -1
        world.register(3, previous_epoch=epoch)
        world.heartbeat(3)
        assert (world.partition("t").leader, world.partition("t").isr) == (3, nodes(3))

    def test_all_killed_uncleanly_wait_for_the_last_known_leader(self) -> None:
        world = World(min_insync_replicas=2).join(1, 2, 3)
        world.create("t")
        for node in (3, 2, 1):
            world.kill(node)
        for node in (2, 3):
            world.register(node)
            world.heartbeat(node)
        assert world.partition("t").leader == -1
        world.register(1)
        world.heartbeat(1)
        state = world.partition("t")
        assert (state.leader, state.isr, state.leader_recovery_state) == (1, nodes(1), RECOVERING)

    def test_unclean_setting_of_a_topic_brings_an_offline_partition_back_at_once(self) -> None:
        world = World(min_insync_replicas=1).join(1, 2, 3)
        world.create("t", configs={"unclean.leader.election.enable": "true"})
        world.create("u")
        for topic in ("t", "u"):
            world.propose_isr(topic, [1])
        world.kill(1)
        assert world.partition("t").leader == 2
        assert world.partition("u").leader == -1


@given(
    isr=st.lists(st.sampled_from(REPLICAS), unique=True, max_size=3).map(tuple),
    live=st.lists(st.sampled_from(REPLICAS), unique=True).map(tuple),
    wanted=st.sampled_from((*REPLICAS, NodeId(9))),
)
def test_a_wanted_leader_is_elected_if_it_is_in_sync_and_may_lead_and_never_otherwise(isr: NodeIds, live: NodeIds, wanted: NodeId) -> None:
    old = partition(isr, isr[0] if isr else NO_NODE)
    after = change(old, live=live, election=Election.PREFERRED, wanted_leader=wanted)
    if wanted in isr and wanted in live:
        assert (after.leader, after.isr) == (wanted, old.isr)
    else:
        assert after.leader != wanted or after.leader == old.leader
    if after.leader not in (NO_NODE, old.leader):
        assert after.leader in isr
        assert after.leader in live
