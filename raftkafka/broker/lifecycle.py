"""The life of a broker in the cluster: register, be unfenced, send heartbeats, leave in an orderly way.

Invariants
- A process registers once (one incarnation) and keeps its broker epoch until it ends; only a restart changes it.
- It asks to be unfenced only when it has applied the metadata up to its own registration (KIP-631): a fenced broker leads nothing.
- At a clean stop it asks for a controlled shutdown and leaves when the controller says that it leads nothing any more, or after a deadline.

- A process that nobody registers within `initial.broker.registration.timeout.ms` ends: whoever started it should know.

Sources: KIP-631 (registration, heartbeats), KIP-966 (previous broker epoch), KIP-841 (shutting down brokers stay out of the ISR).
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId
from raftkafka.base.observed import Observed, observed
from raftkafka.broker.channel import FAR_FUTURE_MS, ControllerChannel
from raftkafka.broker.control import ControlReply
from raftkafka.metadata.control_messages import (
    BrokerHeartbeat,
    BrokerHeartbeatReply,
    ListenerEndpoint,
    RegisterBroker,
    RegisterBrokerReply,
)
from raftkafka.replication.traffic import TrafficMeter

REGISTRATION_RETRY_MS = 50
SHUTDOWN_HEARTBEAT_MS = 20


class BrokerState(enum.Enum):
    """Kafka's broker states as far as they can be told apart here."""

    STARTING = "starting"
    RECOVERY = "recovery"
    RUNNING = "running"
    PENDING_CONTROLLED_SHUTDOWN = "pending-controlled-shutdown"
    STOPPED = "stopped"


@attrs.frozen(kw_only=True)
class LifecycleSettings:
    """Who registers, and how often it speaks (milliseconds)."""

    node_id: NodeId
    cluster_id: str
    incarnation_id: bytes
    listeners: tuple[ListenerEndpoint, ...]
    rack: str | None
    directories: tuple[DirectoryId, ...]
    previous_broker_epoch: int
    heartbeat_interval_ms: int
    session_timeout_ms: int
    registration_timeout_ms: int = 60_000
    controlled_shutdown: bool = True
    shutdown_timeout_ms: int = 10_000


class BrokerLifecycle:
    """Registers through the channel, once the node is `ready`, and then sends heartbeats with what it has applied."""

    def __init__(
        self,
        settings: Callable[[], LifecycleSettings],
        channel: ControllerChannel,
        *,
        applied_offset: Callable[[], int],
        ready: Callable[[], bool],
        untold_failures: Callable[[], tuple[DirectoryId, ...]] = tuple,
        traffic: TrafficMeter | None = None,
    ) -> None:
        self.state = BrokerState.STARTING
        self.broker_epoch = -1
        self.fenced = True
        self.outputs: list[Observed] = []
        self.failure: str | None = None
        """Why the process must end: no controller took its registration in time."""
        self._registration_deadline_ms = FAR_FUTURE_MS
        self._settings_at_start = settings
        self._ready = ready
        self._channel = channel
        self._applied_offset = applied_offset
        self._untold_failures = untold_failures
        self._traffic = traffic or TrafficMeter()
        self._registering = False
        self._heartbeat_in_flight = False
        self._next_action_ms = FAR_FUTURE_MS
        self._shutdown_deadline_ms = FAR_FUTURE_MS
        self._now_ms = 0

    @property
    def shutting_down(self) -> bool:
        return self.state in (BrokerState.PENDING_CONTROLLED_SHUTDOWN, BrokerState.STOPPED)

    def start(self, now_ms: int) -> None:
        """Begins to register; the settings are taken now, since the disk tells some of them."""
        self._settings = self._settings_at_start()
        self._next_action_ms = now_ms
        self._registration_deadline_ms = now_ms + self._settings.registration_timeout_ms

    def metadata_applied(self, now_ms: int) -> None:
        """New metadata was applied: a fenced broker asks at once whether it may serve, a leaving one whether it may go."""
        if self.broker_epoch >= 0 and (self.fenced or self.shutting_down) and not self._heartbeat_in_flight:
            self._next_action_ms = min(self._next_action_ms, now_ms)

    def hurry(self, now_ms: int) -> None:
        """There is something that the controller should hear of at once: a log directory has failed."""
        if self.broker_epoch >= 0 and not self._heartbeat_in_flight:
            self._next_action_ms = min(self._next_action_ms, now_ms)

    def begin_shutdown(self, now_ms: int) -> None:
        """Asks the controller to move leaders away; `state` becomes STOPPED when the process may end."""
        if self.shutting_down:
            return
        if self.broker_epoch < 0 or not self._settings.controlled_shutdown:
            self._stop("never-registered" if self.broker_epoch < 0 else "controlled shutdown is off")
            return
        self.state = BrokerState.PENDING_CONTROLLED_SHUTDOWN
        self.outputs.append(observed("controlled-shutdown-began", broker_epoch=self.broker_epoch))
        self._shutdown_deadline_ms = now_ms + self._settings.shutdown_timeout_ms
        self._next_action_ms = now_ms

    def next_deadline_ms(self) -> int:
        return min(self._next_action_ms, self._shutdown_deadline_ms)

    def tick(self, now_ms: int) -> None:
        self._now_ms = now_ms
        if self.state is BrokerState.STOPPED:
            self._next_action_ms = self._shutdown_deadline_ms = FAR_FUTURE_MS
            return
        if now_ms >= self._shutdown_deadline_ms:
            self._stop("the controller did not let go in time")
            return
        if now_ms < self._next_action_ms:
            return
        self._next_action_ms = FAR_FUTURE_MS
        if not self._ready():
            self._next_action_ms = now_ms + REGISTRATION_RETRY_MS
        elif self.broker_epoch < 0 and now_ms >= self._registration_deadline_ms:
            self.failure = f"no controller took the registration within {self._settings.registration_timeout_ms} ms"
        elif self.broker_epoch < 0:
            self._register(now_ms)
        elif not self._heartbeat_in_flight:
            self._heartbeat(now_ms)

    def _register(self, now_ms: int) -> None:
        if self._registering:
            return
        self._registering = True
        settings = self._settings
        request = RegisterBroker(
            node_id=settings.node_id,
            cluster_id=settings.cluster_id,
            incarnation_id=settings.incarnation_id,
            listeners=settings.listeners,
            rack=settings.rack,
            directories=settings.directories,
            previous_broker_epoch=settings.previous_broker_epoch,
        )
        deadline_ms = min(now_ms + settings.session_timeout_ms, self._registration_deadline_ms)
        self._channel.request(request, self._registered, deadline_ms=deadline_ms)

    def _registered(self, reply: ControlReply | None) -> None:
        self._registering = False
        if self.state is BrokerState.STOPPED:
            return
        if not isinstance(reply, RegisterBrokerReply) or reply.error != ErrorCode.NONE:
            if isinstance(reply, RegisterBrokerReply):
                self.outputs.append(observed("registration-refused", error=reply.error.name, message=reply.message))
            self._next_action_ms = self._now_ms + REGISTRATION_RETRY_MS
            return
        self.broker_epoch = reply.broker_epoch
        self.state = BrokerState.RECOVERY
        self.outputs.append(observed("registered", broker_epoch=reply.broker_epoch))
        self._next_action_ms = self._now_ms

    def _heartbeat(self, now_ms: int) -> None:
        self._heartbeat_in_flight = True
        counted = self._traffic.take(now_ms)
        request = BrokerHeartbeat(
            node_id=self._settings.node_id,
            broker_epoch=self.broker_epoch,
            applied_offset=self._applied_offset(),
            want_shutdown=self.state is BrokerState.PENDING_CONTROLLED_SHUTDOWN,
            offline_directories=self._untold_failures(),
            interval_ms=counted.interval_ms,
            traffic=counted.traffic,
            rest=counted.rest,
        )
        self._channel.request(request, self._heartbeat_answered, deadline_ms=now_ms + self._settings.session_timeout_ms)

    def _heartbeat_answered(self, reply: ControlReply | None) -> None:
        self._heartbeat_in_flight = False
        if self.state is BrokerState.STOPPED:
            return
        self._next_action_ms = self._now_ms + self._settings.heartbeat_interval_ms
        if not isinstance(reply, BrokerHeartbeatReply):
            self._next_action_ms = self._now_ms + REGISTRATION_RETRY_MS
            return
        if reply.error == ErrorCode.BROKER_ID_NOT_REGISTERED:
            self._next_action_ms = self._now_ms + REGISTRATION_RETRY_MS
            if self.state is BrokerState.PENDING_CONTROLLED_SHUTDOWN:
                self._stop("it was unregistered")
            return
        if reply.error != ErrorCode.NONE:
            self.outputs.append(observed("heartbeat-refused", error=reply.error.name))
            return
        self._traffic.told()
        if self._untold_failures():
            self._next_action_ms = self._now_ms + REGISTRATION_RETRY_MS
        self._take_fenced(reply.is_fenced)
        if self.state is BrokerState.PENDING_CONTROLLED_SHUTDOWN:
            if reply.should_shutdown:
                self._stop("the controller let go")
            else:
                self._next_action_ms = self._now_ms + SHUTDOWN_HEARTBEAT_MS

    def _take_fenced(self, fenced: bool) -> None:
        if fenced != self.fenced:
            self.fenced = fenced
            self.outputs.append(observed("fenced" if fenced else "unfenced", broker_epoch=self.broker_epoch))
        if not fenced and self.state is BrokerState.RECOVERY:
            self.state = BrokerState.RUNNING
        if fenced and not self.shutting_down:
            self._next_action_ms = min(self._next_action_ms, self._now_ms + REGISTRATION_RETRY_MS)

    def _stop(self, why: str) -> None:
        self.state = BrokerState.STOPPED
        self._next_action_ms = self._shutdown_deadline_ms = FAR_FUTURE_MS
        self.outputs.append(observed("broker-stopped", why=why))
