"""What must hold of log directories: of replicas in one that has failed, and of logs that move between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.ids import NO_NODE, NodeId, id_to_text
from raftkafka.metadata.image import BrokerRegistration, PartitionRegistration
from raftkafka.simulation.invariants.mirror import Batch
from raftkafka.simulation.invariants.registry import Breach, invariant


@invariant("L1", "leaders-where-disks-work")
def leaders_where_disks_work(name: str, registration: PartitionRegistration, brokers: Mapping[NodeId, BrokerRegistration]) -> Breach | None:
    """In the metadata, a replica whose log directory has failed leads nothing and is in no ISR.

    Hazard: clients are sent to a broker that can neither write nor read, and acknowledgements wait for it.
    Source: KIP-858 (handling log directory failure).
    """
    for node_id in dict.fromkeys((registration.leader, *registration.isr)):
        broker = brokers.get(node_id)
        if node_id == NO_NODE or broker is None or broker.has_online(registration.directory(node_id)):
            continue
        text = f"{name}: n{node_id} leads or is in sync, and the directory of its log has failed"
        directories = f"n{node_id} has {[id_to_text(directory) for directory in broker.directories]}"
        state = f"leader {registration.leader}, isr {list(registration.isr)}, in {id_to_text(registration.directory(node_id))}"
        return Breach(text, directories, state)
    return None


@invariant("L2", "moved-logs-are-whole")
def moved_logs_are_whole(name: str, node_id: NodeId, before: Sequence[Batch], after: Sequence[Batch]) -> Breach | None:
    """When a log has moved to another directory it has exactly the batches that it had before.

    Hazard: records that were acknowledged, and that a leader or an in-sync replica is trusted to have, are lost by a move.
    Source: KIP-113 (the future replica replaces the current one when it has caught up).
    """
    if list(before) == list(after):
        return None
    missing = next((batch for batch in before if batch not in after), None)
    added = next((batch for batch in after if batch not in before), None)
    text = f"{name}: on n{node_id} the log has moved, and {f'lacks {missing}' if missing is not None else f'has {added}, which it had not'}"
    return Breach(text, f"{len(before)} batches", f"{len(after)} batches")
