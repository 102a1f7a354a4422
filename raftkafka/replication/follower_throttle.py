"""The follower's end of the replication throttle: how much to ask for, and when, while this replica is not in sync."""

from __future__ import annotations

from raftkafka.replication.partition import Partition
from raftkafka.replication.replicas import Replicas

RECHECK_MS = 1_000
"""How long a follower waits at most before it looks at the throttle again: it may have been lifted."""


class FollowerThrottle:
    """Asked for each partition; answers at once when no throttle is set."""

    __slots__ = ("_asked_bytes", "_replicas", "_throttle")

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._throttle = replicas.throttle
        self._asked_bytes = 0

    def is_exhausted(self, now_ms: int) -> bool:
        """Whether what is throttled may have nothing now."""
        return self._throttle.limits_follower and self._throttle.follower.available(now_ms) <= 0

    def begin_request(self) -> None:
        """What is asked for from here on is one request: all its partitions together get no more than is available now."""
        self._asked_bytes = 0

    def max_bytes(self, partition: Partition, most: int, now_ms: int) -> int:
        """How many bytes to ask for at once, at most `most`, at least 1: then the leader sends one batch."""
        if not self._throttle.limits_follower or not self._holds(partition):
            return most
        wanted = max(1, min(most, self._throttle.follower.available(now_ms) - self._asked_bytes))
        self._asked_bytes += wanted
        return wanted

    def spend(self, partition: Partition, size_bytes: int, now_ms: int) -> None:
        """So many bytes of records have come."""
        if self._throttle.limits_follower and self._holds(partition):
            self._throttle.follower.spend(size_bytes, now_ms)

    def ready_ms(self, partition: Partition, now_ms: int) -> int:
        """When to ask again: now, or a little later."""
        if not self._throttle.limits_follower or not self._holds(partition):
            return now_ms
        return min(self._throttle.follower.ready_ms(now_ms), now_ms + RECHECK_MS)

    def _holds(self, partition: Partition) -> bool:
        """Whether the topic asks for it and this replica is not in sync, as far as the metadata knows."""
        if not self._throttle.covers_follower(partition.topic, partition.key.partition):
            return False
        registration = self._replicas.image.partition(partition.key)
        return registration is not None and self._replicas.node_id not in registration.isr
