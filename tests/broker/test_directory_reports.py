"""What a broker tells the controller of its log directories, and when."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId, PartitionKey, TopicId
from raftkafka.broker.channel import ControllerChannel
from raftkafka.broker.control import ControlRequest
from raftkafka.broker.directory_reports import DirectoryReports
from raftkafka.broker.lifecycle import BrokerLifecycle
from raftkafka.metadata.control_messages import AssignReplicas, AssignReplicasReply
from raftkafka.metadata.image import MetadataImage
from raftkafka.metadata.records import PartitionRecord, RegisterBrokerRecord, TopicRecord
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_manager import LogManager
from raftkafka.storage.meta_properties import MetaProperties, write_meta_properties
from tests.broker.one_node import OneNode
from tests.broker.test_log_directories import Node

KEY = PartitionKey(TopicId(b"the-topic-id-16b"), 0)
ONE = NodeId(1)
A, B, GONE = (DirectoryId(letter * 16) for letter in (b"a", b"b", b"g"))


@attrs.define(eq=False)
class Told:
    """The reports of a broker with the directories a and b, epoch 5, whose partition the metadata has in a directory that is gone."""

    sent: list[tuple[int, AssignReplicas]] = attrs.field(factory=list)
    logs: LogManager = attrs.field(init=False)
    reports: DirectoryReports = attrs.field(init=False)
    channel: ControllerChannel = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        disk = SimDisk()
        for path, directory_id in (("a", A), ("b", B)):
            write_meta_properties(disk, path, MetaProperties(node_id=ONE, directory_id=directory_id, cluster_id="c"))
        self.logs = LogManager(disk=disk, log_dirs=["a", "b"])
        self.logs.load(0)
        self.channel = ControllerChannel(send=self._send)
        self.channel.controller_changed(NodeId(2))
        settings: Callable[[], object] = object
        lifecycle = BrokerLifecycle(settings, self.channel, applied_offset=lambda: 0, ready=lambda: True)  # type: ignore[arg-type]
        lifecycle.broker_epoch = 5
        records = [
            RegisterBrokerRecord(node_id=ONE, broker_epoch=5, incarnation_id=bytes(16), endpoints=(), directories=(A, B)),
            TopicRecord(name="events", topic_id=KEY.topic_id),
            PartitionRecord(topic_id=KEY.topic_id, partition=0, replicas=(ONE,), isr=(), directories=(GONE,)),
        ]
        image, _ = MetadataImage(cluster_id="c").apply(records, 5, 1)
        self.reports = DirectoryReports(
            node_id=ONE, logs=self.logs, channel=self.channel, lifecycle=lifecycle, image=lambda: image, failure_timeout_ms=30_000
        )

    def _send(self, controller: NodeId, correlation_id: int, request: ControlRequest) -> bool:
        assert isinstance(request, AssignReplicas)
        self.sent.append((correlation_id, request))
        return True

    def answer(self, error: ErrorCode = ErrorCode.NONE) -> None:
        self.channel.reply(self.sent[-1][0], AssignReplicasReply(error=error), 0)

    def last(self) -> tuple[DirectoryId, bool]:
        (replica,) = self.sent[-1][1].replicas
        return replica.directory, replica.made_anew


def test_assignment_is_told_again_until_it_is_taken() -> None:
    told = Told()
    told.logs.create(KEY, "events", LogConfig(), 0, is_new=False)
    told.reports.settle(0)
    assert told.last() == (A, True)
    told.reports.settle(1)
    assert len(told.sent) == 1  # it is on its way
    told.answer(ErrorCode.STALE_BROKER_EPOCH)
    assert told.reports.next_deadline_ms() == 51
    told.reports.settle(51)
    assert (len(told.sent), told.last()) == (2, (A, True))


def test_log_that_was_made_anew_is_told_of_once_though_it_moves_before_that_is_seen() -> None:
    """It had caught up meanwhile, and the second report took its eligibility away again (found by a seed of the profile log-dirs)."""
    told = Told()
    told.logs.create(KEY, "events", LogConfig(), 0, is_new=False)
    told.reports.settle(0)
    assert told.last() == (A, True)
    told.logs.placement.put(KEY, told.logs.placement.directories[1])
    told.answer()
    told.reports.settle(100)
    assert told.last() == (B, False)


def test_node_that_cannot_tell_of_a_failed_directory_ends_in_time() -> None:
    """Others still count on the replicas there."""
    node = Node()
    node.own.parts.channel._send = lambda *request: False  # nobody is heard
    node.disk.failing = ("b",)
    assert node.produce(node.partitions_in("b")[0]) == ErrorCode.KAFKA_STORAGE_ERROR
    node.run(29_000)
    assert node.own.parts.logs.failure is None
    assert "could not be told of a failed log directory within 30000 ms" in run_until_it_halts(node, 2_000)


def run_until_it_halts(node: OneNode, duration_ms: int) -> str:
    try:
        node.run(duration_ms)
    except AssertionError as halt:
        return str(halt)
    return ""
