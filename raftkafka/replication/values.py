"""What goes into the replica manager and what comes out of it, as values.

Bounds: `high_watermark` and every `end_offset` are exclusive. All times are milliseconds of the node's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from raftkafka.base.disk import Buffer
from raftkafka.base.ids import NodeId, PartitionKey
from raftkafka.base.observed import Observed
from raftkafka.base.rules import NO_RULES, Rules
from raftkafka.metadata.control_messages import AlterPartition
from raftkafka.protocol.fetch_codec import FetchPartitionResult, FetchRequestData
from raftkafka.protocol.produce_codec import ProducePartitionResult
from raftkafka.storage.config import LogConfig

FAR_FUTURE_MS = 2**62
"""The deadline of a machine that waits for nothing."""


@attrs.frozen(kw_only=True)
class ReplicaSettings:
    """How a broker replicates; the comments name Kafka's properties."""

    replica_lag_time_max_ms: int = 30_000  # replica.lag.time.max.ms
    fetch_wait_max_ms: int = 500  # replica.fetch.wait.max.ms
    fetch_min_bytes: int = 1  # replica.fetch.min.bytes
    fetch_max_bytes: int = 1_048_576  # replica.fetch.max.bytes, per partition
    fetch_response_max_bytes: int = 10_485_760  # replica.fetch.response.max.bytes
    fetch_backoff_ms: int = 1_000  # replica.fetch.backoff.ms, the longest pause; it begins with 5 ms
    fetch_timeout_ms: int = 30_000  # replica.socket.timeout.ms
    high_watermark_checkpoint_interval_ms: int = 5_000  # replica.high.watermark.checkpoint.interval.ms
    high_watermark_linger_ms: int = 5
    """How long news of a high watermark waits for data to travel with, before it is sent to a follower by itself (KIP-1166)."""
    client_fetch_max_bytes: int = 57_671_680  # fetch.max.bytes
    fetch_session_slots: int = 1_000  # max.incremental.fetch.session.cache.slots
    rack_aware_selector: bool = False  # replica.selector.class is the RackAwareReplicaSelector (KIP-392)
    disabled_rules: Rules = NO_RULES  # rules broken on purpose; see `base.rules`


@attrs.frozen(kw_only=True)
class TopicReplicationConfig:
    """The effective settings of a topic that matter here."""

    min_insync_replicas: int
    log: LogConfig


@attrs.define(slots=True)
class ProduceEntry:
    """The records for one partition; `topic` is only carried to the result. `records` is patched in place."""

    key: PartitionKey
    topic: str | None
    records: Buffer


@attrs.frozen(kw_only=True)
class FetchReply:
    """The answer to a fetch: a whole-request error, or results (a session leaves out what did not change)."""

    error_code: int = 0
    session_id: int = 0
    results: Sequence[FetchPartitionResult] = ()


ProduceDone = Callable[[list[ProducePartitionResult]], None]
FetchDone = Callable[[FetchReply], None]


@attrs.frozen(kw_only=True)
class ListedOffset:
    """An answer to ListOffsets: -1 everywhere when there is none."""

    timestamp: int = -1
    offset: int = -1
    leader_epoch: int = -1


@attrs.frozen(kw_only=True)
class ProducerDescription:
    """What a log remembers of a producer, for DescribeProducers."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp_ms: int
    coordinator_epoch: int
    current_txn_first_offset: int | None


@attrs.frozen
class SendAlterPartition:
    """To the active controller; answered by `alter_partition_reply`, with None when no answer came."""

    request: AlterPartition


@attrs.frozen
class OpenLeaderLink:
    """Connect to this broker for fetching; answered by `leader_link_opened` or `fetch_failed`."""

    leader_id: NodeId


@attrs.frozen
class CloseLeaderLink:
    """The link is not needed, or its leader does not answer: close it. Nothing has to be reported back."""

    leader_id: NodeId


@attrs.frozen
class SendFetch:
    """A Fetch v18 on the open link; answered in order by `fetch_response`, or by `fetch_failed` for all that are outstanding."""

    leader_id: NodeId
    request: FetchRequestData


@attrs.frozen
class HighWatermarkAdvanced:
    """For partitions that `watch_high_watermark` named."""

    key: PartitionKey
    high_watermark: int


@attrs.frozen
class LeadershipGained:
    """This broker leads the partition in `leader_epoch` (again reported when the epoch is bumped under it)."""

    key: PartitionKey
    topic: str
    leader_epoch: int


@attrs.frozen
class LeadershipLost:
    """This broker no longer leads the partition, or no longer has it."""

    key: PartitionKey
    topic: str


ReplicaOutput = (
    SendAlterPartition | OpenLeaderLink | CloseLeaderLink | SendFetch | HighWatermarkAdvanced | LeadershipGained | LeadershipLost | Observed
)
