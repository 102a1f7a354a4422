"""What the leader refuses of changes of the voters, and sets of voters as bytes."""

from __future__ import annotations

import random

import pytest

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import NodeId
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.membership import ChangeRefused, Refusal
from raftkafka.raft.messages import AppendResponse, VoteResponse
from raftkafka.raft.node import NotLeader, RaftNode
from raftkafka.raft.roles import Leader
from raftkafka.raft.voters import Voter, VoterHistory, decode_voters, encode_voters

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
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


def test_endpoints_of_a_voter_change_and_nothing_else() -> None:
    node = sole_leader()
    there = (("CONTROLLER", "there", 1),)
    assert refusal(lambda: node.update_voter(TWO, Voter(directory_id=OWN, endpoints=there), 0)) is Refusal.VOTER_NOT_FOUND
    assert refusal(lambda: node.update_voter(ONE, Voter(directory_id=b"x" * 16, endpoints=there), 0)) is Refusal.NOT_CAUGHT_UP
    node.update_voter(ONE, Voter(directory_id=OWN, endpoints=there), 0)
    assert node.state.voters == {ONE: Voter(directory_id=OWN, endpoints=there)}
    end_offset = node.state.log.end_offset
    assert node.update_voter(ONE, Voter(directory_id=OWN, endpoints=there), 0) == end_offset - 1
    assert node.state.log.end_offset == end_offset
    assert refusal(lambda: node.update_voter(ONE, Voter(directory_id=OWN), 0)) is Refusal.CHANGE_UNDER_WAY


def test_copies_and_votes_of_another_directory_do_not_count() -> None:
    """KIP-853: of two voters one has lost its disk. Nothing more is committed, also if no other voter answers."""
    voters = {ONE: Voter(directory_id=OWN), TWO: Voter(directory_id=b"t" * 16)}
    node = RaftNode(node_id=ONE, directory_id=OWN, voters=voters, config=RaftConfig(), rng=random.Random(0))
    node.start(epoch=0, voted_for=None, snapshot=None, entries=(), now_ms=0)

    def answer(directory: bytes, *, pre_vote: bool) -> VoteResponse:
        epoch = node.state.epoch
        return VoteResponse(epoch=epoch, request_epoch=epoch, pre_vote=pre_vote, granted=True, directory_id=directory)

    node.tick(2_000)
    node.receive(TWO, answer(b"x" * 16, pre_vote=True), 2_000)
    assert node.state.epoch == 0
    node.tick(4_000)
    node.receive(TWO, answer(b"t" * 16, pre_vote=True), 4_000)
    node.receive(TWO, answer(b"t" * 16, pre_vote=False), 4_000)
    role = node.state.role
    assert isinstance(role, Leader)
    node.log_persisted(1)

    def accepted(directory: bytes) -> AppendResponse:
        return AppendResponse(
            epoch=1, accepted=True, base_offset=0, end_offset=1, diverging_epoch=-1, diverging_end_offset=-1, directory_id=directory
        )

    node.receive(TWO, accepted(b"x" * 16), 4_000)
    assert (node.state.high_watermark, role.replicas[TWO].is_voter) == (0, False)
    node.receive(TWO, accepted(b"t" * 16), 4_000)  # late, from the disk that is gone: as true as it was
    assert node.state.high_watermark == 1


def test_no_vote_is_taken_away_while_too_few_of_the_others_answer() -> None:
    """Of three voters one is silent: the other may not be removed, for the leader alone is no majority of what is left."""
    node = RaftNode(
        node_id=ONE, directory_id=OWN, voters={ONE: Voter(), TWO: Voter(), THREE: Voter()}, config=RaftConfig(), rng=random.Random(0)
    )
    node.start(epoch=0, voted_for=None, snapshot=None, entries=(), now_ms=0)
    node.tick(2_000)
    for pre_vote in (True, False):
        epoch = node.state.epoch
        vote = VoteResponse(epoch=epoch, request_epoch=epoch, pre_vote=pre_vote, granted=True, directory_id=b"t" * 16)
        node.receive(TWO, vote, 2_000)
    node.log_persisted(1)
    accepted = AppendResponse(
        epoch=1, accepted=True, base_offset=0, end_offset=1, diverging_epoch=-1, diverging_end_offset=-1, directory_id=b"t" * 16
    )
    node.receive(TWO, accepted, 2_000)
    assert refusal(lambda: node.remove_voter(TWO, None, 2_000)) is Refusal.NO_MAJORITY_LEFT
    assert refusal(lambda: node.remove_voter(THREE, None, 9_000)) is Refusal.NO_MAJORITY_LEFT
    node.remove_voter(THREE, None, 2_000)
    assert list(node.state.voters) == [ONE, TWO]
