"""Reading one partition for one fetch: fencing, divergence, bounds, records.

Rules (replication-rules.md)
- K-320: a request of another leader epoch is fenced; K-595: (fetch offset, last fetched epoch) must be a point of this log, else the
  answer is the diverging epoch, no records, and the follower's progress is not touched.
- A follower reads up to the log end and only from the leader; a consumer up to the high watermark or the last stable offset.
- K-392: a follower serves consumers up to its own high watermark; above it the answer is OFFSET_NOT_AVAILABLE, since the leader may have
  more.
"""

from __future__ import annotations

from raftkafka.base.errors import ApiError, ErrorCode
from raftkafka.base.ids import NO_TOPIC_ID, NodeId, PartitionKey, TopicId
from raftkafka.protocol.fetch_codec import FetchPartition, FetchPartitionResult
from raftkafka.replication.fetch_context import FetchContext, FetchedPartition
from raftkafka.replication.leader import Leader
from raftkafka.replication.partition import Partition
from raftkafka.replication.preferred_replica import preferred_read_replica
from raftkafka.replication.replicas import LEADER_HINT_ERRORS, Replicas

READ_COMMITTED = 1


def find_partition(replicas: Replicas, fetched: FetchedPartition) -> Partition:
    """The hosted partition that a fetch names by id or by name; refuses when there is none."""
    if fetched.context.uses_topic_ids:
        partition = replicas.by_key.get(fetched.key)
        return partition if partition is not None else replicas.find(fetched.key)
    topic_id = replicas.topic_id(fetched.request.topic or "")
    return replicas.find(PartitionKey(topic_id, fetched.request.partition))


def acknowledge(replicas: Replicas, fetched: FetchedPartition, now_ms: int) -> Leader | None:
    """A follower's fetch tells what it has: updates its progress, unless the request is refused or its log diverges. Returns the leader."""
    context, wanted = fetched.context, fetched.request
    try:
        partition = find_partition(replicas, fetched)
        leader = _check(partition, context, wanted)
        if leader is None or (replicas.checks_divergence and diverging_epoch(partition, wanted) is not None):
            return None
        _check_bounds(partition, wanted.fetch_offset)
    except ApiError:
        return None
    progress = leader.followers[NodeId(context.replica_id)]
    progress.acknowledge(wanted.fetch_offset, leader_end_offset=partition.log.log_end_offset, now_ms=now_ms)
    progress.log_start_offset = wanted.log_start_offset
    progress.broker_epoch = context.replica_epoch
    return leader


def has_all(fetched: FetchedPartition) -> bool:
    """Whether a follower whose fetch was acknowledged has the log from its start to its end, so that reading it would find nothing new."""
    partition, wanted = fetched.partition, fetched.request
    return (
        partition is not None
        and wanted.fetch_offset == partition.log.log_end_offset
        and wanted.log_start_offset >= partition.log.log_start_offset
    )


def read(replicas: Replicas, fetched: FetchedPartition, *, max_bytes: int, at_least_one_batch: bool) -> FetchPartitionResult:
    """What this partition answers: at most `max_bytes` of records, or one larger batch when `at_least_one_batch`."""
    context, wanted = fetched.context, fetched.request
    result = FetchPartitionResult(wanted.topic, wanted.topic_id, wanted.partition)
    partition: Partition | None = None
    try:
        partition = find_partition(replicas, fetched)
        if fetched.partition is not partition:
            fetched.watch(partition)
        _read(replicas, partition, context, wanted, result, min(max_bytes, wanted.partition_max_bytes), at_least_one_batch)
    except ApiError as error:
        if partition is None:
            fetched.watch(None)
        _refuse(replicas, context, wanted, partition, result, error.code)
    return result


def _read(
    replicas: Replicas,
    partition: Partition,
    context: FetchContext,
    wanted: FetchPartition,
    result: FetchPartitionResult,
    max_bytes: int,
    at_least_one_batch: bool,
) -> None:
    leader = _check(partition, context, wanted)
    log, offset = partition.log, wanted.fetch_offset
    high_watermark = partition.high_watermark
    diverging = diverging_epoch(partition, wanted) if replicas.checks_divergence else None
    if diverging is None:
        _check_bounds(partition, offset)
    result.high_watermark = high_watermark
    result.log_start_offset = log.log_start_offset
    result.last_stable_offset = log.last_stable_offset(high_watermark)
    if diverging is not None:
        result.diverging_epoch = diverging
        return
    throttled = False
    if context.replica_id >= 0:
        end_offset = log.log_end_offset
        throttle = replicas.throttle
        throttled = throttle.limits_leader and is_throttled(replicas, partition, context.replica_id)
        if throttled:
            max_bytes = min(max_bytes, throttle.leader.available(throttle.now_ms) - throttle.read_bytes)
            if max_bytes <= 0:
                return
    else:
        if leader is None and offset > high_watermark:
            raise ApiError(ErrorCode.OFFSET_NOT_AVAILABLE, f"{partition} is known here only up to {high_watermark}")
        if leader is not None and context.rack_id:
            result.preferred_read_replica = preferred_read_replica(replicas, leader, rack=context.rack_id, fetch_offset=offset)
            if result.preferred_read_replica != -1:
                return
        end_offset = result.last_stable_offset if context.isolation_level == READ_COMMITTED else high_watermark
        if replicas.serves_uncommitted:
            end_offset = log.log_end_offset
    if offset >= end_offset or (max_bytes <= 0 and not at_least_one_batch):
        if context.isolation_level == READ_COMMITTED:
            result.aborted_transactions = []
        return
    batches = log.read(offset, max_bytes=max_bytes, end_offset=end_offset, at_least_one_batch=at_least_one_batch)
    result.records = batches.records
    result.records_size = batches.size_bytes
    if throttled:
        replicas.throttle.read_bytes += batches.size_bytes
    if context.isolation_level == READ_COMMITTED:
        result.aborted_transactions = [
            (aborted.producer_id, aborted.first_offset) for aborted in log.aborted_transactions(offset, batches.next_offset)
        ]


def is_throttled(replicas: Replicas, partition: Partition, replica_id: int) -> bool:
    """Whether what this follower reads here counts against the leader's throttle: it is not in sync, and the topic asks for it."""
    leader = partition.leader
    return leader is not None and replica_id not in leader.isr and replicas.throttle.covers_leader(partition.topic, partition.key.partition)


def _check(partition: Partition, context: FetchContext, wanted: FetchPartition) -> Leader | None:
    """Fences the fetch; the leader's state, or None when this broker serves it as a follower."""
    partition.require_online()
    partition.check_leader_epoch(wanted.current_leader_epoch)
    leader = partition.leader
    if leader is None:
        if context.allow_follower and partition.leader_id >= 0:
            return None
        raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"this broker does not lead {partition}")
    if context.replica_id >= 0 and context.replica_id not in leader.followers:
        raise ApiError(
            ErrorCode.UNKNOWN_LEADER_EPOCH, f"broker {context.replica_id} is no replica of {partition} as far as this leader knows"
        )
    return leader


def diverging_epoch(partition: Partition, wanted: FetchPartition) -> tuple[int, int] | None:
    """None when the fetcher's log is a prefix of this one; else (epoch, end offset) of the largest epoch here not above its last."""
    last_fetched_epoch = wanted.last_fetched_epoch
    if last_fetched_epoch < 0:
        return None
    epoch, end_offset = partition.log.epochs.end_offset_for(last_fetched_epoch)
    if epoch < 0:
        raise ApiError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{partition} knows nothing of epoch {last_fetched_epoch}")
    return (epoch, end_offset) if epoch < last_fetched_epoch or end_offset < wanted.fetch_offset else None


def _check_bounds(partition: Partition, fetch_offset: int) -> None:
    log = partition.log
    if not log.log_start_offset <= fetch_offset <= log.log_end_offset:
        raise ApiError(
            ErrorCode.OFFSET_OUT_OF_RANGE, f"{partition} holds {log.log_start_offset} to {log.log_end_offset}, not {fetch_offset}"
        )


def _refuse(
    replicas: Replicas,
    context: FetchContext,
    wanted: FetchPartition,
    partition: Partition | None,
    result: FetchPartitionResult,
    code: ErrorCode,
) -> None:
    if code is ErrorCode.UNKNOWN_TOPIC_ID and not context.uses_topic_ids:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    result.error_code = int(code)
    result.high_watermark = result.last_stable_offset = result.log_start_offset = -1
    if partition is not None and code is ErrorCode.OFFSET_OUT_OF_RANGE and context.is_follower:
        result.log_start_offset = partition.log.log_start_offset  # where a follower that has fallen out of the log begins again
    if code in LEADER_HINT_ERRORS:
        topic_id = TopicId(wanted.topic_id or NO_TOPIC_ID) if context.uses_topic_ids else replicas.topic_id(wanted.topic or "")
        result.current_leader = replicas.leader_hint(PartitionKey(topic_id, wanted.partition))
