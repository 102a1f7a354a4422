"""Broker keys that are this project's and not Apache Kafka 4.3.1's, in the columns of `config_table`: how leaders are balanced.

Invariant: they are shown by DescribeConfigs only where they are set, so that everything else reads as Kafka's answer does.
Sources: docs/balancing.md; `leader.imbalance.per.broker.percentage` was Kafka's until 4.0 (10 by default, and without effect in KRaft).
"""

from __future__ import annotations

from raftkafka.metadata.config_table import BrokerRow

# fmt: off
OWN_ROWS: tuple[BrokerRow, ...] = (
    ("leader.imbalance.per.broker.percentage", "0", "INT", "read-only", "[0,...,100]"),
    ("leader.rebalance.load.cooldown.ms", "10000", "LONG", "read-only", "[0,...]"),
    ("leader.rebalance.load.interval.ms", "1000", "LONG", "read-only", "[100,...]"),
    ("leader.rebalance.load.min.bytes.per.second", "262144", "LONG", "read-only", "[0,...]"),
    ("leader.rebalance.load.moves.max", "32", "INT", "read-only", "[1,...]"),
    ("leader.rebalance.load.tolerance.percentage", "10", "INT", "read-only", "[1,...,100]"),
    ("leader.rebalance.replica.moves.enable", "true", "BOOLEAN", "read-only", ""),
    ("leader.rebalance.replica.throttle.bytes.per.second", "20971520", "LONG", "read-only", "[1,...]"),
    ("leader.rebalance.strategy", "load", "STRING", "read-only", "[preferred, load]"),
)
# fmt: on
