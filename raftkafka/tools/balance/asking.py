"""Asks a cluster how its load is spread. BalanceCluster is this project's own API; Apache Kafka closes the connection at it.

Invariant: a request to execute is sent once; whether it was carried out is never guessed.
"""

from __future__ import annotations

from collections import Counter

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.client.cluster import ClusterClient, Unsupported
from raftkafka.client.connection import ConnectionBroke
from raftkafka.protocol.messages.balance_cluster import BalanceClusterRequest, BalanceClusterResponse
from raftkafka.tools.errors import ToolError


class NotServed(Exception):
    """The brokers answer, but do not know BalanceCluster."""


@attrs.frozen(kw_only=True)
class LeaderCounts:
    """What metadata alone says of one broker: partitions that it leads, that it should lead (is the first replica of), that it has."""

    broker_id: int
    leaders: int
    preferred: int
    replicas: int


async def ask_balance(cluster: ClusterClient, *, execute: bool, timeout_ms: int) -> BalanceClusterResponse:
    """The state and the plan of the active controller; with `execute` what it moved, and how things will be then.

    `NotServed` where the brokers do not know the request: that is found out by one that changes nothing. `ToolError` where the controller
    refuses.
    """
    if execute:
        await ask_balance(cluster, execute=False, timeout_ms=timeout_ms)
    request = BalanceClusterRequest(execute=execute, timeout_ms=timeout_ms)
    try:
        response = await _ask_twice(cluster, request) if not execute else await _ask(cluster, request)
    except Unsupported:
        raise NotServed from None
    if response.error_code != ErrorCode.NONE:
        raise ToolError(response.error_message or ErrorCode(response.error_code).name)
    return response


async def _ask(cluster: ClusterClient, request: BalanceClusterRequest) -> BalanceClusterResponse:
    response: BalanceClusterResponse = await cluster.ask_controller(request, timeout_s=request.timeout_ms / 1000)
    return response


async def _ask_twice(cluster: ClusterClient, request: BalanceClusterRequest) -> BalanceClusterResponse:
    """One broken connection may be a broker that stops; two in a row, of a cluster that answers, are that it knows no such request."""
    try:
        return await _ask(cluster, request)
    except ConnectionBroke:
        await cluster.metadata([])
    try:
        return await _ask(cluster, request)
    except ConnectionBroke:
        await cluster.metadata([])
        raise NotServed from None


async def count_leaders(cluster: ClusterClient) -> list[LeaderCounts]:
    """What metadata alone shows of each live broker."""
    metadata = await cluster.metadata()
    leaders: Counter[int] = Counter()
    preferred: Counter[int] = Counter()
    replicas: Counter[int] = Counter()
    for topic in metadata.topics:
        for partition in topic.partitions:
            leaders[partition.leader_id] += 1
            preferred.update(partition.replica_nodes[:1])
            replicas.update(partition.replica_nodes)
    return [
        LeaderCounts(broker_id=each, leaders=leaders[each], preferred=preferred[each], replicas=replicas[each])
        for each in sorted(broker.node_id for broker in metadata.brokers)
    ]
