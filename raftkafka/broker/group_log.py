"""The partitions of `__consumer_offsets` that this broker leads, as the log that the group coordinator writes and replays."""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import PartitionKey, TopicId
from raftkafka.replication.replica_manager import ReplicaManager


class GroupLog:
    """A `CoordinatorLog` on the replica manager; `topic_id` and `wall_offset_ms` are kept up to date by the node."""

    def __init__(self, replicas: ReplicaManager) -> None:
        self._replicas = replicas
        self.topic_id: TopicId | None = None
        self.wall_offset_ms = 0

    def key(self, partition: int) -> PartitionKey:
        """The partition's identity; NOT_COORDINATOR while there is no such topic."""
        if self.topic_id is None:
            raise ApiError(ErrorCode.NOT_COORDINATOR, "there is no offsets topic")
        return PartitionKey(self.topic_id, partition)

    def append(self, partition: int, batch: bytes, now_ms: int) -> int:
        """Appends with the guarantees of acks=all; the new end offset."""
        result = self._replicas.append_local(self.key(partition), batch, wall_ms=now_ms + self.wall_offset_ms, now_ms=now_ms)
        return result.last_offset + 1

    def start_offset(self, partition: int) -> int:
        return self._replicas.log_start_offset(self.key(partition))

    def high_watermark(self, partition: int) -> int:
        return self._replicas.high_watermark(self.key(partition))

    def read(self, partition: int, start_offset: int, max_bytes: int) -> bytes:
        return self._replicas.read_local(self.key(partition), start_offset, max_bytes)
