"""A load that remembers: an idempotent producer that keeps what was acknowledged, a group consumer that keeps what it saw, and the verdict.

`Load` runs both in threads while the test breaks the cluster. `verify` then holds the log, read from its beginning, to what was promised:
- every acknowledged record is there, at the offset of its acknowledgement;
- no record is there twice, and each partition has its records in the order in which they were produced;
- the group's consumer saw every record of the log, once and in order.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.cluster.real_cluster import RealCluster, eventually

PARTITIONS = 3
_PAUSE_S = 0.002
_READ_TIMEOUT_S = 30.0


class Writer:
    """Produces numbered records to every partition in turn, with acks=all and idempotence, until it is told to stop."""

    def __init__(self, cluster: RealCluster, topic: str, **settings: object) -> None:
        self.acknowledged: dict[int, list[tuple[int | None, int]]] = defaultdict(list)
        """Offset and number of each acknowledged record, by partition, in the order of the acknowledgements. The offset is None where
        librdkafka learnt only that the record had been appended before: a retry that came after more than five later batches."""
        self.errors: list[KafkaError] = []
        self.ack_times: list[float] = []
        self.ack_times_of: dict[int, list[float]] = defaultdict(list)
        self._topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 2,
                "delivery.timeout.ms": 60_000,
            }
            | settings
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ack_count(self) -> int:
        return len(self.ack_times)

    def wait_for_acks(self, count: int = 100, *, timeout_s: float = 40.0) -> None:
        """Until so many more records are acknowledged in every partition."""
        goal = {partition: len(self.acknowledged[partition]) + count for partition in range(PARTITIONS)}
        eventually(
            lambda: all(len(self.acknowledged[partition]) >= wanted for partition, wanted in goal.items()),
            timeout_s=timeout_s,
            what=f"{count} more acknowledgements in each partition; {self.errors[-3:]}",
        )

    def stop(self) -> None:
        """Ends production and waits for what is under way."""
        self._stopped.set()
        self._thread.join(timeout=90)
        assert not self._thread.is_alive(), "the producer does not come to an end"

    def longest_gap_s(self, since: float) -> float:
        """The longest time without any acknowledgement since that moment."""
        moments = [since, *(moment for moment in self.ack_times if moment > since)]
        return max(after - before for before, after in pairwise(moments))

    def longest_gap_of_a_partition_s(self, since: float) -> float:
        """The longest time without any acknowledgement of one partition since that moment."""
        return max(
            after - before
            for times in self.ack_times_of.values()
            for before, after in pairwise([since, *(moment for moment in times if moment > since)])
        )

    def _run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            for partition in range(PARTITIONS):
                try:
                    self._producer.produce(self._topic, value=str(number), partition=partition, on_delivery=self._on_delivery)
                except BufferError:
                    self._producer.poll(0.1)
                    break
            else:
                number += 1
            self._producer.poll(_PAUSE_S)
        self._producer.flush(75)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.errors.append(error)
            return
        self.acknowledged[message.partition()].append((message.offset(), int(message.value())))
        self.ack_times.append(time.monotonic())
        self.ack_times_of[message.partition()].append(self.ack_times[-1])


class GroupReader:
    """The only member of a group: reads the topic and commits as it goes, until it is told to stop."""

    def __init__(self, cluster: RealCluster, topic: str) -> None:
        self.seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """Offset and number of each record, by partition, in the order in which they came."""
        self.errors: list[KafkaError] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "group.id": f"{topic}-readers",
                "auto.offset.reset": "earliest",
                "auto.commit.interval.ms": 200,
            }
        )
        self._consumer.subscribe([topic])
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), "the consumer does not come to an end"

    def _run(self) -> None:
        while not self._stopped.is_set():
            message = self._consumer.poll(0.1)
            if message is None:
                continue
            if message.error() is not None:
                self.errors.append(message.error())
            else:
                self.seen[message.partition()].append((message.offset(), int(message.value())))
        self._consumer.close()


class Load:
    """A topic with a writer and a group's reader at work on it."""

    def __init__(self, cluster: RealCluster, *, topic: str, config: dict[str, str], **writer_settings: object) -> None:
        self.topic = topic
        self._cluster = cluster
        cluster.create_topic(topic, partitions=PARTITIONS, replicas=3, config=config)
        self.reader = GroupReader(cluster, topic)
        self.writer = Writer(cluster, topic, **writer_settings)

    def finish_and_verify(self) -> None:
        """Stops the writer, lets the reader reach the end, and gives the verdict."""
        self.writer.stop()
        log = read_all(self._cluster, self.topic)
        try:
            eventually(lambda: all(self._caught_up(partition, records) for partition, records in log.items()), what="the reader at the end")
        finally:
            self.reader.stop()
        verify(self.writer, self.reader, log)

    def stop(self) -> None:
        """Ends both threads, whatever has become of the cluster."""
        self.reader._stopped.set()
        self.writer._stopped.set()

    def _caught_up(self, partition: int, records: list[tuple[int, int]]) -> bool:
        seen = self.reader.seen[partition]
        return not records or (bool(seen) and seen[-1][0] >= records[-1][0])


@contextmanager
def load_on(cluster: RealCluster, *, topic: str = "load", config: dict[str, str] | None = None, **settings: object) -> Iterator[Load]:
    """A load that is running well when the test gets it, and that is stopped in any case."""
    load = Load(cluster, topic=topic, config=config or {"min.insync.replicas": "2"}, **settings)
    try:
        load.writer.wait_for_acks()
        eventually(lambda: all(load.reader.seen[partition] for partition in range(PARTITIONS)), what="the reader has begun")
        yield load
    finally:
        load.stop()


def read_all(cluster: RealCluster, topic: str) -> dict[int, list[tuple[int, int]]]:
    """Offset and number of every record of the topic up to the high watermarks, by partition."""
    client = Consumer(
        {"bootstrap.servers": cluster.bootstrap, "group.id": "nobody", "enable.auto.commit": False, "auto.offset.reset": "error"}
    )
    try:
        return {partition: _read_partition(client, topic, partition) for partition in range(PARTITIONS)}
    finally:
        client.close()


def _read_partition(client: Consumer, topic: str, partition: int) -> list[tuple[int, int]]:
    _, end = eventually(lambda: _offsets(client, topic, partition), what=f"the offsets of {topic}-{partition}")
    client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    records: list[tuple[int, int]] = []
    deadline = time.monotonic() + _READ_TIMEOUT_S
    while not records or records[-1][0] < end - 1:
        if end == 0:
            break
        assert time.monotonic() < deadline, f"{topic}-{partition}: {len(records)} records, not {end}, in {_READ_TIMEOUT_S:.0f} s"
        for message in client.consume(1000, 0.5):
            assert message.error() is None, message.error()
            records.append((message.offset(), int(message.value())))
    client.unassign()
    return records


def _offsets(client: Consumer, topic: str, partition: int) -> tuple[int, int] | None:
    """Where a partition begins and ends; None while its leadership moves, which librdkafka does not wait for here."""
    try:
        start, end = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION:
            return None
        raise
    return start, end


def verify(writer: Writer, reader: GroupReader, log: dict[int, list[tuple[int, int]]]) -> None:
    """Fails when something that was promised is not so."""
    for partition, records in log.items():
        numbers = [number for _, number in records]
        assert [offset for offset, _ in records] == list(range(len(records))), f"partition {partition} has gaps"
        assert numbers == sorted(set(numbers)), f"partition {partition}: {_first_disorder(records)}"
        there, anywhere = set(records), set(numbers)
        lost = [each for each in writer.acknowledged[partition] if each not in there and not (each[0] is None and each[1] in anywhere)]
        assert not lost, f"partition {partition}: {len(lost)} acknowledged records are lost, the first are {lost[:5]}"
        seen = reader.seen[partition]
        assert seen == records, (
            f"partition {partition}: the group's consumer saw {len(seen)}, the log has {len(records)}; {_first_difference(seen, records)}"
        )


def _first_disorder(records: list[tuple[int, int]]) -> str:
    for before, after in pairwise(records):
        if after[1] <= before[1]:
            return f"record {after[1]} at offset {after[0]} comes after record {before[1]}"
    return "in order"


def _first_difference(seen: list[tuple[int, int]], records: list[tuple[int, int]]) -> str:
    for position, (one, other) in enumerate(zip(seen, records, strict=False)):
        if one != other:
            around = slice(max(0, position - 1), position + 3)
            return f"at position {position} it saw {seen[around]}, the log has {records[around]}"
    return "one ends before the other"
