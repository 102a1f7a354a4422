"""Batches as a follower fetches them: checked, and divided into portions that fit into segments.

Invariants
- Every batch of a portion is whole and intact, follows the one before, and has no older epoch (rule D12): a follower appends exactly
  what the leader has.

Sources: KIP-101; reference/replication-rules.md D4, D12.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.record_batch import BatchHeader, batches, crc_matches


class Portion(NamedTuple):
    """Consecutive batches to be written at once: their bytes, and where in these each begins."""

    data: memoryview
    found: list[tuple[int, BatchHeader]]
    is_dense: bool
    """Whether each batch begins where the one before ends."""


def portions(view: memoryview, *, next_offset: int, epoch: int, room_bytes: int, segment_bytes: int) -> Iterator[Portion]:
    """The whole batches of a fetched buffer; a partial last one is left out.

    The first portion takes at most `room_bytes`, the others `segment_bytes` (but one batch in any case). Raises `CorruptRecord` for a batch
    that must not be appended, after the portions before it.
    """
    found: list[tuple[int, BatchHeader]] = []
    start = end = 0
    is_dense = True
    problem: CorruptRecord | None = None
    try:
        for position, header in batches(view):
            _check(header, next_offset, epoch)
            if not crc_matches(view, header, position):
                raise CorruptRecord(f"wrong checksum of the batch at offset {header.base_offset}")
            if found and position + header.size_bytes - start > room_bytes:
                yield Portion(view[start:position], found, is_dense)
                found, start, room_bytes, is_dense = [], position, segment_bytes, True
            found.append((position - start, header))
            end = position + header.size_bytes
            is_dense = is_dense and header.base_offset == next_offset
            next_offset, epoch = header.next_offset, header.partition_leader_epoch
    except CorruptRecord as error:
        problem = error
    if found:
        yield Portion(view[start:end], found, is_dense)
    if problem is not None:
        raise problem


def _check(header: BatchHeader, next_offset: int, epoch: int) -> None:
    if header.base_offset < next_offset:
        raise CorruptRecord(f"a batch at offset {header.base_offset} follows one that ends before {next_offset}")
    if header.partition_leader_epoch < epoch:
        raise CorruptRecord(f"a batch of epoch {header.partition_leader_epoch} follows epoch {epoch} at offset {header.base_offset}")
