"""Three replica managers on real logs, a hand-driven network and a controller that says yes: the smallest cluster that replicates."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import DirectoryId, NodeId, PartitionKey, TopicId
from raftkafka.base.observed import Observed
from raftkafka.metadata.control_messages import AlterPartition, AlterPartitionReply, AlterPartitionResult
from raftkafka.metadata.image import MetadataDelta, MetadataImage
from raftkafka.metadata.records import (
    BrokerRegistrationChangeRecord,
    PartitionChangeRecord,
    PartitionRecord,
    Record,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from raftkafka.protocol.fetch_codec import (
    FetchPartition,
    FetchPartitionResult,
    FetchRequestData,
    decode_fetch_request,
    decode_fetch_response,
    encode_fetch_request,
    encode_fetch_response,
)
from raftkafka.protocol.framing import read_request_header, read_response_header
from raftkafka.protocol.produce_codec import ProducePartitionResult
from raftkafka.replication import values
from raftkafka.replication.leader import Leader
from raftkafka.replication.partition import Partition
from raftkafka.replication.replica_manager import ReplicaManager
from raftkafka.replication.values import FetchReply, ProduceEntry, ReplicaSettings, TopicReplicationConfig
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log_manager import LogManager
from raftkafka.storage.record_batch import Record as LogRecord
from raftkafka.storage.record_batch import build_batch, decode_records, patch_offset_and_epoch, read_header

TOPIC_ID = TopicId(b"topic-0123456789")
KEY = PartitionKey(TOPIC_ID, 0)
TOPIC = "events"
START_MS = 1_000_000
SETTINGS = ReplicaSettings(replica_lag_time_max_ms=1_000)


def batch(*payloads: str, producer_id: int = -1, producer_epoch: int = -1, base_sequence: int = -1) -> bytearray:
    """One record batch with these values."""
    records = [LogRecord(0, START_MS, None, payload.encode(), ()) for payload in payloads]
    return bytearray(build_batch(records, producer_id=producer_id, producer_epoch=producer_epoch, base_sequence=base_sequence))


def everything(image: MetadataImage) -> MetadataDelta:
    """What a broker is told first: all of the image is new."""
    return MetadataDelta(
        changed_partitions={key: None for key, _ in image.topics.partitions()},
        created_topics=image.topics.by_id,
        removed_topics={},
        changed_brokers=dict.fromkeys(image.brokers),
        changed_configs={},
        features_changed=True,
    )


@attrs.define(eq=False)
class Node:
    """A broker: its manager, its logs, what it was told, what it said."""

    node_id: NodeId
    disk: SimDisk
    settings: ReplicaSettings
    min_insync_replicas: int
    broker_epoch: int = -1
    image: MetadataImage = attrs.field(factory=lambda: MetadataImage(cluster_id="test"))
    applied: int = 0
    publishing: bool = False
    observed: list[Observed] = attrs.field(factory=list)
    told: list[values.ReplicaOutput] = attrs.field(factory=list)
    links: dict[NodeId, int] = attrs.field(factory=dict)
    logs: LogManager = attrs.field(init=False)
    manager: ReplicaManager = attrs.field(init=False)

    def start(self) -> None:
        """A new process on the disk that is there."""
        self.logs = LogManager(disk=self.disk, log_dirs=["data"], rng=random.Random(self.node_id))
        self.logs.load(START_MS)
        self.manager = ReplicaManager(
            node_id=self.node_id,
            logs=self.logs,
            settings=self.settings,
            topic_config=lambda image, topic: TopicReplicationConfig(min_insync_replicas=self.min_insync_replicas, log=LogConfig()),
            rng=random.Random(self.node_id),
        )
        self.image = MetadataImage(cluster_id="test")
        self.applied = 0
        self.publishing = False
        self.links = {}
        self.observed = []

    def partition(self, key: PartitionKey = KEY) -> Partition:
        partition = self.manager.partition(key)
        assert partition is not None
        return partition

    def leader(self, key: PartitionKey = KEY) -> Leader:
        leader = self.partition(key).leader
        assert leader is not None
        return leader

    def values(self, key: PartitionKey = KEY) -> list[str]:
        """The values of all records in the log, in order."""
        return [value for _, value in self.records(key)]

    def records(self, key: PartitionKey = KEY) -> list[tuple[int, str]]:
        """(leader epoch, value) of all records in the log, in order."""
        log = self.partition(key).log
        found: list[tuple[int, str]] = []
        offset = log.log_start_offset
        while offset < log.log_end_offset:
            read = log.read(offset, max_bytes=1)
            data = b"".join(bytes(buffer) for buffer in read.records)
            epoch = read_header(data).partition_leader_epoch
            found += [(epoch, (record.value or b"").decode()) for record in decode_records(data)]
            offset = read.next_offset
        return found

    def kinds(self) -> list[str]:
        return [event.kind for event in self.observed]


@attrs.define
class Answer:
    """Where an answer arrives."""

    value: object = None
    times: int = 0

    def __call__(self, value: object) -> None:
        self.value = value
        self.times += 1

    @property
    def produced(self) -> ProducePartitionResult:
        assert isinstance(self.value, list) and self.times == 1
        result: ProducePartitionResult = self.value[0]
        return result

    @property
    def fetched(self) -> FetchReply:
        assert isinstance(self.value, FetchReply) and self.times == 1
        return self.value

    @property
    def result(self) -> FetchPartitionResult:
        return self.fetched.results[0]


class World:
    """Nodes 1 to N. Nothing moves but by `run` (until it is quiet) or `advance` (time passes, then `run`)."""

    def __init__(self, *, nodes: int = 3, min_insync_replicas: int = 1, settings: ReplicaSettings = SETTINGS, racks: bool = False) -> None:
        self.now_ms = START_MS
        self.records: list[Record] = []
        self.queue: deque[tuple[NodeId, NodeId, Callable[[], None]]] = deque()
        self.cut: set[tuple[int, int]] = set()
        self.down: set[int] = set()
        self.fetches = 0
        self.alter_requests: list[tuple[Node, AlterPartition]] = []
        self.controller_answers = True
        self.slow_replies = False
        self.min_insync_replicas = min_insync_replicas
        self.metadata_delayed: set[int] = set()
        self.image = MetadataImage(cluster_id="test")
        self.racks = racks
        self.nodes: dict[int, Node] = {}
        for index in range(1, nodes + 1):
            node = Node(NodeId(index), SimDisk(), settings, min_insync_replicas)
            self.nodes[index] = node
            node.start()
        for node in self.nodes.values():
            self.register(node)

    def __getitem__(self, node_id: int) -> Node:
        return self.nodes[node_id]

    # Metadata.

    def decide(self, *records: Record) -> None:
        """The controller commits these records; nodes that are not delayed apply them at once."""
        for record in records:
            self.image, _ = self.image.apply([record], len(self.records), 1)
            self.records.append(record)
        self.publish()

    def publish(self) -> None:
        for node in self.nodes.values():
            if node.node_id not in self.metadata_delayed and node.node_id not in self.down:
                self.apply(node)

    def apply(self, node: Node) -> None:
        """This node applies all metadata that it has not yet applied, each record for itself."""
        while node.applied < len(self.records):
            node.image, delta = node.image.apply([self.records[node.applied]], node.applied, 1)
            node.applied += 1
            own = node.image.brokers.get(node.node_id)
            if own is None or own.broker_epoch < node.broker_epoch:
                continue  # the broker has not yet applied its own registration
            node.manager.apply_metadata(node.image, delta if node.publishing else everything(node.image), self.now_ms)
            node.publishing = True
        self.settle(node)

    def register(self, node: Node) -> None:
        node.broker_epoch = len(self.records)
        record = RegisterBrokerRecord(
            node_id=node.node_id,
            incarnation_id=bytes(16),
            endpoints=(("PLAINTEXT", "localhost", 9091 + node.node_id, "PLAINTEXT"),),
            rack=f"rack-{node.node_id}" if self.racks else None,
            fenced=False,
            directories=(DirectoryId(bytes(16)),),
        )
        self.decide(record)

    def fence(self, node_id: int, *, fenced: bool = True) -> None:
        self.decide(BrokerRegistrationChangeRecord(node_id=NodeId(node_id), broker_epoch=self.nodes[node_id].broker_epoch, fenced=fenced))

    def seed(self, node_id: int, *epochs: tuple[int, str], start_offset: int = 0, key: PartitionKey = KEY) -> None:
        """Gives a node a log from before: (leader epoch, one letter for each record), each record a batch of its own."""
        log = self.nodes[node_id].logs.create(key, TOPIC, LogConfig(), START_MS)
        if start_offset:
            log.truncate_fully_and_start_at(start_offset)
        for epoch, letters in epochs:
            for letter in letters:
                records = batch(letter)
                patch_offset_and_epoch(records, 0, base_offset=log.log_end_offset, leader_epoch=epoch)
                log.append_as_follower(records)

    def create_topic(self, *replicas: int, isr: Iterable[int] = (), epoch: int = 0, key: PartitionKey = KEY, topic: str = TOPIC) -> None:
        ids = tuple(NodeId(node_id) for node_id in replicas or (1, 2, 3))
        in_sync = tuple(NodeId(node_id) for node_id in isr) or ids
        records: list[Record] = [TopicRecord(name=topic, topic_id=key.topic_id)] if key.topic_id not in self.image.topics.by_id else []
        records.append(
            PartitionRecord(topic_id=key.topic_id, partition=key.partition, replicas=ids, isr=in_sync, leader=ids[0], leader_epoch=epoch)
        )
        self.decide(*records)

    def delete_topic(self, topic_id: TopicId = TOPIC_ID) -> None:
        self.decide(RemoveTopicRecord(topic_id=topic_id))

    def elect(self, leader: int, *, isr: Iterable[int] | None = None, key: PartitionKey = KEY) -> None:
        in_sync = None if isr is None else tuple(NodeId(node_id) for node_id in isr)
        self.decide(PartitionChangeRecord(topic_id=key.topic_id, partition=key.partition, leader=NodeId(leader), isr=in_sync))

    def change_isr(self, *isr: int, key: PartitionKey = KEY) -> None:
        self.decide(PartitionChangeRecord(topic_id=key.topic_id, partition=key.partition, isr=tuple(NodeId(node_id) for node_id in isr)))

    def isr(self, key: PartitionKey = KEY) -> tuple[int, ...]:
        """The ISR that the controller has committed."""
        registration = self.image.partition(key)
        assert registration is not None
        return registration.isr

    def elr_after(self, key: PartitionKey, isr: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
        """The eligible leader replicas when the ISR becomes this one (KIP-966): who left it when it was at its minimum or under it."""
        registration = self.image.partition(key)
        assert registration is not None
        if len(isr) >= self.min_insync_replicas:
            return ()
        return tuple(dict.fromkeys(n for n in (*registration.elr, *registration.isr) if n not in isr))

    # Network and processes.

    def stop(self, node_id: int) -> None:
        """Kills a process: its links close."""
        self.down.add(node_id)
        self.queue = deque(entry for entry in self.queue if node_id not in entry[:2])
        self.alter_requests = [entry for entry in self.alter_requests if entry[0].node_id != node_id]
        self.nodes[node_id].links = {}
        for node in self.nodes.values():
            if node.links.pop(NodeId(node_id), None) is not None and node.node_id not in self.down:
                node.manager.fetch_failed(NodeId(node_id), self.now_ms)
                self.settle(node)

    def restart(self, node_id: int, *, power_failure: random.Random | None = None) -> None:
        """A new process with a new broker epoch on the old disk."""
        node = self.nodes[node_id]
        if power_failure is None:
            node.disk.kill()
        else:
            node.disk.crash(power_failure)
        node.start()
        self.down.discard(node_id)
        self.register(node)

    def separate(self, *pairs: tuple[int, int]) -> None:
        """Messages between these nodes wait until `heal`; links stay open."""
        for one, other in pairs:
            self.cut |= {(one, other), (other, one)}

    def heal(self) -> None:
        self.cut.clear()

    def run(self, *, limit: int = 5_000) -> None:
        """Delivers messages until there are none that can be delivered."""
        for _ in range(limit):
            if not self.deliver():
                return
        raise AssertionError("the nodes do not come to rest")

    def deliver(self) -> bool:
        """Delivers the oldest message that can be delivered."""
        for index, (source, target, action) in enumerate(self.queue):
            if (source, target) not in self.cut and target not in self.down and source not in self.down:
                del self.queue[index]
                action()
                return True
        return False

    def deliver_any(self, rng: random.Random) -> bool:
        """Delivers the oldest message of some link: order holds within a link only."""
        heads: dict[tuple[NodeId, NodeId], int] = {}
        for index, (source, target, _) in enumerate(self.queue):
            if (source, target) not in self.cut and target not in self.down and source not in self.down:
                heads.setdefault((source, target), index)
        if not heads:
            return False
        index = rng.choice(list(heads.values()))
        _, _, action = self.queue[index]
        del self.queue[index]
        action()
        return True

    def tick(self, duration_ms: int) -> None:
        """Lets time pass at once; nothing is delivered."""
        self.now_ms += duration_ms
        for node in self.nodes.values():
            if node.node_id not in self.down and node.manager.next_deadline_ms() <= self.now_ms:
                node.manager.tick(self.now_ms, self.now_ms)
                self.settle(node)

    def advance(self, duration_ms: int, *, step_ms: int = 10) -> None:
        """Lets time pass, in steps."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + step_ms, end_ms)
            for node in self.nodes.values():
                if node.node_id not in self.down and node.manager.next_deadline_ms() <= self.now_ms:
                    node.manager.tick(self.now_ms, self.now_ms)
                    self.settle(node)
            self.run()

    def settle(self, node: Node) -> None:
        node.manager.settle(self.now_ms)
        for output in node.manager.drain():
            self._carry_out(node, output)

    def _carry_out(self, node: Node, output: values.ReplicaOutput) -> None:
        match output:
            case values.SendFetch():
                self.fetches += 1
                frame = encode_fetch_request(18, self.fetches, "test", output.request)
                link = node.links[output.leader_id]
                self.queue.append((node.node_id, output.leader_id, lambda: self._fetch(node, output.leader_id, frame, link)))
            case values.OpenLeaderLink():
                self.queue.append((node.node_id, node.node_id, lambda: self._open(node, output.leader_id)))
            case values.CloseLeaderLink():
                node.links.pop(output.leader_id, None)
            case values.SendAlterPartition():
                self.alter_requests.append((node, output.request))
                if self.controller_answers:
                    entry = self.alter_requests[-1]
                    self.queue.append((node.node_id, node.node_id, lambda: self._answer(entry)))
            case Observed():
                node.observed.append(output)
            case _:
                node.told.append(output)

    def _open(self, node: Node, leader_id: NodeId) -> None:
        if leader_id in self.down:
            node.manager.fetch_failed(leader_id, self.now_ms)
        else:
            node.links[leader_id] = self.fetches
            node.manager.leader_link_opened(leader_id, self.now_ms)
        self.settle(node)

    def _fetch(self, node: Node, leader_id: NodeId, frame: bytes, link: int) -> None:
        leader = self.nodes[leader_id]
        body = memoryview(frame)[4:]
        header, offset = read_request_header(body)
        request = decode_fetch_request(body, offset, header.api_version)

        def done(reply: FetchReply) -> None:
            buffers = encode_fetch_response(
                18, header.correlation_id, reply.results, error_code=reply.error_code, session_id=reply.session_id
            )
            self.queue.append((leader_id, node.node_id, lambda: self._fetched(node, leader_id, b"".join(buffers), link)))

        leader.manager.fetch(request, version=18, now_ms=self.now_ms, done=done)
        self.settle(leader)

    def _fetched(self, node: Node, leader_id: NodeId, frame: bytes, link: int) -> None:
        if node.links.get(leader_id) != link:
            return
        body = memoryview(frame)[4:]
        _, offset = read_response_header(body, 1, 18)
        node.manager.fetch_response(leader_id, decode_fetch_response(body, offset, 18), self.now_ms)
        self.settle(node)

    # The controller's side of AlterPartition.

    def answer_alter_partition(self, error: ErrorCode = ErrorCode.NONE) -> None:
        """Applies the oldest unanswered request, or refuses every partition of it with `error`."""
        self._answer(self.alter_requests[0], error)

    def _answer(self, entry: tuple[Node, AlterPartition], error: ErrorCode = ErrorCode.NONE) -> None:
        self.alter_requests.remove(entry)
        node, request = entry
        results: list[AlterPartitionResult] = []
        for item in request.partitions:
            key = PartitionKey(item.topic_id, item.partition)
            if error is not ErrorCode.NONE:
                results.append(AlterPartitionResult(topic_id=item.topic_id, partition=item.partition, error=error))
                continue
            results.append(self._alter(node, key, item.new_isr, item.leader_epoch, item.partition_epoch))
        reply = AlterPartitionReply(partitions=tuple(results))
        if self.slow_replies:
            self.queue.append((node.node_id, node.node_id, lambda: self._replied(node, reply)))
        else:
            self._replied(node, reply)
        self.publish()

    def _replied(self, node: Node, reply: AlterPartitionReply) -> None:
        node.manager.alter_partition_reply(reply, self.now_ms)
        self.settle(node)

    def _alter(self, node: Node, key: PartitionKey, new_isr: object, leader_epoch: int, partition_epoch: int) -> AlterPartitionResult:
        registration = self.image.partition(key)
        assert isinstance(new_isr, tuple)
        if registration is None:
            return AlterPartitionResult(topic_id=key.topic_id, partition=key.partition, error=ErrorCode.UNKNOWN_TOPIC_ID)
        error = ErrorCode.NONE
        if leader_epoch != registration.leader_epoch or registration.leader != node.node_id:
            error = ErrorCode.FENCED_LEADER_EPOCH
        elif partition_epoch != registration.partition_epoch:
            error = ErrorCode.INVALID_UPDATE_VERSION
        elif not all(self._is_eligible(member.node_id, member.broker_epoch) for member in new_isr):
            error = ErrorCode.INELIGIBLE_REPLICA
        if error is not ErrorCode.NONE:
            return AlterPartitionResult(topic_id=key.topic_id, partition=key.partition, error=error)
        isr = tuple(member.node_id for member in new_isr)
        record = PartitionChangeRecord(topic_id=key.topic_id, partition=key.partition, isr=isr, elr=self.elr_after(key, isr))
        self.image, _ = self.image.apply([record], len(self.records), 1)
        self.records.append(record)
        changed = self.image.partition(key)
        assert changed is not None
        return AlterPartitionResult(
            topic_id=key.topic_id,
            partition=key.partition,
            leader=changed.leader,
            leader_epoch=changed.leader_epoch,
            isr=changed.isr,
            partition_epoch=changed.partition_epoch,
        )

    def _is_eligible(self, node_id: NodeId, broker_epoch: int) -> bool:
        broker = self.image.brokers[node_id]
        return broker.is_active and broker_epoch in (-1, broker.broker_epoch)

    # Clients.

    def produce(
        self,
        node_id: int,
        *payloads: str,
        acks: int = -1,
        timeout_ms: int = 30_000,
        key: PartitionKey = KEY,
        records: bytearray | None = None,
    ) -> Answer:
        """Sends one batch to a node; the answer comes when it comes."""
        answer = Answer()
        node = self.nodes[node_id]
        entry = ProduceEntry(key, TOPIC, records if records is not None else batch(*payloads))
        node.manager.produce([entry], acks=acks, timeout_ms=timeout_ms, wall_ms=self.now_ms, now_ms=self.now_ms, done=answer)
        self.settle(node)
        return answer

    def consume(
        self,
        node_id: int,
        offset: int,
        *,
        epoch: int = -1,
        last_epoch: int = -1,
        max_wait_ms: int = 500,
        min_bytes: int = 1,
        version: int = 17,
        rack: str = "",
        isolation_level: int = 0,
        key: PartitionKey = KEY,
    ) -> Answer:
        """A consumer's fetch without a session."""
        answer = Answer()
        node = self.nodes[node_id]
        wanted = FetchPartition(
            None if version >= 13 else TOPIC,
            key.topic_id if version >= 13 else None,
            key.partition,
            offset,
            1 << 20,
            current_leader_epoch=epoch,
            last_fetched_epoch=last_epoch,
        )
        request = FetchRequestData(
            partitions=[wanted], max_wait_ms=max_wait_ms, min_bytes=min_bytes, rack_id=rack, isolation_level=isolation_level
        )
        node.manager.fetch(request, version=version, now_ms=self.now_ms, done=answer)
        self.settle(node)
        return answer
