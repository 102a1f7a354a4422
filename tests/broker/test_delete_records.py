"""DeleteRecords through a whole node: the codes that clients get, and what they can read afterwards."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from raftkafka.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic
from tests.broker.one_node import OneNode
from tests.broker.records import produce_values

EARLIEST = -2


@pytest.fixture
def node() -> OneNode:
    node = OneNode()
    node.create_topic("events")
    for value in (b"a", b"b", b"c"):
        produce_values(node, "events", value)
    return node


def delete(node: OneNode, topic: str, offset: int, *, partition: int = 0, version: int = 2) -> tuple[int, int]:
    """The error code and the low watermark."""
    asked = DeleteRecordsTopic(name=topic, partitions=[DeleteRecordsPartition(partition_index=partition, offset=offset)])
    response = node.request(DeleteRecordsRequest(topics=[asked], timeout_ms=1_000), DeleteRecordsResponse, version=version)
    (result,) = response.topics[0].partitions
    return result.error_code, result.low_watermark


def earliest(node: OneNode) -> int:
    asked = ListOffsetsTopic(name="events", partitions=[ListOffsetsPartition(partition_index=0, timestamp=EARLIEST)])
    response = node.request(ListOffsetsRequest(replica_id=-1, topics=[asked]), ListOffsetsResponse, version=7)
    return response.topics[0].partitions[0].offset


@pytest.mark.parametrize("version", [0, 1, 2])
def test_records_before_the_offset_are_gone(node: OneNode, version: int) -> None:
    assert delete(node, "events", 2, version=version) == (ErrorCode.NONE, 2)
    assert earliest(node) == 2


def test_refusals(node: OneNode) -> None:
    assert delete(node, "events", 4) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert delete(node, "nothing", 0) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert delete(node, "events", 0, partition=7) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    node.create_topic("state", cleanup_policy="compact")
    assert delete(node, "state", 0) == (ErrorCode.POLICY_VIOLATION, -1)
    node.create_topic("__consumer_offsets")
    assert delete(node, "__consumer_offsets", 0) == (ErrorCode.INVALID_TOPIC_EXCEPTION, -1)


def test_deleted_records_stay_deleted_when_the_process_is_killed_soon_after(node: OneNode) -> None:
    delete(node, "events", 2)
    node.run(150)
    assert b"events 0 2" in node.disk.read_file("data/log-start-offset-checkpoint")
