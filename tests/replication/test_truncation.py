"""Where the logs of a leader and a follower part, and how the follower finds out (KIP-101, KIP-279, KIP-320, KIP-595).

A log is written as epochs with a letter for each record: `(1, "ab"), (3, "c")` is a and b in epoch 1, c in epoch 3.
"""

from __future__ import annotations

import pytest

from tests.replication.world import KEY, World

Log = tuple[tuple[int, str], ...]


def replicate(leader: Log, follower: Log, *, leader_start: int = 0, follower_start: int = 0) -> World:
    """Node 1 leads with one log, node 2 follows with another; both come to rest."""
    world = World(nodes=2)
    world.seed(1, *leader, start_offset=leader_start)
    world.seed(2, *follower, start_offset=follower_start)
    world.create_topic(1, 2, isr=(1,), epoch=9)
    world.advance(20)
    return world


CASES = {
    "A equal logs": (((1, "ab"), (2, "c")), ((1, "ab"), (2, "c"))),
    "B the follower lags within an epoch": (((1, "abc"),), ((1, "a"),)),
    "C the follower lags by an epoch": (((1, "ab"), (2, "cd")), ((1, "ab"),)),
    "D the follower is ahead in the leader's last epoch": (((1, "ab"),), ((1, "abxy"),)),
    "E the follower has an epoch that the leader has not": (((1, "ab"), (3, "cd")), ((1, "ab"), (2, "xyz"))),
    "F the follower wrote on in an epoch that ended earlier at the leader": (((1, "ab"), (2, "cd")), ((1, "abxyz"),)),
    "G both have an epoch that the other has not (two rounds)": (((1, "ab"), (2, "cd"), (4, "e")), ((1, "ab"), (3, "xyz"))),
    "H many alternating epochs": (((1, "a"), (3, "b"), (5, "c"), (7, "d")), ((1, "a"), (2, "x"), (4, "y"), (6, "z"), (8, "w"))),
    "I the follower is empty": (((1, "ab"), (2, "c")), ()),
    "J the leader is empty": ((), ((1, "xy"), (2, "z"))),
    "K nothing in common": (((3, "ab"),), ((1, "x"), (2, "yz"))),
}


@pytest.mark.parametrize(("leader", "follower"), CASES.values(), ids=CASES.keys())
def test_logs_become_equal(leader: Log, follower: Log) -> None:
    world = replicate(leader, follower)
    assert world[2].records() == world[1].records() == [(epoch, letter) for epoch, letters in leader for letter in letters]
    assert world.isr() == (1, 2)
    answer = world.produce(1, "new")
    world.run()
    assert answer.produced.error_code == 0
    assert world[2].records()[-1] == (9, "new")


def test_follower_below_the_leaders_log_start_begins_there() -> None:
    world = replicate(((5, "abc"),), ((1, "xy"),), leader_start=100)
    assert world[2].partition().log.log_start_offset == 100
    assert world[2].values() == ["a", "b", "c"]


def test_follower_whose_log_starts_behind_the_leaders_end_begins_at_the_leaders_start() -> None:
    """After an unclean election the leader may have less than the follower's retention left over."""
    world = replicate(((1, "ab"),), ((1, "xyz"),), follower_start=50)
    assert world[2].partition().log.log_start_offset == 0
    assert world[2].values() == ["a", "b"]


def test_follower_does_not_truncate_to_its_high_watermark() -> None:
    """KIP-101: the follower's high watermark lags; cutting there would lose a committed record when the leader then dies."""
    world = World(nodes=2, min_insync_replicas=1)
    world.create_topic(1, 2)
    world.run()
    answer = world.produce(1, "a")
    world.run()  # committed at the leader; no time has passed, so the follower has not heard of it
    assert answer.produced.error_code == 0
    assert world[2].partition().high_watermark == 0
    world.stop(2)
    world.restart(2)
    world.elect(2, isr=(2,))
    world.run()
    assert world[2].values() == ["a"]


def test_leader_notes_its_epoch_even_without_records() -> None:
    """KIP-279: epochs in which nothing was written are known too, so a follower of that epoch finds its place."""
    world = World(nodes=2)
    world.create_topic(1, 2)
    world.produce(1, "a")
    world.run()
    world.elect(2)
    world.elect(1)
    world.elect(2)
    world.run()
    assert world[2].partition().log.epochs.latest_epoch == 3
    assert world[2].values() == world[1].values() == ["a"]
    assert not any(event.kind == "log-truncated" for event in world[1].observed)


def test_former_leader_truncates_what_only_it_has() -> None:
    world = World(nodes=3, min_insync_replicas=1)
    world.create_topic()
    world.produce(1, "a")
    world.run()
    world.separate((1, 2), (1, 3))
    lost = world.produce(1, "x", "y")
    world.elect(2, isr=(2, 3))
    world.produce(2, "b")
    world.heal()
    world.advance(50)
    assert world[1].records() == world[2].records() == [(0, "a"), (1, "b")]
    assert lost.produced.error_code == 6  # NOT_LEADER_OR_FOLLOWER


def test_answer_of_an_older_leader_epoch_is_not_used() -> None:
    """KIP-320: truncating or appending by an outdated answer loses data."""
    world = World(nodes=2)
    world.create_topic(1, 2)
    world.run()
    world.produce(1, "a")  # the answer with it is on its way to node 2
    world.elect(1)
    assert world.deliver()
    assert world[2].values() == []
    world.run()
    assert world[2].records() == [(0, "a")]


def test_truncation_lowers_the_high_watermark_with_the_log() -> None:
    world = World(nodes=2)
    world.create_topic(1, 2)
    world.run()
    world.produce(1, "a", "b")
    world.run()
    world.advance(20)
    assert world[2].partition().high_watermark == 2
    world.stop(1)
    world[1].disk.delete("data/events-0")  # node 1 comes back with an empty disk and is elected all the same: unclean
    world.restart(1)
    world.elect(1, isr=(1,))
    world.advance(50)
    assert world[2].values() == world[1].values() == []
    assert world[2].partition().high_watermark == 0
    event = next(event for event in world[2].observed if event.kind == "log-truncated")
    assert event.fields["below_high_watermark"] and event.fields["removed"] == 2


def test_follower_takes_over_the_leaders_log_start() -> None:
    world = World(nodes=2)
    world.create_topic(1, 2)
    world.run()
    for letter in "abc":
        world.produce(1, letter)
        world.run()
    world[1].partition().log.advance_log_start(2)
    world.produce(1, "d")
    world.advance(10)
    assert world[2].partition().log.log_start_offset == 2


def test_log_without_epochs_is_cut_at_the_high_watermark() -> None:
    world = World(nodes=2)
    world.seed(1, (1, "ab"))
    world.seed(2, (1, "axx"))
    world[2].logs.checkpoint({KEY: 1})
    log = world[2].logs.get(KEY)
    assert log is not None
    log.epochs.clear()
    world.create_topic(1, 2, isr=(1,), epoch=9)
    world.advance(20)
    assert world[2].values() == ["a", "b"]
