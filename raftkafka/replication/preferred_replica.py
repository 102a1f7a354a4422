"""Which replica a consumer should read from: the rack-aware selector of KIP-392."""

from __future__ import annotations

from raftkafka.replication.leader import Leader
from raftkafka.replication.replicas import Replicas

NO_PREFERENCE = -1


def preferred_read_replica(replicas: Replicas, leader: Leader, *, rack: str, fetch_offset: int) -> int:
    """The most caught-up in-sync replica in the consumer's rack that has the offset; -1 when the leader serves it itself."""
    if not replicas.rack_aware:
        return NO_PREFERENCE
    brokers = replicas.image.brokers
    own = brokers.get(replicas.node_id)
    if own is not None and own.rack == rack:
        return NO_PREFERENCE
    best = NO_PREFERENCE
    best_rank = (-1, -1)
    for node_id, progress in leader.followers.items():
        broker = brokers.get(node_id)
        if broker is None or broker.rack != rack or not broker.is_active or node_id not in leader.isr:
            continue
        if not progress.log_start_offset <= fetch_offset <= progress.log_end_offset:
            continue
        rank = (progress.log_end_offset, progress.last_caught_up_ms)
        if rank > best_rank:
            best, best_rank = int(node_id), rank
    return best
