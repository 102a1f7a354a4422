"""What an operator sets about groups, under Kafka's property names."""

from __future__ import annotations

import attrs

from raftkafka.base.rules import NO_RULES, Rule, Rules


@attrs.frozen(kw_only=True)
class GroupSettings:
    """The defaults are Kafka's; each attribute names its property."""

    initial_rebalance_delay_ms: int = 3_000
    """group.initial.rebalance.delay.ms"""
    min_session_timeout_ms: int = 6_000
    """group.min.session.timeout.ms"""
    max_session_timeout_ms: int = 1_800_000
    """group.max.session.timeout.ms"""
    max_size: int = 2**31 - 1
    """group.max.size"""
    new_member_join_timeout_ms: int = 300_000
    """How long a member that has never completed a join may wait in one (no property in Kafka either)."""
    offset_metadata_max_bytes: int = 4_096
    """offset.metadata.max.bytes"""
    offsets_retention_ms: int = 10_080 * 60_000
    """offsets.retention.minutes"""
    offsets_retention_check_interval_ms: int = 600_000
    """offsets.retention.check.interval.ms"""
    offset_commit_timeout_ms: int = 5_000
    """offsets.commit.timeout.ms: how long an answer waits for its records to be committed."""
    disabled_rules: Rules = NO_RULES
    """Rules broken on purpose; see `base.rules`."""

    def applies(self, rule: Rule) -> bool:
        """Whether the rule is in force."""
        return rule not in self.disabled_rules
