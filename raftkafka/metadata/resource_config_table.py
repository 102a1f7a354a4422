"""The keys of groups and client metrics, and the broker keys that are only dynamic, as facts of Apache Kafka 4.3.1.

Sources: read from a running Apache Kafka 4.3.1 (DescribeConfigs) and from its refusals. The columns are those of `config_table`.
"""

from __future__ import annotations

from raftkafka.metadata.config_table import BrokerRow, TopicRow

# fmt: off
GROUP_ROWS: tuple[TopicRow, ...] = (
    ("consumer.assignment.interval.ms", "1000", "INT", "group.consumer.assignment.interval.ms", "[0,...]"),
    ("consumer.heartbeat.interval.ms", "5000", "INT", "group.consumer.heartbeat.interval.ms", "[1,...]"),
    ("consumer.session.timeout.ms", "45000", "INT", "group.consumer.session.timeout.ms", "[1,...]"),
    ("share.assignment.interval.ms", "1000", "INT", "group.share.assignment.interval.ms", "[0,...]"),
    ("share.auto.offset.reset", "latest", "STRING", "", ""),
    ("share.delivery.count.limit", "5", "INT", "group.share.delivery.count.limit", "[2,...]"),
    ("share.heartbeat.interval.ms", "5000", "INT", "group.share.heartbeat.interval.ms", "[1,...]"),
    ("share.isolation.level", "read_uncommitted", "STRING", "", "(case insensitive) [read_committed, read_uncommitted]"),
    ("share.partition.max.record.locks", "2000", "INT", "group.share.partition.max.record.locks", "[100,...]"),
    ("share.record.lock.duration.ms", "30000", "INT", "group.share.record.lock.duration.ms", "[1000,...]"),
    ("share.renew.acknowledge.enable", "true", "BOOLEAN", "", ""),
    ("share.session.timeout.ms", "45000", "INT", "group.share.session.timeout.ms", "[1,...]"),
    ("streams.assignment.interval.ms", "1000", "INT", "group.streams.assignment.interval.ms", "[0,...]"),
    ("streams.heartbeat.interval.ms", "5000", "INT", "group.streams.heartbeat.interval.ms", "[1,...]"),
    ("streams.initial.rebalance.delay.ms", "3000", "INT", "group.streams.initial.rebalance.delay.ms", "[0,...]"),
    ("streams.num.standby.replicas", "0", "INT", "group.streams.num.standby.replicas", "[0,...]"),
    ("streams.session.timeout.ms", "45000", "INT", "group.streams.session.timeout.ms", "[1,...]"),
)

CLIENT_METRICS_ROWS: tuple[TopicRow, ...] = (
    ("interval.ms", "300000", "INT", "", ""),
    ("match", "", "LIST", "", ""),
    ("metrics", "", "LIST", "", ""),
)

DYNAMIC_ONLY_ROWS: tuple[BrokerRow, ...] = (
    ("follower.replication.throttled.rate", "9223372036854775807", "LONG", "per-broker", "[0,...]"),
    ("leader.replication.throttled.rate", "9223372036854775807", "LONG", "per-broker", "[0,...]"),
    ("replica.alter.log.dirs.io.max.bytes.per.second", "9223372036854775807", "LONG", "per-broker", "[0,...]"),
)
"""Throttles of replication: never in a properties file, shown only where they are set, and in effect only where they are set for a broker
(KIP-73, KIP-113)."""
# fmt: on
