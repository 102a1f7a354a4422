"""aiokafka against real brokers: a client of old protocol versions (Metadata 5, Produce 8, Fetch 11, OffsetFetch 3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.cluster.real_cluster import RealCluster

pytestmark = pytest.mark.cluster

Names = Callable[[str], str]


def run(work: Coroutine[object, object, None], *, timeout_s: float = 60) -> None:
    """Runs a coroutine on a loop of its own, with a deadline."""

    async def limited() -> None:
        await asyncio.wait_for(work, timeout_s)

    asyncio.run(limited())


@asynccontextmanager
async def started(client: object) -> AsyncIterator[object]:
    await client.start()  # type: ignore[attr-defined]
    try:
        yield client
    finally:
        stop = getattr(client, "stop", None) or client.close  # type: ignore[attr-defined]
        await stop()


async def create(cluster: RealCluster, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=3)])
    finally:
        await admin.close()


def producer(cluster: RealCluster, **settings: object) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True, **settings)


def consumer(cluster: RealCluster, *topics: str, group: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        *topics, bootstrap_servers=cluster.bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )


async def read(client: AIOKafkaConsumer, count: int) -> list[object]:
    return [await asyncio.wait_for(client.getone(), 20) for _ in range(count)]


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_records_come_back_as_they_were_sent(shared_cluster: RealCluster, fresh_name: Names, codec: str | None) -> None:
    topic = fresh_name("aiokafka")
    headers = [("trace", b"\x00\xff"), ("empty", b"")]
    large = bytes(range(256)) * 3900

    async def work() -> None:
        await create(shared_cluster, topic)
        async with started(producer(shared_cluster, compression_type=codec, max_request_size=2_000_000)) as client:
            sent = [await client.send(topic, b"value %d" % number, key=b"k", headers=headers, partition=0) for number in range(300)]
            assert [(await each).offset for each in sent] == list(range(300))
            await client.send_and_wait(topic, b"no key", partition=0)
            await client.send_and_wait(topic, None, key=b"gone", partition=0)
            await client.send_and_wait(topic, large, partition=0)
        async with started(consumer(shared_cluster)) as client:
            client.assign([TopicPartition(topic, 0)])
            *first, no_key, tombstone, big = await read(client, 303)
        assert [(each.key, each.value, list(each.headers)) for each in first] == [(b"k", b"value %d" % n, headers) for n in range(300)]
        assert (no_key.key, no_key.value, tombstone.key, tombstone.value, big.value == large) == (None, b"no key", b"gone", None, True)

    run(work())


def test_two_members_share_a_topic_and_one_takes_over_the_other_s(shared_cluster: RealCluster, fresh_name: Names) -> None:
    topic, group = fresh_name("aiokafka"), fresh_name("group")

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - an assignment has no event to wait for
            await asyncio.sleep(0.05)

    async def work() -> None:
        await create(shared_cluster, topic)
        async with started(consumer(shared_cluster, topic, group=group)) as first:
            async with started(consumer(shared_cluster, topic, group=group)) as second:
                await until(lambda: (len(first.assignment()), len(second.assignment())) == (2, 2))
                assert first.assignment() | second.assignment() == {TopicPartition(topic, number) for number in range(4)}
            await until(lambda: len(first.assignment()) == 4)

    run(work())


def test_group_resumes_after_the_committed_offset(shared_cluster: RealCluster, fresh_name: Names) -> None:
    topic, group = fresh_name("aiokafka"), fresh_name("group")

    async def work() -> None:
        await create(shared_cluster, topic)
        async with started(producer(shared_cluster)) as client:
            for number in range(10):
                await client.send_and_wait(topic, b"%d" % number, partition=1)
        async with started(consumer(shared_cluster, topic, group=group)) as client:
            await read(client, 10)
            await client.commit({TopicPartition(topic, 1): 6})
            assert await client.committed(TopicPartition(topic, 1)) == 6
        async with started(consumer(shared_cluster, topic, group=group)) as client:
            assert [each.value for each in await read(client, 4)] == [b"6", b"7", b"8", b"9"]

    run(work())


def test_transactions_are_refused_clearly_and_at_once(shared_cluster: RealCluster) -> None:
    async def work() -> None:
        client = producer(shared_cluster, transactional_id="not-served")
        with pytest.raises(KafkaError):
            await client.start()
        await client.stop()

    began = time.monotonic()
    run(work())
    assert time.monotonic() - began < 10
