"""confluent-kafka (librdkafka) against real brokers: what its users do every day, and clear answers to what is not served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from tests.cluster.real_cluster import RealCluster, eventually

pytestmark = pytest.mark.cluster

Names = Callable[[str], str]


@pytest.fixture
def admin(shared_cluster: RealCluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": shared_cluster.bootstrap})


@pytest.fixture
def topic(admin: AdminClient, fresh_name: Names) -> str:
    """A new topic of four partitions."""
    name = fresh_name("confluent")
    admin.create_topics([NewTopic(name, num_partitions=4, replication_factor=3)])[name].result(10)
    return name


def producer(cluster: RealCluster, **settings: object) -> Producer:
    return Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True, **settings})


@contextmanager
def consumer(cluster: RealCluster, group: str, **settings: object) -> Iterator[Consumer]:
    made = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **settings,
        }
    )
    try:
        yield made
    finally:
        made.close()


def produce_all(client: Producer, topic: str, values: list[bytes], **more: object) -> list[Message]:
    """Produces and returns the acknowledged messages; fails on the first that was refused."""
    done: list[Message] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        done.append(message)

    for value in values:
        client.produce(topic, value=value, on_delivery=delivered, **more)
        client.poll(0)
    assert client.flush(20) == 0
    return done


def read(client: Consumer, count: int, *, timeout_s: float = 20) -> list[Message]:
    """This many messages, in the order in which they came."""
    messages: list[Message] = []
    deadline = time.monotonic() + timeout_s
    while len(messages) < count:
        assert time.monotonic() < deadline, f"{len(messages)} of {count} messages came"
        message = client.poll(0.5)
        if message is not None:
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def read_partition(cluster: RealCluster, topic: str, partition: int, count: int) -> list[Message]:
    """The first messages of a partition, read without joining a group."""
    with consumer(cluster, "nobody") as client:
        client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        return read(client, count)


def test_created_topic_is_usable_at_once_and_described(shared_cluster: RealCluster, admin: AdminClient, topic: str) -> None:
    produced = produce_all(producer(shared_cluster), topic, [b"first"], partition=3)
    described = admin.list_topics(topic, timeout=10).topics[topic]
    assert produced[0].offset() == 0
    assert sorted(described.partitions) == [0, 1, 2, 3]
    assert all(sorted(each.isrs) == [1, 2, 3] for each in described.partitions.values())


def test_keys_null_keys_null_values_headers_and_timestamps_come_back(shared_cluster: RealCluster, topic: str) -> None:
    client = producer(shared_cluster)
    headers = [("trace", b"\x00\xff"), ("empty", b""), ("null", None), ("trace", b"again")]
    client.produce(topic, key=b"k", value=b"v", partition=0, headers=headers, timestamp=1_700_000_000_123)
    client.produce(topic, key=None, value=b"no key", partition=0)
    client.produce(topic, key=b"tombstone", value=None, partition=0)
    client.produce(topic, key=b"", value=b"", partition=0)
    assert client.flush(10) == 0
    first, *others = read_partition(shared_cluster, topic, 0, 4)
    assert (first.key(), first.value(), first.headers(), first.timestamp()[1]) == (b"k", b"v", headers, 1_700_000_000_123)
    assert [(each.key(), each.value(), each.headers()) for each in others] == [
        (None, b"no key", None),
        (b"tombstone", None, None),
        (b"", b"", None),
    ]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_kept(shared_cluster: RealCluster, topic: str, codec: str) -> None:
    values = [b"compressible " * 20 + str(number).encode() for number in range(500)]
    produce_all(producer(shared_cluster, **{"compression.type": codec, "linger.ms": 50}), topic, values, partition=1)
    assert [each.value() for each in read_partition(shared_cluster, topic, 1, 500)] == values


def test_message_of_almost_a_megabyte_passes_and_a_larger_one_is_refused_by_the_broker(shared_cluster: RealCluster, topic: str) -> None:
    large = bytes(range(256)) * 4000
    client = producer(shared_cluster, **{"message.max.bytes": 10_000_000})
    assert produce_all(client, topic, [large], partition=0)[0].offset() == 0
    errors: list[KafkaError | None] = []
    client.produce(topic, value=bytes(2_000_000), partition=0, on_delivery=lambda error, _: errors.append(error))
    assert client.flush(10) == 0
    assert [error and error.code() for error in errors] == [KafkaError.MSG_SIZE_TOO_LARGE]
    assert read_partition(shared_cluster, topic, 0, 1)[0].value() == large


@pytest.mark.parametrize("acks", ["0", "1"])
def test_weaker_acks_deliver_as_well(shared_cluster: RealCluster, topic: str, acks: str) -> None:
    client = Producer({"bootstrap.servers": shared_cluster.bootstrap, "acks": acks})
    produce_all(client, topic, [b"a", b"b", b"c"], partition=2)
    assert [each.value() for each in read_partition(shared_cluster, topic, 2, 3)] == [b"a", b"b", b"c"]


def test_two_members_share_the_partitions_and_one_takes_over_the_other_s(
    shared_cluster: RealCluster, topic: str, fresh_name: Names
) -> None:
    group = fresh_name("group")
    with consumer(shared_cluster, group) as first:
        with consumer(shared_cluster, group) as second:
            first.subscribe([topic])
            second.subscribe([topic])

            def shares() -> bool:
                first.poll(0.05)
                second.poll(0.05)
                return (len(first.assignment()), len(second.assignment())) == (2, 2)

            eventually(shares, what="two partitions each")
            held = {each.partition for each in (*first.assignment(), *second.assignment())}
            assert held == {0, 1, 2, 3}

        def owns_all() -> bool:
            first.poll(0.05)
            return len(first.assignment()) == 4

        eventually(owns_all, what="the member that stays takes all")


@pytest.mark.parametrize("strategy", ["roundrobin", "cooperative-sticky"])
def test_other_assignors_work_through_the_broker(shared_cluster: RealCluster, topic: str, fresh_name: Names, strategy: str) -> None:
    produce_all(producer(shared_cluster), topic, [b"x"] * 40)
    group = fresh_name("group")
    settings = {"partition.assignment.strategy": strategy}
    with consumer(shared_cluster, group, **settings) as first, consumer(shared_cluster, group, **settings) as second:
        first.subscribe([topic])
        second.subscribe([topic])
        seen = set()

        def all_read() -> bool:
            for client in (first, second):
                message = client.poll(0.02)
                if message is not None and message.error() is None:
                    seen.add((message.partition(), message.offset()))
            return len(seen) == 40

        eventually(all_read, what="every record is read by one of the two")


def test_group_resumes_after_the_committed_offset(shared_cluster: RealCluster, topic: str, fresh_name: Names) -> None:
    group = fresh_name("group")
    produce_all(producer(shared_cluster), topic, [str(number).encode() for number in range(10)], partition=0)
    with consumer(shared_cluster, group) as client:
        client.subscribe([topic])
        client.commit(message=read(client, 6)[-1], asynchronous=False)
        assert [each.offset for each in client.committed([TopicPartition(topic, 0)], timeout=10)] == [6]
    with consumer(shared_cluster, group) as client:
        client.subscribe([topic])
        assert [each.value() for each in read(client, 4)] == [b"6", b"7", b"8", b"9"]


def test_static_member_returns_to_its_partitions(shared_cluster: RealCluster, topic: str, fresh_name: Names) -> None:
    group = fresh_name("group")
    produce_all(producer(shared_cluster), topic, [b"x"] * 4, partition=0)
    for _ in range(2):
        with consumer(shared_cluster, group, **{"group.instance.id": "the-one"}) as client:
            client.subscribe([topic])
            read(client, 4)


def test_offsets_by_time_and_watermarks(shared_cluster: RealCluster, topic: str) -> None:
    client = producer(shared_cluster)
    for timestamp in (1_000_000, 2_000_000, 3_000_000):
        client.produce(topic, value=b"x", partition=0, timestamp=timestamp)
    assert client.flush(10) == 0
    with consumer(shared_cluster, "nobody") as reader:
        assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 3)
        asked = [TopicPartition(topic, 0, timestamp) for timestamp in (0, 1_500_000, 9_000_000)]
        assert [reader.offsets_for_times([each], timeout=10)[0].offset for each in asked] == [0, 1, -1]


def test_reader_beyond_the_end_is_told_so(shared_cluster: RealCluster, topic: str) -> None:
    produce_all(producer(shared_cluster), topic, [b"only"], partition=0)
    with consumer(shared_cluster, "nobody", **{"auto.offset.reset": "error"}) as client:
        client.assign([TopicPartition(topic, 0, 100)])
        message = eventually(lambda: client.poll(0.5), what="an answer")
        assert message.error().code() == KafkaError._AUTO_OFFSET_RESET


def test_partitions_are_added_and_topic_is_deleted(shared_cluster: RealCluster, admin: AdminClient, topic: str) -> None:
    admin.create_partitions([NewPartitions(topic, 6)])[topic].result(10)
    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 6
    produce_all(producer(shared_cluster), topic, [b"new"], partition=5)
    admin.delete_topics([topic])[topic].result(10)
    assert topic not in admin.list_topics(timeout=10).topics


def test_configs_of_a_topic_are_described_and_altered(admin: AdminClient, topic: str) -> None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"retention.ms": "12345"})
    admin.alter_configs([resource])[resource].result(10)
    found = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])[resource].result(10)
    assert (found["retention.ms"].value, found["retention.ms"].is_default) == ("12345", False)
    assert (found["cleanup.policy"].value, found["cleanup.policy"].is_default) == ("delete", True)


@pytest.mark.parametrize(
    ("name", "partitions", "replicas", "code"),
    [
        ("bad name!", 1, 1, KafkaError.TOPIC_EXCEPTION),
        ("too-many-replicas", 1, 9, KafkaError.INVALID_REPLICATION_FACTOR),
        ("no-partitions", 0, 1, KafkaError.INVALID_PARTITIONS),
    ],
)
def test_impossible_topics_are_refused_with_their_code(admin: AdminClient, name: str, partitions: int, replicas: int, code: int) -> None:
    with pytest.raises(KafkaException) as refusal:
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=replicas)])[name].result(10)
    assert refusal.value.args[0].code() == code


def test_topic_that_exists_is_refused(admin: AdminClient, topic: str) -> None:
    with pytest.raises(KafkaException) as refusal:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(10)
    assert refusal.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


def test_groups_are_listed_described_and_deleted(shared_cluster: RealCluster, admin: AdminClient, topic: str, fresh_name: Names) -> None:
    group = fresh_name("group")
    produce_all(producer(shared_cluster), topic, [b"x"], partition=0)
    with consumer(shared_cluster, group) as client:
        client.subscribe([topic])
        client.commit(message=read(client, 1)[0], asynchronous=False)
        described = admin.describe_consumer_groups([group])[group].result(10)
        assert (described.state.name, len(described.members)) == ("STABLE", 1)
        assert group in {each.group_id for each in admin.list_consumer_groups().result(10).valid}
        with pytest.raises(KafkaException) as refusal:
            admin.delete_consumer_groups([group])[group].result(10)
        assert refusal.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    admin.delete_consumer_groups([group])[group].result(10)
    assert group not in {each.group_id for each in admin.list_consumer_groups().result(10).valid}


def test_transactions_are_refused_clearly_and_at_once(shared_cluster: RealCluster) -> None:
    client = producer(shared_cluster, **{"transactional.id": "not-served"})
    began = time.monotonic()
    with pytest.raises(KafkaException, match="transactions are not served") as refusal:
        client.init_transactions(15)
    assert refusal.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert time.monotonic() - began < 5
