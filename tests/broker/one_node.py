"""One whole node in virtual time, driven by hand: frames in, frames out, nothing in between that a real client would not meet."""

from __future__ import annotations

import random
from typing import Any, TypeVar

import attrs

from raftkafka.base.disk import Persist
from raftkafka.base.ids import DirectoryId, NodeId
from raftkafka.base.observed import Observed
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.connection import Connection
from raftkafka.broker.effects import CloseConnection, Flush, Halt, OpenLink
from raftkafka.broker.node import BrokerNode
from raftkafka.protocol.framing import encode_request, read_message, read_response_header
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse
from raftkafka.protocol.registry import APIS
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.meta_properties import MetaProperties, write_meta_properties

START_MS = 1_700_000_000_000
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"

Response = TypeVar("Response")

PROPERTIES = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "listeners": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": "1@127.0.0.1:9093",
    "log.dirs": "data",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "2",
    "group.initial.rebalance.delay.ms": "0",
}


class OneNode:
    """A single-node cluster that is up, or has only just been started. `observed` and `closed` gather what happened."""

    def __init__(self, *, is_up: bool = True, **properties: str) -> None:
        settings = {**PROPERTIES, **{key.replace("_", "."): value for key, value in properties.items()}}
        self.disk = SimDisk()
        self.now_ms = START_MS
        self.observed: list[Observed] = []
        self.closed: list[tuple[Connection, str]] = []
        self._sent: dict[Connection, bytearray] = {}
        self._next_correlation_id = 1
        meta = MetaProperties(node_id=NodeId(1), directory_id=DirectoryId(b"d" * 16), cluster_id=CLUSTER_ID)
        config = config_from_properties(settings)
        for number, path in enumerate(config.log_dirs):
            directory_id = DirectoryId(bytes([ord("d") + number]) * 16)
            write_meta_properties(self.disk, path, attrs.evolve(meta, directory_id=directory_id))
        self.node = BrokerNode(config=config, disk=self.disk, rng=random.Random(1), meta=meta)
        self.node.start(self.now_ms, self.now_ms)
        if is_up:
            self.run(1_000)

    def connect(self, listener: str = "PLAINTEXT") -> Connection:
        """A client's connection."""
        connection = Connection(listener=listener, peer="127.0.0.1:50000")
        self._sent[connection] = bytearray()
        self.node.connection_opened(connection)
        return connection

    def run(self, duration_ms: int) -> None:
        """Lets virtual time pass."""
        end_ms = self.now_ms + duration_ms
        self._settle()
        while self.node.next_deadline_ms() <= end_ms:
            self.now_ms = max(self.now_ms, self.node.next_deadline_ms())
            self.node.tick(self.now_ms)
            self._settle()
        self.now_ms = end_ms

    def send(self, connection: Connection, frame: bytes) -> None:
        """One frame, without its length, as the shell hands it over; it is overwritten afterwards, as the shell's buffer is."""
        buffer = bytearray(frame)
        self.node.frame_received(connection, memoryview(buffer), self.now_ms)
        buffer[:] = b"\xff" * len(buffer)
        self._settle()

    def frames(self, connection: Connection) -> list[bytes]:
        """The whole frames that the node has sent on the connection since the last call, without their lengths."""
        sent = self._sent[connection]
        frames = []
        while len(sent) >= 4:
            length = int.from_bytes(sent[:4], "big")
            frames.append(bytes(sent[4 : 4 + length]))
            del sent[: 4 + length]
        return frames

    def request(self, message: object, response: type[Response], *, version: int, connection: Connection | None = None) -> Response:
        """Sends a request and returns its response; lets time pass until it comes (at most ten seconds)."""
        connection = connection or self.connect()
        api_key = next(key for key, api in APIS.items() if api.request is type(message))
        correlation_id = self._next_correlation_id
        self._next_correlation_id += 1
        self.send(connection, encode_request(api_key, version, correlation_id, "test", message)[4:])
        for _ in range(1_000):
            frames = self.frames(connection)
            if frames:
                (frame,) = frames
                answered, offset = read_response_header(memoryview(frame), api_key, version)
                assert answered == correlation_id
                result, end = read_message(response, version, frame, offset)
                assert end == len(frame)
                return result
            self.run(10)
        raise AssertionError("there was no answer within ten virtual seconds")

    def create_topic(self, name: str, *, partitions: int = 1, **configs: str) -> bytes:
        """Creates a topic; returns its id."""
        topic = CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=1,
            configs=[CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()],
        )
        response = self.request(CreateTopicsRequest(topics=[topic], timeout_ms=5_000), CreateTopicsResponse, version=7)
        assert response.topics[0].error_code == 0, response.topics[0].error_message
        topic_id: Any = response.topics[0].topic_id
        return bytes(topic_id)

    def _settle(self) -> None:
        effects = list(self.node.settle(self.now_ms))
        while effects:
            effect = effects.pop(0)
            match effect:
                case Flush():
                    for buffer in effect.connection.out:
                        self._sent[effect.connection] += buffer
                    effect.connection.out.clear()
                case Persist():
                    self.disk.persist(effect)
                    self.node.persisted(effect.token, self.now_ms)
                    effects.extend(self.node.settle(self.now_ms))
                case CloseConnection():
                    self.closed.append((effect.connection, effect.reason))
                    self.node.connection_closed(effect.connection, self.now_ms)
                case Observed():
                    self.observed.append(effect)
                case OpenLink():
                    pass  # nobody answers there
                case Halt():
                    raise AssertionError(effect.reason)
                case _:
                    raise AssertionError(f"a lone node has no use for {effect}")
