"""ElectLeaders: elections that an administrator asks for (KIP-460)."""

from __future__ import annotations

from raftkafka.base.errors import ErrorCode
from raftkafka.metadata.topics import RECOVERING
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions
from tests.controller.world import World

PREFERRED, UNCLEAN = 0, 1


def new_world(**settings: bool) -> World:
    world = World(min_insync_replicas=1, auto_leader_rebalance_enable=False, **settings).join(1, 2, 3)
    world.create("t", assignments=[[1, 2], [2, 3]])
    return world


def elect(world: World, election: int, topics: dict[str, list[int]] | None) -> dict[tuple[str, int], tuple[int, str | None]]:
    """The code and the message of each partition in the answer."""
    partitions = None if topics is None else [TopicPartitions(topic=name, partitions=indexes) for name, indexes in topics.items()]
    reply: ElectLeadersResponse = world.ask(ElectLeadersRequest(election_type=election, topic_partitions=partitions))
    assert reply.error_code == ErrorCode.NONE
    return {
        (topic.topic, each.partition_id): (each.error_code, each.error_message)
        for topic in reply.replica_election_results
        for each in topic.partition_result
    }


def move_leaders_from_1(world: World) -> None:
    """Broker 1 is fenced for a moment: broker 2 leads everything, and broker 1 is in the ISR again."""
    world.heartbeat(1, want_fence=True)
    world.heartbeat(1)
    world.propose_isr("t", [2, 1])
    assert (world.partition("t").leader, world.partition("t").isr) == (2, (2, 1))


def test_the_preferred_leader_is_elected_where_it_does_not_lead() -> None:
    world = new_world()
    move_leaders_from_1(world)
    answer = elect(world, PREFERRED, {"t": [0, 1]})
    assert answer == {
        ("t", 0): (ErrorCode.NONE, None),
        ("t", 1): (ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."),
    }
    assert (world.partition("t").leader, world.partition("t").leader_epoch) == (1, 2)


def test_of_all_partitions_only_those_are_answered_that_needed_an_election() -> None:
    world = new_world()
    assert elect(world, PREFERRED, None) == {}
    move_leaders_from_1(world)
    assert elect(world, PREFERRED, None) == {("t", 0): (ErrorCode.NONE, None)}


def test_a_preferred_leader_that_is_not_in_sync_is_not_elected() -> None:
    world = new_world()
    world.heartbeat(1, want_fence=True)
    answer = elect(world, PREFERRED, {"t": [0]})
    assert answer == {("t", 0): (ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available.")}
    assert world.partition("t").leader == 2


def test_unclean_elections_are_done_on_request_and_only_without_a_leader() -> None:
    world = new_world()
    assert elect(world, UNCLEAN, {"t": [0]})["t", 0][0] == ErrorCode.ELECTION_NOT_NEEDED
    world.heartbeat(1, want_fence=True)
    world.kill(2)
    answer = elect(world, UNCLEAN, {"t": [0]})
    assert answer == {("t", 0): (ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "Eligible topic partition leaders are not available.")}
    world.heartbeat(1)
    assert world.partition("t").leader == -1
    assert elect(world, UNCLEAN, None) == {("t", 0): (ErrorCode.NONE, None)}
    after = world.partition("t")
    assert (after.leader, after.isr, after.leader_recovery_state) == (1, (1,), RECOVERING)


def test_what_does_not_exist_is_refused() -> None:
    world = new_world()
    assert elect(world, PREFERRED, {"u": [0], "t": [7]}) == {
        ("u", 0): (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "No such topic as u"),
        ("t", 7): (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "No such partition as t-7"),
    }


def test_an_unknown_kind_of_election_refuses_the_request() -> None:
    reply = new_world().ask(ElectLeadersRequest(election_type=5, topic_partitions=[TopicPartitions(topic="t", partitions=[0])]))
    result = reply.replica_election_results[0].partition_result[0]
    assert (reply.error_code, result.error_code, result.error_message) == (
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REQUEST,
        "Unknown election type 5",
    )


def test_a_partition_that_is_named_twice_is_elected_once() -> None:
    world = new_world()
    move_leaders_from_1(world)
    epoch = world.partition("t").leader_epoch
    elect(world, PREFERRED, {"t": [0, 0]})
    assert world.partition("t").leader_epoch == epoch + 1
