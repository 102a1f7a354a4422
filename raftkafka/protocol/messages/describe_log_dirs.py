"""DescribeLogDirs (key 35), versions 1 to 5."""

from __future__ import annotations

from raftkafka.protocol.schema import BOOL, INT16, INT32, INT64, STRING, array, field, message, struct


@struct
class DescribableLogDirTopic:
    topic: str = field(STRING, "0+")
    partitions: list[int] = field(array(INT32), "0+")


@message("1-5", flexible="2+")
class DescribeLogDirsRequest:
    topics: list[DescribableLogDirTopic] | None = field(array(DescribableLogDirTopic), "0+", nullable="0+")


@struct
class DescribeLogDirsPartition:
    partition_index: int = field(INT32, "0+")
    partition_size: int = field(INT64, "0+")
    offset_lag: int = field(INT64, "0+")
    is_future_key: bool = field(BOOL, "0+")


@struct
class DescribeLogDirsTopic:
    name: str = field(STRING, "0+")
    partitions: list[DescribeLogDirsPartition] = field(array(DescribeLogDirsPartition), "0+")


@struct
class DescribeLogDirsResult:
    error_code: int = field(INT16, "0+")
    log_dir: str = field(STRING, "0+")
    topics: list[DescribeLogDirsTopic] = field(array(DescribeLogDirsTopic), "0+")
    total_bytes: int = field(INT64, "4+", default=-1)
    usable_bytes: int = field(INT64, "4+", default=-1)
    is_cordoned: bool = field(BOOL, "5+")


@message("1-5", flexible="2+")
class DescribeLogDirsResponse:
    throttle_time_ms: int = field(INT32, "0+")
    error_code: int = field(INT16, "3+")
    results: list[DescribeLogDirsResult] = field(array(DescribeLogDirsResult), "0+")
