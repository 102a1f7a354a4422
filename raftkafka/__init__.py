"""A Kafka-protocol-compatible broker cluster with an embedded Raft quorum. ARCHITECTURE.md is the map."""

__version__ = "0.1.0"
