"""What replicas of a partition must never do: D1 to D7, D11 to D13, D16, D17 of reference/replication-rules.md.

"Committed" is everything below the true high watermark, the highest that any leader ever had. An unclean election, where a topic allows
it or where all that were eligible have lost their disks, takes back what the elected leader lacks: that is what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.ids import NO_NODE, NodeId
from raftkafka.simulation.invariants.memory import PartitionMemory, ReplicaView
from raftkafka.simulation.invariants.mirror import Batch, LogMirror, Producer
from raftkafka.simulation.invariants.registry import Breach, invariant


def _is_current_leader(view: ReplicaView, memory: PartitionMemory) -> bool:
    registration = memory.registration
    return (
        view.leads
        and registration is not None
        and registration.leader == view.node_id
        and registration.leader_epoch == view.leader_epoch
        and not memory.unclean
    )


@invariant("D1", "leader-completeness")
def leader_completeness(view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """The running leader that the newest metadata names holds everything that was ever committed, and all that was acknowledged with
    acks=all was committed.

    Hazard: committed records are lost by an election.
    Source: reference D1; Vanlightly's Kafka specification, LeaderCompleteness.
    """
    if not _is_current_leader(view, memory):
        return None
    if view.log_end_offset < memory.true_high_watermark:
        text = f"{view.name}: the leader's log ends at {view.log_end_offset}, but {memory.true_high_watermark} was committed"
        return Breach(text, f"committed up to {memory.true_high_watermark}, last {memory.last_committed}", str(view))
    last = memory.last_committed
    mirror = memory.mirrors.get(view.node_id)
    is_held = mirror is None or last is None or memory.is_compacted or last.base_offset < view.log_start_offset or mirror.holds(last)
    if not is_held:
        assert last is not None and mirror is not None
        text = f"{view.name}: the leader's log has another batch at {last.base_offset} than was committed"
        return Breach(text, f"committed {last}", f"{view}, holds {mirror.batch_at(last.base_offset)}")
    return None


@invariant("D1a", "acknowledged-is-committed")
def acknowledged_is_committed(end_offset: int, name: str, memory: PartitionMemory) -> Breach | None:
    """What a client is told with acks=all is below the true high watermark when it is told.

    Hazard: the leader dies before anybody else has the records, and its successor lacks what was promised.
    Source: reference D1 ("holds every acks=all-acked record"); the Produce API.
    """
    if end_offset <= memory.true_high_watermark:
        return None
    text = f"{name}: acks=all was answered for records up to {end_offset}, and only those below {memory.true_high_watermark} are committed"
    return Breach(text, f"committed up to {memory.true_high_watermark}", f"acknowledged up to {end_offset}")


@invariant("D2", "leader-candidate-completeness")
def leader_candidate_completeness(view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """Every running member of the ISR and the ELR in the newest metadata, as far as that knows its process, holds all that was committed.

    Hazard: an election picks a replica that lacks committed records.
    Source: reference D2; Vanlightly's Kafka specification, LeaderCandidateCompleteness; KIP-966.
    """
    registration = memory.registration
    if registration is None or memory.unclean or view.log_end_offset >= memory.true_high_watermark:
        return None
    if view.node_id not in registration.isr and view.node_id not in registration.elr:
        return None
    end_offset = memory.true_high_watermark
    text = f"{view.name}: n{view.node_id} may be elected, its log ends at {view.log_end_offset}, and {end_offset} was committed"
    members = f"isr {list(registration.isr)}, elr {list(registration.elr)} in partition epoch {registration.partition_epoch}"
    return Breach(text, f"committed up to {memory.true_high_watermark}; {members}", str(view))


@invariant("D3", "replication-quorum-superset")
def replication_quorum_superset(view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """A leader of the current epoch whose ISR is not below its minimum waits for every member of the ISR and the ELR of the newest
    metadata. When it has nothing pending it waits for exactly its ISR.

    Hazard: the high watermark advances on fewer replicas than may be elected.
    Source: reference D3; KIP-497; Vanlightly's Kafka specification, 6.5.2.
    """
    registration = memory.registration
    if registration is None or not _is_current_leader(view, memory):
        return None
    if not view.is_pending and view.maximal_isr != frozenset(view.isr):
        return Breach(f"{view.name}: the leader has nothing pending and waits for others than its ISR", f"isr {list(view.isr)}", str(view))
    if len(view.isr) < view.min_isr:
        return None
    electable = (*registration.isr, *registration.elr)
    missing = [member for member in electable if member not in view.maximal_isr]
    if not missing:
        return None
    text = f"{view.name}: the leader does not wait for {missing}, who may be elected"
    return Breach(text, f"isr {list(registration.isr)}, elr {list(registration.elr)} in the metadata", str(view))


@invariant("D3a", "high-watermark-needs-the-isr")
def high_watermark_needs_the_isr(before: ReplicaView, view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """A leader's high watermark moves only while its ISR has min.insync.replicas members, and to no offset that a running member of it
    has not reached.

    Hazard: what counts as committed is held by one replica alone, and another one is eligible.
    Source: reference K-MinISR; KIP-966, part 1.
    """
    if not (before.leads and view.leads and before.leader_epoch == view.leader_epoch and view.high_watermark > before.high_watermark):
        return None
    if len(view.isr) < view.min_isr and len(before.isr) < before.min_isr:
        text = f"{view.name}: the high watermark moved with an ISR of {len(view.isr)}, below the minimum of {view.min_isr}"
        return Breach(text, str(before), str(view))
    registration = memory.registration
    if registration is None or registration.leader_epoch != view.leader_epoch:
        return None
    for member in registration.isr:
        other = memory.views.get(member)
        if (
            other is not None
            and member in view.isr
            and other.log_end_offset < view.high_watermark
            and other.leader_epoch == view.leader_epoch
        ):
            text = f"{view.name}: the high watermark is {view.high_watermark}, and the ISR member n{member} has only {other.log_end_offset}"
            return Breach(text, str(other), str(view))
    return None


@invariant("D4", "log-matching")
def log_matching(view: ReplicaView, new: Sequence[Batch], previous: Batch | None, memory: PartitionMemory) -> Breach | None:
    """Two logs that have a batch with the same offset and leader epoch have the same batch there, and the same one before it.

    Hazard: replicas differ for ever, and nothing tells them apart.
    Source: reference D4; KIP-101; the Raft paper, figure 3.
    """
    known_batches = memory.batches
    for batch in new:
        known = known_batches.setdefault((batch.base_offset, batch.epoch), (batch, previous))
        if known[0] != batch:
            text = f"{view.name}: two logs have different batches at offset {batch.base_offset} of epoch {batch.epoch}"
            return Breach(text, str(known[0]), f"n{view.node_id}: {batch}")
        if previous is not None:
            if known[1] is None:
                known_batches[batch.base_offset, batch.epoch] = (batch, previous)
            elif known[1] != previous:
                text = f"{view.name}: two logs are the same at offset {batch.base_offset} of epoch {batch.epoch}, and differ before it"
                return Breach(text, str(known[1]), f"n{view.node_id}: {previous}")
        previous = batch
    return None


@invariant("D4a", "committed-prefix")
def committed_prefix(view: ReplicaView, batches: Sequence[Batch], memory: PartitionMemory) -> Breach | None:
    """Below its high watermark every replica has the batches that were committed, and no others.

    Hazard: a consumer reads at one replica what it does not find at another.
    Source: reference D4 ("logs equal below min(HW1, HW2)").
    """
    committed = memory.committed
    for batch in batches:
        known = committed.get(batch.base_offset)
        if known is None:
            last = memory.last_committed
            if last is not None and batch.base_offset < last.next_offset:
                text = f"{view.name}: below its high watermark a replica has a batch at {batch.base_offset} that was never committed"
                return Breach(text, f"committed {last}", f"{view}: {batch}")
        elif known != batch:
            text = f"{view.name}: below its high watermark a replica has another batch at {batch.base_offset} than was committed"
            return Breach(text, f"committed {known}", f"{view}: {batch}")
    return None


@invariant("D5", "consistent-read")
def consistent_read(offset: int, value: int, name: str, memory: PartitionMemory) -> Breach | None:
    """What a consumer is given is committed, and every consumer that is given an offset is given the same record.

    Hazard: a consumer acts on a record that is cut off later.
    Source: reference D5; Kafka's replication, "committed".
    """
    if offset >= memory.true_high_watermark and not memory.unclean:
        text = f"{name}: a consumer was given offset {offset}, and only those below {memory.true_high_watermark} are committed"
        return Breach(text, f"committed up to {memory.true_high_watermark}", f"offset {offset} holds {value}")
    known = memory.delivered.setdefault(offset, value)
    if known == value:
        return None
    return Breach(f"{name}: consumers were given two records at offset {offset}", f"first {known}", f"then {value}")


@invariant("D6", "no-global-loss")
def no_global_loss(name: str, memory: PartitionMemory) -> Breach | None:
    """What was committed is in the log of at least one replica, running or not, as long as no more than min.insync.replicas - 1 machines
    have lost unsynced bytes since.

    Hazard: data loss.
    Source: reference D6; KIP-966 (the last replica standing).
    """
    end_offset = memory.protected_end()
    wanted = [batch for batch in memory.committed.values() if batch.next_offset <= end_offset][-1:]
    if not wanted or memory.unclean:
        return None
    if wanted[0].base_offset < memory.deletable_end:
        return None
    if any(mirror.holds(wanted[0]) or _starts_behind(mirror, wanted[0]) for mirror in memory.mirrors.values()):
        return None
    if memory.is_compacted and any(mirror.end_offset >= wanted[0].next_offset for mirror in memory.mirrors.values()):
        return None
    logs = ", ".join(f"n{node_id} to {mirror.end_offset}" for node_id, mirror in memory.mirrors.items())
    text = f"{name}: no replica holds offset {wanted[0].base_offset} any more, which was committed"
    return Breach(text, f"committed {wanted[0]}, {memory.losses} losses of unsynced bytes", f"logs: {logs}")


def _starts_behind(mirror: LogMirror, batch: Batch) -> bool:
    """Retention has deleted it."""
    return bool(mirror.batches) and mirror.batches[0].base_offset > batch.base_offset


@invariant("D7", "applied-high-watermark-monotonic")
def high_watermark_monotonic(before: ReplicaView, view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """The high watermark of a process's replica never goes back, unless an unclean election took records away.

    Hazard: what was committed counts as uncommitted again: consumers that have read it find that it is not there.
    Source: reference D7, K-HW; KAFKA-8325.
    """
    if view.high_watermark >= before.high_watermark or memory.unclean_epoch >= 0:
        return None
    text = f"{view.name}: the high watermark of n{view.node_id} went back from {before.high_watermark} to {view.high_watermark}"
    return Breach(text, str(before), str(view))


@invariant("D7a", "latest-never-goes-back")
def latest_never_goes_back(name: str, leader_epoch: int, end_offset: int, told_before: Mapping[int, int]) -> Breach | None:
    """Who asks a leader where a partition ends is told no less than the leaders of its own and of earlier epochs had told before it
    asked (`told_before`, by epoch). A leader that does not know yet that it was deposed may tell less: it answers for the past.

    Hazard: who was told 100 is told 90 later, and misses what was acknowledged in between.
    Source: reference D7, K-HW; KIP-207.
    """
    for epoch, told in told_before.items():
        if epoch <= leader_epoch and told > end_offset:
            text = f"{name}: its end was said to be {told}, and is now said to be {end_offset}"
            return Breach(text, f"epoch {epoch}: end {told}", f"epoch {leader_epoch}: end {end_offset}")
    return None


@invariant("D11", "one-leader-per-epoch")
def one_leader_per_epoch(view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """One broker leads a partition in a leader epoch.

    Hazard: split brain: two brokers append under the same epoch.
    Source: reference D11; KIP-101.
    """
    first = memory.leaders.setdefault(view.leader_epoch, view.node_id)
    if first == view.node_id:
        return None
    text = f"{view.name}: n{first} and n{view.node_id} both lead epoch {view.leader_epoch}"
    return Breach(text, str(memory.views.get(first, f"n{first}, whose process has ended")), str(view))


@invariant("D12", "sound-log")
def sound_log(
    view: ReplicaView, new: Sequence[Batch], previous: Batch | None, damaged: Batch | None, *, is_dense: bool = True
) -> Breach | None:
    """Offsets are dense (where nothing is compacted), leader epochs never decrease from batch to batch, and every batch fits its checksum.

    Hazard: a corrupt log: a torn batch is served, or followers copy a damaged one.
    Source: reference D12; reference/disk-format.md.
    """
    if damaged is not None:
        text = f"{view.name}: the log of n{view.node_id} holds a batch at {damaged.base_offset} that does not fit its checksum"
        return Breach(text, str(previous), str(damaged))
    for batch in new:
        if previous is not None and (
            batch.base_offset < previous.next_offset
            or (is_dense and batch.base_offset > previous.next_offset)
            or batch.epoch < previous.epoch
        ):
            text = (
                f"{view.name}: in the log of n{view.node_id} a batch at {batch.base_offset} follows one that ends at {previous.next_offset}"
            )
            return Breach(text, str(previous), str(batch))
        if batch.next_offset <= batch.base_offset:
            return Breach(f"{view.name}: a batch in the log of n{view.node_id} has no records", str(previous), str(batch))
        previous = batch
    return None


@invariant("D13", "fetcher-sanity")
def fetcher_sanity(view: ReplicaView, fetched_from: Sequence[NodeId]) -> Breach | None:
    """A broker fetches what it leads from nobody, and what it follows from its leader alone.

    Hazard: the same records are appended twice, or a follower follows nobody.
    Source: reference D13; Kafka's ReplicaManager.
    """
    wanted: tuple[int, ...] = () if view.leads or view.leader_id == NO_NODE else (view.leader_id,)
    if tuple(fetched_from) == wanted or not view.is_online:
        return None
    text = f"{view.name}: n{view.node_id} fetches it from {list(fetched_from)} and should from {list(wanted)}"
    return Breach(text, str(view), f"fetches from {list(fetched_from)}")


@invariant("D16", "producers-follow-from-the-log")
def producers_follow_from_the_log(view: ReplicaView, derived: Mapping[int, Producer], known: Mapping[int, Producer]) -> Breach | None:
    """A new leader knows of each producer in its log what its log says: epoch, last sequence, where that is.

    Hazard: a batch that is sent again after a failover is appended again.
    Source: reference D16; KIP-98.
    """
    for producer_id, producer in derived.items():
        if known.get(producer_id) != producer:
            text = f"{view.name}: the new leader n{view.node_id} does not know of producer {producer_id} what its log says"
            return Breach(text, f"log: {producer}", f"leader: {known.get(producer_id)}")
    if view.log_start_offset == 0:
        for producer_id, producer in known.items():
            if producer_id not in derived:
                text = f"{view.name}: the new leader n{view.node_id} knows a producer {producer_id} that is not in its log"
                return Breach(text, "log: nothing", f"leader: {producer}")
    return None


@invariant("D18", "deletion-needs-a-reason")
def deletion_needs_a_reason(view: ReplicaView, memory: PartitionMemory) -> Breach | None:
    """Where nothing expires, no replica's log starts behind what somebody has asked to be deleted.

    Hazard: committed records are gone, and nobody is told.
    Source: KIP-107.
    """
    if view.log_start_offset <= memory.deletable_end or memory.unclean:
        return None
    text = f"{view.name}: the log of n{view.node_id} starts at {view.log_start_offset}, and nobody asked for that"
    return Breach(text, f"asked to be deleted: before {memory.deletable_end}", str(view))


@invariant("D18a", "deleted-in-every-electable-log")
def deleted_in_every_electable_log(offset: int, name: str, memory: PartitionMemory) -> Breach | None:
    """When a deletion is answered, the log of every running member of the ISR starts no earlier, unless something was lost with a machine.

    Hazard: the records are there again after the next election.
    Source: KIP-107 ("the low watermark of all live replicas").
    """
    registration = memory.registration
    if registration is None or memory.losses:
        return None
    late = [view for view in memory.views.values() if view.node_id in registration.isr and view.log_start_offset < offset]
    if not late:
        return None
    text = f"{name}: records before {offset} were said to be deleted, and n{late[0].node_id}, who may be elected, still has them"
    return Breach(text, f"every log in the ISR {list(registration.isr)} starts at {offset} or behind", str(late[0]))


@invariant("D17", "offsets-in-order")
def offsets_in_order(view: ReplicaView) -> Breach | None:
    """Log start <= high watermark <= log end. (The last stable offset is the high watermark while there are no transactions.)

    Hazard: consumers are shown what is not there, or not committed.
    Source: reference D17.
    """
    if view.log_start_offset <= view.high_watermark <= view.log_end_offset:
        return None
    return Breach(f"{view.name}: the offsets of n{view.node_id} are out of order", "log start <= high watermark <= log end", str(view))
