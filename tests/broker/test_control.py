"""Frames between nodes: what goes in comes out, and nonsense is a `PeerError`, never anything else."""

from __future__ import annotations

import msgpack
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.errors import ErrorCode, PeerError
from raftkafka.base.ids import DirectoryId, NodeId, TopicId
from raftkafka.broker.control import ControlMessage, Forward, ForwardReply, Hello, RaftFrame, decode_control, encode_control
from raftkafka.metadata import control_messages as values
from raftkafka.raft.messages import VoteRequest

EXAMPLES: tuple[ControlMessage, ...] = (
    Hello(cluster_id="cluster", node_id=NodeId(1), incarnation_id=b"i" * 16),
    RaftFrame(message=VoteRequest(epoch=3, last_epoch=2, end_offset=9, pre_vote=True, transfer=False, directory_id=b"d" * 16)),
    values.RegisterBroker(
        node_id=NodeId(1),
        cluster_id="cluster",
        incarnation_id=b"i" * 16,
        listeners=(values.ListenerEndpoint(name="PLAINTEXT", host="127.0.0.1", port=9092),),
        rack="a",
        directories=(DirectoryId(b"d" * 16),),
        previous_broker_epoch=4,
    ),
    values.RegisterBrokerReply(error=ErrorCode.DUPLICATE_BROKER_REGISTRATION, message="it is still alive"),
    values.BrokerHeartbeat(node_id=NodeId(1), broker_epoch=3, applied_offset=17, want_shutdown=True),
    values.BrokerHeartbeat(
        node_id=NodeId(1),
        broker_epoch=3,
        applied_offset=17,
        offline_directories=(DirectoryId(b"d" * 16),),
        interval_ms=500,
        traffic=(
            values.PartitionTraffic(
                topic_id=TopicId(b"t" * 16),
                partition=2,
                leader_epoch=4,
                led_ms=300,
                bytes_in=1 << 40,
                bytes_out=0,
                requests=7,
                size=1 << 50,
            ),
        ),
        rest=(5, 6, 7),
    ),
    values.BrokerHeartbeatReply(is_caught_up=True, is_fenced=False),
    values.MetadataApplied(node_id=NodeId(2), broker_epoch=5, applied_offset=99),
    values.AlterPartition(
        node_id=NodeId(1),
        broker_epoch=3,
        partitions=(
            values.AlterPartitionItem(
                topic_id=TopicId(b"t" * 16),
                partition=0,
                leader_epoch=1,
                partition_epoch=2,
                new_isr=(values.IsrMember(node_id=NodeId(1), broker_epoch=3), values.IsrMember(node_id=NodeId(2), broker_epoch=4)),
            ),
        ),
    ),
    values.AlterPartitionReply(
        partitions=(
            values.AlterPartitionResult(topic_id=TopicId(b"t" * 16), partition=0, error=ErrorCode.INELIGIBLE_REPLICA, isr=(NodeId(1),)),
        )
    ),
    values.AllocateProducerIds(node_id=NodeId(1), broker_epoch=3),
    values.AllocateProducerIdsReply(first_producer_id=1000, count=1000),
    Forward(api_key=19, api_version=7, client_id=None, client_host="/127.0.0.1", body=b"\x00\x01"),
    ForwardReply(error=ErrorCode.NOT_CONTROLLER),
)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: ControlMessage) -> None:
    frame = encode_control(message, correlation_id=42)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert decode_control(memoryview(frame)[4:]) == (message, 42)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_changed_bit_is_noticed(message: ControlMessage, data: st.DataObject) -> None:
    frame = bytearray(encode_control(message)[4:])
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(PeerError):
        decode_control(memoryview(frame))


@given(st.binary(max_size=200))
def test_garbage_is_a_peer_error(garbage: bytes) -> None:
    with pytest.raises(PeerError):
        decode_control(memoryview(garbage))


def test_a_heartbeat_of_an_older_node_says_nothing_of_traffic() -> None:
    old = msgpack.packb([1, 5, 42, [1, 3, 17, False, False, []]])
    frame = xxhash.xxh3_64_intdigest(old).to_bytes(8, "big") + old
    heartbeat, _ = decode_control(memoryview(frame))
    assert heartbeat == values.BrokerHeartbeat(node_id=NodeId(1), broker_epoch=3, applied_offset=17)
