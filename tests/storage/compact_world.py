"""A compacted log on a simulated disk that can lose power in the middle of any operation, and what its readers must still find in it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from raftkafka.base.disk import Buffer, DiskFile, Persist
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.base.observed import Observed
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.cleaner import CleanerSettings
from raftkafka.storage.compression import Compression
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_manager import LogManager, LogManagerSettings
from raftkafka.storage.partition_log import AppendResult, PartitionLog
from raftkafka.storage.producers import AppendOrigin
from raftkafka.storage.record_batch import (
    BatchHeader,
    ControlType,
    Record,
    batches,
    build_batch,
    build_end_transaction_marker,
    decode_records,
)
from tests.storage.log_world import carry_out

KEY = PartitionKey(TopicId(b"the-topic-id-16b"), 0)
START_MS = 1_000_000
DELETE_RETENTION_MS = 1_000
SMALL = LogConfig(
    segment_bytes=600,
    index_interval_bytes=100,
    cleanup_policy=("compact",),
    min_cleanable_dirty_ratio=0.01,
    delete_retention_ms=DELETE_RETENTION_MS,
)


class PowerCut(Exception):
    """The power fails in the middle of a disk operation."""


class CuttableDisk(SimDisk):
    """Loses power at the operation when `left` gets to zero."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.operations = 0

    def count(self) -> None:
        self.operations += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise PowerCut

    def open(self, path: str, *, create: bool = False) -> DiskFile:
        if create and not self.exists(path):
            self.count()
        return _CountedFile(self, super().open(path, create=create))

    def rename(self, path: str, new_path: str) -> None:
        self.count()
        super().rename(path, new_path)

    def delete(self, path: str) -> None:
        if self.exists(path):
            self.count()
        super().delete(path)

    def replace_file(self, path: str, data: bytes) -> None:
        self.count()
        super().replace_file(path, data)

    def persist(self, persist: Persist) -> None:
        self.count()
        super().persist(persist)


class _CountedFile:
    def __init__(self, disk: CuttableDisk, file: DiskFile) -> None:
        self._disk = disk
        self._file = file

    @property
    def path(self) -> str:
        return self._file.path

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes

    def append(self, buffers: Sequence[Buffer]) -> None:
        self._disk.count()
        self._file.append(buffers)

    def read(self, position: int, length: int) -> bytes:
        return self._file.read(position, length)

    def truncate(self, size_bytes: int) -> None:
        self._disk.count()
        self._file.truncate(size_bytes)

    def close(self) -> None:
        self._file.close()


class CompactWorld:
    """The log with its cleaner. Time is given by hand; `high_watermark` is the log's end unless set."""

    def __init__(self, config: LogConfig = SMALL, cleaner: CleanerSettings | None = None) -> None:
        self.config = config
        self.cleaner_settings = cleaner or CleanerSettings(backoff_ms=10)
        self.disk = CuttableDisk()
        self.disk.make_dir("data")
        self.now_ms = 0
        self.high_watermark: int | None = None
        self.observed: list[Observed] = []
        self.restart()

    @property
    def wall_ms(self) -> int:
        return START_MS + self.now_ms

    def append(
        self,
        *pairs: tuple[bytes | None, bytes | None],
        epoch: int = 0,
        compression: Compression = Compression.NONE,
        producer_id: int = -1,
        base_sequence: int = -1,
        is_transactional: bool = False,
        timestamp: int | None = None,
    ) -> AppendResult:
        """Appends one batch of keys and values as the leader."""
        at = self.wall_ms if timestamp is None else timestamp
        batch = build_batch(
            [Record(0, at + index, key, value, [("h", b"%d" % index)]) for index, (key, value) in enumerate(pairs)],
            compression=compression,
            producer_id=producer_id,
            producer_epoch=min(producer_id, 0) if producer_id < 0 else 0,
            base_sequence=base_sequence,
            is_transactional=is_transactional,
        )
        return self.log.append_as_leader(bytearray(batch), leader_epoch=epoch, wall_ms=self.wall_ms)

    def end_transaction(self, control_type: ControlType, producer_id: int) -> AppendResult:
        marker = build_end_transaction_marker(
            producer_id=producer_id, producer_epoch=0, control_type=control_type, coordinator_epoch=0, timestamp=self.wall_ms
        )
        return self.log.append_as_leader(marker, leader_epoch=0, wall_ms=self.wall_ms, origin=AppendOrigin.COORDINATOR)

    def records(self) -> list[Record]:
        """All records that a reader finds, in the order in which it finds them."""
        return [record for batch in self.batches() for record in decode_records(batch) if record.offset >= self.log.log_start_offset]

    def headers(self) -> list[BatchHeader]:
        return [header for batch in self.batches() for _, header in batches(batch)]

    def batches(self) -> list[bytes]:
        """All batches, read in small portions, as a consumer reads."""
        found: list[bytes] = []
        offset = self.log.log_start_offset
        while offset < self.log.log_end_offset:
            read = self.log.read(offset, max_bytes=300)
            assert read.next_offset > offset, "a reader does not get on"
            for buffer in read.records:
                found += [bytes(buffer[position : position + header.size_bytes]) for position, header in batches(buffer)]
            offset = read.next_offset
        return found

    def last_values(self) -> dict[bytes | None, bytes | None]:
        """The last value of each key, without deleted ones."""
        latest = {record.key: record.value for record in self.records()}
        return {key: value for key, value in latest.items() if value is not None}

    def clean(self) -> int:
        """Lets the cleaner do all that there is to do; returns how many rounds it took."""
        before = sum(event.kind == "log-cleaned" for event in self.observed)
        self.log.roll()
        self.pass_time(self.cleaner_settings.backoff_ms)
        while self.manager.cleaner.cleaning is not None or self.manager.cleaner.next_deadline_ms() <= self.now_ms:
            self.pass_time(2)
        return sum(event.kind == "log-cleaned" for event in self.observed) - before

    def pass_time(self, milliseconds: int) -> None:
        """Time passes, and what is due then is done."""
        self.now_ms += milliseconds
        self.manager.tick(self.now_ms, self.wall_ms)
        self.settle()

    def settle(self) -> None:
        carry_out(self.manager, self.disk, self.observed)

    def flush(self) -> None:
        """Makes the whole log stable."""
        plan = self.log.plan_flush(self.log.log_end_offset)
        self.disk.persist(Persist(0, syncs=plan.syncs))
        self.log.flushed(plan.end_offset)
        self.manager.checkpoint({})

    def restart(self) -> None:
        """A new process on what is on the disk."""
        self.disk.left = None
        self.disk.kill()
        settings = LogManagerSettings(default_config=self.config, cleaner=self.cleaner_settings)
        self.manager = LogManager(disk=self.disk, log_dirs=["data"], settings=settings)
        self.manager.load(self.wall_ms)
        self.settle()
        self.log: PartitionLog = self.manager.create(KEY, "events", self.config, self.now_ms)
        assert self.log.offline_reason is None
        self.manager.high_watermark_of = lambda key: self.log.log_end_offset if self.high_watermark is None else self.high_watermark

    def stop_cleanly(self) -> None:
        self.manager.clean_shutdown(5)
        self.settle()
        self.restart()

    def lose_power(self, seed: int) -> None:
        self.disk.left = None
        self.disk.crash(random.Random(seed))
        self.restart()

    def files(self) -> list[str]:
        return self.disk.list_dir("data/events-0")
