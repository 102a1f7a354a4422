"""Records for tests, and the request that takes them to a lone node."""

from __future__ import annotations

from raftkafka.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from raftkafka.storage.record_batch import Record, build_batch
from tests.broker.one_node import OneNode


def record(value: bytes, *, key: bytes | None = None, timestamp: int = 1_700_000_000_000) -> Record:
    """A record without headers; its offset is given by the batch."""
    return Record(offset=0, timestamp=timestamp, key=key, value=value, headers=())


def produce(node: OneNode, topic: str, batch: bytes | bytearray, *, acks: int = -1, version: int = 9) -> PartitionProduceResponse:
    """Sends one batch to partition 0 and returns what became of it."""
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    response = node.request(ProduceRequest(acks=acks, timeout_ms=1_000, topic_data=[data]), ProduceResponse, version=version)
    return response.responses[0].partition_responses[0]


def produce_values(node: OneNode, topic: str, *values: bytes) -> PartitionProduceResponse:
    """Sends one batch of records with these values."""
    return produce(node, topic, build_batch([record(value) for value in values]))
