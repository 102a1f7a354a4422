"""What a node does when the disk under its records fails: with one log directory it ends, with several it goes on with what it has."""

from __future__ import annotations

from raftkafka.base.disk import Persist
from raftkafka.base.errors import CorruptRecord, DiskError
from raftkafka.broker.effects import Flush, Halt, NodeEffect
from raftkafka.protocol.framing import encode_request
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from raftkafka.storage.record_batch import build_batch
from tests.broker.one_node import OneNode
from tests.broker.records import record


def produce(node: OneNode) -> list[NodeEffect]:
    """Sends one record; what the node wants done then."""
    data = PartitionProduceData(index=0, records=build_batch([record(b"a")]))
    request = ProduceRequest(acks=-1, timeout_ms=1_000, topic_data=[TopicProduceData(name="orders", partition_data=[data])])
    frame = bytearray(encode_request(0, 9, 1, "test", request)[4:])
    node.node.frame_received(node.connect(), memoryview(frame), node.now_ms)
    return node.node.settle(node.now_ms)


def says_anything(effects: list[NodeEffect]) -> bool:
    return any(isinstance(effect, Flush) and effect.connection.out for effect in effects)


def halts(effects: list[NodeEffect]) -> list[str]:
    return [effect.reason for effect in effects if isinstance(effect, Halt)]


def test_a_node_whose_only_log_directory_is_full_ends_and_answers_nobody() -> None:
    """It kept the leadership of a log that it could not write, while two other replicas stood by."""
    node = OneNode()
    node.create_topic("orders")
    node.disk.capacity_bytes = 0
    effects = produce(node)
    assert len(halts(effects)) == 1
    assert not says_anything(effects)


def test_a_node_whose_only_log_directory_cannot_be_synced_ends() -> None:
    node = OneNode()
    node.create_topic("orders", flush_messages="1")
    effects = produce(node)
    while not any(isinstance(effect, Persist) for effect in effects):
        node.now_ms += 1
        node.node.tick(node.now_ms)
        effects = node.node.settle(node.now_ms)
    (persist,) = [effect for effect in effects if isinstance(effect, Persist)]
    node.node.persist_failed(persist.token, DiskError("data/orders-0", "input/output error"), node.now_ms)
    assert len(halts(node.node.settle(node.now_ms))) == 1


def test_a_node_with_another_log_directory_goes_on() -> None:
    node = OneNode(log_dirs="data,more", metadata_log_dir="metadata")
    node.create_topic("orders")
    node.disk.failing = ("more",) if node.disk.exists("more/orders-0") else ("data",)
    effects = produce(node)
    assert halts(effects) == []
    assert says_anything(effects)


def test_damaged_bytes_of_one_log_do_not_end_the_node() -> None:
    """The disk works: the other logs are served."""
    node = OneNode()
    node.create_topic("orders")
    (log,) = [log for log in node.node.parts.logs if log.topic == "orders"]
    log.failed(CorruptRecord("a batch is damaged"))
    assert halts(node.node.settle(node.now_ms)) == []


def test_a_clean_stop_goes_on_when_a_disk_fails_and_leaves_no_marker() -> None:
    node = OneNode()
    node.create_topic("orders", flush_messages="1")
    produce(node)
    manager = node.node.parts.logs
    manager.clean_shutdown(1)
    (persist,) = [output for output in manager.drain() if isinstance(output, Persist)]
    manager.persist_failed(persist.token, DiskError("data/orders-0", "input/output error"))
    assert manager.failure is None
    assert manager.shut_down
