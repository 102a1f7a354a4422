"""BalanceCluster (key 10001), version 0: this project's own, unknown to Apache Kafka and not advertised.

It shows how the load is spread and what the next round of balance would move; with `execute` it makes a round first. Rates are per second.
"""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, INT64, STRING, array, field, message, struct


@message("0", flexible="0+")
class BalanceClusterRequest:
    execute: bool = field(BOOL, "0+")
    timeout_ms: int = field(INT32, "0+", default=60000)


@struct
class BalanceClusterBroker:
    """`state` is active, fenced or shutting_down; the traffic is that of the partitions it leads; loads are in bytes a second."""

    broker_id: int = field(INT32, "0+")
    rack: str | None = field(STRING, "0+", nullable="0+", default=None)
    state: str = field(STRING, "0+")
    leaders: int = field(INT32, "0+")
    replicas: int = field(INT32, "0+")
    bytes_in: int = field(INT64, "0+")
    bytes_out: int = field(INT64, "0+")
    requests: int = field(INT64, "0+")
    load: int = field(INT64, "0+")
    load_after: int = field(INT64, "0+")


@struct
class BalanceClusterMove:
    """`kind` is leader or replica; `replicas_after` is empty for a move of leadership."""

    topic: str = field(STRING, "0+")
    partition: int = field(INT32, "0+")
    kind: str = field(STRING, "0+")
    source: int = field(INT32, "0+")
    target: int = field(INT32, "0+")
    replicas_after: list[int] = field(array(INT32), "0+")
    reason: str = field(STRING, "0+")


@struct
class BalanceClusterPartition:
    topic: str = field(STRING, "0+")
    partition: int = field(INT32, "0+")
    leader: int = field(INT32, "0+")
    replicas: list[int] = field(array(INT32), "0+")
    isr: list[int] = field(array(INT32), "0+")
    bytes_in: int = field(INT64, "0+")
    bytes_out: int = field(INT64, "0+")
    requests: int = field(INT64, "0+")
    size: int = field(INT64, "0+")
    resting_ms: int = field(INT64, "0+")


@struct
class BalanceClusterRecentMove:
    age_ms: int = field(INT64, "0+")
    topic: str = field(STRING, "0+")
    partition: int = field(INT32, "0+")
    kind: str = field(STRING, "0+")
    source: int = field(INT32, "0+")
    target: int = field(INT32, "0+")
    reason: str = field(STRING, "0+")


@message("0", flexible="0+")
class BalanceClusterResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "0+")
    error_message: str | None = field(STRING, "0+", nullable="0+", default=None)
    strategy: str = field(STRING, "0+")
    settled: bool = field(BOOL, "0+")
    verdict: str = field(STRING, "0+")
    brokers: list[BalanceClusterBroker] = field(array(BalanceClusterBroker), "0+")
    moves: list[BalanceClusterMove] = field(array(BalanceClusterMove), "0+")
    partitions: list[BalanceClusterPartition] = field(array(BalanceClusterPartition), "0+")
    recent: list[BalanceClusterRecentMove] = field(array(BalanceClusterRecentMove), "0+")
