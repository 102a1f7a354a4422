"""The settings of one partition's log: Kafka's topic configs, with Kafka's defaults."""

from __future__ import annotations

import enum

import attrs

LONG_MAX = 2**63 - 1
NO_LIMIT = -1


class TimestampType(enum.Enum):
    """Who sets the time of a record; the values of `message.timestamp.type`."""

    CREATE_TIME = "CreateTime"
    LOG_APPEND_TIME = "LogAppendTime"


@attrs.frozen(kw_only=True)
class LogConfig:
    """What a log does with its records; one attribute per topic config, units in the name."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    max_message_bytes: int = 1_048_588
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = NO_LIMIT
    cleanup_policy: tuple[str, ...] = ("delete",)
    delete_retention_ms: int = 24 * 3600 * 1000
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = LONG_MAX
    min_cleanable_dirty_ratio: float = 0.5
    file_delete_delay_ms: int = 60_000
    flush_messages: int = LONG_MAX
    flush_ms: int = LONG_MAX
    timestamp_type: TimestampType = TimestampType.CREATE_TIME
    before_max_ms: int = LONG_MAX
    after_max_ms: int = 3600 * 1000
    compression_type: str = "producer"
    compression_gzip_level: int = -1
    compression_lz4_level: int = 9
    compression_zstd_level: int = 3
    preallocate: bool = False
    producer_id_expiration_ms: int = 24 * 3600 * 1000
    compact: bool = attrs.field(init=False, default=False)
    delete: bool = attrs.field(init=False, default=True)
    roll_ms: int = attrs.field(init=False, default=0)
    """How much time a segment may span: a compacted log cannot be cleaned in time while its records are in the active segment."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "compact", "compact" in self.cleanup_policy)
        object.__setattr__(self, "delete", "delete" in self.cleanup_policy)
        roll_ms = min(self.segment_ms, max(self.max_compaction_lag_ms, 0)) if self.compact else self.segment_ms
        object.__setattr__(self, "roll_ms", roll_ms)

    def compression_level(self, name: str) -> int | None:
        """The level for a value of `compression.type`; `None` where the codec has none."""
        return {"gzip": self.compression_gzip_level, "lz4": self.compression_lz4_level, "zstd": self.compression_zstd_level}.get(name)
