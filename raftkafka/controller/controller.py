"""The quorum controller: decides about the cluster's metadata while its node leads the metadata quorum.

It decides against the *pending* image: the committed one plus its own decisions that are not committed yet. Each decision is appended to
the metadata log as one entry, and replayed into `pending` at once. Losing the leadership drops `pending` and refuses all who wait.

Invariants (ids of reference/replication-rules.md)
- Q18: nothing is answered before it is committed; a deposed controller answers NOT_CONTROLLER and nothing else.
- `pending` equals the committed image once all appended decisions are committed; then it *is* that image.
- A broker's fencing and all leaderships it loses are one entry (rule K-registration).
- Nothing here is written without being decided; nothing changes but by replay and by what brokers report (`sessions`).
Sources: KIP-500, KIP-631, KIP-868; S431 QuorumController.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol, assert_never

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId
from raftkafka.base.observed import Observed, observed
from raftkafka.base.rules import Rule
from raftkafka.controller.balance_report import decide_balance
from raftkafka.controller.balancer import Balancer
from raftkafka.controller.cluster_control import (
    current_registration,
    decide_fence,
    decide_heartbeat,
    decide_late_moves,
    decide_register,
    unregister_records,
)
from raftkafka.controller.config_control import decide_alter_configs, decide_incremental_alter_configs
from raftkafka.controller.decision import Decision
from raftkafka.controller.directory_control import decide_assign_replicas
from raftkafka.controller.isr_control import decide_alter_partition
from raftkafka.controller.leader_changes import without_epoch_bumps
from raftkafka.controller.leader_elections import decide_elect_leaders
from raftkafka.controller.load_reports import LoadReports
from raftkafka.controller.policy import MIN_INSYNC_REPLICAS
from raftkafka.controller.producer_ids import decide_allocate_producer_ids
from raftkafka.controller.quota_control import decide_alter_client_quotas
from raftkafka.controller.reassignment import decide_alter_reassignments, list_reassignments
from raftkafka.controller.requests import ControllerReply, ControllerRequest, refusal_reply
from raftkafka.controller.sessions import FAR_FUTURE_MS, BrokerSessions
from raftkafka.controller.settings import ControllerSettings
from raftkafka.controller.topic_control import decide_create_partitions, decide_create_topics
from raftkafka.controller.topic_deletion import decide_delete_topics
from raftkafka.controller.waiting import Answer, WaitingAnswers
from raftkafka.metadata.configs import CLUSTER_DEFAULT, ResourceType
from raftkafka.metadata.control_messages import (
    AllocateProducerIds,
    AlterPartition,
    AssignReplicas,
    BrokerHeartbeat,
    RegisterBroker,
    RegisterBrokerReply,
)
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import ConfigRecord, FeatureLevelRecord, Record, encode_batch
from raftkafka.protocol.messages.alter_client_quotas import AlterClientQuotasRequest
from raftkafka.protocol.messages.alter_configs import AlterConfigsRequest
from raftkafka.protocol.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from raftkafka.protocol.messages.balance_cluster import BalanceClusterRequest
from raftkafka.protocol.messages.create_partitions import CreatePartitionsRequest
from raftkafka.protocol.messages.create_topics import CreateTopicsRequest
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest
from raftkafka.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from raftkafka.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from raftkafka.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse

LATE_MOVES_MS = 200
"""How much later leaders move away from a fenced broker where that rule is broken."""


class ControllerLog(Protocol):
    """The metadata log, as the controller writes it."""

    def append(self, records: Sequence[bytes], now_ms: int) -> int:
        """Proposes one entry per item and returns the offset of the last; `ApiError(NOT_CONTROLLER)` when this node leads no more."""


class QuorumController:
    """See the module. All methods are called by the node, which owns the committed image and the log."""

    def __init__(self, *, node_id: NodeId, cluster_id: str, log: ControllerLog, settings: ControllerSettings, rng: random.Random) -> None:
        self._node_id = node_id
        self._log = log
        self._settings = settings
        self._rng = rng
        self._active = False
        self._epoch = -1
        self._pending = MetadataImage(cluster_id=cluster_id)
        self._committed = self._pending
        self._appended_offset = -1
        self._sessions = BrokerSessions(settings.broker_session_timeout_ms)
        self._load_reports = LoadReports()
        self._balancer = Balancer(settings, self._load_reports)
        self._waiting = WaitingAnswers()
        self._lost: dict[NodeId, tuple[bytes, int]] = {}
        self._observed: list[Observed] = []
        self._answers_early = not settings.applies(Rule.ANSWER_AFTER_COMMIT)
        self._bumps_leader_epochs = settings.applies(Rule.BUMP_LEADER_EPOCH)
        self._moves_late = not settings.applies(Rule.FENCE_AND_MOVE_TOGETHER)
        self._next_late_moves_ms = FAR_FUTURE_MS

    @property
    def active(self) -> bool:
        """Whether this controller decides now."""
        return self._active

    @property
    def pending(self) -> MetadataImage:
        """The committed image plus this controller's own decisions that are not committed yet."""
        return self._pending

    # --- leadership of the metadata quorum

    def gained_leadership(self, epoch: int, image: MetadataImage, now_ms: int) -> None:
        """This node leads the quorum in `epoch`, and `image` holds all that was committed before."""
        self._active = True
        self._epoch = epoch
        self._pending = self._committed = image
        self._appended_offset = image.offset
        self._sessions.begin(image, now_ms)
        self._load_reports.begin(now_ms)
        self._balancer.begin(image, now_ms)
        self._observed.append(observed("controller-active", node=self._node_id, epoch=epoch, offset=image.offset))
        if not image.features:
            self._carry_out(_bootstrap(self._settings), now_ms)
        lost, self._lost = self._lost, {}
        for node_id, (incarnation_id, lost_ms) in lost.items():
            if now_ms < lost_ms + self._settings.broker_session_timeout_ms:
                self.broker_lost(node_id, incarnation_id, now_ms)

    def lost_leadership(self, now_ms: int) -> None:
        """Another node leads, or none: what is pending is dropped, whoever waits is told NOT_CONTROLLER."""
        if not self._active:
            return
        self._active = False
        self._pending = self._committed
        self._observed.append(observed("controller-resigned", node=self._node_id, epoch=self._epoch))
        self._waiting.refuse_all()

    def committed(self, image: MetadataImage, offset: int, now_ms: int) -> None:
        """Everything up to `offset` (inclusive) is committed, and `image` is the state after it."""
        self._committed = image
        if not self._active:
            return
        if offset >= self._appended_offset:
            self._pending = image
            self._appended_offset = offset
        self._waiting.release_committed(offset)
        self._release_applied(now_ms)

    # --- what brokers report

    def metadata_applied(self, node_id: NodeId, broker_epoch: int, offset: int, now_ms: int) -> None:
        """A broker has applied the metadata log up to `offset` (inclusive); one of an earlier process is ignored."""
        if self._active and self._sessions.applied(node_id, broker_epoch, offset):
            self._release_applied(now_ms)

    def broker_disconnected(self, node_id: NodeId, now_ms: int) -> None:
        """Its connection closed: it may be gone, so a new process with its id need not wait for the session to end."""
        self._sessions.suspect(node_id)

    def broker_lost(self, node_id: NodeId, incarnation_id: bytes, now_ms: int) -> None:
        """This process of the broker is certainly gone: everything it leads moves at once. A later process is not touched by that.

        What this node learns just before it becomes the active controller counts too: the lost node may have been the controller.
        """
        if not self._active:
            self._lost[node_id] = (incarnation_id, now_ms)
            return
        broker = self._pending.brokers.get(node_id)
        if broker is None or broker.incarnation_id != incarnation_id:
            return
        self._fence(node_id, "its process is gone", now_ms)
        self._release_applied(now_ms)

    # --- requests

    def handle(self, request: ControllerRequest, done: Callable[[ControllerReply], None], now_ms: int) -> None:
        """Decides; `done` gets the reply now or when it may leave."""
        try:
            if not self._active:
                raise ApiError(ErrorCode.NOT_CONTROLLER, "this node is not the active controller")
            decision = self._decide(request, now_ms)
            offset = self._append(decision.records, now_ms)
        except ApiError as refusal:
            self._answer(request, Decision(reply=refusal_reply(request, refusal)), self._appended_offset, done, now_ms)
            return
        self._observed.extend(decision.observed)
        decision = self._after_append(request, decision, offset, now_ms)
        self._answer(request, decision, offset, done, now_ms)

    def _decide(self, request: ControllerRequest, now_ms: int) -> Decision:
        image, settings = self._pending, self._settings
        match request:
            case AlterPartition():
                current_registration(image, request.node_id, request.broker_epoch)
                decision = decide_alter_partition(image, request, settings)
                self._balancer.homecomings.isr_changed(image, decision.records, now_ms)
                return decision
            case BrokerHeartbeat():
                current_registration(image, request.node_id, request.broker_epoch)
                self._sessions.heard(request.node_id, now_ms, request.applied_offset)
                self._load_reports.heard(
                    request.node_id, interval_ms=request.interval_ms, traffic=request.traffic, rest=request.rest, now_ms=now_ms
                )
                self._release_applied(now_ms)
                return decide_heartbeat(self._pending, request, settings, now_ms)
            case RegisterBroker():
                return decide_register(image, request, self._sessions, settings, now_ms)
            case AllocateProducerIds():
                current_registration(image, request.node_id, request.broker_epoch)
                return decide_allocate_producer_ids(image, request)
            case AssignReplicas():
                current_registration(image, request.node_id, request.broker_epoch)
                return decide_assign_replicas(image, request, settings)
            case CreateTopicsRequest():
                return decide_create_topics(image, request, settings, self._rng, now_ms)
            case DeleteTopicsRequest():
                return decide_delete_topics(image, request, settings, now_ms)
            case CreatePartitionsRequest():
                return decide_create_partitions(image, request, settings, self._rng, now_ms)
            case IncrementalAlterConfigsRequest():
                return decide_incremental_alter_configs(image, request, settings)
            case AlterConfigsRequest():
                return decide_alter_configs(image, request, settings)
            case AlterPartitionReassignmentsRequest():
                return decide_alter_reassignments(image, request, settings, now_ms)
            case ListPartitionReassignmentsRequest():
                return list_reassignments(image, request)
            case ElectLeadersRequest():
                return decide_elect_leaders(image, request, settings, now_ms)
            case BalanceClusterRequest():
                return decide_balance(image, request, self._balancer, now_ms)
            case AlterClientQuotasRequest():
                return decide_alter_client_quotas(image, request)
            case UnregisterBrokerRequest():
                records = unregister_records(image, NodeId(request.broker_id), settings)
                reply = UnregisterBrokerResponse(error_code=0, error_message=None)
                return Decision(reply=reply, records=records, observed=[observed("broker-unregistered", node=request.broker_id)])
            case _:
                assert_never(request)

    def _after_append(self, request: ControllerRequest, decision: Decision, offset: int, now_ms: int) -> Decision:
        """Sessions follow registrations, and a reply that names its own offset gets it."""
        match request:
            case RegisterBroker():
                reply: RegisterBrokerReply = decision.reply
                if reply.broker_epoch < 0:
                    decision = attrs.evolve(decision, reply=attrs.evolve(reply, broker_epoch=offset))
                    self._load_reports.forget(request.node_id)
                self._sessions.registered(request.node_id, decision.reply.broker_epoch, now_ms)
            case UnregisterBrokerRequest():
                self._sessions.forget(NodeId(request.broker_id))
                self._load_reports.forget(NodeId(request.broker_id))
            case _:
                pass
        return decision

    def _answer(
        self, request: ControllerRequest, decision: Decision, offset: int, done: Callable[[ControllerReply], None], now_ms: int
    ) -> None:
        """Lets the answer go when it may: see `waiting`."""
        if not self._active or self._answers_early or (decision.applied_by_ms is None and offset <= self._committed.offset):
            done(decision.reply)
            return
        self._waiting.add(
            Answer(
                offset=offset,
                release=done,
                reply=decision.reply,
                refuse=lambda: refusal_reply(request, ApiError(ErrorCode.NOT_CONTROLLER, "this node is no longer the active controller")),
                applied_by_ms=decision.applied_by_ms,
                late_reply=decision.late_reply,
                stops=request.node_id if isinstance(request, BrokerHeartbeat) and request.want_shutdown else None,
            )
        )
        if offset <= self._committed.offset:
            self._waiting.release_committed(self._committed.offset)
            self._release_applied(now_ms)

    def _release_applied(self, now_ms: int) -> None:
        """Lets go what all live brokers have applied. A broker that may stop now is fenced at once, so that clients see it go."""
        for node_id in self._waiting.release_applied(self._all_applied, now_ms):
            self._fence(node_id, "it shut down", now_ms)

    def _all_applied(self, offset: int, except_node: NodeId | None) -> bool:
        return all(
            self._sessions.has_applied(node_id, offset)
            for node_id, broker in self._committed.brokers.items()
            if broker.is_active and node_id != except_node
        )

    # --- the log

    def _append(self, records: Sequence[Record], now_ms: int) -> int:
        """Writes one decision as one entry and replays it; returns its offset (the last appended one when there is nothing to write)."""
        if records:
            if not self._bumps_leader_epochs:
                records = without_epoch_bumps(self._pending, records)
            offset = self._log.append([encode_batch(records)], now_ms)
            self._pending, _ = self._pending.apply(records, offset, self._epoch)
            self._appended_offset = offset
        return self._appended_offset

    def _carry_out(self, decision: Decision, now_ms: int) -> None:
        """A decision that nobody asked for."""
        try:
            self._append(decision.records, now_ms)
        except ApiError:
            return  # deposed: the node is about to say so, and the next controller decides anew
        self._observed.extend(decision.observed)
        if self._moves_late:
            self._next_late_moves_ms = min(self._next_late_moves_ms, now_ms + LATE_MOVES_MS)

    def _fence(self, node_id: NodeId, why: str, now_ms: int) -> None:
        self._carry_out(decide_fence(self._pending, node_id, self._settings, why=why), now_ms)
        self._load_reports.forget(node_id)

    def _unfenced(self) -> list[NodeId]:
        return [node_id for node_id, broker in self._pending.brokers.items() if not broker.fenced]

    # --- time

    def tick(self, now_ms: int) -> None:
        """Fences brokers whose session is over, each in a decision of its own, and sends leaders home."""
        if not self._active:
            return
        late_ms = now_ms - self._sessions.next_deadline_ms(self._unfenced())
        if late_ms > self._settings.broker_session_timeout_ms // 4:
            self._sessions.refresh_all(now_ms)
        for node_id in self._sessions.expired(self._unfenced(), now_ms):
            self._fence(node_id, "its session timed out", now_ms)
        self._release_applied(now_ms)
        if now_ms >= self._next_late_moves_ms:
            self._next_late_moves_ms = FAR_FUTURE_MS
            self._carry_out(decide_late_moves(self._pending, self._settings), now_ms)
        if now_ms >= self._balancer.next_deadline_ms():
            self._carry_out(self._balancer.decide(self._pending, now_ms), now_ms)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        if not self._active:
            return FAR_FUTURE_MS
        return min(
            self._sessions.next_deadline_ms(self._unfenced()),
            self._waiting.next_deadline_ms(),
            self._balancer.next_deadline_ms(),
            self._next_late_moves_ms,
        )

    def drain(self) -> list[Observed]:
        """What happened since the last call."""
        drained, self._observed = self._observed, []
        return drained


def _bootstrap(settings: ControllerSettings) -> Decision:
    """The first decision of a cluster: its features, and the cluster-wide `min.insync.replicas` that elections rest on."""
    records: list[Record] = [FeatureLevelRecord(name=name, level=level) for name, level in sorted(settings.features.items()) if level]
    records.append(
        ConfigRecord(
            resource_type=ResourceType.BROKER,
            resource_name=CLUSTER_DEFAULT,
            name=MIN_INSYNC_REPLICAS,
            value=str(settings.min_insync_replicas),
        )
    )
    return Decision(records=records, observed=[observed("cluster-bootstrapped", **dict(sorted(settings.features.items())))])
