"""kafka-python against real brokers: it negotiates nearly the same modern versions as the Java client, from Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.codec import has_snappy
from kafka.errors import KafkaError, TopicAlreadyExistsError

from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = pytest.mark.cluster

Names = Callable[[str], str]


@pytest.fixture
def admin(shared_cluster: RealCluster) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=shared_cluster.bootstrap)) as client:
        yield client


@pytest.fixture
def topic(admin: KafkaAdminClient, fresh_name: Names) -> str:
    """A new topic of four partitions."""
    name = fresh_name("kafka-python")
    admin.create_topics([NewTopic(name, num_partitions=4, replication_factor=3)])
    return name


def producer(cluster: RealCluster, **settings: object) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True, **settings)


def consumer(cluster: RealCluster, *topics: str, group: str | None = None) -> KafkaConsumer:
    return KafkaConsumer(
        *topics, bootstrap_servers=cluster.bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )


def read(client: KafkaConsumer, count: int) -> list[object]:
    """This many records, in the order in which they came."""
    records: list[object] = []

    def enough() -> bool:
        for found in client.poll(timeout_ms=500).values():
            records.extend(found)
        return len(records) >= count

    eventually(enough, what=f"{count} records")
    return records


@pytest.mark.parametrize(
    "codec",
    [
        None,
        "gzip",
        "lz4",
        pytest.param("snappy", marks=pytest.mark.skipif(not has_snappy(), reason="kafka-python wants python-snappy")),
        "zstd",
    ],
)
def test_records_come_back_as_they_were_sent(shared_cluster: RealCluster, topic: str, codec: str | None) -> None:
    headers = [("trace", b"\x00\xff"), ("empty", b"")]
    with closing(producer(shared_cluster, compression_type=codec)) as client:
        futures = [client.send(topic, key=b"k", value=b"value %d" % number, headers=headers, partition=0) for number in range(300)]
        futures += [client.send(topic, key=None, value=b"no key", partition=0), client.send(topic, key=b"gone", value=None, partition=0)]
        assert [future.get(timeout=20).offset for future in futures] == list(range(302))
    with closing(consumer(shared_cluster)) as client:
        client.assign([TopicPartition(topic, 0)])
        *first, no_key, tombstone = read(client, 302)
    assert [(each.key, each.value, list(each.headers)) for each in first] == [
        (b"k", b"value %d" % number, headers) for number in range(300)
    ]
    assert (no_key.key, no_key.value, tombstone.key, tombstone.value) == (None, b"no key", b"gone", None)


def test_message_of_almost_a_megabyte(shared_cluster: RealCluster, topic: str) -> None:
    large = bytes(range(256)) * 4000
    with closing(producer(shared_cluster, max_request_size=2_000_000)) as client:
        client.send(topic, value=large, partition=2).get(timeout=20)
    with closing(consumer(shared_cluster)) as client:
        client.assign([TopicPartition(topic, 2)])
        assert read(client, 1)[0].value == large


def test_two_members_share_a_topic_and_the_rest_is_read_after_one_has_left(
    shared_cluster: RealCluster, topic: str, fresh_name: Names
) -> None:
    group = fresh_name("group")
    held: list[set[TopicPartition]] = [set(), set()]
    leave = [threading.Event(), threading.Event()]

    def member(number: int) -> None:
        with closing(consumer(shared_cluster, topic, group=group)) as client:
            # kafka-python 3.0.12 may join before it knows the topic, and then at times never takes up what it is assigned.
            assert client.partitions_for_topic(topic)
            while not leave[number].is_set():
                client.poll(timeout_ms=100)
                held[number] = client.assignment()
            held[number] = set()

    threads = [threading.Thread(target=member, args=(number,), daemon=True) for number in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: [len(each) for each in held] == [2, 2], what="two partitions each", timeout_s=30)
        leave[0].set()
        eventually(lambda: [len(each) for each in held] == [0, 4], what="the member that stays takes all", timeout_s=30)
    finally:
        for event in leave:
            event.set()
        for thread in threads:
            thread.join(timeout=20)


def test_group_resumes_after_the_committed_offset(shared_cluster: RealCluster, topic: str, fresh_name: Names) -> None:
    group = fresh_name("group")
    with closing(producer(shared_cluster)) as client:
        for number in range(10):
            client.send(topic, value=b"%d" % number, partition=1).get(timeout=20)
    with closing(consumer(shared_cluster, topic, group=group)) as client:
        read(client, 10)
        client.seek(TopicPartition(topic, 1), 6)
        client.commit()
        assert client.committed(TopicPartition(topic, 1)) == 6
    with closing(consumer(shared_cluster, topic, group=group)) as client:
        assert [each.value for each in read(client, 4)] == [b"6", b"7", b"8", b"9"]


def test_offsets_by_time_and_watermarks(shared_cluster: RealCluster, topic: str) -> None:
    with closing(producer(shared_cluster)) as client:
        for timestamp in (1_000_000, 2_000_000, 3_000_000):
            client.send(topic, value=b"x", partition=0, timestamp_ms=timestamp).get(timeout=20)
    partition = TopicPartition(topic, 0)
    with closing(consumer(shared_cluster)) as client:
        assert (client.beginning_offsets([partition])[partition], client.end_offsets([partition])[partition]) == (0, 3)
        found = client.offsets_for_times({partition: 1_500_000})[partition]
        assert (found.offset, found.timestamp) == (1, 2_000_000)


def test_admin_describes_topics_quorum_and_producers(shared_cluster: RealCluster, admin: KafkaAdminClient, topic: str) -> None:
    with closing(producer(shared_cluster)) as client:
        client.send(topic, value=b"x", partition=0).get(timeout=20)
    assert topic in admin.list_topics()
    described = admin.describe_topics([topic])[0]
    assert sorted(sorted(each["isr_nodes"]) for each in described["partitions"]) == [[1, 2, 3]] * 4
    assert admin.describe_cluster()["cluster_id"] == shared_cluster.layout.cluster_id
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])


def test_transactions_are_refused_clearly_and_at_once(shared_cluster: RealCluster) -> None:
    began = time.monotonic()
    with closing(producer(shared_cluster, transactional_id="not-served")) as client, pytest.raises(KafkaError):
        client.init_transactions()
    assert time.monotonic() - began < 10
