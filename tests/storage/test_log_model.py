"""A log under any sequence of appends, truncations, restarts and power failures, against a list of records as its model.

After a power failure the log may be any of its histories, within these bounds: what was stable and not truncated since is there; every
record is one that was written at that offset in that leader epoch; offsets are dense and epochs do not decrease. The model then goes on
from there.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raftkafka.storage.record_batch import batches, decode_records
from tests.storage.log_world import LogWorld, replicated

PRODUCERS = (11, 12)


class ModelRecord(NamedTuple):
    epoch: int
    value: bytes
    producer_id: int
    sequence: int
    first_of_batch: bool


class LogMachine(RuleBasedStateMachine):
    """`records[i]` is the record at offset `start + i`; `ever` holds all that was ever written, by offset and epoch."""

    @initialize()
    def begin(self) -> None:
        self.world = LogWorld()
        self.start = 0
        self.records: list[ModelRecord] = []
        self.ever: dict[tuple[int, int], set[bytes]] = {}
        self.stable_end = 0
        self.epoch = 0
        self.counter = 0

    @property
    def end(self) -> int:
        return self.start + len(self.records)

    @rule(count=st.integers(1, 4), producer_id=st.sampled_from((-1, *PRODUCERS)), size=st.sampled_from((1, 30, 110)))
    def append_as_leader(self, count: int, producer_id: int, size: int) -> None:
        values = [self.new_value(size) for _ in range(count)]
        sequence = self.last_sequence(producer_id) + 1 if producer_id >= 0 else -1
        result = self.world.append(
            *values, epoch=self.epoch, producer_id=producer_id, producer_epoch=min(producer_id, 0), base_sequence=sequence
        )
        assert (result.base_offset, result.last_offset) == (self.end, self.end + count - 1)
        self.note(values, producer_id, sequence)

    @rule(counts=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def append_as_follower(self, counts: list[int]) -> None:
        data = b""
        for count in counts:
            values = [self.new_value(20) for _ in range(count)]
            data += replicated(self.end, self.epoch, *values)
            self.note(values, -1, -1)
        self.world.log.append_as_follower(memoryview(data))

    @rule()
    def begin_epoch(self) -> None:
        self.epoch += 1

    @rule()
    def roll(self) -> None:
        self.world.log.roll()

    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        wanted = self.start + round(share * len(self.records))
        kept = wanted - self.start
        while 0 < kept < len(self.records) and not self.records[kept].first_of_batch:
            kept -= 1
        self.world.log.truncate_to(wanted)
        if kept < len(self.records):
            del self.records[kept:]
            self.stable_end = min(self.stable_end, self.end)
            self.begin_epoch()

    @rule(gap=st.integers(0, 5))
    def truncate_fully(self, gap: int) -> None:
        self.start = self.end + gap
        self.records.clear()
        self.stable_end = 0
        self.world.log.truncate_fully_and_start_at(self.start)
        self.world.flush()
        self.begin_epoch()

    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        offset = self.start + round(share * len(self.records))
        self.world.log.advance_log_start(offset)
        self.world.manager.checkpoint({})
        self.world.flush()
        self.stable_end = self.end
        del self.records[: offset - self.start]
        self.start = offset

    @rule()
    def flush(self) -> None:
        self.world.flush()
        self.stable_end = self.end

    @rule()
    def run_background_work(self) -> None:
        self.world.manager.tick(0, 0)
        self.world.settle()
        self.stable_end = max(self.stable_end, self.world.log.recovery_point)

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean:
            self.world.stop_cleanly()
            self.stable_end = self.end
        self.world.restart()

    @rule(seed=st.integers(0, 10_000))
    def lose_power(self, seed: int) -> None:
        self.world.power_failure(seed)
        log = self.world.log
        assert log.offline_reason is None
        assert log.log_end_offset >= self.stable_end
        assert log.log_start_offset <= self.start
        survived = self.read_records(log.log_start_offset)
        epoch = -1
        for offset, record in enumerate(survived, log.log_start_offset):
            assert record.value in self.ever[offset, record.epoch]
            assert record.epoch >= epoch
            epoch = record.epoch
        stable = self.records[: max(self.stable_end - self.start, 0)]
        assert [record[:2] for record in survived[self.start - log.log_start_offset :][: len(stable)]] == [record[:2] for record in stable]
        self.start, self.records = log.log_start_offset, survived
        self.stable_end = min(self.stable_end, self.end)
        self.begin_epoch()

    @precondition(lambda self: self.records)
    @rule(share=st.floats(0, 0.99), max_bytes=st.integers(1, 900), length=st.integers(0, 12))
    def read(self, share: float, max_bytes: int, length: int) -> None:
        start = self.start + int(share * len(self.records))
        limit = min(start + length, self.end)
        read = self.world.log.read(start, max_bytes=max_bytes, end_offset=limit)
        found = [record for buffer in read.records for position, _ in batches(buffer) for record in decode_records(buffer, position)]
        assert sum(map(len, read.records)) == read.size_bytes
        if not found:
            assert limit == start or not self.is_boundary_between(start, limit)
            return
        assert found[0].offset <= start < read.next_offset <= limit
        assert read.next_offset == found[-1].offset + 1
        for record in found:
            if record.offset >= self.start:
                assert record.value == self.records[record.offset - self.start].value

    @invariant()
    def log_equals_model(self) -> None:
        log = self.world.log
        assert (log.log_start_offset, log.log_end_offset) == (self.start, self.end)
        assert [record[:2] for record in self.read_records(self.start)] == [record[:2] for record in self.records]
        assert log.recovery_point <= self.end
        for offset, record in enumerate(self.records, self.start):
            assert log.epochs.epoch_at(offset) == record.epoch
        for producer_id in PRODUCERS:
            if any(record.producer_id == producer_id for record in self.records):
                entry = log.producers.get(producer_id)
                assert entry is not None
                assert entry.last_sequence == self.last_sequence(producer_id)

    def new_value(self, size: int) -> bytes:
        self.counter += 1
        return b"%d|" % self.counter + bytes(size)

    def note(self, values: list[bytes], producer_id: int, base_sequence: int) -> None:
        for index, value in enumerate(values):
            self.ever.setdefault((self.end, self.epoch), set()).add(value)
            sequence = base_sequence + index if producer_id >= 0 else -1
            self.records.append(ModelRecord(self.epoch, value, producer_id, sequence, index == 0))

    def last_sequence(self, producer_id: int) -> int:
        entry = self.world.log.producers.get(producer_id)
        known = max((record.sequence for record in self.records if record.producer_id == producer_id), default=-1)
        return known if known >= 0 else (entry.last_sequence if entry is not None else -1)

    def is_boundary_between(self, start: int, limit: int) -> bool:
        """Whether a batch that contains `start` ends at or before `limit`."""
        ends = [offset for offset, record in enumerate(self.records, self.start) if record.first_of_batch and offset > start]
        return min([*ends, self.end]) <= limit

    def read_records(self, start: int) -> list[ModelRecord]:
        found: list[ModelRecord] = []
        offset = start
        while offset < self.world.log.log_end_offset:
            read = self.world.log.read(offset, max_bytes=700)
            for buffer in read.records:
                for position, header in batches(buffer):
                    for index, record in enumerate(decode_records(buffer, position)):
                        if record.offset >= start:
                            assert record.offset == start + len(found)
                            sequence = header.base_sequence + index if header.producer_id >= 0 else -1
                            assert record.value is not None
                            epoch = header.partition_leader_epoch
                            found.append(ModelRecord(epoch, record.value, header.producer_id, sequence, index == 0))
            offset = read.next_offset
        return found


LogMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
TestLogAgainstItsModel = LogMachine.TestCase
