"""What the replica manager needs of the outside: the logs of this broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from raftkafka.base.ids import PartitionKey
from raftkafka.storage.config import LogConfig
from raftkafka.storage.partition_log import PartitionLog


class Logs(Protocol):
    """The logs on this broker's disks (`storage.log_manager`). Methods raise `DiskError` when a disk fails."""

    def __iter__(self) -> Iterator[PartitionLog]: ...

    def get(self, key: PartitionKey) -> PartitionLog | None:
        """The log of a partition, if this broker has one."""

    def create(self, key: PartitionKey, topic: str, config: LogConfig, now_ms: int) -> PartitionLog:
        """An empty log; a log of the same name and another topic id gives way."""

    def delete(self, key: PartitionKey, now_ms: int) -> None:
        """Deletes a log."""

    def checkpointed_high_watermark(self, key: PartitionKey) -> int:
        """The high watermark that was last checkpointed, 0 when there is none."""

    def checkpoint(self, high_watermarks: Mapping[PartitionKey, int]) -> None:
        """Writes the checkpoints; they become stable by and by."""
