"""One replica that this broker hosts: its log, its high watermark, and the role it has at the moment.

Invariants
- `log_start_offset <= high_watermark <= log_end_offset`; the high watermark goes down only when the log is truncated below it.
- `leader` is set while this broker leads the partition, `leader_id` names another broker while it follows; never both.
- `leader_epoch` and `partition_epoch` never decrease (D10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_NODE, NodeId, PartitionKey
from raftkafka.storage.log_manager import STOPPING
from raftkafka.storage.partition_log import PartitionLog

if TYPE_CHECKING:
    from raftkafka.replication.fetch_context import FetchedPartition
    from raftkafka.replication.leader import Leader


class Partition:
    """A hosted replica. `fetches` are the fetches and fetch sessions that want to hear of news."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "fetches",
        "high_watermark",
        "key",
        "leader",
        "leader_epoch",
        "leader_id",
        "led_since_ms",
        "log",
        "min_insync_replicas",
        "partition_epoch",
        "requests",
        "seen_end_offset",
        "seen_high_watermark",
        "seen_log_start_offset",
        "state_changed",
        "topic",
    )

    def __init__(self, key: PartitionKey, topic: str, log: PartitionLog, *, high_watermark: int, min_insync_replicas: int) -> None:
        self.key = key
        self.topic = topic
        self.log = log
        self.min_insync_replicas = min_insync_replicas
        self.high_watermark = max(log.log_start_offset, min(high_watermark, log.log_end_offset))
        self.leader_id: NodeId = NO_NODE
        self.leader_epoch = -1
        self.partition_epoch = -1
        self.leader: Leader | None = None
        self.state_changed = False
        self.fetches: dict[FetchedPartition, None] = {}
        self.seen_end_offset = log.log_end_offset
        self.seen_high_watermark = self.high_watermark
        self.seen_log_start_offset = log.log_start_offset
        self.led_since_ms = 0
        self.bytes_in = self.bytes_out = self.requests = 0
        """Counted by the leader since `traffic` last took them."""

    def __str__(self) -> str:
        return f"{self.topic}-{self.key.partition}"

    def check_leader_epoch(self, current_leader_epoch: int) -> None:
        """Fences a client or follower that lives in another leader epoch (KIP-320); -1 is no claim."""
        if current_leader_epoch < 0 or current_leader_epoch == self.leader_epoch:
            return
        if current_leader_epoch < self.leader_epoch:
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH, f"{self} is in leader epoch {self.leader_epoch}")
        raise ApiError(ErrorCode.UNKNOWN_LEADER_EPOCH, f"{self} is only in leader epoch {self.leader_epoch}")

    def require_online(self) -> None:
        """Refuses with KAFKA_STORAGE_ERROR when the log's disk or its content failed.

        A log that was closed for a clean stop has not failed: whoever asks for it is told, with NOT_LEADER_OR_FOLLOWER, where to go.
        """
        if self.log.offline_reason == STOPPING and self.leader is None:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"this broker is stopping, and does not lead {self}")
        if self.log.offline_reason is not None:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log of {self} is offline: {self.log.offline_reason}")

    def require_leader(self) -> Leader:
        """The leader's state; refuses with NOT_LEADER_OR_FOLLOWER when another broker leads, KAFKA_STORAGE_ERROR when the log is broken."""
        self.require_online()
        leader = self.leader
        if leader is None:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"this broker does not lead {self}")
        return leader

    def truncate_high_watermark(self) -> None:
        """Keeps the high watermark inside the log after a truncation."""
        self.high_watermark = max(self.log.log_start_offset, min(self.high_watermark, self.log.log_end_offset))
