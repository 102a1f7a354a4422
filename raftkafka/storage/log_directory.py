"""One log directory: the marker of a clean stop and the offset checkpoints in it.

Invariants
- One that has failed (`offline_reason`) is not touched any more until the process ends.
- A damaged marker counts as none, and a damaged checkpoint as empty: both are always safe, only slower.
- `changed_checkpoints` gives a file again until it was written: who could not write it says so (`not_written`).

Sources: reference/disk-format.md; KIP-858 (directory ids), KIP-966 (the broker epoch in the marker).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from raftkafka.base.disk import Disk, FileWrite
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import NO_DIRECTORY_ID, DirectoryId, TopicPartition
from raftkafka.base.observed import Observed, observed
from raftkafka.storage.checkpoints import (
    CLEAN_SHUTDOWN_FILE,
    CLEANER_OFFSET_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_OFFSET_FILE,
    RECOVERY_POINT_FILE,
    decode_clean_shutdown,
    decode_offsets,
    encode_offsets,
)
from raftkafka.storage.meta_properties import read_meta_properties
from raftkafka.storage.partition_log import PartitionLog


@attrs.define(eq=False)
class LogDirectory:
    """One log directory and what its checkpoint files say."""

    path: str
    directory_id: DirectoryId = NO_DIRECTORY_ID
    """Who it is (`meta.properties`); `NO_DIRECTORY_ID` when it does not say, or could not be read."""
    offline_reason: str | None = None
    """Why it cannot be used."""
    clean: bool = False
    """Whether the last process stopped cleanly here."""
    clean_broker_epoch: int | None = None
    """The broker epoch in the marker of a clean stop."""
    recovery_points: dict[TopicPartition, int] = attrs.field(factory=dict)
    high_watermarks: dict[TopicPartition, int] = attrs.field(factory=dict)
    log_start_offsets: dict[TopicPartition, int] = attrs.field(factory=dict)
    clean_end_offsets: dict[TopicPartition, int] = attrs.field(factory=dict)
    log_count: int = 0
    _written: dict[str, bytes] = attrs.field(factory=dict)

    def file(self, name: str) -> str:
        """The path of what has this name in the directory."""
        return f"{self.path}/{name}" if self.path else name

    def load_identity(self, disk: Disk) -> None:
        """Reads who it is, and the marker of a clean stop. Raises `DiskError`, or `CorruptRecord` when it does not know who it is."""
        meta = read_meta_properties(disk, self.path)
        if meta is not None:
            self.directory_id = meta.directory_id
        path = self.file(CLEAN_SHUTDOWN_FILE)
        if not disk.exists(path):
            return
        try:
            self.clean_broker_epoch = decode_clean_shutdown(disk.read_file(path))
        except CorruptRecord:
            return
        self.clean = True

    def load_checkpoints(self, disk: Disk, observe: Callable[[Observed], None]) -> None:
        """Reads the offset checkpoints."""
        self.recovery_points = self._load_offsets(disk, RECOVERY_POINT_FILE, observe)
        self.high_watermarks = self._load_offsets(disk, HIGH_WATERMARK_FILE, observe)
        self.log_start_offsets = self._load_offsets(disk, LOG_START_OFFSET_FILE, observe)
        self.clean_end_offsets = self._load_offsets(disk, CLEANER_OFFSET_FILE, observe)

    def forget(self, place: TopicPartition) -> None:
        """Takes nothing over for a new log from one of the same name."""
        for offsets in (self.recovery_points, self.high_watermarks, self.log_start_offsets, self.clean_end_offsets):
            offsets.pop(place, None)

    def changed_checkpoints(self, logs: Iterable[PartitionLog], high_watermark: Callable[[PartitionLog], int]) -> list[FileWrite]:
        """The checkpoint files whose content has changed, given the logs of this directory."""
        recovery_points: dict[TopicPartition, int] = {}
        high_watermarks: dict[TopicPartition, int] = {}
        log_start_offsets: dict[TopicPartition, int] = {}
        clean_end_offsets: dict[TopicPartition, int] = {}
        for log in logs:
            place = TopicPartition(log.topic, log.partition)
            recovery_points[place] = log.recovery_point
            high_watermarks[place] = high_watermark(log)
            if log.log_start_offset > 0:
                log_start_offsets[place] = log.log_start_offset
            if log.clean_end_offset > 0:
                clean_end_offsets[place] = log.clean_end_offset
        files: list[FileWrite] = []
        for name, offsets in (
            (RECOVERY_POINT_FILE, recovery_points),
            (HIGH_WATERMARK_FILE, high_watermarks),
            (LOG_START_OFFSET_FILE, log_start_offsets),
            (CLEANER_OFFSET_FILE, clean_end_offsets),
        ):
            if name == CLEANER_OFFSET_FILE and not offsets and name not in self._written:
                continue  # nothing is compacted here
            data = encode_offsets(offsets)
            if self._written.get(name) != data:
                self._written[name] = data
                files.append(FileWrite(self.file(name), data))
        return files

    def not_written(self, write: FileWrite) -> None:
        """A checkpoint could not be written: the next time it counts as changed."""
        del self._written[write.path.rpartition("/")[2]]

    def _load_offsets(self, disk: Disk, name: str, observe: Callable[[Observed], None]) -> dict[TopicPartition, int]:
        path = self.file(name)
        if not disk.exists(path):
            return {}
        data = disk.read_file(path)
        try:
            offsets = decode_offsets(data)
        except CorruptRecord as error:
            observe(observed("checkpoint-damaged", path=path, reason=str(error)))
            return {}
        self._written[name] = data
        return offsets
