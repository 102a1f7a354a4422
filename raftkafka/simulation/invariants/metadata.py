"""What the committed metadata must never say: D8, D9, D10, D14, D15 of reference/replication-rules.md.

They compare the newest image that any node has applied with the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.metadata.image import BrokerRegistration, MetadataImage, PartitionRegistration
from raftkafka.simulation.invariants.memory import ProcessMemory, ReplicaView, is_unclean
from raftkafka.simulation.invariants.registry import Breach, invariant


def text_of(registration: PartitionRegistration | None) -> str:
    """A partition's state in a few words."""
    if registration is None:
        return "no such partition"
    epochs = f"epoch {registration.leader_epoch}, partition epoch {registration.partition_epoch}"
    sets = f"replicas {list(registration.replicas)}, isr {list(registration.isr)}, elr {list(registration.elr)}"
    recovering = ", leader may lack records" if is_unclean(registration) else ""
    return f"leader {registration.leader} in {epochs}; {sets}, last leader {list(registration.last_known_elr)}{recovering}"


@invariant("D8", "isr-and-elr-well-formed")
def isr_and_elr_well_formed(
    name: str, registration: PartitionRegistration, brokers: Mapping[NodeId, BrokerRegistration], min_isr: int
) -> Breach | None:
    """ISR and ELR are disjoint parts of the replicas; an ISR of min.insync.replicas members has no ELR beside it; no fenced broker is in
    an ISR; the leader is in the ISR, or there is none.

    Hazard: the controller elects, or waits for, a broker that is not there.
    Source: reference D8, K-841, K-registration; KIP-841, KIP-966.
    """
    isr, elr = registration.isr, registration.elr
    fenced = [member for member in isr if member not in brokers or brokers[member].fenced]
    wrong = (
        "a member is no replica"
        if not {*isr, *elr} <= {*registration.replicas}
        else "ISR and ELR overlap"
        if {*isr} & {*elr}
        else "there is an ELR beside a whole ISR"
        if elr and len(isr) >= min_isr
        else f"the fenced brokers {fenced} are in the ISR"
        if fenced
        else "the leader is not in the ISR"
        if registration.leader != NO_NODE and registration.leader not in isr
        else ""
    )
    return Breach(f"{name}: {wrong}", f"min.insync.replicas {min_isr}", text_of(registration)) if wrong else None


@invariant("D9", "unclean-exclusion")
def unclean_exclusion(name: str, process: ProcessMemory, registration: PartitionRegistration) -> Breach | None:
    """A broker that was started again after an unclean end, and registered, is neither leader nor in ISR or ELR of a partition in which it
    has not caught up with the leader since.

    Hazard: what one machine lost is lost for all.
    Source: reference D9, K-966; KIP-966; the clean-stop marker of the storage layout.
    """
    node_id = process.node_id
    if is_unclean(registration):
        return None
    place = (
        "the leader"
        if registration.leader == node_id
        else "in the ISR"
        if node_id in registration.isr
        else "in the ELR"
        if node_id in registration.elr
        else ""
    )
    if not place:
        return None
    text = f"{name}: n{node_id} was restarted without a clean stop, has not caught up since, and is {place}"
    return Breach(text, f"n{node_id} is process {process.incarnation_id.hex()}", text_of(registration))


@invariant("D10", "epochs-monotonic")
def partition_epochs_monotonic(name: str, before: PartitionRegistration, after: PartitionRegistration) -> Breach | None:
    """In the metadata leader epochs and partition epochs never decrease, a higher leader epoch has a higher partition epoch, and another
    leader has a higher leader epoch.

    Hazard: a leader of the past writes and is believed.
    Source: reference D10; KIP-101, KIP-497.
    """
    wrong = (
        "the leader epoch went back"
        if after.leader_epoch < before.leader_epoch
        else "the partition epoch went back"
        if after.partition_epoch < before.partition_epoch
        else "the leader epoch grew and the partition epoch did not"
        if after.leader_epoch > before.leader_epoch and after.partition_epoch == before.partition_epoch
        else "another leader has the same epoch"
        if after.leader != before.leader and after.leader_epoch == before.leader_epoch
        else ""
    )
    return Breach(f"{name}: {wrong}", text_of(before), text_of(after)) if wrong else None


@invariant("D10a", "broker-epochs-monotonic")
def broker_epochs_monotonic(node_id: NodeId, before: BrokerRegistration, after: BrokerRegistration) -> Breach | None:
    """A broker's epoch never decreases, and another process of it has a higher one.

    Hazard: a broker of the past is taken for the one that runs.
    Source: reference D10, K-registration; KIP-631, KIP-903.
    """
    if after.broker_epoch > before.broker_epoch:
        return None
    if after.broker_epoch == before.broker_epoch and after.incarnation_id == before.incarnation_id:
        return None
    text = f"broker {node_id} went from epoch {before.broker_epoch} to {after.broker_epoch}"
    return Breach(text, f"process {before.incarnation_id.hex()}", f"process {after.incarnation_id.hex()}")


@invariant("D10b", "replica-epochs-monotonic")
def replica_epochs_monotonic(before: ReplicaView, after: ReplicaView) -> Breach | None:
    """Within a process a replica's leader epoch and partition epoch never decrease.

    Hazard: a broker takes up a role that it has lost.
    Source: reference D10.
    """
    if after.leader_epoch >= before.leader_epoch and after.partition_epoch >= before.partition_epoch:
        return None
    return Breach(f"{after.name}: n{after.node_id} went back in time", str(before), str(after))


@invariant("D14", "elr-keeps-min-isr")
def elr_keeps_min_isr(
    name: str, before: PartitionRegistration, after: PartitionRegistration, min_isr: int, restarted: Mapping[NodeId, bool]
) -> Breach | None:
    """ISR and ELR together do not shrink below min.insync.replicas but by members that were restarted without a clean stop, were
    unregistered, or are no replicas any more; when both are empty the last leader is remembered.

    (Vanlightly's specification remembers min.insync.replicas members then; Apache Kafka 4.x, and this project, the last leader alone.)
    Asked of one change at a time: a node that catches up may apply several at once, and who left in the first of them may rightly be gone.

    Hazard: nobody is left who may be elected although all have what was committed.
    Source: reference D14; KIP-966; Vanlightly's Kafka specification, MinIsrRecoveryQuorum.
    """
    members = {*after.isr, *after.elr}
    if not members and len(after.last_known_elr) != 1:
        return Breach(f"{name}: nobody may be elected, and the last leader is not known", text_of(before), text_of(after))
    one_change = after.partition_epoch == before.partition_epoch + 1
    if not one_change or len(members) >= min(min_isr, len(after.replicas)) or is_unclean(after):
        return None
    lost = [
        member
        for member in (*before.isr, *before.elr)
        if member not in members and member in after.replicas and not restarted.get(member, True)
    ]
    if not lost:
        return None
    text = f"{name}: {lost} may not be elected any more although they have everything, and fewer than {min_isr} are left who may"
    return Breach(text, text_of(before), text_of(after))


@invariant("R1", "removal-keeps-copies")
def removal_keeps_copies(name: str, before: PartitionRegistration, after: PartitionRegistration, min_isr: int) -> Breach | None:
    """Replicas that hold all committed records are taken away from a partition only while min.insync.replicas others hold them, too.

    Asked of one change at a time, as D14.

    Hazard: the last copies of acknowledged records are deleted, or few enough are left for one machine to lose them.
    Source: KIP-455; reference D6, D14.
    """
    if after.partition_epoch != before.partition_epoch + 1 or is_unclean(after):
        return None
    complete, kept = {*before.isr, *before.elr}, {*after.isr, *after.elr}
    removed = sorted(complete.difference(after.replicas))
    if not removed or len(kept) >= min(min_isr, len(after.replicas)):
        return None
    text = f"{name}: {removed} had all that was committed and are replicas no longer, and only {sorted(kept)} are left who have it"
    return Breach(text, text_of(before), text_of(after))


@invariant("R2", "reassignment-well-formed")
def reassignment_well_formed(name: str, registration: PartitionRegistration) -> Breach | None:
    """No replica is named twice; adding and removing ones are disjoint parts of the replicas, and not all are removed.

    Hazard: a reassignment that can never complete, or that leaves no replica.
    Source: KIP-455; S431 PartitionReassignmentReplicas.
    """
    replicas, adding, removing = registration.replicas, {*registration.adding_replicas}, {*registration.removing_replicas}
    if len({*replicas}) == len(replicas) and (adding | removing) <= {*replicas} and not adding & removing and removing != {*replicas}:
        return None
    text = f"{name}: no reassignment of these replicas"
    return Breach(text, f"replicas {list(replicas)}", f"adding {sorted(adding)}, removing {sorted(removing)}")


@invariant("E1", "nothing-refers-to-a-removed-broker")
def nothing_refers_to_a_removed_broker(node_id: NodeId, image: MetadataImage, voters: Sequence[NodeId]) -> Breach | None:
    """When a broker has been drained, stopped and unregistered, it is no replica of any partition, and has no vote.

    Hazard: a partition waits for a replica that never comes, or a majority of the voters is not there.
    Source: KIP-455, KIP-853; Kafka's operations guide (decommissioning brokers).
    """
    found = [
        f"{topic.name}-{index} {text_of(partition)}"
        for topic in image.topics.by_id.values()
        for index, partition in topic.partitions.items()
        if node_id in (*partition.replicas, *partition.isr, *partition.elr, *partition.adding_replicas, partition.leader)
    ]
    found += ["it is registered"] if node_id in image.brokers else []
    found += [f"voters {list(voters)}"] if node_id in voters else []
    return Breach(f"n{node_id} was taken away, and is still referred to", "; ".join(found), f"offset {image.offset}") if found else None


@invariant("D15", "metadata-is-a-prefix")
def metadata_is_a_prefix(node_id: NodeId, image: MetadataImage, other: MetadataImage) -> Breach | None:
    """Two nodes that have applied the metadata log up to the same offset have the same metadata.

    Hazard: a node acts on a cluster that never was.
    Source: reference D15; KIP-500.
    """
    if image is other or image == other:
        return None
    differing = [
        part
        for part in ("epoch", "brokers", "topics", "configs", "features", "next_producer_id")
        if getattr(image, part) != getattr(other, part)
    ]
    text = f"n{node_id} has other metadata at offset {image.offset} than another node had: {', '.join(differing)}"
    return Breach(text, _at(other, differing), _at(image, differing))


def _at(image: MetadataImage, parts: list[str]) -> str:
    return f"offset {image.offset} of epoch {image.epoch}: " + "; ".join(f"{part} {getattr(image, part)!r}"[:300] for part in parts)
