"""Registration, heartbeats, fencing, controlled shutdown, unregistration: the life of brokers.

Invariants (rule K-registration of reference/replication-rules.md)
- A new broker epoch is given only when the old process is known to be gone: fenced, shutting down, its session over, or its connection
  closed and nothing heard since. Whatever it still led moves away in the same decision.
- A registered broker is fenced, until it has applied the metadata up to its own registration. Fencing and unfencing keep the epoch.
- A registration without the epoch of a clean shutdown is *unclean*: the broker leaves every ISR and ELR (KIP-966).
- A broker that shuts down stays until it leads nothing and all live brokers know that.
Sources: KIP-631, KIP-841, KIP-966; S431 ClusterControlManager, BrokerHeartbeatManager.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import ZERO_ID, NodeId
from raftkafka.base.observed import observed
from raftkafka.base.rules import Rule
from raftkafka.controller.decision import Decision
from raftkafka.controller.directory_control import decide_failed_directories
from raftkafka.controller.leader_changes import changes_with, changes_without, observe_changes
from raftkafka.controller.sessions import BrokerSessions
from raftkafka.controller.settings import ControllerSettings
from raftkafka.metadata.brokers import BrokerRegistration
from raftkafka.metadata.control_messages import BrokerHeartbeat, BrokerHeartbeatReply, RegisterBroker, RegisterBrokerReply
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import BrokerRegistrationChangeRecord, Record, RegisterBrokerRecord, UnregisterBrokerRecord


def current_registration(image: MetadataImage, node_id: NodeId, broker_epoch: int) -> BrokerRegistration:
    """The registration of a sender; refuses (BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH) one that is not the current process."""
    broker = image.brokers.get(node_id)
    if broker is None:
        raise ApiError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"No broker registration found for broker id {node_id}")
    if broker.broker_epoch != broker_epoch:
        reason = f"Expected broker epoch {broker_epoch}, but got broker epoch {broker.broker_epoch}"
        raise ApiError(ErrorCode.STALE_BROKER_EPOCH, reason)
    return broker


def decide_register(
    image: MetadataImage, request: RegisterBroker, sessions: BrokerSessions, settings: ControllerSettings, now_ms: int
) -> Decision:
    """A reply with `broker_epoch` -1 stands for the offset of the decision (the controller fills it in)."""
    _refuse_registration(image, request)
    old = image.brokers.get(request.node_id)
    if old is not None and old.incarnation_id == request.incarnation_id:
        record = _registration_record(request, broker_epoch=old.broker_epoch, fenced=old.fenced)
        record = attrs.evolve(record, in_controlled_shutdown=old.in_controlled_shutdown)
        return Decision(reply=RegisterBrokerReply(broker_epoch=old.broker_epoch), records=[record])
    if old is not None and old.is_active and sessions.is_valid(request.node_id, now_ms):
        reason = (
            "Another broker is registered with that broker id. If the broker was recently restarted this should self-resolve once the "
            "heartbeat manager expires the broker's session."
        )
        raise ApiError(ErrorCode.DUPLICATE_BROKER_REGISTRATION, reason)
    unclean = old is None or request.previous_broker_epoch != old.broker_epoch
    unclean = unclean and settings.applies(Rule.EXCLUDE_UNCLEAN_FROM_ELR)
    changes = changes_without(image, settings, request.node_id, unclean=unclean)
    return Decision(
        reply=RegisterBrokerReply(),
        records=[*changes, _registration_record(request, broker_epoch=-1, fenced=True)],
        observed=[
            observed("broker-registered", node=request.node_id, clean_restart=not unclean, rack=request.rack),
            *observe_changes(image, changes),
        ],
    )


def _refuse_registration(image: MetadataImage, request: RegisterBroker) -> None:
    if request.cluster_id != image.cluster_id:
        reason = f"Expected cluster ID {image.cluster_id}, but got cluster ID {request.cluster_id}"
        raise ApiError(ErrorCode.INCONSISTENT_CLUSTER_ID, reason)
    if len(set(request.directories)) != len(request.directories):
        raise ApiError(ErrorCode.INVALID_REGISTRATION, "Duplicate directory ID in request")
    for other in image.brokers.values():
        if other.node_id == request.node_id:
            continue
        for directory in request.directories:
            if directory in other.directories and directory != ZERO_ID:
                reason = f"Broker {other.node_id} is already registered with directory {directory.hex()}"
                raise ApiError(ErrorCode.INVALID_REGISTRATION, reason)


def _registration_record(request: RegisterBroker, *, broker_epoch: int, fenced: bool) -> RegisterBrokerRecord:
    return RegisterBrokerRecord(
        node_id=request.node_id,
        broker_epoch=broker_epoch,
        incarnation_id=request.incarnation_id,
        endpoints=tuple((e.name, e.host, e.port, e.security_protocol) for e in request.listeners),
        rack=request.rack,
        fenced=fenced,
        directories=request.directories,
    )


def decide_heartbeat(image: MetadataImage, request: BrokerHeartbeat, settings: ControllerSettings, now_ms: int) -> Decision:
    """The next state of a broker: fenced, unfenced, shutting down, gone. Directories that have failed since come first."""
    broker = image.brokers[request.node_id]
    if request.offline_directories:
        failed = decide_failed_directories(image, broker, request.offline_directories, settings)
        if failed.records:
            after, _ = image.apply(failed.records, image.offset, image.epoch)
            rest = decide_heartbeat(after, attrs.evolve(request, offline_directories=()), settings, now_ms)
            return attrs.evolve(rest, records=[*failed.records, *rest.records], observed=[*failed.observed, *rest.observed])
    caught_up = request.applied_offset >= broker.broker_epoch
    if request.want_shutdown:
        return _decide_shutdown(image, broker, settings, caught_up=caught_up, now_ms=now_ms)
    if broker.fenced:
        if request.want_fence or not caught_up:
            return Decision(reply=BrokerHeartbeatReply(is_caught_up=caught_up, is_fenced=True))
        return _decide_unfence(image, broker, settings)
    if request.want_fence:
        fence = decide_fence(image, request.node_id, settings, why="asked for it")
        return Decision(reply=BrokerHeartbeatReply(is_caught_up=caught_up, is_fenced=True), records=fence.records, observed=fence.observed)
    return Decision(reply=BrokerHeartbeatReply(is_caught_up=caught_up, is_fenced=False))


def _decide_unfence(image: MetadataImage, broker: BrokerRegistration, settings: ControllerSettings) -> Decision:
    changes = [] if broker.in_controlled_shutdown else changes_with(image, settings, broker.node_id)
    record = BrokerRegistrationChangeRecord(node_id=broker.node_id, broker_epoch=broker.broker_epoch, fenced=False)
    return Decision(
        reply=BrokerHeartbeatReply(is_caught_up=True, is_fenced=False),
        records=[record, *changes],
        observed=[observed("broker-unfenced", node=broker.node_id), *observe_changes(image, changes)],
    )


def _decide_shutdown(
    image: MetadataImage, broker: BrokerRegistration, settings: ControllerSettings, *, caught_up: bool, now_ms: int
) -> Decision:
    """A fenced broker may go at once. Another one first leaves all ISRs, and goes when all live brokers have applied that."""
    granted = BrokerHeartbeatReply(is_caught_up=caught_up, is_fenced=broker.fenced, should_shutdown=True)
    if broker.fenced:
        return Decision(reply=granted)
    not_yet = BrokerHeartbeatReply(is_caught_up=caught_up, is_fenced=False)
    applied_by_ms = now_ms + settings.shutdown_wait_ms
    if broker.in_controlled_shutdown:
        return Decision(reply=granted, late_reply=not_yet, applied_by_ms=applied_by_ms)
    changes = changes_without(image, settings, broker.node_id, unclean=False)
    record = BrokerRegistrationChangeRecord(node_id=broker.node_id, broker_epoch=broker.broker_epoch, in_controlled_shutdown=True)
    return Decision(
        reply=granted,
        late_reply=not_yet,
        applied_by_ms=applied_by_ms,
        records=[record, *changes],
        observed=[observed("broker-shutting-down", node=broker.node_id), *observe_changes(image, changes)],
    )


def decide_fence(image: MetadataImage, node_id: NodeId, settings: ControllerSettings, *, why: str) -> Decision:
    """Fences a broker and moves everything it leads, in one decision; nothing when it is fenced already."""
    broker = image.brokers.get(node_id)
    if broker is None or broker.fenced:
        return Decision()
    together = settings.applies(Rule.FENCE_AND_MOVE_TOGETHER)
    changes = changes_without(image, settings, node_id, unclean=False) if together else []
    record = BrokerRegistrationChangeRecord(node_id=node_id, broker_epoch=broker.broker_epoch, fenced=True)
    return Decision(
        records=[*changes, record],
        observed=[observed("broker-fenced", node=node_id, why=why), *observe_changes(image, changes)],
    )


def decide_late_moves(image: MetadataImage, settings: ControllerSettings) -> Decision:
    """What fenced brokers still lead, or are in the ISR of, moves: only where the rule is broken that this is one decision with fencing."""
    for node_id, broker in image.brokers.items():
        if broker.fenced and (changes := changes_without(image, settings, node_id, unclean=False)):
            return Decision(records=[*changes], observed=[*observe_changes(image, changes)])
    return Decision()


def unregister_records(image: MetadataImage, node_id: NodeId, settings: ControllerSettings) -> Sequence[Record]:
    """Forgets a broker for good: what it holds does not count any more. Refuses one that is not registered."""
    broker = image.brokers.get(node_id)
    if broker is None:
        raise ApiError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"Broker ID {node_id} is not currently registered")
    changes = changes_without(image, settings, node_id, unclean=True)
    return [*changes, UnregisterBrokerRecord(node_id=node_id, broker_epoch=broker.broker_epoch)]
