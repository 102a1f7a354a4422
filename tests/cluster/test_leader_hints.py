"""Pitfall 20: a broker that does not lead says who does, and where (KIP-951), so that a client need not ask for metadata first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from raftkafka.base.errors import ErrorCode
from raftkafka.client.connection import connect
from raftkafka.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from raftkafka.storage.record_batch import Record, build_batch
from tests.cluster.real_cluster import RealCluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RECORDS = build_batch([Record(offset=0, timestamp=1_700_000_000_000, key=None, value=b"x")])


def test_a_refusal_names_the_leader_and_its_address(shared_cluster: RealCluster, fresh_name: Callable[[str], str]) -> None:
    topic = fresh_name("hints")
    shared_cluster.create_topic(topic)
    leader = shared_cluster.leader_of(topic)
    endpoint = (leader, "127.0.0.1", shared_cluster.node(leader).port)
    other = next(node_id for node_id in shared_cluster.node_ids if node_id != leader)
    produced, fetched = trio.run(ask_the_wrong_broker, shared_cluster.node(other).port, topic)
    of_produce = produced.responses[0].partition_responses[0]
    of_fetch = fetched.responses[0].partitions[0]
    for answer in (of_produce, of_fetch):
        assert (answer.error_code, answer.current_leader.leader_id) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, leader)
    for response in (produced, fetched):
        assert [(node.node_id, node.host, node.port) for node in response.node_endpoints] == [endpoint]


async def ask_the_wrong_broker(port: int, topic: str) -> tuple[ProduceResponse, FetchResponse]:
    async with connect("127.0.0.1", port, client_id="hints", timeout_s=10) as connection:
        metadata: MetadataResponse = await connection.request(MetadataRequest(topics=[MetadataRequestTopic(name=topic)]))
        topic_id = metadata.topics[0].topic_id
        data = TopicProduceData(name=topic, topic_id=topic_id, partition_data=[PartitionProduceData(index=0, records=RECORDS)])
        produced: ProduceResponse = await connection.request(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[data]))
        partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000, current_leader_epoch=0)
        fetch = FetchRequest(max_wait_ms=0, min_bytes=0, topics=[FetchTopic(topic=topic, topic_id=topic_id, partitions=[partition])])
        fetched: FetchResponse = await connection.request(fetch, version=16)
    return produced, fetched
