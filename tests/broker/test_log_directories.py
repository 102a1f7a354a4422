"""A node with several log directories: it says where its replicas are, goes on without one that fails, and moves logs between them."""

from __future__ import annotations

import pytest

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import NodeId, PartitionKey, TopicId
from raftkafka.broker.node import BrokerNode
from raftkafka.metadata.topics import PartitionRegistration
from raftkafka.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
)
from raftkafka.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult
from raftkafka.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import build_batch
from tests.broker.one_node import OneNode
from tests.broker.records import record

PARTITIONS = 6


class Node(OneNode):
    """A node with three directories, the metadata log in another one, and a topic."""

    def __init__(self) -> None:
        super().__init__(log_dirs="a,b,c", metadata_log_dir="metadata")
        self.topic_id = TopicId(self.create_topic("orders", partitions=PARTITIONS))
        self.run(500)

    @property
    def own(self) -> BrokerNode:
        return self.node

    def log(self, partition: int) -> PartitionLog:
        log = self.own.parts.logs.get(PartitionKey(self.topic_id, partition))
        assert log is not None
        return log

    def registration(self, partition: int) -> PartitionRegistration:
        found = self.own.parts.services.image.partition(PartitionKey(self.topic_id, partition))
        assert found is not None
        return found

    def where(self, partition: int) -> str:
        return self.log(partition).directory.partition("/")[0]

    def partitions_in(self, directory: str) -> list[int]:
        return [partition for partition in range(PARTITIONS) if self.where(partition) == directory]

    def produce(self, partition: int, value: bytes = b"v") -> ErrorCode:
        data = PartitionProduceData(index=partition, records=build_batch([record(value)]))
        request = ProduceRequest(acks=-1, timeout_ms=1_000, topic_data=[TopicProduceData(name="orders", partition_data=[data])])
        response = self.request(request, ProduceResponse, version=9)
        return ErrorCode(response.responses[0].partition_responses[0].error_code)

    def move(self, partition: int, path: str) -> ErrorCode:
        topic = AlterReplicaLogDirTopic(name="orders", partitions=[partition])
        request = AlterReplicaLogDirsRequest(dirs=[AlterReplicaLogDir(path=path, topics=[topic])])
        response = self.request(request, AlterReplicaLogDirsResponse, version=2)
        return ErrorCode(response.results[0].partitions[0].error_code)

    def describe(self) -> dict[str, DescribeLogDirsResult]:
        response = self.request(DescribeLogDirsRequest(topics=None), DescribeLogDirsResponse, version=5)
        return {result.log_dir: result for result in response.results}


@pytest.fixture
def node() -> Node:
    return Node()


def partitions_of(result: DescribeLogDirsResult) -> list[int]:
    return sorted(partition.partition_index for topic in result.topics for partition in topic.partitions)


def test_new_partitions_spread_over_the_directories_and_the_metadata_knows_where(node: Node) -> None:
    assert sorted(len(node.partitions_in(directory)) for directory in "abc") == [2, 2, 2]
    ids = {each.path: each.directory_id for each in node.own.parts.logs.placement.directories}
    assert node.own.parts.services.image.brokers[NodeId(1)].directories == tuple(ids.values())
    for partition in range(PARTITIONS):
        assert node.registration(partition).directories == (ids[node.where(partition)],)


def test_directory_that_fails_takes_only_its_partitions_offline(node: Node) -> None:
    failed, others = node.partitions_in("b"), [*node.partitions_in("a"), *node.partitions_in("c")]
    node.disk.failing = ("b",)
    assert node.produce(failed[0]) == ErrorCode.KAFKA_STORAGE_ERROR
    node.run(1_000)
    for partition in failed:
        assert (node.registration(partition).leader, node.registration(partition).elr) == (-1, (1,))
        assert node.produce(partition) in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR)
    for partition in others:
        assert node.registration(partition).leader == 1
        assert node.produce(partition) == ErrorCode.NONE
    described = node.describe()
    assert {path: result.error_code for path, result in described.items()} == {"a": 0, "b": ErrorCode.KAFKA_STORAGE_ERROR, "c": 0}
    assert described["b"].topics == []


def test_node_ends_when_the_last_directory_has_failed(node: Node) -> None:
    node.disk.failing = ("a", "b", "c")
    for directory in "ab":
        assert node.produce(node.partitions_in(directory)[0]) == ErrorCode.KAFKA_STORAGE_ERROR
    with pytest.raises(AssertionError, match="every log directory has failed"):
        node.produce(node.partitions_in("c")[0])


def test_new_topics_go_to_the_directories_that_work(node: Node) -> None:
    node.disk.failing = ("a",)
    node.create_topic("more", partitions=4)
    node.run(500)
    assert {log.directory.partition("/")[0] for log in node.own.parts.logs if log.topic == "more"} <= {"b", "c"}


def test_log_moves_to_another_directory_and_nobody_notices(node: Node) -> None:
    (partition, *_) = node.partitions_in("a")
    for index in range(50):
        assert node.produce(partition, b"%d" % index) == ErrorCode.NONE
    before = node.log(partition)
    assert node.move(partition, "c") == ErrorCode.NONE
    node.run(200)
    after = node.log(partition)
    assert (node.where(partition), after.log_end_offset) == ("c", before.log_end_offset)
    assert [bytes(b) for b in after.read(0, max_bytes=1 << 20).records] == [bytes(b) for b in _read_file(node, after)]
    assert node.registration(partition).directory(NodeId(1)) == node.own.parts.logs.placement.of(after.key).directory_id
    assert node.produce(partition) == ErrorCode.NONE
    assert node.log(partition).log_end_offset == before.log_end_offset + 1
    assert partition in partitions_of(node.describe()["c"])
    assert partition not in partitions_of(node.describe()["a"])
    node.run(70_000)
    assert not [name for name in node.disk.list_dir("a") if name.startswith(f"orders-{partition}")]


def _read_file(node: Node, log: PartitionLog) -> list[bytes]:
    return [node.disk.read_file(f"{log.directory}/00000000000000000000.log")]


def test_limit_makes_a_move_slow_and_the_copy_is_seen_meanwhile(node: Node) -> None:
    (partition, *_) = node.partitions_in("a")
    for _ in range(20):
        node.produce(partition, bytes(1_000))
    node.own.parts.logs.moves.limit(1)
    other = node.partitions_in("c")[0]
    node.produce(other)
    assert node.move(other, "b") == ErrorCode.NONE  # after this one the next has to wait
    node.run(1)
    assert node.move(partition, "b") == ErrorCode.NONE
    node.run(100)
    (future,) = [p for topic in node.describe()["b"].topics for p in topic.partitions if p.is_future_key]
    assert (future.partition_index, future.offset_lag) == (partition, 20)
    assert node.move(partition, "a") == ErrorCode.NONE  # it stays
    assert not [p for topic in node.describe()["b"].topics for p in topic.partitions if p.is_future_key]


def test_refusals_of_a_move(node: Node) -> None:
    (partition, *_) = node.partitions_in("a")
    assert node.move(partition, "nowhere") == ErrorCode.LOG_DIR_NOT_FOUND
    assert node.move(PARTITIONS, "a") == ErrorCode.REPLICA_NOT_AVAILABLE
    node.disk.failing = ("b",)
    node.produce(node.partitions_in("b")[0])
    assert node.move(partition, "b") == ErrorCode.KAFKA_STORAGE_ERROR


def test_cordoned_directory_takes_no_new_partitions(node: Node) -> None:
    node.own.parts.logs.placement.cordon(("a", "b"))
    node.create_topic("more", partitions=3)
    node.run(500)
    assert {log.directory.partition("/")[0] for log in node.own.parts.logs if log.topic == "more"} == {"c"}
    cordoned = node.own.parts.services.image.brokers[NodeId(1)].cordoned
    assert cordoned == tuple(each.directory_id for each in node.own.parts.logs.placement.directories if each.path in "ab")
    assert {path: result.is_cordoned for path, result in node.describe().items()} == {"a": True, "b": True, "c": False}
