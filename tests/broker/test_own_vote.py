"""What a controller asks for by itself: a vote, the end of the vote of its lost directory, new endpoints; and when it asks for nothing."""

from __future__ import annotations

import random
from typing import Any

from raftkafka.base.ids import NodeId
from raftkafka.broker.channel import FAR_FUTURE_MS, ControllerChannel
from raftkafka.broker.control import ControlRequest, Forward, ForwardReply
from raftkafka.broker.own_vote import RETRY_MS, OwnVote, OwnVoteSettings
from raftkafka.protocol.framing import read_message, write_message
from raftkafka.protocol.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse
from raftkafka.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from raftkafka.protocol.messages.update_raft_voter import UpdateRaftVoterRequest
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.messages import AppendRequest, Entry, EntryKind
from raftkafka.raft.store import INITIAL_VOTERS_FILE, encode_initial_voters
from raftkafka.raft.voters import Endpoint, Voter, VoterSet, encode_voters
from raftkafka.simulation.disk import SimDisk

LEADER, OWN = NodeId(1), NodeId(4)
OWN_DIRECTORY, OTHER_DIRECTORY, LEADERS_DIRECTORY = b"4" * 16, b"x" * 16, b"1" * 16
HERE: tuple[Endpoint, ...] = (("CONTROLLER", "here", 9093),)
LEADER_ALONE: VoterSet = {LEADER: Voter(directory_id=LEADERS_DIRECTORY)}
REQUESTS = {80: AddRaftVoterRequest, 81: RemoveRaftVoterRequest, 82: UpdateRaftVoterRequest}


class Controller:
    """Node 4, which was formatted without a vote, and hears the leader say who votes."""

    def __init__(self, *, joins: bool = True, formatted: bool = True) -> None:
        disk = SimDisk()
        if formatted:
            disk.make_dir("raft")
            disk.replace_file(f"raft/{INITIAL_VOTERS_FILE}", encode_initial_voters({}))
        self.raft = RaftDriver(
            node_id=OWN,
            directory_id=OWN_DIRECTORY,
            voters={} if formatted else LEADER_ALONE,
            disk=disk,
            directory="raft",
            config=RaftConfig(),
            rng=random.Random(0),
        )
        self.raft.start(0)
        self.sent: list[tuple[int, Forward]] = []
        self.channel = ControllerChannel(send=self._send)
        self.channel.controller_changed(LEADER)
        settings = OwnVoteSettings(node_id=OWN, directory_id=OWN_DIRECTORY, cluster_id="c", endpoints=HERE, joins=joins)
        self.own_vote = OwnVote(settings, self.raft, self.channel, lambda event: None)

    def _send(self, to: NodeId, correlation_id: int, request: ControlRequest) -> bool:
        assert isinstance(request, Forward)
        self.sent.append((correlation_id, request))
        return True

    def hears(self, *sets: VoterSet, committed: int | None = None) -> None:
        """The leader's next entries, one set of voters each; all are committed unless it says otherwise."""
        base = self.raft.state.log.end_offset
        entries = tuple(Entry(base + i, 1, EntryKind.VOTERS, encode_voters(voters), True) for i, voters in enumerate(sets))
        self.raft.receive(
            LEADER,
            AppendRequest(
                epoch=1,
                base_offset=base,
                previous_epoch=1 if base else 0,
                entries=entries,
                high_watermark=base + len(entries) if committed is None else committed,
            ),
            0,
        )

    def asks(self, now_ms: int = 0) -> list[Any]:
        """What it asks for when it has heard news."""
        self.own_vote.news(now_ms)
        self.own_vote.tick(now_ms)
        return [read_message(REQUESTS[each.api_key], each.api_version, each.body)[0] for _, each in self.sent]

    def is_answered(self, error_code: int = 0) -> None:
        correlation_id, forward = self.sent.pop()
        body = write_message(AddRaftVoterResponse(error_code=error_code), forward.api_version)
        self.channel.reply(correlation_id, ForwardReply(body=body), 0)


def test_observer_that_has_caught_up_asks_for_a_vote() -> None:
    controller = Controller()
    assert controller.asks() == []
    controller.hears(LEADER_ALONE)
    (asked,) = controller.asks(100)
    assert isinstance(asked, AddRaftVoterRequest)
    assert (asked.voter_id, asked.voter_directory_id, asked.ack_when_committed) == (OWN, OWN_DIRECTORY, False)
    assert [(each.name, each.host, each.port) for each in asked.listeners] == list(HERE)


def test_one_question_at_a_time_and_after_a_refusal_again() -> None:
    controller = Controller()
    controller.hears(LEADER_ALONE)
    assert len(controller.asks(100)) == 1
    controller.own_vote.tick(100 + RETRY_MS)
    assert len(controller.sent) == 1
    controller.is_answered(error_code=7)
    controller.own_vote.tick(100 + RETRY_MS + RETRY_MS)
    assert len(controller.sent) == 1


def test_vote_of_the_lost_directory_goes_first() -> None:
    """KIP-853: a voter of this id with another directory is a disk that is gone."""
    controller = Controller()
    controller.hears({**LEADER_ALONE, OWN: Voter(directory_id=OTHER_DIRECTORY)})
    (asked,) = controller.asks()
    assert isinstance(asked, RemoveRaftVoterRequest)
    assert (asked.voter_id, asked.voter_directory_id) == (OWN, OTHER_DIRECTORY)
    controller.is_answered()
    controller.hears(LEADER_ALONE)
    (then,) = controller.asks(RETRY_MS)
    assert isinstance(then, AddRaftVoterRequest)


def test_nothing_is_asked_without_the_whole_log_or_while_a_change_is_open() -> None:
    controller = Controller()
    controller.hears(LEADER_ALONE, committed=9)
    assert controller.asks() == []
    other = Controller()
    other.hears(LEADER_ALONE, {**LEADER_ALONE, OWN: Voter(directory_id=OTHER_DIRECTORY)}, committed=1)
    assert other.asks() == []
    assert other.own_vote.next_deadline_ms() < FAR_FUTURE_MS


def test_without_auto_join_nothing_is_asked() -> None:
    controller = Controller(joins=False)
    controller.hears(LEADER_ALONE)
    assert controller.asks() == []
    assert controller.own_vote.next_deadline_ms() == FAR_FUTURE_MS


def test_voters_of_the_properties_are_left_alone() -> None:
    controller = Controller(formatted=False)
    controller.raft.receive(
        LEADER,
        AppendRequest(epoch=1, base_offset=0, previous_epoch=0, entries=(Entry(0, 1, EntryKind.DATA, b"", True),), high_watermark=1),
        0,
    )
    assert controller.asks() == []
    assert controller.own_vote.next_deadline_ms() == FAR_FUTURE_MS


def test_who_is_removed_while_it_runs_stays_out() -> None:
    """As Apache Kafka 4.3: a controller joins at most once while its process runs."""
    controller = Controller()
    controller.hears({**LEADER_ALONE, OWN: Voter(directory_id=OWN_DIRECTORY, endpoints=HERE)})
    assert controller.asks() == []
    controller.hears(LEADER_ALONE)
    assert controller.asks(200) == []
    assert controller.own_vote.next_deadline_ms() == FAR_FUTURE_MS


def test_voter_tells_where_it_listens_now_and_which_directory_it_has() -> None:
    elsewhere = (("CONTROLLER", "there", 9093),)
    for known in (Voter(directory_id=OWN_DIRECTORY, endpoints=elsewhere), Voter(endpoints=HERE)):
        controller = Controller(joins=False)
        controller.hears({**LEADER_ALONE, OWN: known})
        (asked,) = controller.asks()
        assert isinstance(asked, UpdateRaftVoterRequest)
        assert asked.voter_directory_id == OWN_DIRECTORY
        assert [(each.name, each.host, each.port) for each in asked.listeners] == list(HERE)
