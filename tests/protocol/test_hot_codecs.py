"""The hand-made codecs of Produce and Fetch are equal, byte for byte, to the declared messages."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.base.errors import DecodeError
from raftkafka.base.ids import ZERO_ID
from raftkafka.protocol import fetch_codec, produce_codec
from raftkafka.protocol.fetch_codec import FetchPartition, FetchPartitionResult, FetchRequestData, NodeEndpoint
from raftkafka.protocol.framing import RequestHeader, encode_request, encode_response, write_message
from raftkafka.protocol.messages import fetch, produce
from raftkafka.protocol.produce_codec import ProducePartitionResult

INT16 = st.integers(-(2**15), 2**15 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=8)
TOPIC_IDS = st.sampled_from([bytes([number]) * 16 for number in range(3)])
RECORDS = st.binary(max_size=40) | st.sampled_from([b"", b"r" * 2000])
LEADERS = st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9))
ENDPOINTS = st.lists(st.builds(NodeEndpoint, INT32, TEXT, INT32, st.none() | TEXT), max_size=2)

QUICK = settings(max_examples=10, deadline=None, derandomize=True)

PRODUCE_VERSIONS = range(3, 14)
FETCH_VERSIONS = range(4, 19)


def topics_for(by_id: bool) -> st.SearchStrategy[tuple[str | None, bytes | None]]:
    return st.tuples(st.none(), TOPIC_IDS) if by_id else st.tuples(TEXT, st.none())


def named(topic: str | None, topic_id: bytes | None) -> dict[str, Any]:
    return {"topic": topic or "", "topic_id": topic_id or ZERO_ID}


def by_topic(entries: list[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    return [(named(*topic), list(group)) for topic, group in groupby(entries, lambda entry: (entry.topic, entry.topic_id))]


def declared_produce_response(results: list[ProducePartitionResult], endpoints: list[NodeEndpoint]) -> produce.ProduceResponse:
    return produce.ProduceResponse(
        throttle_time_ms=7,
        responses=[
            produce.TopicProduceResponse(
                name=topic["topic"],
                topic_id=topic["topic_id"],
                partition_responses=[
                    produce.PartitionProduceResponse(
                        index=result.partition,
                        error_code=result.error_code,
                        base_offset=result.base_offset,
                        log_append_time_ms=result.log_append_time_ms,
                        log_start_offset=result.log_start_offset,
                        record_errors=[
                            produce.BatchIndexAndErrorMessage(batch_index=index, batch_index_error_message=message)
                            for index, message in result.record_errors
                        ],
                        error_message=result.error_message,
                        current_leader=produce.LeaderIdAndEpoch(leader_id=result.current_leader[0], leader_epoch=result.current_leader[1])
                        if result.current_leader
                        else produce.LeaderIdAndEpoch(),
                    )
                    for result in group
                ],
            )
            for topic, group in by_topic(results)
        ],
        node_endpoints=[produce.NodeEndpoint(node_id=each.node_id, host=each.host, port=each.port, rack=each.rack) for each in endpoints],
    )


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
@QUICK
@given(data=st.data())
def test_produce_request_is_read_as_the_declared_codec_reads_it(version: int, data: st.DataObject) -> None:
    partitions = st.lists(st.tuples(INT32, st.none() | RECORDS), max_size=3)
    topics = data.draw(st.lists(st.tuples(topics_for(version >= 13), partitions), max_size=3))
    request = produce.ProduceRequest(
        transactional_id=data.draw(st.none() | TEXT),
        acks=data.draw(INT16),
        timeout_ms=data.draw(INT32),
        topic_data=[
            produce.TopicProduceData(
                name=topic or "",
                topic_id=topic_id or ZERO_ID,
                partition_data=[produce.PartitionProduceData(index=index, records=records) for index, records in of_topic],
            )
            for (topic, topic_id), of_topic in topics
        ],
    )
    body = memoryview(b"head" + write_message(request, version))
    hot = produce_codec.decode_produce_request(body, 4, version)
    assert (hot.transactional_id, hot.acks, hot.timeout_ms) == (request.transactional_id, request.acks, request.timeout_ms)
    assert [(each.topic, each.topic_id, each.partition, each.records) for each in hot.partitions] == [
        (topic, topic_id, index, records) for (topic, topic_id), of_topic in topics for index, records in of_topic
    ]


@pytest.mark.parametrize("version", PRODUCE_VERSIONS)
@QUICK
@given(data=st.data())
def test_produce_response_is_written_as_the_declared_codec_writes_it(version: int, data: st.DataObject) -> None:
    results = [
        ProducePartitionResult(*topic, *rest)
        for topic, rest in data.draw(
            st.lists(
                st.tuples(
                    topics_for(version >= 13),
                    st.tuples(
                        INT32,
                        INT16,
                        INT64,
                        INT64,
                        INT64,
                        st.none() | TEXT,
                        st.lists(st.tuples(INT32, st.none() | TEXT), max_size=2),
                        LEADERS,
                    ),
                ),
                max_size=4,
            )
        )
    ]
    endpoints = data.draw(ENDPOINTS)
    expected = encode_response(RequestHeader(0, version, 5, None), declared_produce_response(results, endpoints))
    assert produce_codec.encode_produce_response(version, 5, results, endpoints, throttle_time_ms=7) == expected


def fetch_partitions(version: int) -> st.SearchStrategy[FetchPartition]:
    return topics_for(version >= 13).flatmap(
        lambda topic: st.builds(
            FetchPartition,
            topic=st.just(topic[0]),
            topic_id=st.just(topic[1]),
            partition=INT32,
            fetch_offset=INT64,
            partition_max_bytes=INT32,
            current_leader_epoch=INT32 if version >= 9 else st.just(-1),
            last_fetched_epoch=INT32 if version >= 12 else st.just(-1),
            log_start_offset=INT64 if version >= 5 else st.just(-1),
            replica_directory_id=TOPIC_IDS if version >= 17 else st.just(ZERO_ID),
            high_watermark=INT64 | st.just(2**63 - 1) if version >= 18 else st.just(2**63 - 1),
        )
    )


def fetch_requests(version: int) -> st.SearchStrategy[FetchRequestData]:
    forgotten = st.tuples(topics_for(version >= 13), INT32).map(lambda entry: (*entry[0], entry[1]))
    return st.builds(
        FetchRequestData,
        partitions=st.lists(fetch_partitions(version), max_size=4),
        max_wait_ms=INT32,
        min_bytes=INT32,
        max_bytes=INT32,
        replica_id=st.integers(-1, 5),
        replica_epoch=st.integers(-1, 5) if version >= 15 else st.just(-1),
        isolation_level=st.integers(0, 1),
        session_id=INT32 if version >= 7 else st.just(0),
        session_epoch=INT32 if version >= 7 else st.just(-1),
        forgotten=st.lists(forgotten, max_size=4) if version >= 7 else st.just([]),
        rack_id=TEXT if version >= 11 else st.just(""),
        cluster_id=st.none() | TEXT if version >= 12 else st.none(),
    )


def declared_fetch_request(request: FetchRequestData) -> fetch.FetchRequest:
    return fetch.FetchRequest(
        cluster_id=request.cluster_id,
        replica_id=request.replica_id,
        replica_state=fetch.ReplicaState(replica_id=request.replica_id, replica_epoch=request.replica_epoch),
        max_wait_ms=request.max_wait_ms,
        min_bytes=request.min_bytes,
        max_bytes=request.max_bytes,
        isolation_level=request.isolation_level,
        session_id=request.session_id,
        session_epoch=request.session_epoch,
        topics=[
            fetch.FetchTopic(
                **topic,
                partitions=[
                    fetch.FetchPartition(
                        partition=each.partition,
                        current_leader_epoch=each.current_leader_epoch,
                        fetch_offset=each.fetch_offset,
                        last_fetched_epoch=each.last_fetched_epoch,
                        log_start_offset=each.log_start_offset,
                        partition_max_bytes=each.partition_max_bytes,
                        replica_directory_id=each.replica_directory_id,
                        high_watermark=each.high_watermark,
                    )
                    for each in group
                ],
            )
            for topic, group in by_topic(request.partitions)
        ],
        forgotten_topics_data=[
            fetch.ForgottenTopic(**named(*topic), partitions=[partition for _, _, partition in group])
            for topic, group in groupby(request.forgotten, lambda entry: entry[:2])
        ],
        rack_id=request.rack_id,
    )


@pytest.mark.parametrize("version", FETCH_VERSIONS)
@QUICK
@given(data=st.data())
def test_fetch_request_is_written_and_read_as_by_the_declared_codec(version: int, data: st.DataObject) -> None:
    request = data.draw(fetch_requests(version))
    frame = fetch_codec.encode_fetch_request(version, 9, "client", request)
    assert frame == encode_request(1, version, 9, "client", declared_fetch_request(request))
    body = write_message(declared_fetch_request(request), version)
    assert fetch_codec.decode_fetch_request(memoryview(body), 0, version) == request


def fetch_results(version: int) -> st.SearchStrategy[FetchPartitionResult]:
    leaders = LEADERS if version >= 12 else st.none()
    return st.tuples(topics_for(version >= 13), RECORDS).flatmap(
        lambda drawn: st.builds(
            FetchPartitionResult,
            topic=st.just(drawn[0][0]),
            topic_id=st.just(drawn[0][1]),
            partition=INT32,
            error_code=INT16,
            high_watermark=INT64,
            last_stable_offset=INT64,
            log_start_offset=INT64 if version >= 5 else st.just(-1),
            diverging_epoch=leaders,
            current_leader=leaders,
            aborted_transactions=st.none() | st.lists(st.tuples(INT64, INT64), max_size=2),
            preferred_read_replica=INT32 if version >= 11 else st.just(-1),
            records=st.just((drawn[1],) if drawn[1] else ()),
            records_size=st.just(len(drawn[1])),
        )
    )


def declared_fetch_result(result: FetchPartitionResult) -> fetch.PartitionData:
    diverging_epoch, current_leader = fetch.EpochEndOffset(), fetch.LeaderIdAndEpoch()
    if result.diverging_epoch:
        diverging_epoch = fetch.EpochEndOffset(epoch=result.diverging_epoch[0], end_offset=result.diverging_epoch[1])
    if result.current_leader:
        current_leader = fetch.LeaderIdAndEpoch(leader_id=result.current_leader[0], leader_epoch=result.current_leader[1])
    aborted = result.aborted_transactions
    return fetch.PartitionData(
        partition_index=result.partition,
        error_code=result.error_code,
        high_watermark=result.high_watermark,
        last_stable_offset=result.last_stable_offset,
        log_start_offset=result.log_start_offset,
        diverging_epoch=diverging_epoch,
        current_leader=current_leader,
        aborted_transactions=None if aborted is None else [fetch.AbortedTransaction(producer_id=p, first_offset=o) for p, o in aborted],
        preferred_read_replica=result.preferred_read_replica,
        records=b"".join(result.records),
    )


@pytest.mark.parametrize("version", FETCH_VERSIONS)
@QUICK
@given(data=st.data())
def test_fetch_response_is_written_and_read_as_by_the_declared_codec(version: int, data: st.DataObject) -> None:
    results = data.draw(st.lists(fetch_results(version), max_size=4))
    endpoints = data.draw(ENDPOINTS) if version >= 16 else []
    error_code, session_id = (data.draw(INT16), data.draw(INT32)) if version >= 7 else (0, 0)
    declared = fetch.FetchResponse(
        throttle_time_ms=3,
        error_code=error_code,
        session_id=session_id,
        responses=[
            fetch.FetchableTopicResponse(**topic, partitions=[declared_fetch_result(each) for each in group])
            for topic, group in by_topic(results)
        ],
        node_endpoints=[fetch.NodeEndpoint(node_id=each.node_id, host=each.host, port=each.port, rack=each.rack) for each in endpoints],
    )
    buffers = fetch_codec.encode_fetch_response(
        version, 5, results, error_code=error_code, session_id=session_id, throttle_time_ms=3, node_endpoints=endpoints
    )
    assert b"".join(buffers) == encode_response(RequestHeader(1, version, 5, None), declared)
    response = fetch_codec.decode_fetch_response(memoryview(write_message(declared, version)), 0, version)
    assert (response.error_code, response.session_id, response.throttle_time_ms) == (error_code, session_id, 3)
    assert response.node_endpoints == endpoints
    assert response.partitions == results


def test_large_records_of_a_fetch_leave_as_the_buffers_that_the_log_gave() -> None:
    parts = (b"a" * 1500, bytearray(b"b" * 1500))
    result = FetchPartitionResult("topic", None, 0, records=parts, records_size=3000)
    buffers = fetch_codec.encode_fetch_response(12, 1, [result])
    assert any(buffer is parts[0] for buffer in buffers)
    assert any(buffer is parts[1] for buffer in buffers)


def test_produced_records_are_a_view_into_the_request() -> None:
    request = produce.ProduceRequest(
        topic_data=[produce.TopicProduceData(name="t", partition_data=[produce.PartitionProduceData(records=b"records")])]
    )
    body = bytearray(write_message(request, 9))
    records = produce_codec.decode_produce_request(memoryview(body), 0, 9).partitions[0].records
    assert records is not None
    assert bytes(records) == b"records"
    body[body.index(b"records")] = ord("R")
    assert bytes(records) == b"Records"


HOT_DECODERS = [
    pytest.param(decode, version, id=f"{decode.__name__}-v{version}")
    for decode, covered in (
        (produce_codec.decode_produce_request, PRODUCE_VERSIONS),
        (fetch_codec.decode_fetch_request, FETCH_VERSIONS),
        (fetch_codec.decode_fetch_response, FETCH_VERSIONS),
    )
    for version in covered
]


@pytest.mark.parametrize(("decode", "version"), HOT_DECODERS)
@QUICK
@given(body=st.binary(max_size=120))
def test_garbage_ends_in_decode_error(decode: Any, version: int, body: bytes) -> None:
    with suppress(DecodeError):
        decode(memoryview(body), 0, version)


@pytest.mark.parametrize("version", FETCH_VERSIONS)
@QUICK
@given(data=st.data())
def test_a_damaged_fetch_response_ends_in_decode_error_or_a_response(version: int, data: st.DataObject) -> None:
    results = data.draw(st.lists(fetch_results(version), min_size=1, max_size=3))
    frame = bytearray(b"".join(fetch_codec.encode_fetch_response(version, 5, results)))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    del frame[data.draw(st.integers(0, len(frame))) :]
    with suppress(DecodeError):
        fetch_codec.decode_fetch_response(memoryview(frame), min(9, len(frame)), version)


@pytest.mark.parametrize(
    ("decode", "encoded"),
    [
        (produce_codec.decode_produce_request, write_message(produce.ProduceRequest(), 9)),
        (fetch_codec.decode_fetch_request, write_message(fetch.FetchRequest(), 9)),
        (fetch_codec.decode_fetch_response, write_message(fetch.FetchResponse(), 9)),
    ],
)
def test_bytes_after_the_end_are_refused(decode: Any, encoded: bytes) -> None:
    decode(memoryview(encoded), 0, 9)
    with pytest.raises(DecodeError, match="1 bytes after the end"):
        decode(memoryview(encoded + b"\x00"), 0, 9)
