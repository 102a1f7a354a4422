"""What the controller is configured with."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from raftkafka.base.rules import NO_RULES, Rule, Rules

FEATURES: Mapping[str, int] = MappingProxyType({"metadata.version": 30, "eligible.leader.replicas.version": 1})
"""Finalized by the first active controller. transaction.version, group.version and kraft.version stay 0: what they promise is not here."""


class BalanceStrategy(enum.Enum):
    """What leaders are moved for by themselves (`leader.rebalance.strategy`)."""

    PREFERRED = "preferred"
    """Each partition is led by its first replica: Apache Kafka's."""
    LOAD = "load"
    """No broker carries much more than its share; where that allows it, each partition is led by its first replica."""


@attrs.frozen(kw_only=True)
class BalanceSettings:
    """The properties `leader.imbalance.per.broker.percentage` and `leader.rebalance...`; docs/balancing.md says what they do."""

    imbalance_percentage: int = 0
    strategy: BalanceStrategy = BalanceStrategy.LOAD
    load_interval_ms: int = 1_000
    tolerance_percentage: int = 10
    cooldown_ms: int = 10_000
    max_moves: int = 32
    min_bytes_per_second: int = 256 << 10
    moves_replicas: bool = True
    replica_throttle_bytes_per_second: int = 20 << 20


@attrs.frozen(kw_only=True)
class ControllerSettings:
    """Named after the properties that set them; the defaults are this project's."""

    broker_session_timeout_ms: int = 3_000
    num_partitions: int = 1
    default_replication_factor: int = 1
    min_insync_replicas: int = 1
    """The static value; the first active controller makes it the cluster-wide dynamic default, which rules from then on."""
    unclean_leader_election_enable: bool = False
    delete_topic_enable: bool = True
    auto_leader_rebalance_enable: bool = True
    leader_imbalance_check_interval_ms: int = 10_000
    balance: BalanceSettings = BalanceSettings()
    max_partitions_per_request: int = 10_000
    shutdown_wait_ms: int = 1_000
    """How long a heartbeat that asks to shut down is held back at most, so that the broker need not ask again."""
    features: Mapping[str, int] = FEATURES
    disabled_rules: Rules = NO_RULES
    """Rules broken on purpose; see `base.rules`."""

    def applies(self, rule: Rule) -> bool:
        """Whether the rule is in force."""
        return rule not in self.disabled_rules
