"""The in-sync replicas: shrinking, expanding, proposals in flight (KIP-497, KIP-841, KIP-903, KIP-966; replication-rules.md 3.2)."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId
from raftkafka.metadata.control_messages import AlterPartitionReply
from raftkafka.metadata.records import BrokerDirectoriesRecord, PartitionChangeRecord
from tests.replication.world import KEY, Answer, World


def lagging_follower(*, min_insync_replicas: int = 1) -> World:
    """Three in sync; then node 3 is cut off and has missed a record."""
    world = World(min_insync_replicas=min_insync_replicas)
    world.create_topic()
    world.run()
    world.separate((1, 3))
    world.produce(1, "a")
    world.run()
    return world


def proposed(world: World) -> list[int]:
    """The members of the oldest unanswered proposal."""
    return [int(member.node_id) for member in world.alter_requests[0][1].partitions[0].new_isr]


def test_follower_that_lags_too_long_is_taken_out_and_its_lack_no_longer_holds_back_the_producer() -> None:
    world = World()
    world.create_topic()
    world.run()
    world.separate((1, 3))
    answer = world.produce(1, "a")
    world.run()
    assert answer.times == 0
    world.advance(2_000)
    assert world.isr() == (1, 2)
    assert answer.produced.error_code == 0


def test_high_watermark_does_not_wait_for_a_follower_whose_log_directory_has_failed() -> None:
    """It was caught up a moment ago, and may join no more: a producer waited for it until it lagged too long (KIP-858)."""
    works, failed = DirectoryId(b"works" * 3 + b"."), DirectoryId(b"fails" * 3 + b".")
    world = World()
    world.create_topic()
    world.run()
    epoch = world.image.brokers[NodeId(3)].broker_epoch
    world.decide(
        BrokerDirectoriesRecord(node_id=NodeId(3), broker_epoch=epoch, directories=(works,)),
        PartitionChangeRecord(topic_id=KEY.topic_id, partition=0, isr=(NodeId(1), NodeId(2)), directories=(works, works, failed)),
    )
    world.run()
    assert world.isr() == (1, 2)
    world.advance(10)
    world.separate((1, 3))
    answer = world.produce(1, "a")
    world.run()
    assert answer.times == 1


def test_idle_follower_stays_in_sync_although_its_session_names_nothing() -> None:
    world = World()
    world.create_topic()
    world.produce(1, "a")
    world.advance(10_000, step_ms=100)
    world.produce(1, "b")
    world.advance(600)
    assert world.isr() == (1, 2, 3)


def test_follower_that_was_caught_up_until_now_gets_its_full_lag_time() -> None:
    world = World()
    world.create_topic()
    world.advance(10_000, step_ms=100)
    world.separate((1, 3))
    world.produce(1, "a")
    world.advance(900)
    assert world.isr() == (1, 2, 3)


def test_follower_that_caught_up_is_taken_in_again() -> None:
    world = lagging_follower()
    world.advance(2_000)
    assert world.isr() == (1, 2)
    world.heal()
    world.advance(600)
    assert sorted(world.isr()) == [1, 2, 3]
    assert world[3].values() == ["a"]


def test_high_watermark_counts_the_union_of_old_and_proposed_isr() -> None:
    """KIP-497, rule D3: a proposal in flight may or may not have been applied."""
    world = World()
    world.controller_answers = False
    world.create_topic()
    world.run()
    world.separate((1, 3))
    answer = world.produce(1, "a")
    world.advance(2_000)
    assert proposed(world) == [1, 2]
    assert world[1].leader().maximal_isr == {1, 2, 3}
    assert answer.times == 0
    world.answer_alter_partition()
    assert answer.produced.error_code == 0


def test_proposed_member_counts_before_the_controller_has_answered() -> None:
    world = lagging_follower()
    world.advance(2_000)
    world.controller_answers = False
    world.heal()
    world.advance(600)
    assert proposed(world) == [1, 2, 3]
    world.separate((1, 3))
    answer = world.produce(1, "b")
    world.run()
    assert answer.times == 0
    world.answer_alter_partition()
    assert answer.times == 0  # now it is a member


def test_one_proposal_is_in_flight_at_a_time() -> None:
    world = World()
    world.controller_answers = False
    world.create_topic()
    world.run()
    world.separate((1, 3))
    world.produce(1, "a")
    world.advance(2_000)
    world.separate((1, 2))
    world.produce(1, "b")
    world.advance(5_000, step_ms=100)
    assert len(world.alter_requests) == 1
    world.answer_alter_partition()
    world.advance(1_000)
    assert proposed(world) == [1]


@pytest.mark.parametrize("error", [ErrorCode.INELIGIBLE_REPLICA, ErrorCode.OPERATION_NOT_ATTEMPTED])
def test_refusal_that_certainly_was_not_applied_reverts(error: ErrorCode) -> None:
    world = lagging_follower()
    world.advance(2_000)
    world.controller_answers = False
    world.heal()
    world.advance(600)
    world.answer_alter_partition(error)
    assert world[1].leader().maximal_isr == {1, 2}
    assert world.alter_requests == []  # not at once again: the controller may know something that has not come here yet
    world.advance(200)
    assert proposed(world) == [1, 2, 3]


@pytest.mark.parametrize(
    "error",
    [
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.INVALID_UPDATE_VERSION,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NEW_LEADER_ELECTED,
    ],
)
def test_refusal_after_which_it_may_have_been_applied_stays_pending_until_metadata_comes(error: ErrorCode) -> None:
    world = lagging_follower()
    world.advance(2_000)
    world.controller_answers = False
    world.heal()
    world.advance(600)
    world.answer_alter_partition(error)
    world.advance(2_000)
    assert world.alter_requests == []
    assert world[1].leader().maximal_isr == {1, 2, 3}
    world.change_isr(1, 2)
    assert world[1].leader().maximal_isr == {1, 2} or world.alter_requests  # settled; it may ask again


@pytest.mark.parametrize("reply", [None, AlterPartitionReply(error=ErrorCode.NOT_CONTROLLER)])
def test_request_without_an_answer_is_sent_again_unchanged(reply: AlterPartitionReply | None) -> None:
    world = World()
    world.controller_answers = False
    world.create_topic()
    world.run()
    world.separate((1, 3))
    world.produce(1, "a")
    world.advance(2_000)
    _, first = world.alter_requests.pop()
    world[1].manager.alter_partition_reply(reply, world.now_ms)
    world.settle(world[1])
    world.advance(100)
    assert world.alter_requests[0][1] == first


def test_answer_that_is_older_than_the_metadata_changes_nothing() -> None:
    world = World()
    world.controller_answers = False
    world.metadata_delayed = set()
    world.create_topic()
    world.run()
    world.separate((1, 3))
    world.produce(1, "a")
    world.advance(2_000)
    world.change_isr(1, 2)  # the controller fenced node 3 by itself
    world.answer_alter_partition()
    assert world[1].leader().isr == (1, 2)
    assert world[1].leader().pending is None


def test_fenced_replica_is_not_proposed() -> None:
    """KIP-841: else the controller would refuse for ever while the high watermark is held back."""
    world = lagging_follower()
    world.advance(2_000)
    world.fence(3)
    world.heal()
    world.advance(1_000)
    assert world[3].values() == ["a"]
    assert world.isr() == (1, 2)
    answer = world.produce(1, "b")
    world.separate((1, 3))
    world.run()
    assert answer.produced.error_code == 0  # nobody waits for it
    world.heal()
    world.advance(20)
    world.fence(3, fenced=False)
    world.run()
    assert sorted(world.isr()) == [1, 2, 3]  # without another fetch: unfencing alone lets it in


def test_replica_that_fetched_as_an_earlier_incarnation_is_not_proposed() -> None:
    """KIP-903: it may have come back with an empty disk since."""
    world = World()
    world.create_topic()
    world.produce(1, "a")
    world.run()
    world.stop(3)
    world.fence(3)
    world.change_isr(1, 2)
    world.controller_answers = False
    world.separate((1, 3))
    world.restart(3)  # unfenced as another incarnation; that it had everything is what the one before said
    world.advance(200)
    assert world.alter_requests == []
    world.heal()
    world.advance(20)
    assert proposed(world) == [1, 2, 3]


def test_proposal_carries_the_broker_epoch_of_the_last_fetch() -> None:
    world = World()
    world.controller_answers = False
    world.create_topic(isr=(1,))
    world.run()
    members = world.alter_requests[0][1].partitions[0].new_isr
    assert {int(m.node_id): m.broker_epoch for m in members} == {n: world[n].broker_epoch for n in (int(m.node_id) for m in members)}


def test_follower_must_have_reached_the_start_of_the_leader_epoch() -> None:
    """KIP-320: at the high watermark is not enough, which lags after an election; committed records lie up to the epoch's start."""
    world = World(nodes=3)
    world.seed(1, (1, "abc"))
    world.seed(2, (1, "abc"))
    world.create_topic(isr=(1, 2), epoch=2)
    leader = world[1].leader()
    assert (leader.start_offset, world[1].partition().high_watermark) == (3, 0)
    leader.followers[NodeId(3)].acknowledge(1, leader_end_offset=3, now_ms=world.now_ms)
    leader.followers[NodeId(3)].broker_epoch = world[3].broker_epoch
    assert leader.propose_expansion() is None


def test_new_leader_does_not_expand_before_its_high_watermark_has_reached_its_epoch() -> None:
    """Rule K-HW: what is decided by the high watermark must not go back behind what an earlier leader committed."""
    world = World(nodes=3)
    for node_id in (1, 2, 3):
        world.seed(node_id, (1, "abc"))
    world.separate((1, 2))
    world.create_topic(isr=(1, 2), epoch=2)
    world.advance(50)
    assert world[1].partition().high_watermark == 0
    assert world.isr() == (1, 2)  # node 3 has all, but node 2 has not yet confirmed that it is committed
    world.heal()
    world.advance(50)
    assert world.isr() == (1, 2, 3)


def test_leader_under_its_minimum_expands_although_its_high_watermark_is_frozen() -> None:
    """Else it could never leave that state: the high watermark waits for the ISR and the ISR for the high watermark."""
    world = World(nodes=3, min_insync_replicas=2)
    for node_id in (1, 2):
        world.seed(node_id, (1, "abc"))
    world.create_topic(isr=(1,), epoch=2)
    world.advance(50)
    assert 2 in world.isr()
    assert world[1].partition().high_watermark == 3


def test_new_leader_epoch_forgets_what_followers_had() -> None:
    """Replication-rules.md K-reassign race: an emptied replica must not be counted by what it acknowledged before."""
    world = World()
    world.create_topic()
    world.produce(1, "a")
    world.run()
    for node_id in (2, 3):
        world.metadata_delayed.add(node_id)
    world.decide(PartitionChangeRecord(topic_id=KEY.topic_id, partition=0, leader=NodeId(1), isr=(NodeId(1),)))
    assert [progress.log_end_offset for progress in world[1].leader().followers.values()] == [-1, -1]
    assert world.isr() == (1,)
    world.metadata_delayed.clear()
    world.publish()
    world.run()
    assert sorted(world.isr()) == [1, 2, 3]


def test_two_followers_that_are_ready_join_in_one_proposal() -> None:
    world = World()
    world.controller_answers = False
    world.create_topic(isr=(1,))
    world.run()
    world.answer_alter_partition()
    world.run()
    if world.alter_requests:
        world.answer_alter_partition()
        world.run()
    assert sorted(world.isr()) == [1, 2, 3]


def test_replica_that_left_the_isr_does_not_hold_back_the_high_watermark_while_it_catches_up() -> None:
    world = World()
    world.create_topic()
    world.run()
    world.stop(3)
    world.fence(3)
    world.change_isr(1, 2)
    for letter in "abc":
        world.produce(1, letter)
    world.run()
    world.fence(3, fenced=False)
    answer = world.produce(1, "d")
    world.run()
    assert answer.produced.error_code == 0


def waiting_for_a_replica_that_may_join() -> tuple[World, Answer]:
    """Broker 3 has caught up and was refused as a member; the producer's record waits for it alone."""
    world = World()
    world.controller_answers = False
    world.create_topic(isr=(1, 2))
    world.run()
    world.separate((1, 3))
    answer = world.produce(1, "a")
    world.run()
    world.answer_alter_partition(ErrorCode.INELIGIBLE_REPLICA)
    world.run()
    assert answer.times == 0
    return world, answer


def test_producer_no_longer_waits_for_a_replica_that_is_fenced_before_it_joined() -> None:
    world, answer = waiting_for_a_replica_that_may_join()
    world.fence(3)
    assert answer.produced.error_code == 0


def test_producer_no_longer_waits_for_a_replica_that_lagged_too_long_before_it_joined() -> None:
    world, answer = waiting_for_a_replica_that_may_join()
    world.advance(3_000)
    assert answer.produced.error_code == 0
