"""Questions about offsets of one partition: ListOffsets and OffsetForLeaderEpoch.

Rule K-HW: after an election the high watermark may lag behind what was already told to others. Until it has reached the start of the leader
epoch, "latest" and timestamps beyond it are answered with OFFSET_NOT_AVAILABLE.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.replication.leader import Leader
from raftkafka.replication.partition import Partition
from raftkafka.replication.values import ListedOffset

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6

READ_COMMITTED = 1


def list_offset(partition: Partition, timestamp: int, *, isolation_level: int, from_client: bool, may_lag: bool = False) -> ListedOffset:
    """The offset that `timestamp` (milliseconds, or one of the special values) asks for; a client sees only what is committed.

    `may_lag`: answer also while the high watermark lags behind what an earlier leader may have told (a rule is broken).
    """
    leader = partition.require_leader()
    log = partition.log
    end_offset = log.log_end_offset
    if from_client:
        end_offset = partition.high_watermark
        if isolation_level == READ_COMMITTED:
            end_offset = log.last_stable_offset(end_offset)
    lagging = from_client and partition.high_watermark < leader.start_offset and not may_lag
    match timestamp:
        case _ if timestamp == LATEST:
            if lagging:
                raise _not_available(leader)
            return ListedOffset(offset=end_offset, leader_epoch=leader.epoch)
        case _ if timestamp in (EARLIEST, EARLIEST_LOCAL):
            start_offset = log.log_start_offset
            return ListedOffset(offset=start_offset, leader_epoch=log.epochs.epoch_at(start_offset))
        case _ if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
            return ListedOffset()  # nothing is tiered here
        case _ if timestamp == MAX_TIMESTAMP:
            found = log.offset_of_max_timestamp()
        case _ if timestamp >= 0:
            found = log.offset_for_timestamp(timestamp)
        case _:
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"no such timestamp: {timestamp}")
    if found is not None and found[1] < end_offset:
        return ListedOffset(timestamp=found[0], offset=found[1], leader_epoch=log.epochs.epoch_at(found[1]))
    if lagging:
        raise _not_available(leader)
    return ListedOffset()


def _not_available(leader: Leader) -> ApiError:
    return ApiError(
        ErrorCode.OFFSET_NOT_AVAILABLE,
        f"the high watermark of {leader.partition} has not reached {leader.start_offset}, where leader epoch {leader.epoch} began",
    )


def offset_for_leader_epoch(partition: Partition, epoch: int) -> tuple[int, int]:
    """The largest epoch of the leader's log not above `epoch`, and its end offset; (-1, -1) when it is above all (KIP-279)."""
    partition.require_leader()
    return partition.log.epochs.end_offset_for(epoch)
