"""The whole node, sans I/O: bytes, timers and completed writes go in; bytes, dials and writes to be made stable come out.

Two shells drive it (`server`, `simulation`) in the way that `broker.node_port` describes. Inside, each part is a machine of its own:

    raft ──committed entries──▶ image ──delta──▶ replicas, groups, controller
    client frames ──▶ router ──▶ handlers ──▶ replicas | groups | channel ──▶ active controller (here or elsewhere)

Invariants
- Only `settle` moves outputs from one part to another, so no part is ever entered while it is at work.
- The replicas see no metadata before this broker has applied its own registration: an outdated leader role is never taken up (KIP-631).
  Clients are not answered before it is unfenced.
- The image is what the metadata log says up to its high watermark; uncommitted work lives in the controller alone.
- Produce, Fetch and the answers to fetches, nearly all that happens, concern the replicas only. Whatever else happens says
  `_touch_others`; only after that are the other parts asked what they have to say, and when they want to be called.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from raftkafka.base.disk import Disk, Persist
from raftkafka.base.errors import DecodeError, DiskError, PeerError
from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.base.lane import Lane
from raftkafka.base.observed import Observed, observed
from raftkafka.broker.channel import FAR_FUTURE_MS
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.connection import Connection
from raftkafka.broker.control import ControlMessage, ControlReply, ControlRequest, Forward, ForwardReply, RaftFrame
from raftkafka.broker.control_links import Received
from raftkafka.broker.early_requests import EarlyRequests
from raftkafka.broker.effects import CloseConnection, Flush, Halt, LinkId, NodeEffect
from raftkafka.broker.metadata_flow import MetadataEffect, MetadataFlow
from raftkafka.broker.muted import MutedConnections
from raftkafka.broker.parts import Parts, Ports, assemble
from raftkafka.broker.replica_flow import ReplicaFlow
from raftkafka.broker.router import concerns_replicas_only
from raftkafka.broker.shutdown import Shutdown, Step
from raftkafka.metadata.control_messages import (
    AllocateProducerIds,
    AllocateProducerIdsReply,
    AlterPartition,
    AlterPartitionReply,
    AssignReplicas,
    AssignReplicasReply,
    BrokerHeartbeat,
    BrokerHeartbeatReply,
    MetadataApplied,
    RegisterBroker,
    RegisterBrokerReply,
)
from raftkafka.raft import effects as raft_effects
from raftkafka.raft.voters import VoterSet
from raftkafka.storage.meta_properties import MetaProperties

REQUESTS = (RegisterBroker, BrokerHeartbeat, AlterPartition, AllocateProducerIds, AssignReplicas, Forward)
REPLIES = (RegisterBrokerReply, BrokerHeartbeatReply, AlterPartitionReply, AllocateProducerIdsReply, AssignReplicasReply, ForwardReply)


class BrokerNode:
    """One node with its roles. See `broker.node_port.NodePort` for the contract of each method."""

    def __init__(
        self,
        *,
        config: BrokerConfig,
        disk: Disk,
        rng: random.Random,
        meta: MetaProperties,
        request_timer: Callable[[], int] | None = None,
    ) -> None:
        self.wall_offset_ms = 0
        self.config = config
        self._effects: list[NodeEffect] = []
        self._touched: list[Connection] = []
        self._local: deque[tuple[int, ControlRequest]] = deque()
        self._replies: deque[tuple[NodeId, int, ControlReply]] = deque()
        self._tokens: dict[int, tuple[str, int]] = {}
        self._next_token = 1
        self._now_ms = 0
        self._muted = MutedConnections(
            serve=self.frame_received, unmuted=self._touch, refused=self._close, another_deadline=self._touch_others
        )
        self._parts: Parts = assemble(
            config=config,
            disk=disk,
            rng=rng,
            meta=meta,
            ports=Ports(
                emit=self._effects.append,
                touch=self._touch,
                send_control=self._send_request,
                gone=self._peer_gone,
                mute=self._muted.mute,
                clock=lambda: self._now_ms,
            ),
            request_timer=request_timer,
        )
        self._metadata = MetadataFlow(self._parts)
        self._early = EarlyRequests()
        self._replication = ReplicaFlow(self._parts, emit=self._effects.append)
        self._shutdown = Shutdown(self._parts, self._effects.append)
        self._log_lane: Lane[Observed] = Lane()
        self._others_unsettled = True
        self._others_deadline_ms: int | None = None  # None: to be asked for

    @property
    def parts(self) -> Parts:
        """The parts, for invariant checks and status; nobody outside changes them."""
        return self._parts

    @property
    def stopped(self) -> bool:
        """Whether a clean stop is complete."""
        return self._shutdown.step is Step.STOPPED

    # Events

    def start(self, now_ms: int, wall_ms: int) -> None:
        """Loads what is on disk and begins to take part."""
        self._now_ms = now_ms
        self._touch_others()
        self.wall_offset_ms = self._parts.group_log.wall_offset_ms = wall_ms - now_ms
        parts = self._parts
        for name in sorted(rule.value for rule in self.config.disabled_rules):
            self._effects.append(observed("rule-broken", rule=name))
        parts.logs.load(wall_ms)
        parts.raft.start(now_ms)
        parts.links.start(_addresses_of(parts.raft.state.voters), now_ms)
        if parts.lifecycle is not None:
            parts.lifecycle.start(now_ms)

    def connection_opened(self, conn: Connection) -> None:
        """Nothing is remembered of a connection before it speaks."""

    def frame_received(self, conn: Connection, frame: memoryview, now_ms: int) -> None:
        self._now_ms = now_ms
        if conn.listener == self.config.controller_listener_name:
            self._touch_others()
            self._received(self._parts.links.connection_frame(conn, frame), now_ms)
        elif conn.muted:
            self._muted.hold(conn, frame)
        elif self._metadata.serving:
            if not concerns_replicas_only(frame):
                self._touch_others()
            self._parts.router.handle(conn, frame, now_ms, now_ms + self.wall_offset_ms)
        else:
            self._early.hold(conn, frame)

    def connection_closed(self, conn: Connection, now_ms: int) -> None:
        self._touch_others()
        conn.closed = True
        self._muted.closed(conn)
        node_id = self._parts.links.connection_closed(conn)
        if node_id is not None:
            self._connection_lost(node_id, now_ms)
            if not self._parts.links.dials(node_id):
                self._probe(node_id)

    def link_opened(self, link_id: LinkId, now_ms: int) -> None:
        self._touch_others()
        if self._parts.links.owns(link_id):
            self._parts.links.link_opened(link_id, now_ms)
            self._parts.channel.connection_opened()
            node_id = self._parts.links.node_of(link_id)
            if node_id is not None:
                self._parts.services.suspects.cleared(node_id)
                self._parts.replicas.broker_seen(node_id)
        else:
            self._replication.link_opened(link_id, now_ms)

    def link_frame(self, link_id: LinkId, frame: memoryview, now_ms: int) -> None:
        self._now_ms = now_ms
        if self._parts.links.owns(link_id):
            self._touch_others()
            self._received(self._parts.links.link_frame(link_id, frame), now_ms)
        else:
            self._replication.link_frame(link_id, frame, now_ms)

    def link_closed(self, link_id: LinkId, *, refused: bool, now_ms: int) -> None:
        self._now_ms = now_ms
        self._touch_others()
        if not self._parts.links.owns(link_id):
            self._replication.link_closed(link_id, now_ms)
            return
        node_id = self._parts.links.link_closed(link_id, refused=refused, now_ms=now_ms)
        if node_id is not None:
            self._connection_lost(node_id, now_ms)

    def persisted(self, token: int, now_ms: int) -> None:
        self._now_ms = now_ms
        self._touch_others()
        owner, own_token = self._tokens.pop(token)
        if owner == "raft":
            self._parts.raft.persisted(own_token, now_ms)
        else:
            self._log_lane.persisted(own_token)
            self._parts.logs.persisted(own_token)

    def persist_failed(self, token: int, error: DiskError, now_ms: int) -> None:
        """Logs that cannot be made stable go offline; a node that cannot keep its vote, its metadata log, or any log stops (`failure`)."""
        self._touch_others()
        owner, own_token = self._tokens.pop(token)
        if owner == "logs":
            self._log_lane.persisted(own_token)
            self._parts.logs.persist_failed(own_token, error)
        else:
            self._effects.append(Halt(f"the metadata log cannot be written: {error}"))

    def tick(self, now_ms: int) -> None:
        self._now_ms = now_ms
        parts, wall_ms = self._parts, now_ms + self.wall_offset_ms
        parts.group_log.wall_offset_ms = self.wall_offset_ms
        if now_ms < self._next_deadline_of_others_ms():
            parts.replicas.tick(now_ms, wall_ms)
            return
        self._touch_others()
        parts.raft.tick(now_ms)
        parts.links.tick(now_ms)
        parts.channel.tick(now_ms)
        parts.services.suspects.tick(now_ms)
        if parts.controller is not None:
            parts.controller.tick(now_ms)
        if parts.controller_host is not None:
            parts.controller_host.voter_changes.tick(now_ms)
        if parts.own_vote is not None:
            parts.own_vote.tick(now_ms)
        if parts.lifecycle is not None:
            parts.lifecycle.tick(now_ms)
        if parts.directories is not None:
            parts.directories.tick(now_ms)
        parts.logs.tick(now_ms, wall_ms)
        parts.replicas.tick(now_ms, wall_ms)
        parts.groups.tick(now_ms=now_ms, wall_ms=wall_ms)
        self._muted.tick(now_ms)

    def next_deadline_ms(self) -> int:
        return min(self._next_deadline_of_others_ms(), self._parts.replicas.next_deadline_ms())

    def _next_deadline_of_others_ms(self) -> int:
        if self._others_deadline_ms is None:
            parts = self._parts
            self._others_deadline_ms = min(
                parts.raft.next_deadline_ms(),
                parts.links.next_deadline_ms(),
                parts.channel.next_deadline_ms(),
                parts.services.suspects.next_deadline_ms(),
                parts.logs.next_deadline_ms(),
                parts.groups.next_deadline_ms(),
                self._muted.next_deadline_ms(),
                FAR_FUTURE_MS if parts.controller is None else parts.controller.next_deadline_ms(),
                FAR_FUTURE_MS if parts.controller_host is None else parts.controller_host.voter_changes.next_deadline_ms(),
                FAR_FUTURE_MS if parts.own_vote is None else parts.own_vote.next_deadline_ms(),
                FAR_FUTURE_MS if parts.lifecycle is None else parts.lifecycle.next_deadline_ms(),
                FAR_FUTURE_MS if parts.directories is None else parts.directories.next_deadline_ms(),
                self._shutdown.next_deadline_ms(),
            )
        return self._others_deadline_ms

    def begin_shutdown(self, now_ms: int) -> None:
        self._touch_others()
        self._shutdown.begin(now_ms)

    def settle(self, now_ms: int) -> list[NodeEffect]:
        """Moves outputs between the parts until nothing moves any more, and returns what the shell must do."""
        self._now_ms = now_ms
        if self._shutdown.step is Step.SERVING:
            self._settle_parts(now_ms)
        else:
            self._settle_and_advance_shutdown(now_ms)
        effects = self._effects[:]
        self._effects.clear()
        if self._parts.logs.failure is not None:
            return [*(effect for effect in effects if isinstance(effect, Observed)), Halt(self._parts.logs.failure)]
        for connection in self._touched:
            connection.touched = False
            effects.append(Flush(connection))
        self._touched.clear()
        return effects

    # What happens in a settle

    def _touch_others(self) -> None:
        """Something happens that may concern other parts than the replicas."""
        self._others_unsettled = True
        self._others_deadline_ms = None

    def _settle_and_advance_shutdown(self, now_ms: int) -> None:
        step: Step | None = None
        while self._shutdown.step is not step:
            step = self._shutdown.step
            self._touch_others()
            self._settle_parts(now_ms)
            self._shutdown.advance(now_ms)

    def _settle_parts(self, now_ms: int) -> None:
        wall_ms = now_ms + self.wall_offset_ms
        if self._replication.settle(now_ms, wall_ms) or self._parts.logs.has_news:
            self._touch_others()
        while self._others_unsettled:
            moved = self._settle_others(now_ms)
            self._others_unsettled = self._replication.settle(now_ms, wall_ms) or moved

    def _settle_others(self, now_ms: int) -> bool:
        """One round of the other parts; whether anything moved."""
        parts = self._parts
        moved = False
        if self._local:
            correlation_id, request = self._local.popleft()
            self._serve(self.config.node_id, correlation_id, request, now_ms)
            moved = True
        while self._replies:
            to, correlation_id, reply = self._replies.popleft()
            self._deliver_reply(to, correlation_id, reply, now_ms)
            moved = True
        outputs = parts.raft.drain()
        if outputs:
            self._raft_outputs(outputs, now_ms)
            moved = True
        if self._metadata.settle(now_ms):
            self._announce_applied(now_ms)
            moved = True
        if self._early and self._metadata.serving:
            self._serve_early(now_ms)
            moved = True
        for log_output in parts.logs.drain():
            self._log_lane.push(log_output)
        for log_output in self._log_lane.take():
            self._emit_mapped("logs", log_output)
        if parts.directories is not None:
            parts.directories.settle(now_ms)
        self._effects.extend(parts.groups.drain())
        if parts.controller is not None:
            self._effects.extend(parts.controller.drain())
        if parts.lifecycle is not None and parts.lifecycle.outputs:
            self._effects.extend(parts.lifecycle.outputs)
            parts.lifecycle.outputs.clear()
            parts.lifecycle.tick(now_ms)
            moved = True
        if parts.lifecycle is not None and parts.lifecycle.failure is not None:
            self._effects.append(Halt(parts.lifecycle.failure))
        return moved

    def _serve_early(self, now_ms: int) -> None:
        for connection, frame in self._early.take():
            try:
                self._parts.router.handle(connection, memoryview(frame), now_ms, now_ms + self.wall_offset_ms)
            except (DecodeError, PeerError) as error:
                self._close(connection, str(error))

    def _raft_outputs(self, outputs: list[raft_effects.DriverEffect], now_ms: int) -> None:
        for output in outputs:
            match output:
                case raft_effects.SendMessage():
                    self._parts.links.send(output.to, RaftFrame(message=output.message))
                case Persist() | Observed():
                    self._emit_mapped("raft", output)
                case raft_effects.LeaderChanged():
                    leader = output.leader if output.leader is not None else NO_NODE
                    self._effects.append(observed("metadata-leader", epoch=output.epoch, leader=leader))
                    self._parts.channel.controller_changed(leader)
                    self._parts.links.leader_changed(output.leader, now_ms)
                    self._quorum_changed(now_ms)
                case raft_effects.VotersChanged():
                    self._parts.links.voters_changed(_addresses_of(output.voters))
                    self._quorum_changed(now_ms)
                    self._effects.append(observed("voters", voters=",".join(map(str, sorted(output.voters)))))
                case _:
                    self._take_metadata(output, now_ms)

    def _quorum_changed(self, now_ms: int) -> None:
        if self._parts.own_vote is not None:
            self._parts.own_vote.news(now_ms)

    def _take_metadata(self, output: MetadataEffect, now_ms: int) -> None:
        self._metadata.take(output, now_ms)
        if isinstance(output, raft_effects.LeadershipLost) and self._parts.controller_host is not None:
            self._parts.controller_host.voter_changes.lost_leadership()

    def _emit_mapped(self, owner: str, output: Persist | Observed) -> None:
        if isinstance(output, Persist):
            token = self._next_token
            self._next_token += 1
            self._tokens[token] = (owner, output.token)
            self._effects.append(Persist(token, output.writes, output.syncs))
        else:
            self._effects.append(output)

    def _announce_applied(self, now_ms: int) -> None:
        """Tells the controller how far this broker is: it answers CreateTopics only when all live brokers know the topic."""
        parts = self._parts
        if parts.lifecycle is None or parts.lifecycle.broker_epoch < 0:
            return
        parts.lifecycle.metadata_applied(now_ms)
        parts.lifecycle.tick(now_ms)
        message = MetadataApplied(
            node_id=self.config.node_id, broker_epoch=parts.lifecycle.broker_epoch, applied_offset=parts.services.applied_offset
        )
        controller = parts.channel.controller
        if controller == self.config.node_id:
            self._metadata_applied(message, now_ms)
        elif controller != NO_NODE:
            parts.links.send(controller, message)

    def _metadata_applied(self, message: MetadataApplied, now_ms: int) -> None:
        if self._parts.controller is not None:
            self._parts.controller.metadata_applied(message.node_id, message.broker_epoch, message.applied_offset, now_ms)

    # Messages between nodes

    def _received(self, received: Received | None, now_ms: int) -> None:
        if received is None:
            return
        message = received.message
        if isinstance(message, RaftFrame):
            self._parts.raft.receive(received.source, message.message, now_ms)
        elif isinstance(message, REQUESTS):
            self._serve(received.source, received.correlation_id, message, now_ms)
        elif isinstance(message, REPLIES):
            self._parts.channel.reply(received.correlation_id, message, now_ms)
        elif isinstance(message, MetadataApplied):
            self._metadata_applied(message, now_ms)

    def _serve(self, source: NodeId, correlation_id: int, request: ControlRequest, now_ms: int) -> None:
        host = self._parts.controller_host
        if host is None:
            raise PeerError(f"node {source} takes this node for a controller")
        host.handle(
            request,
            lambda reply: self._replies.append((source, correlation_id, reply)),
            now_ms,
            wall_offset_ms=self.wall_offset_ms,
        )

    def _deliver_reply(self, to: NodeId, correlation_id: int, reply: ControlReply, now_ms: int) -> None:
        if to == self.config.node_id:
            self._parts.channel.reply(correlation_id, reply, now_ms)
        else:
            self._parts.links.send(to, reply, correlation_id)

    def _send_request(self, to: NodeId, correlation_id: int, request: ControlRequest) -> bool:
        if to == self.config.node_id:
            self._local.append((correlation_id, request))
            return True
        message: ControlMessage = request
        return self._parts.links.send(to, message, correlation_id)

    def _connection_lost(self, node_id: NodeId, now_ms: int) -> None:
        self._parts.services.suspects.suspect(node_id, now_ms)
        self._parts.channel.connection_lost(node_id, now_ms)
        if self._parts.controller is not None:
            self._parts.controller.broker_disconnected(node_id, now_ms)

    def _peer_gone(self, node_id: NodeId, incarnation_id: bytes | None) -> None:
        """A process of that node has certainly ended: do not wait for time-outs. None stands for the process that is registered."""
        self._parts.raft.peer_lost(node_id, self._now_ms)
        broker = self._parts.services.image.brokers.get(node_id)
        if incarnation_id is None:
            self._parts.replicas.broker_gone(node_id)
            incarnation_id = broker.incarnation_id if broker is not None else None
        if incarnation_id is not None and self._parts.controller is not None:
            self._parts.controller.broker_lost(node_id, incarnation_id, self._now_ms)

    def _probe(self, node_id: NodeId) -> None:
        broker = self._parts.services.image.brokers.get(node_id)
        if broker is not None and not broker.fenced and broker.endpoints:
            endpoint = broker.endpoints[0]
            self._parts.links.probe(node_id, endpoint.host, endpoint.port)

    def _touch(self, connection: Connection) -> None:
        if not connection.touched:
            connection.touched = True
            self._touched.append(connection)

    def _close(self, connection: Connection, reason: str) -> None:
        self._effects.append(CloseConnection(connection, reason))


def _addresses_of(voters: VoterSet) -> dict[NodeId, tuple[str, int]]:
    return {node_id: voter.endpoints[0][1:] for node_id, voter in voters.items() if voter.endpoints}
