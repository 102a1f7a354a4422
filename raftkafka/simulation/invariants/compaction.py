"""What compaction must never do: take away the last value of a key, move what it leaves, or clean what may still be lost."""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.simulation.invariants.memory import PartitionMemory, ReplicaView
from raftkafka.simulation.invariants.mirror import Batch
from raftkafka.simulation.invariants.registry import Breach, invariant


@invariant("K1", "last-value-of-each-key")
def last_value_of_each_key(where: str, key: str, found: str, allowed: str, *, is_right: bool) -> Breach | None:
    """Who reads a compacted partition from its beginning finds of each key the value that was acknowledged last, and nothing of a key that
    was deleted: at the leader, and in the end in the log of every replica.

    Hazard: a table that is filled from the topic has lost a row, or an old one is back.
    Source: Kafka's log compaction ("at least the last known value for each message key").
    """
    return None if is_right else Breach(f"{where}: key {key} is {found}, and should be {allowed}", allowed, found)


@invariant("K2", "offsets-keep-their-records")
def offsets_keep_their_records(where: str, offset: int, before: str, found: str, *, is_it: bool) -> Breach | None:
    """An offset holds the record that was written there, or none any more.

    Hazard: a consumer that goes on from an offset reads what it has read, or skips what it has not.
    Source: Kafka's log compaction ("offsets never change").
    """
    return None if is_it else Breach(f"{where}: offset {offset} holds {found}, and was {before}", before, found)


@invariant("K3", "clean-below-high-watermark")
def clean_below_high_watermark(view: ReplicaView, clean_end_offset: int, memory: PartitionMemory) -> Breach | None:
    """Only what is committed is compacted, and only what is committed replaces anything.

    Hazard: a record is taken away for the sake of one that an election takes away.
    Source: Kafka's LogCleanerManager (the first uncleanable offset).
    """
    if clean_end_offset <= memory.true_high_watermark or memory.unclean or memory.unclean_epoch >= 0:
        return None
    committed = memory.true_high_watermark
    text = f"{view.name}: n{view.node_id} has cleaned up to {clean_end_offset}, and only what is below {committed} is committed"
    return Breach(text, f"committed up to {committed}", str(view))


@invariant("K4", "cleaning-keeps-places")
def cleaning_keeps_places(view: ReplicaView, new: Sequence[Batch], memory: PartitionMemory) -> Breach | None:
    """A batch in a compacted log has the base offset, the end and the leader epoch of one that was appended, whatever is left of it.

    Hazard: a follower appends, and a producer is answered, at offsets that mean something else at the leader.
    Source: KIP-98, KIP-101: sequences and epochs are those of whole batches.
    """
    for batch in new:
        known, _ = memory.batches.setdefault((batch.base_offset, batch.epoch), (batch, None))
        if known.next_offset != batch.next_offset:
            return Breach(
                f"{view.name}: n{view.node_id} has another batch at {batch.base_offset} than was appended", str(known), str(batch)
            )
        committed = memory.committed.get(batch.base_offset)
        if committed is not None and committed.epoch != batch.epoch and batch.base_offset < view.high_watermark:
            return Breach(
                f"{view.name}: n{view.node_id} has another batch at {batch.base_offset} than was committed", str(committed), str(batch)
            )
    return None
