"""What the leaders of this broker count, for heartbeats: bytes from producers, bytes to consumers, requests; by it the controller balances.

Counting is a few additions for each partition of a request (`bytes_in`, `bytes_out`, `requests` of a partition, which is *busy* as soon as
it has requests); what followers fetch is not counted, since that follows from what came in.

Invariants
- What was counted is kept until a heartbeat that told it is answered, and is told again with the time since: a lost heartbeat loses nothing
  of a rate, and one that arrives twice says the same rate twice.
- The counts of a partition never reach over more time than is said with them (`led_ms`): a new leader begins with nothing.
- The cost of a report is that of the busy partitions, never of the idle ones; it names `MAX_REPORTED` at most, and sums up the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from raftkafka.metadata.control_messages import PartitionTraffic

if TYPE_CHECKING:
    from raftkafka.protocol.fetch_codec import FetchPartitionResult
    from raftkafka.replication.fetch_context import FetchedPartition
    from raftkafka.replication.partition import Partition

MAX_REPORTED = 1_000
REQUEST_COST_BYTES = 8 << 10
"""What a request weighs beside bytes where the busiest partitions are chosen."""


@attrs.frozen(kw_only=True)
class CountedTraffic:
    """What a heartbeat says of the last `interval_ms`; `rest` sums up the partitions that are not named, and is empty when all are."""

    interval_ms: int = 0
    traffic: tuple[PartitionTraffic, ...] = ()
    rest: tuple[int, ...] = ()


class TrafficMeter:
    """The counts of one broker. `busy` are the partitions with counts since they were last taken."""

    __slots__ = ("_since_ms", "_taken_ms", "_untold", "busy")

    def __init__(self) -> None:
        self.busy: dict[Partition, None] = {}
        self._untold: dict[Partition, tuple[int, int, int]] = {}
        self._since_ms: int | None = None
        self._taken_ms = 0

    def began(self, partition: Partition, now_ms: int) -> None:
        """This broker leads the partition from now on: what it may have counted in an earlier epoch is dropped."""
        partition.led_since_ms = now_ms
        partition.bytes_in = partition.bytes_out = partition.requests = 0
        self.busy.pop(partition, None)
        self._untold.pop(partition, None)

    def sent(self, collected: Sequence[tuple[FetchedPartition, FetchPartitionResult]]) -> None:
        """A consumer gets these results. What a follower serves (KIP-392) is not counted: it does not move with the leadership."""
        for fetched, result in collected:
            partition = fetched.partition
            if result.records_size and partition is not None and partition.leader is not None:
                if not partition.requests:
                    self.busy[partition] = None
                partition.requests += 1
                partition.bytes_out += result.records_size

    def take(self, now_ms: int) -> CountedTraffic:
        """What was counted since the last heartbeat that was answered; nothing the first time, when that time is not known."""
        for partition in self.busy:
            bytes_in, bytes_out, requests = self._untold.get(partition, (0, 0, 0))
            self._untold[partition] = (bytes_in + partition.bytes_in, bytes_out + partition.bytes_out, requests + partition.requests)
            partition.bytes_in = partition.bytes_out = partition.requests = 0
        self.busy.clear()
        self._taken_ms = now_ms
        if self._since_ms is None:
            self._since_ms = now_ms
            self._untold.clear()
        interval_ms = now_ms - self._since_ms
        if interval_ms <= 0:
            return CountedTraffic()
        named = self._untold
        if len(named) > MAX_REPORTED:
            named = dict(heapq.nlargest(MAX_REPORTED, named.items(), key=_weight))
        traffic = tuple(_report(partition, counts, now_ms, interval_ms) for partition, counts in named.items())
        return CountedTraffic(interval_ms=interval_ms, traffic=traffic, rest=self._sum_without(named))

    def _sum_without(self, named: dict[Partition, tuple[int, int, int]]) -> tuple[int, ...]:
        others = [counts for partition, counts in self._untold.items() if partition not in named] if named is not self._untold else ()
        return tuple(map(sum, zip(*others, strict=True)))

    def told(self) -> None:
        """The heartbeat that said what was last taken is answered."""
        if self._since_ms is not None and self._taken_ms > self._since_ms:
            self._since_ms = self._taken_ms
            self._untold.clear()


def _weight(item: tuple[Partition, tuple[int, int, int]]) -> int:
    bytes_in, bytes_out, requests = item[1]
    return bytes_in + bytes_out + requests * REQUEST_COST_BYTES


def _report(partition: Partition, counts: tuple[int, int, int], now_ms: int, interval_ms: int) -> PartitionTraffic:
    leads = partition.leader is not None
    bytes_in, bytes_out, requests = counts
    return PartitionTraffic(
        topic_id=partition.key.topic_id,
        partition=partition.key.partition,
        leader_epoch=partition.leader_epoch,
        led_ms=max(1, min(interval_ms, now_ms - partition.led_since_ms)) if leads else 0,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        requests=requests,
        size=partition.log.size_bytes if leads else 0,
    )
