"""BalanceCluster: how the load is spread, and what the next round of balance would move; with `execute` the round is made now.

It is answered out of what the active controller knows. A round that is asked for is like those that come by themselves, but it waits
for nothing, and is made also where `auto.leader.rebalance.enable` is off.
"""

from __future__ import annotations

from collections.abc import Iterable

from raftkafka.base.ids import NodeId
from raftkafka.controller.balance_round import BalanceRound, PlannedMove
from raftkafka.controller.balancer import Balancer
from raftkafka.controller.decision import Decision
from raftkafka.controller.load_balance import LoadedPartition
from raftkafka.controller.load_view import LoadView
from raftkafka.metadata.brokers import BrokerRegistration
from raftkafka.metadata.image import MetadataImage
from raftkafka.protocol.messages.balance_cluster import (
    BalanceClusterBroker,
    BalanceClusterMove,
    BalanceClusterPartition,
    BalanceClusterRecentMove,
    BalanceClusterRequest,
    BalanceClusterResponse,
)

MAX_PARTITIONS = 100
"""So many partitions are listed, the hottest ones."""


def decide_balance(image: MetadataImage, request: BalanceClusterRequest, balancer: Balancer, now_ms: int) -> Decision:
    """The answer to a dry run is immediate; that to a round leaves when all live brokers know the new leaders, or at the timeout."""
    if not request.execute:
        view, plan = balancer.plan(image, now_ms)
        return Decision(reply=_response(view, plan, balancer, now_ms))
    view, plan, decision = balancer.execute(image, now_ms)
    applied_by_ms = now_ms + max(request.timeout_ms, 0) if decision.records else None
    return Decision(
        reply=_response(view, plan, balancer, now_ms), records=decision.records, observed=decision.observed, applied_by_ms=applied_by_ms
    )


def _response(view: LoadView, plan: BalanceRound, balancer: Balancer, now_ms: int) -> BalanceClusterResponse:
    hottest = sorted(view.partitions, key=lambda each: (-each.load.of_leader(len(each.replicas)), each.key))[:MAX_PARTITIONS]
    return BalanceClusterResponse(
        error_code=0,
        error_message=None,
        strategy=balancer.strategy.value,
        settled=view.is_settled,
        verdict=plan.verdict,
        brokers=_brokers(view, plan),
        moves=[_move(each) for each in plan.moves],
        partitions=[_partition(each, view, balancer, now_ms) for each in hottest],
        recent=[_recent(each.move, now_ms - each.at_ms) for each in reversed(balancer.recent)],
    )


def _brokers(view: LoadView, plan: BalanceRound) -> list[BalanceClusterBroker]:
    """All registered brokers; the loads of those that are not active are not known."""
    image = view.image
    leaders = _counts(partition.leader for _, partition in image.topics.partitions())
    replicas = _counts(replica for _, partition in image.topics.partitions() for replica in partition.replicas)
    traffic = {node_id: [0.0, 0.0, 0.0] for node_id in image.brokers}
    for each in view.partitions:
        if each.leader in traffic:
            for index, value in enumerate((each.load.bytes_in, each.load.bytes_out, each.load.requests)):
                traffic[each.leader][index] += value
    return [
        BalanceClusterBroker(
            broker_id=node_id,
            rack=broker.rack,
            state=_state(broker),
            leaders=leaders.get(node_id, 0),
            replicas=replicas.get(node_id, 0),
            bytes_in=round(traffic[node_id][0]),
            bytes_out=round(traffic[node_id][1]),
            requests=round(traffic[node_id][2]),
            load=round(plan.before.get(node_id, 0.0)),
            load_after=round(plan.after.get(node_id, 0.0)),
        )
        for node_id, broker in image.brokers.items()
    ]


def _counts(node_ids: Iterable[NodeId]) -> dict[NodeId, int]:
    counts: dict[NodeId, int] = {}
    for node_id in node_ids:
        counts[node_id] = counts.get(node_id, 0) + 1
    return counts


def _state(broker: BrokerRegistration) -> str:
    if broker.fenced:
        return "fenced"
    return "shutting_down" if broker.in_controlled_shutdown else "active"


def _move(move: PlannedMove) -> BalanceClusterMove:
    return BalanceClusterMove(
        topic=move.topic,
        partition=move.key.partition,
        kind=move.kind.value,
        source=move.source,
        target=move.target,
        replicas_after=list(move.replicas_after),
        reason=move.why,
    )


def _recent(move: PlannedMove, age_ms: int) -> BalanceClusterRecentMove:
    return BalanceClusterRecentMove(
        age_ms=age_ms,
        topic=move.topic,
        partition=move.key.partition,
        kind=move.kind.value,
        source=move.source,
        target=move.target,
        reason=move.why,
    )


def _partition(each: LoadedPartition, view: LoadView, balancer: Balancer, now_ms: int) -> BalanceClusterPartition:
    partition = view.image.partition(each.key)
    assert partition is not None
    return BalanceClusterPartition(
        topic=view.topic_name(each.key),
        partition=each.key.partition,
        leader=each.leader,
        replicas=list(each.replicas),
        isr=list(partition.isr),
        bytes_in=round(each.load.bytes_in),
        bytes_out=round(each.load.bytes_out),
        requests=round(each.load.requests),
        size=view.size_of(each.key),
        resting_ms=balancer.resting_ms(each.key, now_ms),
    )
