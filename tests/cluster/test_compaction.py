"""A compacted topic on real brokers: what consumers read of it, what Apache Kafka's kafka-dump-log reads, and what a copy of it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import requires_java, run_tool

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

TOPIC = "table"
KEYS = 200
ROUNDS = 6
SETTINGS = {
    "log.cleaner.backoff.ms": "200",
    "log.retention.check.interval.ms": "1000",
    "replica.high.watermark.checkpoint.interval.ms": "500",
}
CONFIG = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "min.insync.replicas": "1",
    "delete.retention.ms": "60000",
}

Table = dict[bytes, bytes]


def write_round(cluster: RealCluster, number: int, *, deleted: range) -> Table:
    """Writes every key, and deletes some; what is left after it."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 5, "compression.type": "lz4"})
    table: Table = {}
    for key in range(KEYS):
        name, value = b"key-%d" % key, b"value-%d-%d" % (number, key)
        producer.produce(TOPIC, key=name, value=None if key in deleted else value)
        if key not in deleted:
            table[name] = value
    assert producer.flush(20) == 0
    return table


def read_all(cluster: RealCluster) -> tuple[Table, list[int]]:
    """The last value of each key, and the offsets of the records that there are."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "nobody", "enable.auto.commit": False})
    try:
        _, end_offset = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=10)
        consumer.assign([TopicPartition(TOPIC, 0, OFFSET_BEGINNING)])
        table: Table = {}
        offsets: list[int] = []
        while not offsets or offsets[-1] < end_offset - 1:
            message = consumer.poll(10)
            assert message is not None, f"nothing after {offsets[-1:]}, the partition ends at {end_offset}"
            assert message.error() is None, message.error()
            offset, key, value = message.offset(), message.key(), message.value()
            assert offset is not None and isinstance(key, bytes)
            offsets.append(offset)
            table.pop(key, None)
            if value is not None:
                table[key] = value if isinstance(value, bytes) else value.encode()
        return table, offsets
    finally:
        consumer.close()


def dumped(cluster: RealCluster, *node_ids: int) -> list[str]:
    """What Apache's tool prints of the segments of some nodes, with their indexes checked."""
    files: list[Path] = []
    for node_id in node_ids:
        directory = cluster.node(node_id).data_dir / f"{TOPIC}-0"
        files += sorted(path for path in directory.iterdir() if path.suffix in (".log", ".index", ".timeindex"))
    result = run_tool("kafka-dump-log", "--deep-iteration", "--print-data-log", "--files", ",".join(map(str, files)))
    assert result.exit_code == 0, result.stderr
    return result.lines


@requires_java
@pytest.mark.java
def test_a_compacted_topic_keeps_last_values_on_every_replica(own_cluster: Callable[..., RealCluster]) -> None:
    cluster = own_cluster(node_count=3, settings=SETTINGS)
    cluster.create_topic(TOPIC, replicas=3, config=CONFIG)
    expected: Table = {}
    for number in range(ROUNDS):
        if number == 2:
            cluster.kill(3)
        expected = write_round(cluster, number, deleted=range(number * 10, number * 10 + 5))
        time.sleep(0.15)
    written = ROUNDS * KEYS

    def compacted() -> list[int] | None:
        table, offsets = read_all(cluster)
        assert table == expected
        assert offsets == sorted(set(offsets))
        assert offsets[-1] == written - 1
        return offsets if len(offsets) < 2.5 * KEYS else None

    eventually(compacted, what="the topic is compacted")
    cluster.start(3)
    cluster.wait_healed()
    cluster.stop(1)
    cluster.start(1)
    assert read_all(cluster)[0] == expected
    for node_id in cluster.node_ids:
        cluster.stop(node_id)
    lines = dumped(cluster, 1, 3)
    headers = [line for line in lines if line.startswith("baseOffset:")]
    assert headers
    assert all("isvalid: true" in line for line in headers)
    assert not [line for line in lines if "mismatch" in line.lower() or "out of order" in line.lower()]
    assert any("deleteHorizonMs: OptionalLong[" in line for line in headers)
    values: Table = {}
    for line in lines:
        record = re.search(r" key: (key-\d+)(?: payload: (\S+))?$", line)
        if record is not None:
            values.pop(record[1].encode(), None)
            if record[2] is not None:
                values[record[1].encode()] = record[2].encode()
    assert values == expected
