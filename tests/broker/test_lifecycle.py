"""The life of a broker as the controller's answers steer it: registered, stopped in order, or forgotten."""

from __future__ import annotations

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId
from raftkafka.broker.channel import ControllerChannel
from raftkafka.broker.control import ControlRequest
from raftkafka.broker.lifecycle import BrokerLifecycle, BrokerState, LifecycleSettings
from raftkafka.metadata.control_messages import BrokerHeartbeat, BrokerHeartbeatReply, RegisterBrokerReply


@attrs.define(eq=False)
class Life:
    """A broker of epoch 5 whose requests a test answers."""

    sent: list[tuple[int, ControlRequest]] = attrs.field(factory=list)
    channel: ControllerChannel = attrs.field(init=False)
    lifecycle: BrokerLifecycle = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        settings = LifecycleSettings(
            node_id=NodeId(1),
            cluster_id="c",
            incarnation_id=bytes(16),
            listeners=(),
            rack=None,
            directories=(DirectoryId(b"a" * 16),),
            previous_broker_epoch=-1,
            heartbeat_interval_ms=500,
            session_timeout_ms=3_000,
        )
        self.channel = ControllerChannel(send=self._send)
        self.channel.controller_changed(NodeId(2))
        self.lifecycle = BrokerLifecycle(lambda: settings, self.channel, applied_offset=lambda: 9, ready=lambda: True)
        self.lifecycle.start(0)
        self.lifecycle.tick(0)
        self.answer(RegisterBrokerReply(broker_epoch=5))
        self.lifecycle.tick(1)
        self.answer(BrokerHeartbeatReply(is_caught_up=True, is_fenced=False))

    def _send(self, controller: NodeId, correlation_id: int, request: ControlRequest) -> bool:
        self.sent.append((correlation_id, request))
        return True

    def answer(self, reply: RegisterBrokerReply | BrokerHeartbeatReply) -> None:
        self.channel.reply(self.sent[-1][0], reply, 0)

    def stop_at(self, now_ms: int) -> BrokerHeartbeat:
        self.lifecycle.begin_shutdown(now_ms)
        self.lifecycle.tick(now_ms)
        request = self.sent[-1][1]
        assert isinstance(request, BrokerHeartbeat)
        return request


def test_broker_that_stops_waits_until_the_controller_lets_it_go() -> None:
    life = Life()
    assert life.stop_at(100).want_shutdown
    life.answer(BrokerHeartbeatReply(is_caught_up=True, is_fenced=False))
    assert life.lifecycle.state is BrokerState.PENDING_CONTROLLED_SHUTDOWN
    life.lifecycle.tick(1_000)
    life.answer(BrokerHeartbeatReply(is_caught_up=True, is_fenced=False, should_shutdown=True))
    assert life.lifecycle.state is BrokerState.STOPPED


def test_broker_that_was_unregistered_has_nothing_to_wait_for_when_it_stops() -> None:
    life = Life()
    life.stop_at(100)
    life.answer(BrokerHeartbeatReply(error=ErrorCode.BROKER_ID_NOT_REGISTERED))
    assert life.lifecycle.state is BrokerState.STOPPED


def test_broker_that_was_unregistered_goes_on_until_it_is_stopped() -> None:
    life = Life()
    life.lifecycle.tick(600)
    life.answer(BrokerHeartbeatReply(error=ErrorCode.BROKER_ID_NOT_REGISTERED))
    assert life.lifecycle.state is BrokerState.RUNNING
