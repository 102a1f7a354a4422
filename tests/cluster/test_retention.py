"""Records that go: by age, by size, and on request, on three real brokers, one of which dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from raftkafka.storage.compression import Compression
from raftkafka.storage.record_batch import batches
from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SETTINGS = {
    "log.retention.check.interval.ms": "200",
    "replica.high.watermark.checkpoint.interval.ms": "200",
    "log.segment.delete.delay.ms": "300",
}
StartCluster = Callable[..., RealCluster]


def produce(cluster: RealCluster, topic: str, values: list[bytes]) -> None:
    """Each value is a batch of its own."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
        assert producer.flush(15) == 0


def bounds(cluster: RealCluster, topic: str) -> tuple[int, int]:
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "bounds"})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=15)
        return low, high
    finally:
        consumer.close()


def first_value(cluster: RealCluster, topic: str, offset: int) -> tuple[int, bytes | None]:
    """Where a consumer that starts at an offset finds its first record (it begins at the start when the offset is gone)."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "first", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(topic, 0, offset)])
        message = consumer.poll(20)
        assert message is not None and message.error() is None
        found = message.offset()
        assert found is not None
        return found, message.value()
    finally:
        consumer.close()


def alter(cluster: RealCluster, topic: str, **configs: str) -> None:
    entries = [ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET) for name, value in configs.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(15)


def files(home: Path, topic: str, suffix: str) -> list[Path]:
    return sorted(home.glob(f"**/{topic}-0/*{suffix}"))


def delete_before(cluster: RealCluster, topic: str, offset: int) -> int:
    """The new low watermark."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    (future,) = admin.delete_records([TopicPartition(topic, 0, offset)]).values()
    return int(future.result(20).low_watermark)


def test_records_go_by_age_by_size_and_on_request(own_cluster: StartCluster, tmp_path: Path) -> None:
    cluster = own_cluster(settings=SETTINGS)
    values = [b"%d" % number for number in range(40)]

    # By age, once the topic says so: segments of some eight batches each.
    cluster.create_topic("aging", replicas=3, config={"internal.segment.bytes": "600"})
    produce(cluster, "aging", values)
    assert bounds(cluster, "aging") == (0, 40)
    assert len(files(tmp_path, "aging", ".log")) > 9
    alter(cluster, "aging", retention_ms="1")
    eventually(lambda: bounds(cluster, "aging") == (40, 40), what="all records are too old")
    eventually(lambda: len(files(tmp_path, "aging", ".log")) == 3, what="an empty segment is left on each replica")
    eventually(lambda: not files(tmp_path, "aging", ".deleted"), what="the files of the others are gone")

    # By size.
    cluster.create_topic("sized", replicas=3, config={"internal.segment.bytes": "600", "retention.bytes": "1500"})
    produce(cluster, "sized", values)
    low = eventually(lambda: bounds(cluster, "sized")[0], what="the oldest segments are gone")
    assert 0 < low < 40
    assert first_value(cluster, "sized", 0) == (low, values[low])

    # On request, also while a replica is down; it learns when it returns, and may lead then.
    cluster.create_topic("deleted", replicas=3)
    produce(cluster, "deleted", values[:10])
    assert delete_before(cluster, "deleted", 4) == 4
    leader = cluster.leader_of("deleted")
    absent = next(node_id for node_id in cluster.node_ids if node_id != leader)
    cluster.kill(absent)
    assert delete_before(cluster, "deleted", 7) == 7
    with pytest.raises(KafkaException) as raised:
        delete_before(cluster, "deleted", 11)
    assert raised.value.args[0].code() == KafkaError.OFFSET_OUT_OF_RANGE
    cluster.start(absent)
    cluster.wait_healed()
    cluster.kill(leader)
    eventually(lambda: cluster.leader_of("deleted") != leader, what="another leader")
    assert bounds(cluster, "deleted") == (7, 10)
    assert first_value(cluster, "deleted", 2) == (7, values[7])


def test_broker_compresses_as_the_topic_says(own_cluster: StartCluster, tmp_path: Path) -> None:
    cluster = own_cluster(node_count=1, settings=SETTINGS)
    cluster.create_topic("packed", config={"compression.type": "zstd", "compression.zstd.level": "5"})
    produce(cluster, "packed", [b"x" * 10_000, b"y" * 10_000])
    (log,) = files(tmp_path, "packed", ".log")
    data = log.read_bytes()
    assert [header.compression_id for _, header in batches(data)] == [Compression.ZSTD] * 2
    assert len(data) < 1_000
    assert first_value(cluster, "packed", 1) == (1, b"y" * 10_000)
    alter(cluster, "packed", compression_type="producer")
    produce(cluster, "packed", [b"z" * 10_000])
    assert [header.compression_id for _, header in batches(log.read_bytes())][-1] == Compression.NONE
