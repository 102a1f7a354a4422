"""A skewed load that remembers: librdkafka's producer and a consumer of a group on one topic, each partition at a rate of its own.

The producer is idempotent and waits for all replicas; each record holds a number that counts up within its partition. `verdict` holds what
the consumer saw against what was acknowledged: nothing lost, nothing twice, everything in order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from confluent_kafka import Consumer, KafkaError, Message, Producer

RECORD_BYTES = 4096
_TICK_S = 0.01
_MAX_BEHIND_S = 0.5
_END_TIMEOUT_S = 60.0


def zipf(count: int) -> list[float]:
    """Shares of 1 that fall as 1/rank: of 24 the first has 26 %, the last 1 %."""
    whole = sum(1 / rank for rank in range(1, count + 1))
    return [1 / rank / whole for rank in range(1, count + 1)]


class SkewedLoad:
    """Runs from its making to `stop`. `shares` may be changed while it runs: the part of each partition in `bytes_per_second`.

    `acked_bytes` and `consumed_bytes` count up by partition; one thread writes each, anybody may read.
    """

    def __init__(self, bootstrap: str, topic: str, shares: Sequence[float], *, bytes_per_second: float) -> None:
        self.shares = list(shares)
        self.errors: list[str] = []
        """Everything that either client calls an error, also what it would get over by itself."""
        self.acked_bytes = [0] * len(shares)
        self.consumed_bytes = [0] * len(shares)
        self.ack_times: list[list[float]] = [[] for _ in shares]
        self._acked: list[list[int]] = [[] for _ in shares]
        self._seen: list[list[tuple[int, int]]] = [[] for _ in shares]
        """Numbers of records by partition; of what was seen with the offsets."""
        self._topic = topic
        self._bytes_per_second = bytes_per_second
        self._is_over = threading.Event()
        self._is_read = threading.Event()
        self._threads = [threading.Thread(target=run, args=(bootstrap,), daemon=True) for run in (self._produce, self._consume)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the producer when all is acknowledged, and the consumer when it has read that."""
        self._is_over.set()
        self._threads[0].join()
        deadline = time.monotonic() + _END_TIMEOUT_S
        while not self._has_read_all() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._is_read.set()
        self._threads[1].join()

    def verdict(self) -> list[str]:
        """What was promised and is not so, after `stop`; empty when all is well."""
        problems = list(self.errors)
        for partition, (acked, seen) in enumerate(zip(self._acked, self._seen, strict=True)):
            missing = set(acked) - {number for _, number in seen}
            if missing:
                problems.append(f"partition {partition}: {len(missing)} acknowledged records were not read, such as {min(missing)}")
            if any(after != (before[0] + 1, before[1] + 1) for before, after in pairwise(seen)):
                problems.append(f"partition {partition}: the consumer saw records out of order, twice, or not at all")
        return problems

    @property
    def record_count(self) -> int:
        """How many records were acknowledged."""
        return sum(map(len, self._acked))

    def longest_pause_s(self, partition: int) -> float:
        """The longest time between two acknowledgements of a partition."""
        return max((after - before for before, after in pairwise(self.ack_times[partition])), default=0.0)

    def _has_read_all(self) -> bool:
        return all(not acked or (bool(seen) and seen[-1][1] >= acked[-1]) for acked, seen in zip(self._acked, self._seen, strict=True))

    def _note(self, who: str) -> Callable[[KafkaError], None]:
        return lambda error: self.errors.append(f"{who}: {error}")

    def _produce(self, bootstrap: str) -> None:
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 50,
                "error_cb": self._note("producer"),
                "log_level": 0,
            }
        )
        padding = bytes(RECORD_BYTES - 8)
        next_numbers = [0] * len(self.shares)
        owed = [0.0] * len(self.shares)
        at = time.monotonic()
        while not self._is_over.is_set():
            producer.poll(_TICK_S)
            now = time.monotonic()
            elapsed, at = min(now - at, _MAX_BEHIND_S), now
            for partition, share in enumerate(self.shares):
                owed[partition] += share * self._bytes_per_second * elapsed / RECORD_BYTES
                while owed[partition] >= 1:
                    owed[partition] -= 1
                    value = next_numbers[partition].to_bytes(8, "big") + padding
                    next_numbers[partition] += 1
                    producer.produce(self._topic, value=value, partition=partition, on_delivery=self._delivered)
        left = producer.flush(_END_TIMEOUT_S)
        if left:
            self.errors.append(f"producer: {left} records were not acknowledged")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.errors.append(f"producer: {error}")
            return
        partition, _, number = _read(message)
        self._acked[partition].append(number)
        self.acked_bytes[partition] += RECORD_BYTES
        self.ack_times[partition].append(time.monotonic())

    def _consume(self, bootstrap: str) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"{self._topic}-readers",
                "auto.offset.reset": "earliest",
                "error_cb": self._note("consumer"),
                "log_level": 0,
            }
        )
        consumer.subscribe([self._topic])
        while not self._is_read.is_set():
            for message in consumer.consume(500, 0.1):
                error = message.error()
                if error is not None:
                    self.errors.append(f"consumer: {error}")
                    continue
                partition, offset, number = _read(message)
                self._seen[partition].append((offset, number))
                self.consumed_bytes[partition] += RECORD_BYTES
        consumer.close()


def _read(message: Message) -> tuple[int, int, int]:
    """Partition, offset (-1 where the producer did not learn it) and number."""
    partition, offset, value = message.partition(), message.offset(), message.value()
    assert partition is not None and isinstance(value, bytes)
    return partition, -1 if offset is None else offset, int.from_bytes(value[:8], "big")
