"""What must hold at the end of a run and what the history's checker does not see: it knows values, not batches and producers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.simulation.workload.known_cluster import Slot, key_of
from raftkafka.simulation.workload.recording import SentBatch

Log = Sequence[tuple[int, int]]
"""A partition as it was read at the end: (offset, value)."""


def violations_of(sent: Sequence[SentBatch], logs: Mapping[Slot, Log]) -> list[str]:
    """Everything that is wrong with partitions that were read whole."""
    batch_of = {value: batch for batch in sent for value in batch.values}
    found: list[str] = []
    for slot, log in logs.items():
        found += _unsent(slot, log, batch_of)
        found += _torn(slot, log, batch_of)
        found += _out_of_order(slot, log, batch_of)
    return found


def _unsent(slot: Slot, log: Log, batch_of: Mapping[int, SentBatch]) -> list[str]:
    """Nothing is in a partition that nobody sent there."""
    return [
        f"{key_of(slot)}: offset {offset} holds {value}, which nobody sent there"
        for offset, value in log
        if value not in batch_of or batch_of[value].slot != slot
    ]


def _torn(slot: Slot, log: Log, batch_of: Mapping[int, SentBatch]) -> list[str]:
    """A batch is in a log as a whole, its records one after the other; but for the first, of which some may have been deleted."""
    found: list[str] = []
    due: Sequence[int] = ()
    for offset, value in log:
        batch = batch_of.get(value)
        if batch is None:
            continue
        if due and due[0] == value:
            due = due[1:]
            continue
        if due:
            found.append(f"{key_of(slot)}: offset {offset} holds {value}, where {due[0]} of a batch should follow")
        elif value != batch.values[0] and not (offset == log[0][0] > 0):
            found.append(f"{key_of(slot)}: offset {offset} holds {value} without the records before it in its batch")
        due = batch.values[batch.values.index(value) + 1 :]
    if due:
        found.append(f"{key_of(slot)}: it ends within a batch, before {due[0]}")
    return found


def _out_of_order(slot: Slot, log: Log, batch_of: Mapping[int, SentBatch]) -> list[str]:
    """Batches of one incarnation of an idempotent producer are in the order in which it first sent them."""
    found: list[str] = []
    last: dict[int, int] = {}
    for offset, value in log:
        batch = batch_of.get(value)
        if batch is None or not batch.keeps_order:
            continue
        before = last.get(batch.stream, -1)
        if value < before:
            found.append(f"{key_of(slot)}: {value} at offset {offset} is behind {before}, which its producer sent later")
        last[batch.stream] = max(before, value)
    return found
