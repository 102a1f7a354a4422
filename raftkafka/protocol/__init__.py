"""Kafka's wire protocol: bytes to values and back, for every declared API and version. No I/O, no state."""
