"""What kafka-reassign-partitions works out without a cluster: plans as JSON, moves for throttles, how far a move of a directory is."""

from __future__ import annotations

import json

import pytest

from raftkafka.base.ids import TopicPartition
from raftkafka.tools.reassign_partitions.cluster_state import Moving, Place
from raftkafka.tools.reassign_partitions.directory_moves import DirectoryMove
from raftkafka.tools.reassign_partitions.failure import Failed
from raftkafka.tools.reassign_partitions.plan_json import Replica, check_executable, parse_brokers, parse_plan, parse_topics, plan_as_json
from raftkafka.tools.reassign_partitions.throttles import Move, proposed_moves

FIRST, SECOND = TopicPartition("foo", 0), TopicPartition("foo", 1)


def plan_of(*partitions: dict[str, object], **fields: object) -> str:
    return json.dumps({"partitions": list(partitions), **fields})


def test_a_plan_is_read_back_from_its_json() -> None:
    """Reference/golden 904."""
    text = plan_as_json({SECOND: (2, 3), FIRST: (1, 2)}, {Replica(2, "foo", 0): "/data"})
    assert text == (
        '{"version":1,"partitions":[{"topic":"foo","partition":0,"replicas":[1,2],"log_dirs":["any","/data"]},'
        '{"topic":"foo","partition":1,"replicas":[2,3],"log_dirs":["any","any"]}]}'
    )
    plan = parse_plan(text)
    assert check_executable(plan) == {FIRST: (1, 2), SECOND: (2, 3)}
    assert plan.log_dirs == {Replica(2, "foo", 0): "/data"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (plan_of(), "Partition reassignment list cannot be empty"),
        (plan_of({"topic": "foo", "partition": 0, "replicas": []}), "Partition replica list cannot be empty"),
        (
            plan_of({"topic": "foo", "partition": 0, "replicas": [1, 2, 1]}),
            "Partition replica lists may not contain duplicate entries: foo-0 contains multiple entries for 1",
        ),
        (
            plan_of({"topic": "foo", "partition": 0, "replicas": [1]}, {"topic": "foo", "partition": 0, "replicas": [2]}),
            "Partition reassignment contains duplicate topic partitions: foo-0",
        ),
        (
            plan_of({"topic": "foo", "partition": 0, "replicas": [1], "log_dirs": ["a", "b"]}),
            "Size of replicas list [1] is different from size of log dirs list [a, b] for partition foo-0",
        ),
        (plan_of(version=3), "Not supported version field value 3"),
        (plan_of({"topic": "foo"}), "No such field exists: `partition`"),
        (plan_of({"topic": "foo", "partition": "x"}), 'Expected `Integer` value, received "x"'),
        (plan_of({"topic": "foo", "partition": True}), "Expected `Integer` value, received true"),
        ("[]", "Expected JSON object, received []"),
        ('{"partitions": 1}', "`partitions` is not a list of objects"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Failed) as refused:
        check_executable(parse_plan(text))
    assert str(refused.value) == reason


def test_topics_and_brokers_are_named_once() -> None:
    assert parse_topics('{"topics": [{"topic": "foo"}, {"topic": "bar"}]}') == ["foo", "bar"]
    assert parse_brokers("3,1") == [3, 1]
    for refused in (
        lambda: parse_topics('{"topics": [{"topic": "foo"}, {"topic": "foo"}]}'),
        lambda: parse_topics("garbage"),
        lambda: parse_brokers("1,1"),
        lambda: parse_brokers("x"),
    ):
        with pytest.raises(Failed):
            refused()


def test_moves_go_from_those_that_have_the_partition_to_those_that_do_not() -> None:
    """A move under way counts from where it began, also when it is changed."""
    moving = {
        SECOND: Moving(replicas=(2, 1, 3), adding=(2,), removing=(3,)),
        TopicPartition("bar", 0): Moving(replicas=(1, 2), adding=(2,), removing=()),
    }
    moves = proposed_moves(moving, {FIRST: (2, 3), SECOND: (3, 4)}, {FIRST: (1, 2), SECOND: (2, 1, 3)})
    assert moves[FIRST] == Move(sources=(1, 2), destinations=(3,))
    assert moves[SECOND] == Move(sources=(1, 3), destinations=(4,))
    assert moves[TopicPartition("bar", 0)] == Move(sources=(1,), destinations=(2,))


@pytest.mark.parametrize(
    ("place", "is_done", "sentence"),
    [
        (Place(current="/a"), True, "Reassignment of replica foo-0-1 completed successfully."),
        (Place(current="/b"), True, "Partition foo-0 on broker 1 is not being moved from log dir /b to /a."),
        (Place(current="/b", future="/a"), False, "Reassignment of replica foo-0-1 is still in progress."),
        (Place(current="/b", future="/c"), False, "Partition foo-0 on broker 1 is being moved to log dir /c instead of /a."),
        (
            Place(),
            False,
            "Partition foo-0 is not found in any live log dir on broker 1. There is likely an offline log directory on the broker.",
        ),
    ],
)
def test_a_move_between_directories_is_told_in_a_sentence(place: Place, is_done: bool, sentence: str) -> None:
    move = DirectoryMove(replica=Replica(1, "foo", 0), target="/a", place=place)
    assert (move.is_done, move.describe()) == (is_done, sentence)
