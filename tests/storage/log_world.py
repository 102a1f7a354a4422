"""One partition's log on a simulated disk, with everything a test wants to do to it: append, flush, stop, kill, cut the power."""

from __future__ import annotations

import random

from raftkafka.base.disk import Persist
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.base.observed import Observed
from raftkafka.simulation.disk import SimDisk
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

KEY = PartitionKey(TopicId(b"the-topic-id-16b"), 0)
DIRECTORY = "data/events-0"
SMALL = LogConfig(segment_bytes=600, index_interval_bytes=100, retention_ms=-1)
"""Segments of a handful of batches, with an index entry for about every other one."""


def produced(*values: bytes, timestamp: int = 1000, **fields: int | bool) -> bytes:
    """A batch as a producer sends it."""
    return build_batch([Record(0, timestamp + index, b"key", value) for index, value in enumerate(values)], **fields)  # type: ignore[arg-type]


def replicated(base_offset: int, leader_epoch: int, *values: bytes) -> bytes:
    """A batch as a follower fetches it."""
    return build_batch([Record(0, 1000, None, value) for value in values], base_offset=base_offset, leader_epoch=leader_epoch)


def carry_out(manager: LogManager, disk: SimDisk, seen: list[Observed]) -> None:
    """Does at once what the manager asks for; what it tells is added to `seen`."""
    while outputs := manager.drain():
        for output in outputs:
            if isinstance(output, Persist):
                disk.persist(output)
                manager.persisted(output.token)
            else:
                seen.append(output)


class LogWorld:
    """A disk with one log. `log` is always the current object: `restart` replaces it."""

    def __init__(self, config: LogConfig = SMALL) -> None:
        self.config = config
        self.disk = SimDisk()
        self.disk.make_dir("data")
        self.observed: list[Observed] = []
        self.manager = self._new_manager()
        self.log: PartitionLog = self.manager.create(KEY, "events", config, 0)

    def append(
        self, *values: bytes, epoch: int = 0, wall_ms: int = 1000, origin: AppendOrigin = AppendOrigin.CLIENT, **fields: int | bool
    ) -> AppendResult:
        """Appends one batch as the leader."""
        batch = memoryview(bytearray(produced(*values, **fields)))
        return self.log.append_as_leader(batch, leader_epoch=epoch, wall_ms=wall_ms, origin=origin)

    def end_transaction(self, control_type: ControlType, *, producer_id: int, coordinator_epoch: int = 0) -> AppendResult:
        """Appends a marker as the transaction coordinator does."""
        marker = build_end_transaction_marker(
            producer_id=producer_id, producer_epoch=0, control_type=control_type, coordinator_epoch=coordinator_epoch, timestamp=1000
        )
        return self.log.append_as_leader(marker, leader_epoch=0, wall_ms=1000, origin=AppendOrigin.COORDINATOR)

    def headers(self) -> list[BatchHeader]:
        """The headers of all batches from the log start on, read in small portions."""
        found: list[BatchHeader] = []
        offset = self.log.log_start_offset
        while offset < self.log.log_end_offset:
            read = self.log.read(offset, max_bytes=200)
            assert read.next_offset > offset
            for buffer in read.records:
                found += [header for _, header in batches(buffer)]
            offset = read.next_offset
        return found

    def values(self, start_offset: int | None = None, *, end_offset: int | None = None, max_bytes: int = 1 << 20) -> list[bytes | None]:
        """The values of the records that reads from `start_offset` on return."""
        found: list[bytes | None] = []
        offset = self.log.log_start_offset if start_offset is None else start_offset
        while True:
            read = self.log.read(offset, max_bytes=max_bytes, end_offset=end_offset)
            if not read.size_bytes:
                return found
            for buffer in read.records:
                for position, _ in batches(buffer):
                    found += [record.value for record in decode_records(buffer, position)]
            offset = read.next_offset

    def settle(self) -> None:
        """Carries out what the manager asks for."""
        carry_out(self.manager, self.disk, self.observed)

    def flush(self) -> None:
        """Makes the whole log stable and checkpoints that."""
        plan = self.log.plan_flush(self.log.log_end_offset)
        self.disk.persist(Persist(0, syncs=plan.syncs))
        self.log.flushed(plan.end_offset)
        self.manager.checkpoint({})

    def stop_cleanly(self, broker_epoch: int = 5) -> None:
        self.manager.clean_shutdown(broker_epoch)
        self.settle()

    def restart(self) -> None:
        """Starts again on what is on the disk."""
        self.disk.kill()
        self.manager = self._new_manager()
        self.log = self.manager.create(KEY, "events", self.config, 0)

    def power_failure(self, seed: int) -> None:
        """Loses what was not stable, and starts again."""
        self.disk.crash(random.Random(seed))
        self.restart()

    def _new_manager(self) -> LogManager:
        settings = LogManagerSettings(default_config=self.config)
        self.manager = LogManager(disk=self.disk, log_dirs=["data"], settings=settings)
        self.manager.load(0)
        self.settle()
        return self.manager
