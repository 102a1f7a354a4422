"""What a broker refuses of the records it is sent, which of them it names, and what it writes itself: as Apache Kafka 4.3.1 answers."""

from __future__ import annotations

import os

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from raftkafka.protocol.messages.produce import PartitionProduceResponse
from raftkafka.storage.compression import Compression
from raftkafka.storage.record_batch import Record, build_batch
from tests.broker.one_node import START_MS, OneNode
from tests.broker.records import produce, record

HOUR_MS = 3_600_000


@pytest.fixture
def node() -> OneNode:
    return OneNode()


def at(*offsets_ms: int) -> list[Record]:
    """Records with times that are so far from the broker's."""
    return [record(b"value", key=b"key", timestamp=START_MS + 1_000 + offset_ms) for offset_ms in offsets_ms]


def errors(response: PartitionProduceResponse) -> list[tuple[int, str | None]]:
    return [(error.batch_index, error.batch_index_error_message) for error in response.record_errors]


def offset_for(node: OneNode, topic: str, timestamp: int, *, version: int = 11) -> ListOffsetsPartitionResponse:
    asked = ListOffsetsTopic(name=topic, partitions=[ListOffsetsPartition(partition_index=0, timestamp=timestamp)])
    response = node.request(ListOffsetsRequest(replica_id=-1, topics=[asked]), ListOffsetsResponse, version=version)
    return response.topics[0].partitions[0]


def test_records_of_the_far_future_are_named(node: OneNode) -> None:
    node.create_topic("events")
    response = produce(node, "events", build_batch(at(0, 2 * HOUR_MS, 0, 3 * HOUR_MS)))
    assert response.error_code == ErrorCode.INVALID_TIMESTAMP
    assert response.error_message == "One or more records have been rejected due to invalid timestamp"
    assert [index for index, _ in errors(response)] == [1, 3]
    text = errors(response)[0][1] or ""
    assert text.startswith(f"Timestamp {START_MS + 1_000 + 2 * HOUR_MS} of message with offset 1 is out of range. The timestamp should be")
    assert produce(node, "events", build_batch(at(HOUR_MS - 1_000))).error_code == ErrorCode.NONE


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.LZ4])
def test_old_records_are_named_where_the_topic_has_a_bound(node: OneNode, compression: Compression) -> None:
    node.create_topic("events", message_timestamp_before_max_ms="10000")
    response = produce(node, "events", build_batch(at(0, -20_000, -9_000), compression=compression))
    assert response.error_code == ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in errors(response)] == [1]
    assert produce(node, "events", build_batch([record(b"no time", timestamp=-1)])).error_code == ErrorCode.NONE


def test_topic_with_the_brokers_time_takes_any_time_of_the_producer(node: OneNode) -> None:
    node.create_topic("events", message_timestamp_type="LogAppendTime")
    response = produce(node, "events", build_batch(at(-HOUR_MS, 9 * HOUR_MS)))
    assert (response.error_code, response.log_append_time_ms) == (ErrorCode.NONE, node.now_ms)
    found = offset_for(node, "events", node.now_ms)
    assert (found.offset, found.timestamp) == (0, node.now_ms)


def test_records_without_key_are_named_where_the_topic_is_compacted(node: OneNode) -> None:
    node.create_topic("state", cleanup_policy="compact")
    response = produce(node, "state", build_batch([record(b"a", key=b"k"), record(b"b"), record(b"c"), record(b"d"), record(b"e")]))
    text = "Compacted topic cannot accept message without key in topic partition state-0"
    assert response.error_code == ErrorCode.INVALID_RECORD
    assert errors(response) == [(index, text) for index in (1, 2, 3, 4)]
    start = "One or more records have been rejected due to 4 record errors in total, and only showing the first three errors at most: "
    shown = ", ".join(f"RecordError(batchIndex={index}, message='{text}')" for index in (1, 2, 3))
    assert response.error_message == f"{start}[{shown}]"


def test_batch_must_not_exceed_the_topics_size_before_or_after_the_broker_compresses_it(node: OneNode) -> None:
    node.create_topic("small", max_message_bytes="300")
    assert produce(node, "small", build_batch([record(bytes(300))])).error_code == ErrorCode.MESSAGE_TOO_LARGE
    node.create_topic("compressed", max_message_bytes="300", compression_type="gzip")
    assert produce(node, "compressed", build_batch([record(bytes(230))])).error_code == ErrorCode.NONE
    incompressible = build_batch([record(os.urandom(229))])
    assert len(incompressible) <= 300
    assert produce(node, "compressed", incompressible).error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_batch_must_fit_into_a_segment(node: OneNode) -> None:
    node.create_topic("segments", internal_segment_bytes="1000", max_message_bytes="100000")
    assert produce(node, "segments", build_batch([record(bytes(1_000))])).error_code == ErrorCode.RECORD_LIST_TOO_LARGE


def test_special_timestamps_belong_to_versions(node: OneNode) -> None:
    node.create_topic("events")
    for offset_ms in (0, 500, 200):
        produce(node, "events", build_batch(at(offset_ms)))
    latest = START_MS + 1_500
    assert [(offset_for(node, "events", special).offset) for special in (-1, -2, -3, -4, -5, -6)] == [3, 0, 1, 0, -1, -1]
    assert offset_for(node, "events", -3).timestamp == latest
    assert offset_for(node, "events", latest - 400).offset == 1
    assert offset_for(node, "events", latest + 1).offset == -1
    for special, first_version in ((-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 12)):
        for version in (first_version - 1, first_version):
            if version <= 11:
                code = offset_for(node, "events", special, version=version).error_code
                assert code == (ErrorCode.UNSUPPORTED_VERSION if version < first_version else ErrorCode.NONE)
