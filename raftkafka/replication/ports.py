"""What the replica manager needs of the outside: the logs of this broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from raftkafka.base.ids import DirectoryId, PartitionKey
from raftkafka.storage.config import LogConfig
from raftkafka.storage.partition_log import PartitionLog


class Logs(Protocol):
    """The logs on this broker's disks (`storage.log_manager`). Methods raise `DiskError` when a disk fails."""

    def __iter__(self) -> Iterator[PartitionLog]: ...

    def get(self, key: PartitionKey) -> PartitionLog | None:
        """The log of a partition, if this broker has one."""

    broker_epoch: int
    """The epoch of this process, to be set before a log is created."""
    on_replaced: Callable[[PartitionLog], None] | None
    """Called with a log that has just taken the place of another one, with the same records."""

    def create(
        self, key: PartitionKey, topic: str, config: LogConfig, now_ms: int, *, directory_id: DirectoryId = ..., is_new: bool = ...
    ) -> PartitionLog:
        """An empty log, in the directory where the metadata has it; a log of the same name and another topic id gives way. Refuses one that
        is not new and may lie in a directory that has failed."""

    def delete(self, key: PartitionKey, now_ms: int) -> None:
        """Deletes a log."""

    def checkpointed_high_watermark(self, key: PartitionKey) -> int:
        """The high watermark that was last checkpointed, 0 when there is none."""

    def checkpoint(self, high_watermarks: Mapping[PartitionKey, int]) -> None:
        """Writes the checkpoints; they become stable by and by."""
