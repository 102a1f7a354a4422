"""The way to the active controller: every request ends once, whatever happens to the controller meanwhile."""

from __future__ import annotations

import random

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE, DirectoryId, NodeId
from raftkafka.broker.channel import RETRY_BACKOFF_MS, ControllerChannel
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.control import ControlReply, ControlRequest
from raftkafka.broker.parts import Ports, assemble
from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.metadata.control_messages import AllocateProducerIds, AllocateProducerIdsReply
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.meta_properties import MetaProperties
from tests.broker.one_node import CLUSTER_ID, PROPERTIES

REQUEST = AllocateProducerIds(node_id=NodeId(1), broker_epoch=1)
REPLY = AllocateProducerIdsReply(first_producer_id=0, count=10)


class Net:
    """What the channel sent; `reachable` says whether there is a way."""

    def __init__(self) -> None:
        self.sent: list[tuple[NodeId, int]] = []
        self.reachable = True
        self.answers: list[ControlReply | None] = []
        self.channel = ControllerChannel(send=self.send)

    def send(self, to: NodeId, correlation_id: int, request: ControlRequest) -> bool:
        if self.reachable:
            self.sent.append((to, correlation_id))
        return self.reachable

    def ask(self, *, repeatable: bool = True) -> None:
        self.channel.request(REQUEST, self.answers.append, deadline_ms=1000, repeatable=repeatable)


def test_a_request_waits_until_there_is_a_controller() -> None:
    net = Net()
    net.ask()
    assert net.sent == []
    net.channel.controller_changed(NodeId(2))
    net.channel.reply(net.sent[0][1], REPLY, 0)
    assert net.answers == [REPLY]


def test_a_request_goes_again_when_the_asked_node_is_no_controller() -> None:
    net = Net()
    net.channel.controller_changed(NodeId(2))
    net.ask()
    net.channel.reply(net.sent[0][1], AllocateProducerIdsReply(error=ErrorCode.NOT_CONTROLLER), 100)
    net.channel.tick(100 + RETRY_BACKOFF_MS)
    assert [to for to, _ in net.sent] == [2, 2]
    assert net.answers == []


def test_a_repeatable_request_follows_the_controller_to_its_new_place() -> None:
    net = Net()
    net.channel.controller_changed(NodeId(2))
    net.ask()
    net.channel.controller_changed(NO_NODE)
    net.channel.controller_changed(NodeId(3))
    assert [to for to, _ in net.sent] == [2, 3]
    net.channel.reply(net.sent[0][1], REPLY, 0)
    net.channel.reply(net.sent[1][1], REPLY, 0)
    assert net.answers == [REPLY], "the second answer belongs to nobody"


def test_a_request_that_must_not_be_repeated_ends_when_its_controller_changes() -> None:
    """The old controller may have decided it: its outcome is unknown, and a second try would be answered wrongly."""
    net = Net()
    net.channel.controller_changed(NodeId(2))
    net.ask(repeatable=False)
    net.channel.controller_changed(NodeId(3))
    assert net.answers == [None]
    assert [to for to, _ in net.sent] == [2]


def test_a_request_without_a_way_goes_when_a_connection_opens() -> None:
    net = Net()
    net.reachable = False
    net.channel.controller_changed(NodeId(2))
    net.ask()
    net.reachable = True
    net.channel.connection_opened()
    assert [to for to, _ in net.sent] == [2]


def test_what_was_sent_on_a_lost_connection_is_sent_again() -> None:
    net = Net()
    net.channel.controller_changed(NodeId(2))
    net.ask()
    net.channel.connection_lost(NodeId(2), 50)
    net.channel.tick(50 + RETRY_BACKOFF_MS)
    assert [to for to, _ in net.sent] == [2, 2]


def test_every_request_ends_at_its_deadline() -> None:
    net = Net()
    net.ask()
    assert net.channel.next_deadline_ms() == 1000
    net.channel.tick(1000)
    assert net.answers == [None]
    net.channel.controller_changed(NodeId(2))
    assert net.sent == []


def test_two_processes_of_a_node_do_not_use_the_same_correlation_ids() -> None:
    """An answer to the process that was killed would else be taken for the answer to a request of the next one."""
    used: list[set[int]] = []
    for seed in range(4):
        sent: set[int] = set()
        used.append(sent)
        ports = Ports(
            emit=lambda effect: None,
            touch=lambda connection: None,
            send_control=lambda to, correlation_id, request, sent=sent: sent.add(correlation_id) is None,  # type: ignore[misc]
            gone=lambda node_id, incarnation_id: None,
            mute=lambda connection, until_ms: None,
            clock=lambda: 0,
        )
        meta = MetaProperties(node_id=NodeId(1), directory_id=DirectoryId(b"d" * 16), cluster_id=CLUSTER_ID)
        parts = assemble(config=config_from_properties(PROPERTIES), disk=SimDisk(), rng=random.Random(seed), meta=meta, ports=ports)
        parts.channel.controller_changed(NodeId(2))
        for _ in range(100):
            parts.channel.request(REQUEST, lambda reply: None, deadline_ms=1000)
    assert len(set.union(*used)) == 400


def test_producers_that_are_more_than_a_block_holds_get_the_next_block() -> None:
    net = Net()
    net.channel.controller_changed(NodeId(2))
    ids: list[int | ApiError] = []
    producer_ids = ProducerIds(net.channel, node_id=NodeId(1), broker_epoch=lambda: 1)
    for _ in range(3):
        producer_ids.allocate(ids.append, 0)
    for first in (0, 2):
        net.channel.reply(net.sent[-1][1], AllocateProducerIdsReply(first_producer_id=first, count=2), 0)
    assert ids == [0, 1, 2]
    assert len(net.sent) == 2
