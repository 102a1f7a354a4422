"""What a log knows of its producers: the last batches of each (for deduplication) and their transactions (for the last stable offset).

Invariants
- The state is a function of the log alone: replaying its batches gives the same (rule D16), so deduplication survives a failover. What is
  loaded from a snapshot file lacks the batches before a producer's last one, as in Kafka; `recall` puts them back from the log.
- `ongoing` holds the first offset of every transaction without a marker, `undecided` additionally those whose marker is not below the high
  watermark; both in ascending order of first offsets.

Sources: KIP-98 (idempotence and transactions), KIP-360 (a producer id whose state has expired);
reference/replication-rules.md T1, T2, D17; reference/disk-format.md (the snapshot file).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

from crc32c import crc32c

from raftkafka.base.errors import ApiError, CorruptRecord, ErrorCode
from raftkafka.storage.index import AbortedTransaction
from raftkafka.storage.record_batch import (
    MAX_SEQUENCE,
    NO_SEQUENCE,
    TRANSACTIONAL_FLAG,
    BatchHeader,
    ControlType,
    EndTransactionMarker,
)

KEPT_BATCHES = 5
"""A producer may have this many batches in flight, so this many must be recognised when they come again."""

NO_OFFSET = -1
_SNAPSHOT_VERSION = 1
_SNAPSHOT_HEADER = struct.Struct(">hIi")
_SNAPSHOT_ENTRY = struct.Struct(">qhiqiqiq")


class AppendOrigin(enum.Enum):
    """Who wrote a batch; only clients are held to sequence numbers."""

    CLIENT = "client"
    COORDINATOR = "coordinator"
    REPLICATION = "replication"


class AppendedBatch(NamedTuple):
    """What is remembered of a producer's batch. Sequences and offset are those of its last record."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int

    @property
    def base_sequence(self) -> int:
        return (self.last_sequence - self.offset_delta) & MAX_SEQUENCE

    @property
    def base_offset(self) -> int:
        return self.last_offset - self.offset_delta


class ProducerEntry:
    """One producer id: its current epoch, its last batches (newest last), its open transaction."""

    __slots__ = ("batches", "coordinator_epoch", "last_timestamp", "producer_epoch", "producer_id", "transaction_first_offset")

    def __init__(self, producer_id: int, producer_epoch: int) -> None:
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.batches: list[AppendedBatch] = []
        self.coordinator_epoch = -1
        self.last_timestamp = -1
        self.transaction_first_offset = NO_OFFSET

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE


class ProducerStates:
    """The producers of one log."""

    __slots__ = ("_entries", "_ongoing", "_unreplicated", "last_change_offset")

    def __init__(self) -> None:
        self._entries: dict[int, ProducerEntry] = {}
        self._ongoing: dict[int, int] = {}  # first offset -> producer id
        self._unreplicated: dict[int, int] = {}  # first offset -> offset of the marker
        self.last_change_offset = NO_OFFSET

    @property
    def entries(self) -> list[ProducerEntry]:
        """All producers, in the order of their first batches."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, producer_id: int) -> ProducerEntry | None:
        return self._entries.get(producer_id)

    def check(self, header: BatchHeader) -> AppendedBatch | None:
        """Whether a client's batch may be appended: `None` for yes, the earlier batch when this is a duplicate of it.

        Refuses a stale epoch, and a sequence that does not follow the last one; a producer that is not known may start anywhere, because
        its state may have expired (KIP-360).
        """
        entry = self._entries.get(header.producer_id)
        if entry is None:
            return None
        sequence = header.base_sequence
        if header.producer_epoch == entry.producer_epoch:
            last = entry.last_sequence
            if sequence == (0 if last == MAX_SEQUENCE else last + 1):
                return None
            for batch in entry.batches:
                if batch.base_sequence == sequence and batch.last_sequence == header.last_sequence:
                    return batch
            raise ApiError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"Out of order sequence number for producer {header.producer_id}: {sequence} (incoming seq. number), "
                f"{last} (current end sequence number)",
            )
        self._check_epoch(entry, header.producer_epoch)
        if sequence != 0:
            raise ApiError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"Invalid sequence number for new epoch of producer {header.producer_id}: {header.producer_epoch} (request epoch), "
                f"{sequence} (seq. number), {entry.producer_epoch} (current producer epoch)",
            )
        return None

    def check_marker(self, header: BatchHeader, marker: EndTransactionMarker) -> None:
        """Whether a coordinator's marker may be appended; refuses a stale producer epoch or a stale coordinator."""
        entry = self._entries.get(header.producer_id)
        if entry is None:
            return
        self._check_epoch(entry, header.producer_epoch)
        if entry.coordinator_epoch > marker.coordinator_epoch:
            raise ApiError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"Invalid coordinator epoch for producer {header.producer_id}: {marker.coordinator_epoch} (zombie), "
                f"{entry.coordinator_epoch} (current)",
            )

    def appended(self, header: BatchHeader, base_offset: int, last_offset: int) -> None:
        """Takes note of a data batch that is now in the log."""
        producer_id = header.producer_id
        entry = self._entries.get(producer_id)
        if entry is None:
            entry = self._entries[producer_id] = ProducerEntry(producer_id, header.producer_epoch)
        elif entry.producer_epoch != header.producer_epoch:
            entry.producer_epoch = header.producer_epoch
            entry.batches.clear()
        delta = header.last_offset_delta
        batches = entry.batches
        batches.append(AppendedBatch((header.base_sequence + delta) & MAX_SEQUENCE, last_offset, delta, header.max_timestamp))
        if len(batches) > KEPT_BATCHES:
            del batches[0]
        entry.last_timestamp = header.max_timestamp
        self.last_change_offset = last_offset
        if header.attributes & TRANSACTIONAL_FLAG and entry.transaction_first_offset == NO_OFFSET:
            entry.transaction_first_offset = base_offset
            self._ongoing[base_offset] = producer_id

    def marker_appended(self, header: BatchHeader, offset: int, marker: EndTransactionMarker) -> AbortedTransaction | None:
        """Takes note of a marker that is now in the log at `offset`; returns the transaction when it is one that was aborted."""
        entry = self._entries.get(header.producer_id)
        if entry is None:
            entry = self._entries[header.producer_id] = ProducerEntry(header.producer_id, header.producer_epoch)
        elif entry.producer_epoch != header.producer_epoch:
            entry.producer_epoch = header.producer_epoch
            entry.batches.clear()
        entry.coordinator_epoch = marker.coordinator_epoch
        entry.last_timestamp = header.max_timestamp
        self.last_change_offset = offset
        first_offset = entry.transaction_first_offset
        if first_offset == NO_OFFSET:
            return None
        entry.transaction_first_offset = NO_OFFSET
        self._ongoing.pop(first_offset, None)
        stable = next(iter(self._ongoing), offset + 1)
        self._unreplicated[first_offset] = offset
        if marker.control_type is not ControlType.ABORT:
            return None
        return AbortedTransaction(header.producer_id, first_offset, offset, stable)

    def first_unstable_offset(self, high_watermark: int) -> int | None:
        """The first offset of the oldest transaction whose end is not known to be committed; `None` when all are."""
        if self._unreplicated:
            for first_offset in [first for first, marker in self._unreplicated.items() if marker < high_watermark]:
                del self._unreplicated[first_offset]
        oldest = next(iter(self._ongoing), None)
        if self._unreplicated:
            undecided = min(self._unreplicated)
            return undecided if oldest is None else min(oldest, undecided)
        return oldest

    def expire(self, wall_ms: int, expiration_ms: int) -> int:
        """Forgets producers without an open transaction that were silent for `expiration_ms`; returns how many."""
        stale = [
            entry.producer_id
            for entry in self._entries.values()
            if entry.transaction_first_offset == NO_OFFSET and wall_ms - entry.last_timestamp >= expiration_ms
        ]
        for producer_id in stale:
            del self._entries[producer_id]
        return len(stale)

    def recall(self, headers: Sequence[BatchHeader]) -> None:
        """Adds the batches that a snapshot does not tell of. `headers`: batches of the log before the snapshot's end, in order.

        Only batches that lead without a gap to what is known of their producer are added, up to `KEPT_BATCHES` of each.
        """
        for header in reversed(headers):
            entry = self._entries.get(header.producer_id)
            if entry is None or not entry.batches or len(entry.batches) >= KEPT_BATCHES or header.producer_epoch != entry.producer_epoch:
                continue
            first = entry.batches[0]
            last_sequence = (header.base_sequence + header.last_offset_delta) & MAX_SEQUENCE
            if header.last_offset < first.base_offset and (last_sequence + 1) & MAX_SEQUENCE == first.base_sequence:
                entry.batches.insert(0, AppendedBatch(last_sequence, header.last_offset, header.last_offset_delta, header.max_timestamp))

    def clear(self) -> None:
        self._entries.clear()
        self._ongoing.clear()
        self._unreplicated.clear()
        self.last_change_offset = NO_OFFSET

    def encode(self) -> bytes:
        """The content of a snapshot file. It keeps the last batch of each producer only, as Kafka's does."""
        body = bytearray()
        for entry in self._entries.values():
            last = entry.batches[-1] if entry.batches else AppendedBatch(NO_SEQUENCE, NO_OFFSET, 0, 0)
            body += _SNAPSHOT_ENTRY.pack(
                entry.producer_id,
                entry.producer_epoch,
                last.last_sequence,
                last.last_offset,
                last.offset_delta,
                entry.last_timestamp,
                entry.coordinator_epoch,
                entry.transaction_first_offset,
            )
        covered = struct.pack(">i", len(self._entries)) + body
        return struct.pack(">hI", _SNAPSHOT_VERSION, crc32c(covered)) + covered

    def load(self, data: bytes, end_offset: int) -> None:
        """Takes the state of the log before `end_offset` from a snapshot file; `CorruptRecord` when it is damaged."""
        self.clear()
        if len(data) < _SNAPSHOT_HEADER.size:
            raise CorruptRecord("the producer snapshot is too short")
        version, crc, count = _SNAPSHOT_HEADER.unpack_from(data)
        if version != _SNAPSHOT_VERSION or crc32c(data[6:]) != crc or len(data) != _SNAPSHOT_HEADER.size + count * _SNAPSHOT_ENTRY.size:
            raise CorruptRecord(f"the producer snapshot (version {version}, {count} entries) is damaged")
        for numbers in _SNAPSHOT_ENTRY.iter_unpack(data[_SNAPSHOT_HEADER.size :]):
            producer_id, epoch, last_sequence, last_offset, delta, timestamp, coordinator_epoch, first_offset = numbers
            entry = ProducerEntry(producer_id, epoch)
            if last_offset != NO_OFFSET:
                entry.batches.append(AppendedBatch(last_sequence, last_offset, delta, timestamp))
            entry.last_timestamp = timestamp
            entry.coordinator_epoch = coordinator_epoch
            entry.transaction_first_offset = first_offset
            self._entries[producer_id] = entry
        self.last_change_offset = end_offset - 1  # a marker may have been there: the snapshot does not say
        for entry in sorted(self._entries.values(), key=lambda entry: entry.transaction_first_offset):
            if entry.transaction_first_offset != NO_OFFSET:
                self._ongoing[entry.transaction_first_offset] = entry.producer_id

    @staticmethod
    def _check_epoch(entry: ProducerEntry, producer_epoch: int) -> None:
        if producer_epoch < entry.producer_epoch:
            raise ApiError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch of producer {entry.producer_id} is {producer_epoch}, "
                f"which is smaller than the last seen epoch {entry.producer_epoch}",
            )
