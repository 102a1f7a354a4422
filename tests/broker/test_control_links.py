"""Connections between nodes: who is dialed when, and what the end of a connection, or another process at its end, means."""

from __future__ import annotations

from raftkafka.base.ids import NodeId
from raftkafka.broker.connection import Connection
from raftkafka.broker.control import Hello, encode_control
from raftkafka.broker.control_links import REDIAL_BACKOFF_MS, ControlLinks
from raftkafka.broker.effects import LinkId, NodeEffect, OpenLink

TO_2 = LinkId("control/2")
PROBE_4 = LinkId("probe/4")


class Net:
    """Node 1 with the voters 2 and 3; `gone` gathers whose processes have ended."""

    def __init__(self) -> None:
        self.effects: list[NodeEffect] = []
        self.gone: list[tuple[int, bytes | None]] = []
        self.links = ControlLinks(
            hello=Hello(cluster_id="c", node_id=NodeId(1), incarnation_id=b"1" * 16),
            peers={NodeId(n): ("127.0.0.1", 9000 + n) for n in (1, 2, 3)},
            emit=self.effects.append,
            touch=lambda connection: None,
            gone=lambda node_id, incarnation_id: self.gone.append((node_id, incarnation_id)),
        )

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
    net.links.start()
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
