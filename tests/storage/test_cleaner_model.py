"""A compacted log under any sequence of writes, cleanings, restarts and power failures in the middle of them, against a dictionary.

What is committed is stable here (in a cluster others have it), so that after a power failure only uncommitted records may be missing.
"""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raftkafka.storage.compression import Compression
from raftkafka.storage.record_batch import Record
from tests.storage.compact_world import DELETE_RETENTION_MS, CompactWorld, PowerCut

KEYS = [b"a", b"b", b"c", b"d", b"e"]
PRODUCERS = (11, 12)
MAX_RECORDS = 4
"""In a batch; each is a millisecond later than the one before."""


class Written(NamedTuple):
    """A record of the model."""

    key: bytes
    value: bytes | None
    written_ms: int


class CleanerMachine(RuleBasedStateMachine):
    """`written` holds what is in the log, or was compacted away, by offset; `epochs` where leader epochs begin."""

    @initialize(compresses=st.booleans())
    def begin(self, compresses: bool) -> None:
        self.world = CompactWorld()
        self.world.high_watermark = 0
        self.compression = Compression.ZSTD if compresses else Compression.NONE
        self.written: dict[int, Written] = {}
        self.epochs: list[tuple[int, int]] = []
        self.epoch = 0
        self.sequences = dict.fromkeys(PRODUCERS, 0)
        self.last_batch: dict[int, tuple[int, int, list[tuple[bytes, bytes | None]]]] = {}
        self.counter = 0

    @property
    def end(self) -> int:
        return self.world.log.log_end_offset

    @rule(
        pairs=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from((0, 10, 150, None))), min_size=1, max_size=MAX_RECORDS),
        producer_id=st.sampled_from((-1, *PRODUCERS)),
    )
    def append(self, pairs: list[tuple[bytes, int | None]], producer_id: int) -> None:
        self.counter += 1
        records = [(key, None if size is None else b"%d|" % self.counter + bytes(size)) for key, size in pairs]
        sequence = self.sequences[producer_id] if producer_id >= 0 else -1
        result = self.world.append(
            *records, epoch=self.epoch, compression=self.compression, producer_id=producer_id, base_sequence=sequence
        )
        assert not result.duplicate
        if not self.epochs or self.epochs[-1][0] != self.epoch:
            self.epochs.append((self.epoch, result.base_offset))
        for index, (key, value) in enumerate(records):
            self.written[result.base_offset + index] = Written(key, value, self.world.wall_ms)
        if producer_id >= 0:
            self.sequences[producer_id] += len(records)
            self.last_batch[producer_id] = (sequence, result.base_offset, records)

    @rule(producer_id=st.sampled_from(PRODUCERS))
    def send_again(self, producer_id: int) -> None:
        """What a producer sent last is recognised, whatever has become of its records."""
        if producer_id in self.last_batch:
            sequence, base_offset, records = self.last_batch[producer_id]
            result = self.world.append(
                *records, epoch=self.epoch, compression=self.compression, producer_id=producer_id, base_sequence=sequence
            )
            assert (result.duplicate, result.base_offset) == (True, base_offset)

    @rule()
    def begin_epoch(self) -> None:
        self.epoch += 1

    @rule()
    def roll(self) -> None:
        self.world.log.roll()

    @rule()
    def commit(self) -> None:
        self.world.flush()
        self.world.high_watermark = self.end

    @rule(milliseconds=st.sampled_from((1, 100, DELETE_RETENTION_MS)))
    def pass_time(self, milliseconds: int) -> None:
        self.world.pass_time(milliseconds)

    @rule()
    def clean(self) -> None:
        self.world.clean()

    @rule(parts=st.integers(1, 12))
    def clean_a_little(self, parts: int) -> None:
        for _ in range(parts):
            self.world.pass_time(5)

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean:
            self.world.stop_cleanly()
        else:
            self.world.restart()

    @rule(operation=st.integers(0, 40), seed=st.integers(0, 10_000))
    def lose_power_while_cleaning(self, operation: int, seed: int) -> None:
        self.world.disk.left = operation
        with contextlib.suppress(PowerCut):
            self.world.clean()
        committed = self.world.high_watermark
        self.world.lose_power(seed)
        assert committed is not None
        assert self.end >= committed
        lost = [offset for offset in self.written if offset >= self.end]
        for offset in lost:
            del self.written[offset]
        if lost:
            self.last_batch = {}
            for producer_id in PRODUCERS:
                entry = self.world.log.producers.get(producer_id)
                self.sequences[producer_id] = entry.last_sequence + 1 if entry is not None else 0
        self.epochs = [(epoch, start) for epoch, start in self.epochs if start < self.end]
        self.epoch += 1

    @invariant()
    def every_key_has_its_last_value(self) -> None:
        records = self.world.records()
        latest = {record.key: offset for offset, record in sorted(self.written.items())}
        assert self.world.last_values() == {
            key: value for key, offset in latest.items() if (value := self.written[offset].value) is not None
        }
        there = {record.offset: record for record in records}
        assert list(there) == sorted(there)
        for offset, record in there.items():
            assert self.is_as_written(offset, record)
        for key, offset in latest.items():
            write = self.written[offset]
            may_be_forgotten = write.value is None and self.world.wall_ms >= write.written_ms + DELETE_RETENTION_MS
            assert offset in there or may_be_forgotten, (key, offset)
        assert self.world.high_watermark is not None
        assert all(offset in there for offset in self.written if offset >= self.world.high_watermark)

    @invariant()
    def offsets_epochs_and_files_are_in_order(self) -> None:
        log = self.world.log
        assert log.log_end_offset == max(self.written, default=-1) + 1
        assert log.epochs.entries == self.epochs
        headers = self.world.headers()
        assert all(before.next_offset <= after.base_offset for before, after in pairwise(headers))
        if self.world.manager.cleaner.cleaning is None:
            assert not [name for name in self.world.files() if name.endswith((".cleaned", ".swap"))]

    def is_as_written(self, offset: int, record: Record) -> bool:
        write = self.written[offset]
        return (record.key, record.value) == (write.key, write.value) and 0 <= record.timestamp - write.written_ms < MAX_RECORDS


CleanerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, derandomize=True)
TestLogAgainstADictionary = CleanerMachine.TestCase
