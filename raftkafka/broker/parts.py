"""The parts of a node, put together from its configuration."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NodeId, TopicId, random_id
from raftkafka.broker.channel import ControllerChannel
from raftkafka.broker.client_quotas import ClientQuotas
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.connection import Connection
from raftkafka.broker.connection_limits import ConnectionLimits
from raftkafka.broker.control import ControlRequest, Hello
from raftkafka.broker.control_links import ControlLinks
from raftkafka.broker.controller_host import ControllerHost
from raftkafka.broker.directory_reports import DirectoryReports
from raftkafka.broker.effects import CloseConnection, NodeEffect
from raftkafka.broker.group_log import GroupLog
from raftkafka.broker.lifecycle import BrokerLifecycle, LifecycleSettings
from raftkafka.broker.mutation_quota import MutationQuota
from raftkafka.broker.own_vote import OwnVote, OwnVoteSettings
from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.broker.router import Router
from raftkafka.broker.services import Services
from raftkafka.broker.suspects import Suspects
from raftkafka.controller.controller import QuorumController
from raftkafka.controller.settings import BalanceSettings, BalanceStrategy, ControllerSettings
from raftkafka.group.coordinator import GroupCoordinator
from raftkafka.group.settings import GroupSettings
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.topic_config import TopicConfigResolver
from raftkafka.raft.config import RaftConfig
from raftkafka.raft.driver import RaftDriver
from raftkafka.raft.node import NotLeader
from raftkafka.raft.voters import Voter
from raftkafka.replication.replica_manager import ReplicaManager
from raftkafka.replication.values import ReplicaSettings, TopicReplicationConfig
from raftkafka.storage.cleaner import CleanerSettings
from raftkafka.storage.log_manager import LogManager, LogManagerSettings
from raftkafka.storage.meta_properties import METADATA_DIRECTORY, MetaProperties

CORRELATION_ID_BYTES = 6
"""So many of a process's random bytes are where its correlation ids begin; they fit into 63 bits for longer than it will run."""
RACK_AWARE_SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
READ_FOLLOWER_LINGER_MS, UNREAD_FOLLOWER_LINGER_MS = 5, 100
"""How long a high watermark waits for data that takes it to a follower: who sends consumers there (KIP-392) wants it soon. Otherwise the
follower needs it at an election alone, where a lagging one costs a round trip; a message of its own after each batch would cost more than
the batch does."""


@attrs.define(eq=False, kw_only=True)
class Parts:
    """Everything that one node is made of. `controller` and `own_vote` exist on controllers, `lifecycle` and `directories` on
    brokers.
    """

    services: Services
    raft: RaftDriver
    logs: LogManager
    replicas: ReplicaManager
    groups: GroupCoordinator
    group_log: GroupLog
    channel: ControllerChannel
    links: ControlLinks
    router: Router
    controller: QuorumController | None
    controller_host: ControllerHost | None
    lifecycle: BrokerLifecycle | None
    directories: DirectoryReports | None
    own_vote: OwnVote | None
    emit: Callable[[NodeEffect], None]


class MetadataLog:
    """The controller's way to write: the Raft node of this process."""

    def __init__(self, raft: RaftDriver) -> None:
        self._raft = raft

    def append(self, records: Sequence[bytes], now_ms: int) -> int:
        """Proposes entries; NOT_CONTROLLER when this node does not lead the quorum any more."""
        try:
            return self._raft.propose(records, now_ms)
        except NotLeader as error:
            raise ApiError(ErrorCode.NOT_CONTROLLER, f"node {error.leader_id} leads the metadata quorum") from None


class ImageTopics:
    """The topics of the current image, as the group coordinator asks for them."""

    def __init__(self, image: Callable[[], MetadataImage]) -> None:
        self._image = image

    def name_of(self, topic_id: TopicId) -> str | None:
        topic = self._image().topics.by_id.get(topic_id)
        return topic.name if topic is not None else None

    def id_of(self, name: str) -> TopicId | None:
        topic = self._image().topics.by_name.get(name)
        return topic.topic_id if topic is not None else None

    def partition_count(self, name: str) -> int:
        topic = self._image().topics.by_name.get(name)
        return len(topic.partitions) if topic is not None else 0


@attrs.frozen(kw_only=True)
class Ports:
    """What the parts call in the node that holds them."""

    emit: Callable[[NodeEffect], None]
    touch: Callable[[Connection], None]
    send_control: Callable[[NodeId, int, ControlRequest], bool]
    gone: Callable[[NodeId, bytes | None], None]
    mute: Callable[[Connection, int], None]
    clock: Callable[[], int]


def assemble(
    *,
    config: BrokerConfig,
    disk: Disk,
    rng: random.Random,
    meta: MetaProperties,
    ports: Ports,
    request_timer: Callable[[], int] | None = None,
) -> Parts:
    """Builds the parts; nothing is read from disk and nothing is sent before the node starts."""
    incarnation_id = random_id(rng)
    voters = {node_id: (address.host, address.port) for node_id, address in sorted(config.quorum_voters.items())}
    raft = _raft(config, disk, rng, meta, voters)
    topic_configs = TopicConfigResolver(node_id=config.node_id, static=config.static)
    logs = _logs(config, disk, topic_configs, rng)
    channel = ControllerChannel(send=ports.send_control, first_correlation_id=int.from_bytes(incarnation_id[:CORRELATION_ID_BYTES]))
    lifecycle: BrokerLifecycle | None = None
    directories: DirectoryReports | None = None

    def broker_epoch() -> int:
        return lifecycle.broker_epoch if lifecycle is not None else -1

    replicas = _replicas(config, logs, topic_configs, rng)
    logs.high_watermark_of = replicas.hosted_high_watermark
    logs.retention.on_log_start_moved = replicas.log_start_moved
    group_log = GroupLog(replicas)
    topics = ImageTopics(lambda: services.image)
    groups = GroupCoordinator(
        log=group_log,
        topics=topics,
        settings=_group_settings(config),
        rng=random.Random(rng.getrandbits(64)),
    )
    services = Services(
        node_id=config.node_id,
        config=config,
        cluster_id=meta.cluster_id,
        image=MetadataImage(cluster_id=meta.cluster_id),
        raft=raft,
        logs=logs,
        replicas=replicas,
        groups=groups,
        channel=channel,
        producer_ids=ProducerIds(channel, node_id=config.node_id, broker_epoch=broker_epoch),
        suspects=Suspects(),
        quotas=ClientQuotas(window_count=config.quota_window_num, window_ms=config.quota_window_size_seconds * 1_000),
        connections=ConnectionLimits(config),
        mute=ports.mute,
        clock=ports.clock,
        request_timer=request_timer,
        close_connection=lambda connection, reason: ports.emit(CloseConnection(connection, reason)),
    )
    if config.is_broker:
        lifecycle = BrokerLifecycle(
            _lifecycle_settings(config, meta, incarnation_id, logs),
            channel,
            applied_offset=lambda: services.applied_offset,
            ready=lambda: logs.ready,
            untold_failures=lambda: directories.untold_failures() if directories is not None else (),
            traffic=replicas.traffic,
        )
        directories = DirectoryReports(
            node_id=config.node_id,
            logs=logs,
            channel=channel,
            lifecycle=lifecycle,
            image=lambda: services.image,
            failure_timeout_ms=config.log_dir_failure_timeout_ms,
        )
    controller = _controller(config, meta, raft, rng) if config.is_controller else None
    return Parts(
        services=services,
        raft=raft,
        logs=logs,
        replicas=replicas,
        groups=groups,
        group_log=group_log,
        channel=channel,
        links=ControlLinks(
            hello=Hello(cluster_id=meta.cluster_id, node_id=config.node_id, incarnation_id=incarnation_id),
            peers=voters,
            redial_backoff_ms=config.controller_quorum_retry_backoff_ms,
            contacts=_contacts(config),
            emit=ports.emit,
            touch=ports.touch,
            gone=ports.gone,
            learned=raft.met,
        ),
        router=Router(services, ports.touch),
        controller=controller,
        controller_host=_controller_host(config, controller, raft, meta) if controller is not None else None,
        lifecycle=lifecycle,
        directories=directories,
        own_vote=OwnVote(_own_vote_settings(config, meta), raft, channel, ports.emit) if config.is_controller else None,
        emit=ports.emit,
    )


def _contacts(config: BrokerConfig) -> list[tuple[str, int]]:
    """Whom to ask for the quorum; this node itself, which is often among them, knows nothing that it does not."""
    own = config.controller_endpoint
    return [(each.host, each.port) for each in config.quorum_contacts if own is None or (each.host, each.port) != (own.host, own.port)]


def _raft(config: BrokerConfig, disk: Disk, rng: random.Random, meta: MetaProperties, voters: dict[NodeId, tuple[str, int]]) -> RaftDriver:
    timeout_ms = config.controller_quorum_election_timeout_ms
    is_given = "controller.quorum.fetch.timeout.ms" in config.static
    silence_ms = config.controller_quorum_fetch_timeout_ms if is_given else 2 * timeout_ms
    return RaftDriver(
        node_id=config.node_id,
        directory_id=meta.directory_id,
        voters={node_id: Voter(endpoints=((config.controller_listener_name, host, port),)) for node_id, (host, port) in voters.items()},
        disk=disk,
        directory=f"{config.metadata_log_dir}/{METADATA_DIRECTORY}",
        config=RaftConfig(
            election_timeout_min_ms=timeout_ms,
            election_timeout_max_ms=2 * timeout_ms,
            check_quorum_timeout_ms=silence_ms * 3 // 2,
            disabled_rules=config.disabled_rules,
        ),
        rng=random.Random(rng.getrandbits(64)),
    )


def _own_vote_settings(config: BrokerConfig, meta: MetaProperties) -> OwnVoteSettings:
    endpoint = config.controller_endpoint
    return OwnVoteSettings(
        node_id=config.node_id,
        directory_id=meta.directory_id,
        cluster_id=meta.cluster_id,
        endpoints=((endpoint.name, endpoint.host, endpoint.port),) if endpoint is not None else (),
        joins=config.controller_quorum_auto_join_enable,
    )


def _controller(config: BrokerConfig, meta: MetaProperties, raft: RaftDriver, rng: random.Random) -> QuorumController:
    return QuorumController(
        node_id=config.node_id,
        cluster_id=meta.cluster_id,
        log=MetadataLog(raft),
        settings=ControllerSettings(
            broker_session_timeout_ms=config.broker_session_timeout_ms,
            num_partitions=config.num_partitions,
            default_replication_factor=config.default_replication_factor,
            min_insync_replicas=config.min_insync_replicas,
            unclean_leader_election_enable=config.unclean_leader_election_enable,
            delete_topic_enable=config.delete_topic_enable,
            auto_leader_rebalance_enable=config.auto_leader_rebalance_enable,
            leader_imbalance_check_interval_ms=config.leader_imbalance_check_interval_seconds * 1000,
            balance=_balance_settings(config),
            disabled_rules=config.disabled_rules,
        ),
        rng=random.Random(rng.getrandbits(64)),
    )


def _balance_settings(config: BrokerConfig) -> BalanceSettings:
    return BalanceSettings(
        imbalance_percentage=config.leader_imbalance_per_broker_percentage,
        strategy=BalanceStrategy(config.leader_rebalance_strategy),
        load_interval_ms=config.leader_rebalance_load_interval_ms,
        tolerance_percentage=config.leader_rebalance_load_tolerance_percentage,
        cooldown_ms=config.leader_rebalance_load_cooldown_ms,
        max_moves=config.leader_rebalance_load_moves_max,
        min_bytes_per_second=config.leader_rebalance_load_min_bytes_per_second,
        moves_replicas=config.leader_rebalance_replica_moves_enable,
        replica_throttle_bytes_per_second=config.leader_rebalance_replica_throttle_bytes_per_second,
    )


def _controller_host(config: BrokerConfig, controller: QuorumController, raft: RaftDriver, meta: MetaProperties) -> ControllerHost:
    mutations = MutationQuota(
        window_count=config.controller_quota_window_num,
        window_ms=config.controller_quota_window_size_seconds * 1_000,
        default_partitions=config.num_partitions,
    )
    return ControllerHost(controller, raft, meta.cluster_id, mutations)


def _group_settings(config: BrokerConfig) -> GroupSettings:
    return GroupSettings(
        initial_rebalance_delay_ms=config.group_initial_rebalance_delay_ms,
        min_session_timeout_ms=config.group_min_session_timeout_ms,
        max_session_timeout_ms=config.group_max_session_timeout_ms,
        max_size=config.group_max_size,
        offset_metadata_max_bytes=config.offset_metadata_max_bytes,
        offsets_retention_ms=config.offsets_retention_minutes * 60_000,
        offsets_retention_check_interval_ms=config.offsets_retention_check_interval_ms,
        offset_commit_timeout_ms=config.offsets_commit_timeout_ms,
        disabled_rules=config.disabled_rules,
    )


def _lifecycle_settings(
    config: BrokerConfig, meta: MetaProperties, incarnation_id: bytes, logs: LogManager
) -> Callable[[], LifecycleSettings]:
    def settings() -> LifecycleSettings:
        return LifecycleSettings(
            node_id=config.node_id,
            cluster_id=meta.cluster_id,
            incarnation_id=incarnation_id,
            listeners=config.advertised_listeners,
            rack=config.broker_rack,
            directories=logs.placement.online_ids() or (meta.directory_id,),
            previous_broker_epoch=logs.previous_broker_epoch,
            heartbeat_interval_ms=config.broker_heartbeat_interval_ms,
            session_timeout_ms=config.broker_session_timeout_ms,
            registration_timeout_ms=config.initial_broker_registration_timeout_ms,
            controlled_shutdown=config.controlled_shutdown_enable,
        )

    return settings


def _logs(config: BrokerConfig, disk: Disk, topic_configs: TopicConfigResolver, rng: random.Random) -> LogManager:
    defaults = topic_configs.settings(MetadataImage(cluster_id="").configs, "").log
    settings = LogManagerSettings(
        default_config=defaults,
        retention_check_interval_ms=config.log_retention_check_interval_ms,
        checkpoint_interval_ms=min(config.log_flush_offset_checkpoint_interval_ms, config.log_flush_start_offset_checkpoint_interval_ms),
        cleaner=cleaner_settings(config),
        disabled_rules=config.disabled_rules,
    )
    logs = LogManager(disk=disk, log_dirs=config.log_dirs, settings=settings, rng=random.Random(rng.getrandbits(64)))
    logs.placement.cordon(config.cordoned_log_dirs)
    return logs


def cleaner_settings(config: BrokerConfig) -> CleanerSettings:
    """What the log.cleaner keys say, static or dynamic."""
    return CleanerSettings(
        enabled=config.log_cleaner_enable,
        backoff_ms=config.log_cleaner_backoff_ms,
        dedupe_buffer_bytes=config.log_cleaner_dedupe_buffer_size,
        io_max_bytes_per_second=config.log_cleaner_io_max_bytes_per_second,
    )


def _replicas(config: BrokerConfig, logs: LogManager, topic_configs: TopicConfigResolver, rng: random.Random) -> ReplicaManager:
    def topic_config(image: MetadataImage, topic: str) -> TopicReplicationConfig:
        settings = topic_configs.settings(image.configs, topic)
        return TopicReplicationConfig(min_insync_replicas=settings.min_insync_replicas, log=settings.log)

    rack_aware = config.replica_selector_class == RACK_AWARE_SELECTOR
    return ReplicaManager(
        node_id=config.node_id,
        logs=logs,
        settings=ReplicaSettings(
            replica_lag_time_max_ms=config.replica_lag_time_max_ms,
            fetch_wait_max_ms=config.replica_fetch_wait_max_ms,
            fetch_min_bytes=config.replica_fetch_min_bytes,
            fetch_max_bytes=config.replica_fetch_max_bytes,
            fetch_response_max_bytes=config.replica_fetch_response_max_bytes,
            fetch_backoff_ms=config.replica_fetch_backoff_ms,
            fetch_timeout_ms=config.replica_socket_timeout_ms,
            high_watermark_checkpoint_interval_ms=config.replica_high_watermark_checkpoint_interval_ms,
            client_fetch_max_bytes=config.fetch_max_bytes,
            fetch_session_slots=config.max_incremental_fetch_session_cache_slots,
            high_watermark_linger_ms=READ_FOLLOWER_LINGER_MS if rack_aware else UNREAD_FOLLOWER_LINGER_MS,
            rack_aware_selector=rack_aware,
            disabled_rules=config.disabled_rules,
        ),
        topic_config=topic_config,
        rng=random.Random(rng.getrandbits(64)),
    )
