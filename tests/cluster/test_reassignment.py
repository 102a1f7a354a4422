"""Reassignments, throttles and elections with Apache Kafka 4.3.1's own tools on real brokers, in the sentences that these print.

The plan, the topic and the order are those of the transcripts 901 to 916 of the tools on Apache Kafka; the first story is what they tell.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.cluster.real_cluster import RealCluster, eventually
from tests.java.apache_kafka import ToolResult, requires_java
from tests.java.tool_server import run_tool

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

Assignment = dict[int, list[int]]
RECORD_BYTES = 1_000
LOG_DIRS = re.compile(r',?"log_dirs":\[[^]]*\]')
NO_THROTTLE = "Clearing broker-level throttles on brokers 1,2,3\nClearing topic-level throttles on topic {topic}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Three brokers; a node that was killed is started again by the test that killed it."""
    cluster = RealCluster(tmp_path_factory.mktemp("reassignment"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


class Mover:
    """Runs the tools for one topic, with plans in files."""

    def __init__(self, cluster: RealCluster, topic: str, directory: Path) -> None:
        self.cluster = cluster
        self.topic = topic
        self._plan = directory / "plan.json"
        self._topics = directory / "topics.json"
        self._topics.write_text(json.dumps({"version": 1, "topics": [{"topic": topic}]}))

    def plan(self, assignment: Assignment) -> None:
        """Writes the plan that `reassign` is given from now on."""
        partitions = [{"topic": self.topic, "partition": index, "replicas": replicas} for index, replicas in assignment.items()]
        self._plan.write_text(json.dumps({"version": 1, "partitions": partitions}))

    def tool(self, name: str, *arguments: str) -> ToolResult:
        result = run_tool(name, "--bootstrap-server", self.cluster.bootstrap, *arguments)
        assert result.exit_code == 0, result
        return result

    def generate(self, brokers: str) -> str:
        """The current and the proposed assignment, without their log directories."""
        arguments = ("--topics-to-move-json-file", str(self._topics), "--broker-list", brokers, "--generate")
        return LOG_DIRS.sub("", self.tool("kafka-reassign-partitions", *arguments).stdout)

    def reassign(self, *arguments: str) -> str:
        done = self.tool("kafka-reassign-partitions", "--reassignment-json-file", str(self._plan), *arguments)
        return LOG_DIRS.sub("", done.stdout).replace(self.topic, "T").strip()

    def verify_until_done(self, assignment: Assignment) -> str:
        done = [f"Reassignment of partition T-{partition} is completed." for partition in assignment]
        return eventually(lambda: (told := self.reassign("--verify")) and all(line in told for line in done) and told, what="completion")

    def describe(self) -> list[str]:
        """What kafka-topics prints of each partition, from the leader on."""
        lines = self.tool("kafka-topics", "--describe", "--topic", self.topic).lines
        return [line.split("\tPartition: ")[1] for line in lines if "\tPartition: " in line]

    def configs(self) -> str:
        return self.tool("kafka-topics", "--describe", "--topic", self.topic).lines[0].split("Configs: ")[1]


def fill(cluster: RealCluster, topic: str, count: int, *, partitions: int) -> None:
    """So many records of `RECORD_BYTES` in each partition, each a batch of its own."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 0, "batch.num.messages": 1})
    for partition in range(partitions):
        for number in range(count):
            producer.produce(topic, f"{number:08d}".encode() + b"x" * (RECORD_BYTES - 8), partition=partition)
    assert producer.flush(30) == 0


@pytest.fixture
def make(cluster: RealCluster, tmp_path: Path, fresh_name: Callable[[str], str]) -> Callable[..., Mover]:
    """A function that makes a topic with an assignment and the mover of it."""

    def make(assignment: str, *configs: str) -> Mover:
        topic = fresh_name("moved")
        options = [part for config in configs for part in ("--config", config)]
        mover = Mover(cluster, topic, tmp_path)
        mover.tool("kafka-topics", "--create", "--topic", topic, "--replica-assignment", assignment, *options)
        return mover

    return make


def test_replicas_move_as_apaches_tools_tell_it(make: Callable[..., Mover], cluster: RealCluster) -> None:
    mover = make("1:2,2:3,3:1", "min.insync.replicas=2")
    fill(cluster, mover.topic, 20, partitions=3)
    generated = mover.generate("1,2,3").replace(mover.topic, "T")
    first = '{"version":1,"partitions":[{"topic":"T","partition":0,"replicas":[1,2]},{"topic":"T","partition":1,"replicas":[2,3]},'
    assert generated.startswith(f'Current partition replica assignment\n{first}{{"topic":"T","partition":2,"replicas":[3,1]}}]}}')
    assert "Proposed partition reassignment configuration" in generated

    target = {0: [2, 3], 1: [3, 1], 2: [1, 2]}
    mover.plan(target)
    executed = mover.reassign("--execute")
    assert executed.startswith("Current partition replica assignment\n\n" + first)
    assert executed.endswith("Successfully started partition reassignments for T-0,T-1,T-2")
    verified = mover.verify_until_done(target)
    assert verified.startswith("Status of partition reassignment:\nReassignment of partition T-0 is completed.")
    assert verified.endswith(NO_THROTTLE.format(topic="T"))
    described = mover.describe()
    assert [line.split("\tIsr")[0] for line in described] == [
        "0\tLeader: 2\tReplicas: 2,3",
        "1\tLeader: 3\tReplicas: 3,1",
        "2\tLeader: 1\tReplicas: 1,2",
    ]
    _old_replicas_are_deleted(cluster, mover.topic, {0: 1, 1: 2, 2: 3})

    mover.plan({0: [1, 2, 3], 1: [3, 1, 2], 2: [1, 2, 3]})
    executed = mover.reassign("--execute", "--throttle", "1000")
    assert "The inter-broker throttle limit was set to 1000 B/s" in executed
    listed = mover.tool("kafka-reassign-partitions", "--list").stdout.replace(mover.topic, "T")
    assert "T-0: replicas: 1,2,3. adding: 1." in listed
    assert "T-1: replicas: 3,1,2. adding: 2." in listed
    assert mover.reassign("--verify") == "\n".join(
        ["Status of partition reassignment:", *(f"Reassignment of partition T-{p} is still in progress." for p in range(3))]
    )
    assert "leader.replication.throttled.replicas=0:2,0:3,1:1,1:3,2:1,2:2" in mover.configs()
    assert "follower.replication.throttled.replicas=0:1,1:2,2:3" in mover.configs()
    assert mover.describe()[0] == "0\tLeader: 2\tReplicas: 1,2,3\tIsr: 2,3\tAdding Replicas: 1\tRemoving Replicas: \tElr: \tLastKnownElr: "
    cancelled = mover.reassign("--cancel")
    assert cancelled.startswith("Successfully cancelled partition reassignments for: T-0,T-1,T-2")
    told = "There is no active reassignment of partition T-0, but replica set is 2,3 rather than 1,2,3."
    assert told in mover.reassign("--verify")
    assert mover.configs() == "min.insync.replicas=2"
    assert mover.describe()[0].startswith("0\tLeader: 2\tReplicas: 2,3\tIsr: 2,3")


def _old_replicas_are_deleted(cluster: RealCluster, topic: str, old: dict[int, int]) -> None:
    """The directories of removed replicas are renamed at once, to be deleted later."""
    for partition, node_id in old.items():
        directory = Path(cluster.node(node_id).data_dir) / f"{topic}-{partition}"
        eventually(lambda directory=directory: not directory.exists(), what=f"{directory} is gone")


def test_a_throttle_holds_while_clients_write_and_nothing_is_lost_when_a_node_dies(
    make: Callable[..., Mover], cluster: RealCluster
) -> None:
    """A move of about 1 MB at 200 KB a second, with a producer at work, and the target killed in the middle."""
    mover = make("1:2")
    fill(cluster, mover.topic, 1_000, partitions=1)
    mover.plan({0: [3, 2]})
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 5})
    acknowledged: list[int] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            producer.produce(
                mover.topic, str(number), partition=0, on_delivery=lambda error, _, number=number: error or acknowledged.append(number)
            )
            number += 1
            producer.poll(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        began = time.monotonic()
        mover.reassign("--execute", "--throttle", "200000")
        time.sleep(1)
        cluster.kill(3)
        cluster.start(3)
        eventually(
            lambda: "T-0 is completed" in mover.reassign("--verify", "--preserve-throttles"), timeout_s=40, what="the move is complete"
        )
        assert time.monotonic() - began > 3.5, "1 MB at 200 KB a second takes 5 s, less one second that may be saved up"
    finally:
        stop.set()
        writer.join()
    mover.reassign("--verify")
    assert producer.flush(20) == 0
    assert mover.describe()[0].startswith("0\tLeader: 3\tReplicas: 3,2")
    values = _read_all(cluster, mover.topic)
    assert set(map(str, acknowledged)) <= set(values[1_000:])
    assert len(acknowledged) > 100


def _read_all(cluster: RealCluster, topic: str) -> list[str]:
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "none", "enable.auto.commit": False})
    partition = TopicPartition(topic, 0, 0)
    _, end = consumer.get_watermark_offsets(partition, timeout=10)
    consumer.assign([partition])
    values: list[str] = []
    while len(values) < end:
        message = consumer.poll(10)
        assert message is not None and message.error() is None
        values.append((message.value() or b"").decode())
    consumer.close()
    return values


def test_leaders_are_elected_on_request(make: Callable[..., Mover], cluster: RealCluster) -> None:
    mover = make("1:2,2:3")
    elect = ("kafka-leader-election", "--topic", mover.topic, "--partition")
    told = mover.tool(*elect, "0", "--election-type", "preferred").stdout
    assert told.strip() == f"Valid replica already elected for partitions {mover.topic}-0"
    told = mover.tool(*elect, "0", "--election-type", "unclean").stdout
    assert told.strip() == f"Valid replica already elected for partitions {mover.topic}-0"
    mover.plan({0: [2, 1], 1: [2, 3]})
    mover.reassign("--execute")
    told = mover.tool(*elect, "0", "--election-type", "preferred").stdout
    moved = f"Successfully completed leader election (PREFERRED) for partitions {mover.topic}-0"
    went_home = f"Valid replica already elected for partitions {mover.topic}-0"
    assert told.strip() in (moved, went_home)  # the controller sends leaders home by itself every ten seconds
    assert mover.describe()[0].startswith("0\tLeader: 2\tReplicas: 2,1")
    done = run_tool("kafka-leader-election", "--bootstrap-server", cluster.bootstrap, *elect[1:], "9", "--election-type", "preferred")
    assert done.exit_code == 1
    assert f"{mover.topic}-9" in done.stdout + done.stderr


def test_an_unclean_election_gives_a_partition_a_leader_that_lacks_records(make: Callable[..., Mover], cluster: RealCluster) -> None:
    """Broker 2 falls behind, then broker 1 dies: nobody may lead until an administrator accepts the loss."""
    mover = make("1:2", "min.insync.replicas=1")
    fill(cluster, mover.topic, 3, partitions=1)
    cluster.kill(2)
    eventually(lambda: (view := cluster.partition_view(mover.topic)) and list(view.isr) == [1], what="broker 2 has left the ISR")
    fill(cluster, mover.topic, 2, partitions=1)
    cluster.kill(1)
    cluster.start(2)
    try:
        arguments = ("--topic", mover.topic, "--partition", "0", "--election-type")
        preferred = run_tool("kafka-leader-election", "--bootstrap-server", cluster.bootstrap, *arguments, "preferred")
        assert (preferred.exit_code, "PreferredLeaderNotAvailableException" in preferred.stdout + preferred.stderr) == (1, True)
        elected = mover.tool("kafka-leader-election", *arguments, "unclean")
        assert elected.stdout.strip() == f"Successfully completed leader election (UNCLEAN) for partitions {mover.topic}-0"
        assert len(_read_all(cluster, mover.topic)) == 3
    finally:
        cluster.start(1)
    cluster.wait_healed()
    assert len(_read_all(cluster, mover.topic)) == 3
