"""What the leader refuses of changes of the voters, and sets of voters as bytes."""

from __future__ import annotations

import random

import pytest

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NodeId
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.membership import ChangeRefused, Refusal
from raftkafka.raft.node import NotLeader, RaftNode
from raftkafka.raft.voters import Voter, VoterHistory, decode_voters, encode_voters

ONE, TWO = NodeId(1), NodeId(2)
OWN = b"d" * 16


def sole_leader() -> RaftNode:
    node = RaftNode(node_id=ONE, directory_id=OWN, voters={ONE: Voter()}, config=RaftConfig(), rng=random.Random(0))
    node.start(epoch=0, voted_for=None, snapshot=None, entries=(), now_ms=0)
    node.log_persisted(1)
    return node


def refusal(action: object) -> Refusal:
    with pytest.raises(ChangeRefused) as caught:
        action()  # type: ignore[operator]
    return caught.value.refusal


def test_the_last_voter_stays() -> None:
    assert refusal(lambda: sole_leader().remove_voter(ONE, None, 0)) is Refusal.LAST_VOTER


def test_only_a_voter_can_be_removed_and_only_with_its_directory() -> None:
    node = RaftNode(node_id=ONE, directory_id=OWN, voters={ONE: Voter(directory_id=OWN)}, config=RaftConfig(), rng=random.Random(0))
    node.start(epoch=0, voted_for=None, snapshot=None, entries=(), now_ms=0)
    node.log_persisted(1)
    assert refusal(lambda: node.remove_voter(TWO, None, 0)) is Refusal.VOTER_NOT_FOUND
    assert refusal(lambda: node.remove_voter(ONE, b"x" * 16, 0)) is Refusal.VOTER_NOT_FOUND
    assert refusal(lambda: node.remove_voter(ONE, OWN, 0)) is Refusal.LAST_VOTER


def test_a_voter_is_not_added_twice_and_nobody_who_does_not_observe() -> None:
    assert refusal(lambda: sole_leader().add_voter(ONE, Voter(), 0)) is Refusal.DUPLICATE_VOTER
    assert refusal(lambda: sole_leader().add_voter(TWO, Voter(), 0)) is Refusal.NOT_CAUGHT_UP


def test_only_the_leader_changes_voters() -> None:
    node = RaftNode(node_id=ONE, directory_id=OWN, voters={ONE: Voter(), TWO: Voter()}, config=RaftConfig(), rng=random.Random(0))
    node.start(epoch=0, voted_for=None, snapshot=None, entries=(), now_ms=0)
    with pytest.raises(NotLeader):
        node.remove_voter(TWO, None, 0)


def test_a_node_with_another_directory_than_the_voter_s_is_no_voter() -> None:
    node = RaftNode(node_id=ONE, directory_id=OWN, voters={ONE: Voter(directory_id=b"x" * 16)}, config=RaftConfig(), rng=random.Random(0))
    assert not node.state.is_voter


def test_a_set_of_voters_reads_back_and_other_bytes_are_refused() -> None:
    voters = {TWO: Voter(), ONE: Voter(directory_id=OWN, endpoints=(("CONTROLLER", "h", 1), ("OTHER", "h", 2)))}
    assert decode_voters(encode_voters(voters)) == voters
    for data in (b"", b"\xc1", b"\x91\x01", encode_voters(voters) + b"x"):
        with pytest.raises(DecodeError):
            decode_voters(data)


def test_history_goes_back_with_the_log_and_forward_with_a_snapshot() -> None:
    base, later, last = {ONE: Voter()}, {ONE: Voter(), TWO: Voter()}, {TWO: Voter()}
    history = VoterHistory(base)
    history.append(5, later)
    history.append(9, last)
    assert (history.current, history.last_change, history.at(9), history.at(5)) == (last, 9, later, base)
    assert (history.named_at(5), history.named_at(6)) == (None, later)
    history.truncate(9)
    assert history.current == later
    history.trim(7)
    assert (history.current, history.last_change, history.named_at(7)) == (later, -1, later)
