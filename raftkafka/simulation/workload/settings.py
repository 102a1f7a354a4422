"""What the clients of a run do, as values: a profile has `WorkloadSettings`, and from them and chance each run gets its `Style`."""

from __future__ import annotations

import random

import attrs

from raftkafka.storage.compression import Compression


@attrs.frozen(kw_only=True)
class WorkloadSettings:
    """How many clients of each kind, what they write and read, and how. Times are virtual."""

    topics: int = 2
    partitions: int = 2
    """Of each topic."""
    replication_factor: int = 3
    min_insync_replicas: int = 2
    crowded_brokers: int = 0
    """On so many of the first brokers all replicas are placed at the beginning; 0: on all."""

    producers: int = 3
    """Each writes to every partition."""
    batches_per_second: int = 50
    """Of all producers together, when nothing is in their way."""
    skew: float = 0.0
    """How unevenly the partitions are written: the n-th hottest gets a share like 1 / n ** skew."""
    skew_shift_ms: int = 3_000
    """How long the same ones are hot."""
    max_records_per_batch: int = 5
    max_in_flight: int = 5
    delivery_timeout_ms: int = 12_000
    """A batch that is not acknowledged in this time is given up, and its producer begins anew."""
    acks_one_share: float = 0.08
    """In how many runs the producers want the leader's acknowledgement alone, so that acknowledged records may be lost."""
    plain_share: float = 0.1
    """In how many runs the producers are not idempotent: then they do not retry what may have been appended."""

    consumers: int = 2
    """Without a group: each follows every partition, or some of them."""
    poll_pause_ms: int = 100
    """Mean time that a consumer works on what it has polled."""
    move_share: float = 0.01
    """How many polls a consumer goes before it takes other partitions or another position."""
    crash_share: float = 0.003
    """How many polls or batches a client goes before its process crashes."""

    group_members: int = 2
    session_timeout_ms: int = 6_000
    heartbeat_ms: int = 500
    leave_share: float = 0.006
    """How many polls a member goes before it leaves the group and joins again."""
    static_share: float = 0.3
    """How many members have a group instance id."""

    admin_interval_ms: int = 1_500
    """Mean pause between the administrator's operations; 0: there is none."""
    table_writers: int = 0
    """Clients that write keys of a compacted topic of their own; 0: there is none."""
    table_partitions: int = 2
    table_keys: int = 6
    """Of each writer in each partition."""
    table_interval_ms: int = 60
    """Mean pause of a writer between two batches."""
    table_restart_share: float = 0.03
    """How many batches a writer goes before it begins anew, as another producer."""
    table_delete_share: float = 0.2
    """How many writes are deletions."""
    table_patience_ms: int = 3_000
    """A reader that takes longer may rightly miss a deletion; less than the topic's delete.retention.ms."""

    delete_interval_ms: int = 0
    """Mean pause between deletions of records; 0: nothing is deleted on request."""
    reassign_interval_ms: int = 0
    """Mean pause between reassignments, cancels and elections on request; 0: there are none."""
    move_log_interval_ms: int = 0
    """Mean pause between moves of logs to other directories of their brokers; 0: there are none."""
    scale_interval_ms: int = 0
    """Mean pause between changes of the machines that the cluster has; 0: there are none."""
    death_share: float = 0.0
    """How many of the machines that are taken away have died, with their disk."""
    limit_interval_ms: int = 0
    """Mean pause between changes of quotas and of brokers' settings; 0: there are none."""


@attrs.frozen(kw_only=True)
class Style:
    """How the producers of one run work."""

    acks: int
    idempotent: bool

    @property
    def options(self) -> dict[str, object]:
        """What a history says of it."""
        return {
            "acks": "all" if self.acks == -1 else str(self.acks),
            "idempotent": self.idempotent,
            "subscribe": False,
            "transactions": False,
        }


def draw_style(rng: random.Random, settings: WorkloadSettings) -> Style:
    """Which guarantees the producers of a run ask for."""
    roll = rng.random()
    if roll < settings.acks_one_share:
        return Style(acks=1, idempotent=False)
    return Style(acks=-1, idempotent=roll >= settings.acks_one_share + settings.plain_share)


@attrs.frozen(kw_only=True)
class ProducerStyle:
    """How one producer works."""

    acks: int
    idempotent: bool
    max_in_flight: int
    compression: Compression
    padding_bytes: int


def draw_producer_style(rng: random.Random, settings: WorkloadSettings, style: Style) -> ProducerStyle:
    """Most batches are small and plain, as most of what is worth finding does not need more."""
    return ProducerStyle(
        acks=style.acks,
        idempotent=style.idempotent,
        max_in_flight=rng.choice((1, settings.max_in_flight, settings.max_in_flight)),
        compression=rng.choice((Compression.NONE, Compression.NONE, Compression.NONE, Compression.LZ4, Compression.ZSTD, Compression.GZIP)),
        padding_bytes=rng.choice((0, 0, 0, 100, 1_500)),
    )
