"""Connections between nodes: who is dialed when, and what the end of a connection, or another process at its end, means."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.ids import NodeId
from raftkafka.broker.connection import Connection
from raftkafka.broker.control import Hello, encode_control
from raftkafka.broker.control_links import CONTACT_PATIENCE_MS, REDIAL_BACKOFF_MS, ControlLinks
from raftkafka.broker.effects import CloseLink, LinkId, NodeEffect, OpenLink

TO_2 = LinkId("control/2")
PROBE_4 = LinkId("probe/4")
CONTACT = LinkId("contact/0")


class Net:
    """Node 1 with the voters 2 and 3; `gone` gathers whose processes have ended."""

    def __init__(self, *, voters: Sequence[int] = (1, 2, 3), contacts: Sequence[tuple[str, int]] = ()) -> None:
        self.effects: list[NodeEffect] = []
        self.learned: list[NodeId] = []
        self.gone: list[tuple[int, bytes | None]] = []
        self.links = ControlLinks(
            hello=Hello(cluster_id="c", node_id=NodeId(1), incarnation_id=b"1" * 16),
            peers={NodeId(n): ("127.0.0.1", 9000 + n) for n in voters},
            contacts=contacts,
            learned=self.learned.append,
            emit=self.effects.append,
            touch=lambda connection: None,
            gone=lambda node_id, incarnation_id: self.gone.append((node_id, incarnation_id)),
        )

    def start(self, voters: Sequence[int] = ()) -> None:
        """`voters`: those that the disk knows."""
        self.links.start({NodeId(n): ("127.0.0.1", 9000 + n) for n in voters}, 1_000)

    def dialed(self) -> list[LinkId]:
        """The links that were opened since the last call."""
        dialed = [effect.link_id for effect in self.effects if isinstance(effect, OpenLink)]
        self.effects.clear()
        return dialed

    def greeted_by(self, node_id: int, incarnation: bytes) -> Connection:
        connection = Connection(listener="CONTROLLER", peer="127.0.0.1:50000")
        hello = Hello(cluster_id="c", node_id=NodeId(node_id), incarnation_id=incarnation)
        self.links.connection_frame(connection, memoryview(encode_control(hello)[4:]))
        return connection


def test_a_link_that_stood_is_dialed_again_at_once() -> None:
    net = Net()
    net.links.link_opened(TO_2, 1_000)
    assert net.links.link_closed(TO_2, refused=False, now_ms=1_000 + REDIAL_BACKOFF_MS) == 2
    assert net.dialed() == [TO_2]


def test_a_peer_that_closes_every_connection_at_once_is_not_dialed_without_a_pause() -> None:
    net = Net()
    now_ms = 1_000
    attempts = 0
    net.start()
    while now_ms < 2_000:
        for link_id in net.dialed():
            if link_id == TO_2:
                attempts += 1
                net.links.link_opened(TO_2, now_ms)
                net.links.link_closed(TO_2, refused=False, now_ms=now_ms)
        now_ms += 1
        net.links.tick(now_ms)
    assert attempts <= 1_000 // REDIAL_BACKOFF_MS + 1


def test_one_probe_at_a_time_is_under_way_to_a_node() -> None:
    net = Net()
    net.links.probe(NodeId(4), "127.0.0.1", 9004)
    net.links.probe(NodeId(4), "127.0.0.1", 9004)
    assert net.dialed() == [PROBE_4]
    net.links.link_closed(PROBE_4, refused=False, now_ms=0)
    net.links.probe(NodeId(4), "127.0.0.1", 9004)
    assert net.dialed() == [PROBE_4]
    net.links.link_opened(PROBE_4, 0)
    net.links.probe(NodeId(4), "127.0.0.1", 9004)
    assert net.dialed() == [PROBE_4]


def test_another_process_at_the_other_end_tells_which_one_is_gone() -> None:
    net = Net()
    net.greeted_by(2, b"a" * 16)
    net.greeted_by(2, b"a" * 16)
    assert net.gone == []
    net.greeted_by(2, b"b" * 16)
    assert net.gone == [(2, b"a" * 16)]


def test_a_refused_connection_tells_that_nobody_is_there() -> None:
    net = Net()
    net.links.link_closed(TO_2, refused=True, now_ms=0)
    net.links.link_closed(PROBE_4, refused=True, now_ms=0)
    assert net.gone == [(2, None), (4, None)]


def hello_of(node_id: int, cluster_id: str = "c") -> memoryview:
    return memoryview(encode_control(Hello(cluster_id=cluster_id, node_id=NodeId(node_id), incarnation_id=b"x" * 16))[4:])


def test_a_contact_that_says_who_it_is_gets_a_link_of_its_own() -> None:
    net = Net(voters=(), contacts=[("127.0.0.1", 9005)])
    net.start()
    assert net.dialed() == [CONTACT]
    net.links.link_opened(CONTACT, 0)
    assert net.links.link_frame(CONTACT, hello_of(5)) is None
    assert CloseLink(CONTACT) in net.effects
    assert [(effect.link_id, effect.port) for effect in net.effects if isinstance(effect, OpenLink)] == [(LinkId("control/5"), 9005)]
    assert net.learned == [5]


def test_what_a_contact_sends_behind_its_name_is_left_to_the_link_of_its_own() -> None:
    net = Net(voters=(), contacts=[("127.0.0.1", 9005)])
    net.start()
    net.links.link_opened(CONTACT, 0)
    net.links.link_frame(CONTACT, hello_of(5))
    assert net.links.link_frame(CONTACT, hello_of(5)) is None
    assert net.learned == [5]


def test_a_contact_that_does_not_answer_is_dialed_again() -> None:
    net = Net(voters=(), contacts=[("127.0.0.1", 9005)])
    net.start()
    net.dialed()
    net.links.link_closed(CONTACT, refused=True, now_ms=1_000)
    net.links.tick(1_000 + REDIAL_BACKOFF_MS)
    assert net.dialed() == [CONTACT]
    assert net.gone == []


def test_an_address_of_its_own_among_the_contacts_is_forgotten() -> None:
    net = Net(voters=(), contacts=[("127.0.0.1", 9001)])
    net.start()
    net.links.link_opened(CONTACT, 0)
    net.links.link_frame(CONTACT, hello_of(1))
    assert (net.learned, net.links.next_deadline_ms() > 1_000_000) == ([], True)


def test_who_becomes_a_voter_is_dialed_and_who_loses_its_vote_is_not_dialed_again() -> None:
    net = Net()
    net.start()
    net.dialed()
    net.links.voters_changed({NodeId(1): ("127.0.0.1", 9001), NodeId(3): ("127.0.0.1", 9003), NodeId(4): ("127.0.0.1", 9004)})
    assert net.dialed() == [LinkId("control/4")]
    net.links.link_opened(TO_2, 0)
    net.links.link_closed(TO_2, refused=False, now_ms=10_000)
    net.links.tick(20_000)
    assert LinkId("control/2") not in net.dialed()
    assert not net.links.dials(NodeId(2))
    assert net.links.dials(NodeId(4))


def test_a_node_that_gets_its_vote_back_is_dialed_again_when_its_link_had_ended() -> None:
    net = Net()
    net.start()
    net.dialed()
    everybody = {NodeId(n): ("127.0.0.1", 9000 + n) for n in (1, 2, 3)}
    net.links.link_opened(TO_2, 0)
    net.links.voters_changed({node_id: address for node_id, address in everybody.items() if node_id != 2})
    net.links.voters_changed(everybody)
    assert net.dialed() == []
    net.links.voters_changed({node_id: address for node_id, address in everybody.items() if node_id != 2})
    net.links.link_closed(TO_2, refused=False, now_ms=1_000)
    net.links.voters_changed(everybody)
    assert net.dialed() == [TO_2]
    net.links.voters_changed(everybody)
    assert net.dialed() == []


def test_a_voter_with_another_address_is_dialed_there() -> None:
    net = Net()
    net.start()
    net.dialed()
    net.links.voters_changed({NodeId(n): ("127.0.0.1", 9100 + n if n == 2 else 9000 + n) for n in (1, 2, 3)})
    assert [effect for effect in net.effects if isinstance(effect, CloseLink)] == [CloseLink(TO_2)]
    assert net.dialed() == [TO_2]


def test_contacts_are_left_alone_while_voters_are_known_and_one_of_them_leads() -> None:
    net = Net(voters=(), contacts=[("127.0.0.1", 9005)])
    net.start(voters=(2,))
    assert net.dialed() == [TO_2]
    net.links.leader_changed(NodeId(2), 1_100)
    net.links.tick(1_000 + CONTACT_PATIENCE_MS)
    assert net.dialed() == []


def test_contacts_are_asked_when_the_known_voters_have_had_no_leader_for_a_while() -> None:
    net = Net(voters=(), contacts=[("127.0.0.1", 9005)])
    net.start(voters=(2,))
    net.dialed()
    assert net.links.next_deadline_ms() == 1_000 + CONTACT_PATIENCE_MS
    net.links.tick(1_000 + CONTACT_PATIENCE_MS)
    assert net.dialed() == [CONTACT]


def test_a_node_that_has_opened_two_connections_is_reached_on_the_one_that_is_left() -> None:
    """It dials a contact and a voter, and both are this node: when the later link is cut, it goes on speaking on the earlier one."""
    net = Net()
    first, second = net.greeted_by(4, b"4" * 16), net.greeted_by(4, b"4" * 16)
    second.closed = True
    assert net.links.connection_closed(second) is None
    first.out.clear()
    assert net.links.send(NodeId(4), Hello(cluster_id="c", node_id=NodeId(1), incarnation_id=b"1" * 16))
    assert len(first.out) == 1
    first.closed = True
    assert net.links.connection_closed(first) == 4


def test_a_connection_of_an_earlier_process_is_no_way_to_the_one_that_runs() -> None:
    net = Net()
    net.greeted_by(4, b"4" * 16)
    later = net.greeted_by(4, b"5" * 16)
    later.closed = True
    assert net.links.connection_closed(later) == 4
