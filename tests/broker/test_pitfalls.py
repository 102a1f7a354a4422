"""Every pitfall of the protocol that others fell into (reference/kafka-protocol.md 1.4), by its number, on a whole node.

Those about encodings alone (1, 9, 10, 18) are in tests/protocol; 20 needs two brokers and is in tests/cluster/test_leader_hints.py.
"""

from __future__ import annotations

import struct

import pytest

from raftkafka.base.errors import DecodeError, ErrorCode
from raftkafka.broker.handlers import SERVED
from raftkafka.protocol.framing import encode_request, read_message, read_response_header
from raftkafka.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from raftkafka.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest
from raftkafka.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from raftkafka.protocol.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from raftkafka.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from raftkafka.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from raftkafka.storage.record_batch import build_batch
from tests.broker.one_node import CLUSTER_ID, OneNode
from tests.broker.records import record


def introduction(*, cluster_id: str | None = None, node_id: int = -1) -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name="test-client", client_software_version="1.0", cluster_id=cluster_id, node_id=node_id)


@pytest.fixture(scope="module")
def cluster() -> OneNode:
    node = OneNode()
    node.create_topic("orders", partitions=2)
    return node


def produce(
    cluster: OneNode, *, topic: str = "orders", acks: int = -1, version: int = 9, values: int = 1, size: int = 1
) -> ProduceResponse:
    batch = build_batch([record(b"x" * size) for _ in range(values)])
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    return cluster.request(ProduceRequest(acks=acks, timeout_ms=1000, topic_data=[data]), ProduceResponse, version=version)


def fetch_request(
    topic: str, topic_id: bytes, offset: int, *, limit_bytes: int = 1 << 20, session_id: int = 0, session_epoch: int = -1
) -> FetchRequest:
    partition = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=limit_bytes)
    return FetchRequest(
        replica_id=-1,
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=limit_bytes,
        session_id=session_id,
        session_epoch=session_epoch,
        topics=[FetchTopic(topic=topic, topic_id=topic_id, partitions=[partition])],
    )


def test_1_api_versions_is_answered_with_header_version_0_in_every_version(cluster: OneNode) -> None:
    for version in range(6):
        connection = cluster.connect()
        cluster.send(connection, encode_request(18, version, 77, "test", introduction())[4:])
        (frame,) = cluster.frames(connection)
        assert struct.unpack_from(">i", frame) == (77,)
        response, end = read_message(ApiVersionsResponse, version, frame, 4)
        assert end == len(frame)
        assert response.error_code == 0


def test_2_an_unknown_api_versions_version_is_answered_in_version_0_with_the_own_range(cluster: OneNode) -> None:
    connection = cluster.connect()
    cluster.send(connection, struct.pack(">hhih", 18, 99, 5, 4) + b"test" + b"\x00whatever follows in a version of the future")
    (frame,) = cluster.frames(connection)
    response, end = read_message(ApiVersionsResponse, 0, frame, 4)
    assert end == len(frame)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(api.api_key, api.min_version, api.max_version) for api in response.api_keys] == [(18, 0, 5)]


@pytest.mark.parametrize("name", ["", "-starts-with-dash", "ends-with-dot.", "has space", "snowman\N{SNOWMAN}"])
def test_3_a_client_must_have_a_proper_software_name(cluster: OneNode, name: str) -> None:
    request = ApiVersionsRequest(client_software_name=name, client_software_version="1.0")
    assert cluster.request(request, ApiVersionsResponse, version=3).error_code == ErrorCode.INVALID_REQUEST


def test_4_produce_is_advertised_from_0_although_it_is_refused_below_3(cluster: OneNode) -> None:
    response = cluster.request(introduction(), ApiVersionsResponse, version=3)
    advertised = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
    assert advertised[0] == (0, 13)
    with pytest.raises(DecodeError, match="version 2 of Produce"):
        cluster.send(cluster.connect(), struct.pack(">hhih", 0, 2, 1, -1))


def test_5_features_with_minimum_0_are_left_out_before_version_4(cluster: OneNode) -> None:
    old = cluster.request(introduction(), ApiVersionsResponse, version=3)
    new = cluster.request(introduction(), ApiVersionsResponse, version=4)
    assert all(feature.min_version > 0 for feature in old.supported_features)
    assert any(feature.min_version == 0 for feature in new.supported_features)


def test_6_the_epoch_of_finalized_features_never_goes_back(cluster: OneNode) -> None:
    before = cluster.request(introduction(), ApiVersionsResponse, version=4)
    cluster.create_topic("features-epoch")
    after = cluster.request(introduction(), ApiVersionsResponse, version=4)
    assert 0 <= before.finalized_features_epoch < after.finalized_features_epoch
    assert {feature.name: feature.max_version_level for feature in after.finalized_features}["metadata.version"] == 30


def test_7_unstable_versions_and_unserved_apis_are_not_advertised(cluster: OneNode) -> None:
    response = cluster.request(introduction(), ApiVersionsResponse, version=4)
    advertised = {api.api_key: api.max_version for api in response.api_keys}
    assert advertised[22] == 5
    assert set(advertised) == set(SERVED)


def test_8_a_recreated_topic_is_another_topic(cluster: OneNode) -> None:
    old_id = cluster.create_topic("reborn")
    topic = DeleteTopicState(name=None, topic_id=old_id)
    assert (
        cluster.request(DeleteTopicsRequest(topics=[topic], timeout_ms=5000), DeleteTopicsResponse, version=6).responses[0].error_code == 0
    )
    new_id = cluster.create_topic("reborn")
    assert old_id != new_id
    stale = cluster.request(fetch_request("", old_id, 0), FetchResponse, version=13)
    assert stale.responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID
    by_id = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=old_id)])
    assert cluster.request(by_id, MetadataResponse, version=12).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_8_metadata_before_version_12_does_not_act_on_topic_ids(cluster: OneNode) -> None:
    topic_id = cluster.request(MetadataRequest(topics=None), MetadataResponse, version=12).topics[0].topic_id
    request = MetadataRequest(topics=[MetadataRequestTopic(name="orders", topic_id=topic_id)])
    assert cluster.request(request, MetadataResponse, version=11).topics[0].error_code == ErrorCode.INVALID_REQUEST


def test_11_metadata_version_0_lists_all_topics_for_an_empty_list_and_later_versions_none(cluster: OneNode) -> None:
    assert cluster.request(MetadataRequest(topics=[]), MetadataResponse, version=0).topics
    assert not cluster.request(MetadataRequest(topics=[]), MetadataResponse, version=1).topics
    assert cluster.request(MetadataRequest(topics=None), MetadataResponse, version=1).topics


def test_12_responses_keep_the_order_of_their_requests(cluster: OneNode) -> None:
    connection = cluster.connect()
    waiting = FetchRequest(replica_id=-1, max_wait_ms=300, min_bytes=1, topics=[])
    waiting.topics = [FetchTopic(topic="orders", partitions=[FetchPartition(partition=1, fetch_offset=0, partition_max_bytes=1024)])]
    cluster.send(connection, encode_request(1, 11, 1, "test", waiting)[4:])
    cluster.send(connection, encode_request(18, 0, 2, "test", ApiVersionsRequest())[4:])
    assert cluster.frames(connection) == [], "the second answer may not overtake the first"
    cluster.run(400)
    assert [struct.unpack_from(">i", frame)[0] for frame in cluster.frames(connection)] == [1, 2]


def test_12_acks_0_gets_no_response_at_all(cluster: OneNode) -> None:
    connection = cluster.connect()
    data = TopicProduceData(name="orders", partition_data=[PartitionProduceData(index=0, records=build_batch([record(b"quiet")]))])
    cluster.send(connection, encode_request(0, 9, 1, "test", ProduceRequest(acks=0, timeout_ms=1000, topic_data=[data]))[4:])
    cluster.send(connection, encode_request(18, 0, 2, "test", ApiVersionsRequest())[4:])
    cluster.run(100)
    assert [struct.unpack_from(">i", frame)[0] for frame in cluster.frames(connection)] == [2]


def test_12_a_refused_acks_0_request_closes_the_connection(cluster: OneNode) -> None:
    connection = cluster.connect()
    data = TopicProduceData(name="missing", partition_data=[PartitionProduceData(index=0, records=build_batch([record(b"lost")]))])
    cluster.send(connection, encode_request(0, 9, 1, "test", ProduceRequest(acks=0, timeout_ms=1000, topic_data=[data]))[4:])
    assert [closed for closed, _ in cluster.closed] == [connection]


def test_13_a_fetch_into_the_middle_of_a_batch_returns_the_whole_batch(cluster: OneNode) -> None:
    cluster.create_topic("middle")
    assert produce(cluster, topic="middle", values=10).responses[0].partition_responses[0].base_offset == 0
    response = cluster.request(fetch_request("middle", bytes(16), 5), FetchResponse, version=11)
    records = response.responses[0].partitions[0].records
    assert records is not None
    assert struct.unpack_from(">q", records) == (0,), "the batch begins before the offset that was asked for"


def test_13_at_least_one_batch_is_returned_whatever_the_limit(cluster: OneNode) -> None:
    cluster.create_topic("limits")
    produce(cluster, topic="limits", size=5000)
    response = cluster.request(fetch_request("limits", bytes(16), 0, limit_bytes=1), FetchResponse, version=11)
    assert len(response.responses[0].partitions[0].records or b"") > 5000


def test_14_wrong_sessions_are_told_so(cluster: OneNode) -> None:
    unknown = cluster.request(fetch_request("orders", bytes(16), 0, session_id=12345, session_epoch=1), FetchResponse, version=11)
    assert unknown.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    opened = cluster.request(fetch_request("orders", bytes(16), 0, session_id=0, session_epoch=0), FetchResponse, version=11)
    assert opened.session_id != 0
    request = FetchRequest(replica_id=-1, max_wait_ms=0, min_bytes=0, session_id=opened.session_id, session_epoch=7)
    assert cluster.request(request, FetchResponse, version=11).error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH


def test_15_a_batch_above_max_message_bytes_is_too_large(cluster: OneNode) -> None:
    cluster.create_topic("small", max_message_bytes="1000")
    answer = produce(cluster, topic="small", size=2000).responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_16_a_read_committed_consumer_reads_up_to_the_last_stable_offset(cluster: OneNode) -> None:
    """Without open transactions that is the high watermark, and nothing is aborted."""
    cluster.create_topic("committed")
    produce(cluster, topic="committed", values=3)
    request = fetch_request("committed", bytes(16), 0)
    request.isolation_level = 1
    partition = cluster.request(request, FetchResponse, version=11).responses[0].partitions[0]
    assert (partition.last_stable_offset, partition.high_watermark) == (3, 3)
    assert not partition.aborted_transactions
    assert partition.records


def test_17_a_member_is_given_its_id_before_it_may_join(cluster: OneNode) -> None:
    found = cluster.request(FindCoordinatorRequest(coordinator_keys=["connect"]), FindCoordinatorResponse, version=4)
    assert found.coordinators[0].error_code == 0
    request = JoinGroupRequest(
        group_id="connect",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=10_000,
        protocol_type="connect",
        protocols=[JoinGroupRequestProtocol(name="sessioned", metadata=b"\x00opaque to a broker")],
    )
    first = cluster.request(request, JoinGroupResponse, version=5)
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    request.member_id = first.member_id
    second = cluster.request(request, JoinGroupResponse, version=5)
    assert (second.error_code, second.leader, second.protocol_name) == (0, first.member_id, "sessioned")
    assert [bytes(member.metadata) for member in second.members] == [b"\x00opaque to a broker"]
    leave = LeaveGroupRequest(group_id="connect", members=[MemberIdentity(member_id=first.member_id)])
    assert [member.error_code for member in cluster.request(leave, LeaveGroupResponse, version=3).members] == [0]


def test_19_a_partition_without_a_live_leader_says_leader_not_available(cluster: OneNode) -> None:
    """librdkafka gives a partition up for ever when it is told leader -1 without an error (librdkafka#5430)."""
    response = cluster.request(MetadataRequest(topics=[MetadataRequestTopic(name="orders")]), MetadataResponse, version=9)
    for partition in response.topics[0].partitions:
        assert (partition.leader_id == -1) == (partition.error_code == ErrorCode.LEADER_NOT_AVAILABLE)


def test_21_what_is_off_is_refused_in_words_and_not_left_hanging(cluster: OneNode) -> None:
    request = FindCoordinatorRequest(key_type=1, coordinator_keys=["tx"])
    answer = cluster.request(request, FindCoordinatorResponse, version=4).coordinators[0]
    assert answer.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "a code that clients do not retry"
    for telemetry in (71, 72, 68):
        assert telemetry not in SERVED


def test_kip_1242_a_client_of_another_cluster_or_node_must_bootstrap_again(cluster: OneNode) -> None:
    right = introduction(cluster_id=CLUSTER_ID, node_id=1)
    assert cluster.request(right, ApiVersionsResponse, version=5).error_code == 0
    wrong = introduction(cluster_id="another-cluster-altogether", node_id=1)
    assert cluster.request(wrong, ApiVersionsResponse, version=5).error_code == ErrorCode.REBOOTSTRAP_REQUIRED


def test_bytes_after_the_end_of_a_body_are_ignored(cluster: OneNode) -> None:
    """librdkafka sends a longer count than the compact form has when it asks for all topics (librdkafka#5049); Kafka ignores the rest."""
    connection = cluster.connect()
    cluster.send(connection, encode_request(60, 0, 1, "test", DescribeClusterRequest())[4:] + b"\x00")
    assert len(cluster.frames(connection)) == 1


def test_header_of_a_response_is_flexible_where_its_body_is(cluster: OneNode) -> None:
    connection = cluster.connect()
    cluster.send(connection, encode_request(60, 0, 9, "test", DescribeClusterRequest())[4:])
    (frame,) = cluster.frames(connection)
    assert read_response_header(memoryview(frame), 60, 0) == (9, 5)


def test_no_client_writes_into_the_topic_of_the_group_coordinator() -> None:
    cluster = OneNode()
    cluster.create_topic("__consumer_offsets")
    response = produce(cluster, topic="__consumer_offsets")
    assert response.responses[0].partition_responses[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_transactional_records_without_a_transaction_do_not_hold_consumers_back_for_ever(cluster: OneNode) -> None:
    cluster.create_topic("hanging")
    batch = build_batch([record(b"x")], producer_id=7, producer_epoch=0, base_sequence=0, is_transactional=True)
    unknown = TopicProduceData(name="unknown", partition_data=[PartitionProduceData(index=0, records=batch)])
    data = TopicProduceData(name="hanging", partition_data=[PartitionProduceData(index=0, records=batch)])
    response = cluster.request(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[data, unknown]), ProduceResponse, version=9)
    answered = {topic.name: [partition.error_code for partition in topic.partition_responses] for topic in response.responses}
    assert answered == {name: [ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED] for name in ("hanging", "unknown")}
    assert produce(cluster, topic="hanging").responses[0].partition_responses[0].base_offset == 0
