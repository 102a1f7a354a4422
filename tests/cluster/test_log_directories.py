"""Real brokers with two log directories each: one fails under load, the others go on, and it comes back; logs move between directories."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from confluent_kafka import Consumer, Producer

from cluster.processes import send_signal
from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId, random_id
from raftkafka.client.cluster import open_cluster
from raftkafka.protocol.messages.alter_replica_log_dirs import AlterReplicaLogDir, AlterReplicaLogDirsRequest, AlterReplicaLogDirTopic
from raftkafka.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult
from raftkafka.storage.meta_properties import META_PROPERTIES_FILE, MetaProperties, encode_meta_properties
from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool

pytestmark = pytest.mark.cluster

TOPIC, PARTITIONS = "orders", 6


class Cluster(RealCluster):
    """Three brokers whose second directory is not the metadata log's."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        for node in self.layout.nodes:
            second = self.second(node.node_id)
            second.mkdir()
            meta = MetaProperties(
                node_id=NodeId(node.node_id),
                directory_id=DirectoryId(random_id(random.SystemRandom())),
                cluster_id=self.layout.cluster_id,
            )
            (second / META_PROPERTIES_FILE).write_bytes(encode_meta_properties(meta))
            text = node.properties_path.read_text()
            node.properties_path.write_text(text.replace(f"log.dirs={node.data_dir}", f"log.dirs={node.data_dir},{second}"))

    def second(self, node_id: int) -> Path:
        data_dir = self.node(node_id).data_dir
        return data_dir.with_name(f"{data_dir.name}-2")

    def fail_second(self, node_id: int, *, fails: bool = True) -> None:
        """What `make partition` does, for a directory."""
        faults = {"failing_directories": [str(self.second(node_id))] if fails else []}
        (self.node(node_id).data_dir / "faults.json").write_text(json.dumps(faults))
        if fails:
            send_signal(self.node(node_id), signal.SIGUSR1)

    def describe(self, node_id: int) -> dict[str, DescribeLogDirsResult]:
        async def ask() -> DescribeLogDirsResponse:
            async with open_cluster(self.bootstrap, client_id="test") as client:
                response: DescribeLogDirsResponse = await client.ask(DescribeLogDirsRequest(topics=None), node_id)
                return response

        return {result.log_dir: result for result in trio.run(ask).results}

    def partitions_in(self, node_id: int, path: Path) -> list[int]:
        return sorted(
            p.partition_index for topic in self.describe(node_id)[str(path)].topics if topic.name == TOPIC for p in topic.partitions
        )

    def move(self, node_id: int, partition: int, path: Path) -> ErrorCode:
        async def ask() -> ErrorCode:
            topic = AlterReplicaLogDirTopic(name=TOPIC, partitions=[partition])
            request = AlterReplicaLogDirsRequest(dirs=[AlterReplicaLogDir(path=str(path), topics=[topic])])
            async with open_cluster(self.bootstrap, client_id="test") as client:
                response = await client.ask(request, node_id)
                return ErrorCode(response.results[0].partitions[0].error_code)

        return trio.run(ask)

    def isr_of(self, partition: int) -> list[int]:
        view = self.view()
        found = [each.isr for each in view.partitions if (each.topic, each.partition) == (TOPIC, partition)] if view is not None else []
        return sorted(found[0]) if found else []


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        cluster.up()
        cluster.create_topic(TOPIC, partitions=PARTITIONS, replicas=3, config={"min.insync.replicas": "2"})
        yield cluster
    finally:
        cluster.close()


class Load:
    """Records in all partitions, acknowledged by all in sync; `acknowledged` is what must be read back."""

    def __init__(self, bootstrap: str) -> None:
        self.acknowledged: list[bytes] = []
        self.failed: list[str] = []
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "enable.idempotence": True})
        self._next = 0

    def send(self, count: int) -> None:
        for _ in range(count):
            value = b"%d" % self._next
            self._producer.produce(TOPIC, value=value, partition=self._next % PARTITIONS, on_delivery=self._delivered)
            self._next += 1
        assert self._producer.flush(20) == 0

    def _delivered(self, error: object, message: object) -> None:
        if error is not None:
            self.failed.append(str(error))
        else:
            self.acknowledged.append(message.value())  # type: ignore[attr-defined]


def read_all(bootstrap: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([TOPIC])
    values: list[bytes] = []

    def poll() -> bool:
        values.extend(message.value() for message in consumer.consume(1000, 0.2) if message.error() is None)
        return len(values) >= count

    eventually(poll, what=f"{count} records")
    consumer.close()
    return values


def replicas_of(cluster: Cluster, partition: int) -> list[int]:
    view = cluster.view()
    assert view is not None
    (replicas,) = [each.replicas for each in view.partitions if (each.topic, each.partition) == (TOPIC, partition)]
    return list(replicas)


@requires_java
@pytest.mark.java
def test_directory_fails_under_load_and_comes_back_and_logs_move(cluster: Cluster, tmp_path: Path) -> None:
    load = Load(cluster.bootstrap)
    load.send(600)
    inside = eventually(lambda: cluster.partitions_in(2, cluster.second(2)), what="replicas in the second directory")
    outside = cluster.partitions_in(2, cluster.node(2).data_dir)
    assert sorted((*inside, *outside)) == list(range(PARTITIONS))

    cluster.fail_second(2)
    load.send(600)
    for partition in inside:
        eventually(lambda partition=partition: cluster.isr_of(partition) == [1, 3], what=f"partition {partition} without broker 2")
    for partition in outside:
        assert cluster.isr_of(partition) == [1, 2, 3]
    load.send(600)
    said = run_tool("kafka-log-dirs", "--bootstrap-server", cluster.bootstrap, "--describe", "--broker-list", "2", "--topic-list", TOPIC)
    (directories,) = [broker["logDirs"] for broker in json.loads(said.stdout.splitlines()[-1])["brokers"]]
    errors = {each["logDir"]: each["error"] for each in directories}
    assert errors == {
        str(cluster.node(2).data_dir): None,
        str(cluster.second(2)): "org.apache.kafka.common.errors.KafkaStorageException",
    }

    cluster.stop(2)
    cluster.start(2)  # the directory fails still
    load.send(300)
    assert cluster.describe(2)[str(cluster.second(2))].error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert [cluster.isr_of(partition) for partition in inside] == [[1, 3]] * len(inside)
    cluster.stop(2)
    cluster.fail_second(2, fails=False)
    cluster.start(2)
    for partition in range(PARTITIONS):
        eventually(lambda partition=partition: cluster.isr_of(partition) == [1, 2, 3], what=f"partition {partition} with broker 2 again")
    assert cluster.partitions_in(2, cluster.second(2)) == inside

    for partition in range(PARTITIONS):
        assert cluster.move(2, partition, cluster.second(2)) == ErrorCode.NONE
    load.send(600)
    eventually(lambda: cluster.partitions_in(2, cluster.second(2)) == list(range(PARTITIONS)), what="all logs in the second directory")
    plan = tmp_path / "plan.json"
    replicas = replicas_of(cluster, 0)
    where = [str(cluster.node(2).data_dir) if node_id == 2 else "any" for node_id in replicas]
    back = {"topic": TOPIC, "partition": 0, "replicas": replicas, "log_dirs": where}
    plan.write_text(json.dumps({"version": 1, "partitions": [back]}))
    arguments = ("--bootstrap-server", cluster.bootstrap, "--reassignment-json-file", str(plan))
    executed = run_tool("kafka-reassign-partitions", *arguments, "--execute")
    assert (
        f"Successfully started moving log directory to {cluster.node(2).data_dir} for replica orders-0 with broker 2" in executed.stdout
    ), executed
    done = "Reassignment of replica orders-0-2 completed successfully."
    eventually(lambda: done in run_tool("kafka-reassign-partitions", *arguments, "--verify").stdout, what="the end of the move")
    assert cluster.partitions_in(2, cluster.node(2).data_dir) == [0]
    cluster.kill(1)
    cluster.start(1)
    load.send(300)
    assert not load.failed
    assert sorted(read_all(cluster.bootstrap, len(load.acknowledged))) == sorted(load.acknowledged)


def test_directory_that_was_taken_away_is_noticed_and_the_process_starts_without_it(cluster: Cluster) -> None:
    """No fault of ours: another file is where the directory was, as when a device has gone."""
    load = Load(cluster.bootstrap)
    load.send(300)
    second, away = cluster.second(3), cluster.second(3).with_name("away")
    second.rename(away)
    second.write_text("nothing")

    def is_offline() -> bool:
        load.send(60)
        return cluster.describe(3)[str(second)].error_code == ErrorCode.KAFKA_STORAGE_ERROR

    eventually(is_offline, what="the failure")
    cluster.stop(3)
    cluster.start(3)
    assert is_offline()
    second.unlink()
    away.rename(second)
    cluster.stop(3)
    cluster.start(3)
    for partition in range(PARTITIONS):
        eventually(lambda partition=partition: cluster.isr_of(partition) == [1, 2, 3], what=f"partition {partition} with broker 3 again")
    assert not load.failed
    assert sorted(read_all(cluster.bootstrap, len(load.acknowledged))) == sorted(load.acknowledged)
