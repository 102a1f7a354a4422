"""The settings of one node as typed attributes, one for each key that acts. `config_loader` makes it from `server.properties`.

Invariants
- A key that acts is an attribute here (its name with `_` for `.`) or a fallback of a topic key; `ACTING_KEYS` follows from that.
- A `BrokerConfig` has been checked: nothing that reads it checks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from raftkafka.base.ids import NodeId
from raftkafka.base.rules import BROKEN_RULES_KEY, NO_RULES, Rules
from raftkafka.broker.listeners import HostPort
from raftkafka.metadata.config_defs import BROKER_DEFS, TOPIC_DEFS, parse_value
from raftkafka.metadata.control_messages import ListenerEndpoint


@attrs.frozen(kw_only=True)
class BrokerConfig:
    """A checked configuration. `static` holds what was set, as text (DescribeConfigs shows it); `notices` are to be logged at start."""

    # Derived from several keys.
    node_id: NodeId
    process_roles: tuple[str, ...]
    listeners: tuple[ListenerEndpoint, ...]
    broker_listeners: tuple[ListenerEndpoint, ...]
    controller_listener: ListenerEndpoint | None
    controller_listener_name: str
    advertised_listeners: tuple[ListenerEndpoint, ...]
    inter_broker_listener_name: str
    controller_endpoint: ListenerEndpoint | None
    """Where other controllers reach this one."""
    quorum_voters: Mapping[NodeId, HostPort]
    """Who votes until formatting or the metadata log says otherwise."""
    quorum_contacts: tuple[HostPort, ...]
    """Where to ask for the quorum when no voter is known by its id (`controller.quorum.bootstrap.servers`)."""
    log_dirs: tuple[str, ...]
    metadata_log_dir: str
    static: Mapping[str, str]
    notices: tuple[str, ...] = ()
    disabled_rules: Rules = NO_RULES
    """Rules that this node breaks on purpose; see `base.rules`."""

    # From here on each attribute is the key of that name.
    broker_rack: str | None

    socket_request_max_bytes: int
    socket_send_buffer_bytes: int
    socket_receive_buffer_bytes: int
    socket_listen_backlog_size: int
    max_connections: int
    max_connections_per_ip: int
    max_connections_per_ip_overrides: str
    max_connection_creation_rate: int
    connections_max_idle_ms: int
    queued_max_request_bytes: int
    request_timeout_ms: int
    fetch_max_bytes: int
    max_incremental_fetch_session_cache_slots: int
    max_request_partition_size_limit: int

    quota_window_num: int
    quota_window_size_seconds: int
    controller_quota_window_num: int
    controller_quota_window_size_seconds: int

    num_partitions: int
    default_replication_factor: int
    auto_create_topics_enable: bool
    delete_topic_enable: bool
    min_insync_replicas: int
    unclean_leader_election_enable: bool
    log_retention_check_interval_ms: int
    log_flush_offset_checkpoint_interval_ms: int
    log_dir_failure_timeout_ms: int
    cordoned_log_dirs: Sequence[str]
    log_flush_start_offset_checkpoint_interval_ms: int
    log_cleaner_enable: bool
    log_cleaner_backoff_ms: int
    log_cleaner_dedupe_buffer_size: int
    log_cleaner_io_max_bytes_per_second: float
    producer_id_expiration_ms: int

    replica_lag_time_max_ms: int
    replica_fetch_max_bytes: int
    replica_fetch_min_bytes: int
    replica_fetch_wait_max_ms: int
    replica_fetch_response_max_bytes: int
    replica_fetch_backoff_ms: int
    replica_socket_timeout_ms: int
    replica_high_watermark_checkpoint_interval_ms: int
    replica_selector_class: str | None
    auto_leader_rebalance_enable: bool
    leader_imbalance_check_interval_seconds: int
    leader_imbalance_per_broker_percentage: int
    leader_rebalance_strategy: str
    leader_rebalance_load_interval_ms: int
    leader_rebalance_load_tolerance_percentage: int
    leader_rebalance_load_cooldown_ms: int
    leader_rebalance_load_moves_max: int
    leader_rebalance_load_min_bytes_per_second: int
    leader_rebalance_replica_moves_enable: bool
    leader_rebalance_replica_throttle_bytes_per_second: int
    controlled_shutdown_enable: bool

    initial_broker_registration_timeout_ms: int
    broker_heartbeat_interval_ms: int
    broker_session_timeout_ms: int
    controller_quorum_auto_join_enable: bool
    controller_quorum_election_timeout_ms: int
    controller_quorum_fetch_timeout_ms: int
    controller_quorum_request_timeout_ms: int
    controller_quorum_retry_backoff_ms: int
    metadata_log_max_record_bytes_between_snapshots: int
    metadata_log_max_snapshot_interval_ms: int

    group_initial_rebalance_delay_ms: int
    group_min_session_timeout_ms: int
    group_max_session_timeout_ms: int
    group_max_size: int
    offsets_topic_num_partitions: int
    offsets_topic_replication_factor: int
    offsets_topic_segment_bytes: int
    offsets_retention_minutes: int
    offsets_retention_check_interval_ms: int
    offset_metadata_max_bytes: int
    offsets_commit_timeout_ms: int

    @property
    def is_broker(self) -> bool:
        return "broker" in self.process_roles

    @property
    def is_controller(self) -> bool:
        return "controller" in self.process_roles

    def dynamic(self, values: Mapping[str, str]) -> BrokerConfig:
        """This configuration with dynamic values laid over it; keys that act nowhere, or only at start, are passed over."""
        changes: dict[str, Any] = {}
        for key, value in values.items():
            if key in ATTRIBUTE_OF_KEY:
                changes[ATTRIBUTE_OF_KEY[key]] = parse_value(BROKER_DEFS[key], value)
        return attrs.evolve(self, **changes)


DERIVED_KEYS = (
    "node.id",
    "broker.id",
    "process.roles",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "controller.listener.names",
    "inter.broker.listener.name",
    "security.inter.broker.protocol",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
)
ATTRIBUTE_OF_KEY: Mapping[str, str] = {
    key: field.name
    for field in attrs.fields(BrokerConfig)
    if (key := field.name.replace("_", ".")) in BROKER_DEFS and key not in DERIVED_KEYS
}
_IDLE_TOPIC_KEYS = ("local.retention.bytes", "local.retention.ms", "preallocate")
_TOPIC_FALLBACK_KEYS = frozenset(
    synonym for definition in TOPIC_DEFS.values() if definition.name not in _IDLE_TOPIC_KEYS for synonym in definition.broker_synonyms
)
ACTING_KEYS: frozenset[str] = frozenset((*DERIVED_KEYS, *ATTRIBUTE_OF_KEY, *_TOPIC_FALLBACK_KEYS, BROKEN_RULES_KEY))
"""The broker keys that change what the node does."""
