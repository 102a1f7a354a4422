"""What the cleaner leaves of a batch.

Invariants
- A record stays if no later record of the round's keys has its key, and it has a value, or is a tombstone whose delete horizon has not
  passed. Offsets, order and times of what stays are as they were. What lies behind the range of the keys stays as it is.
- A tombstone gets its delete horizon (`delete.retention.ms` from now) the first time that it is met, that is in the round that removes what
  it deletes; a later round removes it. So who reads the log within that time, from any point on, sees the deletion.
- Of these batches the header stays, if need be without records: the last one of a group of segments (the log keeps its end), the first of
  every leader epoch (the log alone tells where epochs begin, to a recovery and to followers), and those by which a producer that is
  still active is recognised (a batch that is sent again is answered as a duplicate).

Sources: Kafka's `Cleaner`; KIP-534 (delete horizon); reference/replication-rules.md D16 for the producers.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from raftkafka.base.rules import Rule, Rules
from raftkafka.storage.cleaned_transactions import CleanedTransactions
from raftkafka.storage.keyed_records import KeyedRecord, batch_of, delete_horizon_ms, empty_batch, keyed_records, plain_records
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import CONTROL_FLAG, BatchHeader, EndTransactionMarker, read_end_transaction_marker

RECORDS_PER_PART = 250
BATCH_COST_US = 16
RECORD_COST_US = 3
BYTES_PER_COST_US = 500
KEY_OVERHEAD_BYTES = 150
"""What a key costs in memory beside its own bytes."""


class Worked(NamedTuple):
    """A part of the work is done: it took about so long (an estimate, since nothing here reads a clock), and moved so many bytes."""

    cost_us: int
    io_bytes: int = 0


class KeyOffsets:
    """The last offset of every key in a range that ends at `end_offset` (exclusive): as far as memory allows."""

    __slots__ = ("_free_bytes", "end_offset", "latest")

    def __init__(self, start_offset: int, limit_bytes: int) -> None:
        self._free_bytes = limit_bytes
        self.end_offset = start_offset
        self.latest: dict[bytes, int] = {}

    @property
    def is_full(self) -> bool:
        return self._free_bytes <= 0

    def put(self, key: bytes, offset: int) -> None:
        if key not in self.latest:
            self._free_bytes -= len(key) + KEY_OVERHEAD_BYTES
        self.latest[key] = offset


def gather_keys(batch: bytes, header: BatchHeader, keys: KeyOffsets, transactions: CleanedTransactions) -> Generator[Worked, None, None]:
    """Takes note of the keys of a batch; what was aborted says nothing."""
    yield Worked(BATCH_COST_US + len(batch) // BYTES_PER_COST_US, len(batch))
    if header.attributes & CONTROL_FLAG:
        transactions.is_dispensable(header, marker_in(batch, header))
    elif not transactions.is_aborted(header):
        for count, record in enumerate(keyed_records(plain_records(batch, header), header), 1):
            if record.key is not None:
                keys.put(record.key, record.offset)
            if count % RECORDS_PER_PART == 0:
                yield Worked(RECORDS_PER_PART * RECORD_COST_US)
        yield Worked(header.record_count % RECORDS_PER_PART * RECORD_COST_US)
    keys.end_offset = header.next_offset


def marker_in(batch: bytes, header: BatchHeader) -> EndTransactionMarker | None:
    """The end of a transaction that a control batch tells; `None` when it tells none, or not any more."""
    return read_end_transaction_marker(batch) if header.record_count else None


class Retention:
    """Decides for one log in one round."""

    def __init__(self, log: PartitionLog, keys: KeyOffsets, *, wall_ms: int, disabled_rules: Rules) -> None:
        self._latest = keys.latest
        self._end_offset = keys.end_offset
        self._wall_ms = wall_ms
        self._new_horizon_ms = wall_ms + log.config.delete_retention_ms
        self._keeps_tombstones = Rule.KEEP_TOMBSTONES not in disabled_rules
        self._epoch_starts = dict.fromkeys(start_offset for _, start_offset in log.epochs.entries)
        self._producer_batches: dict[int, tuple[int, ...]] = {}
        self._bare_producers: dict[int, int] = {}
        for entry in log.producers.entries if Rule.KEEP_PRODUCER_BATCHES not in disabled_rules else ():
            self._producer_batches[entry.producer_id] = tuple(batch.last_offset for batch in entry.batches)
            if not entry.batches:
                self._bare_producers[entry.producer_id] = entry.producer_epoch

    def clean(
        self, batch: bytes, header: BatchHeader, transactions: CleanedTransactions, *, is_last: bool
    ) -> Generator[Worked, None, bytes]:
        """What is left of the batch: itself (the same object), other bytes, or none."""
        yield Worked(BATCH_COST_US + len(batch) // BYTES_PER_COST_US, len(batch))
        if header.attributes & CONTROL_FLAG:
            left = self._clean_marker(batch, header, dispensable=transactions.is_dispensable(header, marker_in(batch, header)))
        elif transactions.is_aborted(header) and header.base_offset < self._end_offset:
            left = b""
        elif header.base_offset >= self._end_offset:
            left = batch
        else:
            left = yield from self._clean_records(batch, header)
        if left:
            return left
        if not (is_last or self._must_stay(header)):
            return b""
        return batch if header.record_count == 0 else empty_batch(header)

    def _clean_marker(self, batch: bytes, header: BatchHeader, *, dispensable: bool) -> bytes:
        if header.record_count == 0:
            return b""
        is_last_word = self._bare_producers.get(header.producer_id) == header.producer_epoch
        if not dispensable or is_last_word or header.base_offset >= self._end_offset:
            return batch
        horizon_ms = delete_horizon_ms(header)
        if horizon_ms is None:
            plain = plain_records(batch, header)
            return batch_of(list(keyed_records(plain, header)), plain, header, new_horizon_ms=self._new_horizon_ms)
        return b"" if horizon_ms <= self._wall_ms else batch

    def _clean_records(self, batch: bytes, header: BatchHeader) -> Generator[Worked, None, bytes]:
        horizon_ms = delete_horizon_ms(header)
        tombstones_stay = self._keeps_tombstones and (horizon_ms is None or horizon_ms > self._wall_ms)
        latest = self._latest
        plain = plain_records(batch, header)
        kept: list[KeyedRecord] = []
        with_tombstones = False
        for count, record in enumerate(keyed_records(plain, header), 1):
            key = record.key
            if key is not None and latest.get(key, -1) <= record.offset and (record.has_value or tombstones_stay):
                kept.append(record)
                with_tombstones = with_tombstones or not record.has_value
            if count % RECORDS_PER_PART == 0:
                yield Worked(RECORDS_PER_PART * RECORD_COST_US)
        yield Worked(header.record_count % RECORDS_PER_PART * RECORD_COST_US)
        if not kept:
            return b""
        new_horizon_ms = self._new_horizon_ms if with_tombstones and horizon_ms is None else None
        if len(kept) == header.record_count and new_horizon_ms is None:
            return batch
        return batch_of(kept, plain, header, new_horizon_ms=new_horizon_ms)

    def _must_stay(self, header: BatchHeader) -> bool:
        return header.base_offset in self._epoch_starts or header.last_offset in self._producer_batches.get(header.producer_id, ())
