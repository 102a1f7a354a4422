"""What a follower does with a leader's answer: append, truncate where the logs part, start over when it has fallen out of the log.

Invariants
- Only an answer to the last request for this partition, in the current leader epoch, is used; an older leader's never (KIP-320).
- Truncation goes by epochs (KIP-101, KIP-279, KIP-595): to the smaller of both ends of the largest epoch that both logs have. It never
  goes by the high watermark, which lags.
- The high watermark is the leader's, bounded by the own log end. It is not taken back when a new leader's still lags: what was committed
  stays so.
"""

from __future__ import annotations

import enum

from raftkafka.base.errors import ErrorCode
from raftkafka.base.observed import observed
from raftkafka.base.rules import Rule
from raftkafka.protocol.fetch_codec import FetchPartitionResult
from raftkafka.replication.partition import Partition
from raftkafka.replication.replicas import Replicas

UNKNOWN_EPOCH = -1


class Verdict(enum.Enum):
    """What to do with the partition next."""

    MOVED = "moved"  # the log changed: ask at once for what follows, which tells the leader
    IDLE = "idle"  # nothing to do until there is news
    RETRY = "retry"  # ask again after a pause
    WAIT_FOR_METADATA = "wait-for-metadata"  # this broker's view is old: ask no more until it has changed


def apply_fetched(replicas: Replicas, partition: Partition, result: FetchPartitionResult) -> Verdict:
    """Takes over one partition's answer; raises `CorruptRecord` when the records do not fit, `ApiError` when the log fails."""
    if result.error_code != ErrorCode.NONE:
        return _refused(replicas, partition, result)
    if result.diverging_epoch is not None:
        _truncate_where_logs_part(replicas, partition, *result.diverging_epoch)
        return Verdict.MOVED
    log = partition.log
    if _is_unsure_and_deleted(partition, result.log_start_offset):
        return _start_over(replicas, partition, result.log_start_offset)
    end_offset = log.log_end_offset
    for buffer in result.records:
        if len(buffer):
            log.append_as_follower(buffer)
    _take_high_watermark(replicas, partition, result.high_watermark)
    start_moved = result.log_start_offset > log.log_start_offset and log.advance_log_start(
        min(result.log_start_offset, partition.high_watermark)
    )
    if start_moved:
        replicas.log_starts_moved = True
    elif log.log_end_offset == end_offset:
        return Verdict.IDLE
    replicas.touched[partition] = None
    return Verdict.MOVED


def become_follower(replicas: Replicas, partition: Partition) -> None:
    """A log without any epoch cannot be compared with the leader's: only what is committed is sure."""
    log = partition.log
    by_epoch = replicas.applies(Rule.TRUNCATE_BY_EPOCH)
    if (log.latest_epoch() < 0 or not by_epoch) and log.log_end_offset > partition.high_watermark:
        _truncate(replicas, partition, partition.high_watermark, reason="no-epochs" if by_epoch else "high-watermark")


def _refused(replicas: Replicas, partition: Partition, result: FetchPartitionResult) -> Verdict:
    code = ErrorCode(result.error_code)
    if code is ErrorCode.OFFSET_OUT_OF_RANGE:
        return _start_over(replicas, partition, result.log_start_offset)
    if code is ErrorCode.FENCED_LEADER_EPOCH:
        return Verdict.WAIT_FOR_METADATA
    return Verdict.RETRY


def _start_over(replicas: Replicas, partition: Partition, leader_log_start_offset: int) -> Verdict:
    """The leader has not what comes next here, and no epoch tells where the logs part: begin again where the leader's log begins."""
    if leader_log_start_offset < 0:
        return Verdict.RETRY
    log = partition.log
    replicas.outputs.append(
        observed("log-restarted", partition=str(partition), log_end_offset=log.log_end_offset, log_start_offset=leader_log_start_offset)
    )
    log.truncate_fully_and_start_at(leader_log_start_offset)
    partition.truncate_high_watermark()
    replicas.touched[partition] = None
    return Verdict.MOVED


def _is_unsure_and_deleted(partition: Partition, leader_log_start_offset: int) -> bool:
    """Whether the end of this log may be of a history that was lost, and the leader cannot tell: it has deleted all there is to compare.

    Nobody would read those records any more; but what they say of producers would be believed if this replica came to lead.
    """
    log = partition.log
    return (
        leader_log_start_offset >= log.log_end_offset > partition.high_watermark
        and UNKNOWN_EPOCH < log.latest_epoch() < partition.leader_epoch
    )


def _truncate_where_logs_part(replicas: Replicas, partition: Partition, leader_epoch: int, leader_end_offset: int) -> None:
    """`leader_epoch` is the largest of the leader's epochs not above our last one, `leader_end_offset` its end there (KIP-279)."""
    log = partition.log
    epoch, end_offset = log.epochs.end_offset_for(leader_epoch)
    if epoch < 0:
        offset = leader_end_offset
    elif epoch != leader_epoch:
        offset = end_offset  # the leader's epoch is unknown here: all of ours above it goes, and the next fetch compares again
    else:
        offset = min(end_offset, leader_end_offset)
    _truncate(replicas, partition, max(log.log_start_offset, min(offset, log.log_end_offset)), reason="diverged")


def _truncate(replicas: Replicas, partition: Partition, offset: int, *, reason: str) -> None:
    log = partition.log
    removed = log.log_end_offset - offset
    if removed or reason != "diverged":
        replicas.outputs.append(
            observed(
                "log-truncated",
                partition=str(partition),
                offset=offset,
                removed=removed,
                below_high_watermark=offset < partition.high_watermark,
                reason=reason,
            )
        )
    log.truncate_to(offset)
    partition.truncate_high_watermark()
    replicas.touched[partition] = None


def _take_high_watermark(replicas: Replicas, partition: Partition, leader_high_watermark: int) -> None:
    high_watermark = min(leader_high_watermark, partition.log.log_end_offset)
    may_fall = high_watermark < partition.high_watermark and not replicas.applies(Rule.KEEP_HIGH_WATERMARK)
    if high_watermark > partition.high_watermark or may_fall:
        partition.high_watermark = high_watermark
        replicas.touched[partition] = None
