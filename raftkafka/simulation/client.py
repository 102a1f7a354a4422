"""A Kafka client in a world: connections, requests with deadlines, and the way to a partition's leader.

It speaks the bytes of the protocol, as any client does. Workloads await it in tasks (`simulation.workload`).

Invariant: a request ends in its response, or in `RequestLost`, after which nobody can say whether the broker acted on it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from raftkafka.protocol.framing import encode_request, read_message, read_response_header
from raftkafka.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from raftkafka.protocol.registry import APIS
from raftkafka.simulation.events import US_PER_MS, EventHeap, Promise
from raftkafka.simulation.network import Network, Side, frames_of

T = TypeVar("T")

METADATA_KEY, CREATE_TOPICS_KEY = 3, 19
VERSIONS: Mapping[int, int] = {0: 11, 1: 12, 2: 8, METADATA_KEY: 12, CREATE_TOPICS_KEY: 7, 22: 4}
"""The version spoken of each API: the newest that names topics by name."""

REQUEST_TIMEOUT_MS = 3_000
RETRY_MS = 50


class RequestLost(Exception):
    """No answer: the connection failed or the deadline passed."""


@attrs.frozen
class Address:
    host: str
    port: int


@attrs.define(eq=False)
class _Pending:
    api_key: int
    promise: Promise[Any]


class _Connection:
    """One connection of a client, being opened or open."""

    def __init__(self) -> None:
        self.side: Side | None = None
        self.unsent: list[bytes] = []
        self.pending: dict[int, _Pending] = {}


class SimClient:
    """A client process on a machine of its own."""

    def __init__(self, *, name: str, heap: EventHeap, network: Network, bootstrap: tuple[Address, ...], rng: random.Random) -> None:
        self.name = name
        self.heap = heap
        self.rng = rng
        self._network = network
        self._bootstrap = bootstrap
        self._connections: dict[Address, _Connection] = {}
        self._address_of_side: dict[Side, Address] = {}
        self._brokers: dict[int, Address] = {}
        self._leaders: dict[tuple[str, int], int] = {}
        self._next_correlation_id = 1
        network.add_machine(name, self)

    # A machine that nobody connects to

    def powered(self) -> bool:
        return True

    def accept(self, side: Side, port: int) -> bool:
        return False

    # Requests

    async def ask(self, address: Address, api_key: int, message: object, *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> Any:
        """The response to one request to one broker; raises `RequestLost`."""
        connection = self._connections.get(address) or self._open(address)
        correlation_id = self._next_correlation_id
        self._next_correlation_id += 1
        promise: Promise[Any] = Promise()
        connection.pending[correlation_id] = _Pending(api_key, promise)
        data = encode_request(api_key, VERSIONS[api_key], correlation_id, self.name, message)
        if connection.side is None:
            connection.unsent.append(data)
        else:
            self._network.send(connection.side, data)
        deadline = self.heap.after(timeout_ms * US_PER_MS, lambda: self._give_up(address, connection))
        try:
            return await promise
        finally:
            deadline.cancel()

    async def ask_any(self, api_key: int, message: object) -> Any:
        """The response of some broker."""
        return await self.ask(self.rng.choice(self._bootstrap), api_key, message)

    async def ask_leader(self, topic: str, partition: int, api_key: int, message: object) -> Any:
        """The response of the partition's leader, as far as is known; raises `RequestLost` also when none is known."""
        leader = self._leaders.get((topic, partition))
        if leader is None or leader not in self._brokers:
            await self._learn(topic)
            leader = self._leaders.get((topic, partition))
        if leader is None or leader not in self._brokers:
            raise RequestLost(f"no leader of {topic}-{partition} is known")
        try:
            return await self.ask(self._brokers[leader], api_key, message)
        except RequestLost:
            self.forget_leader(topic, partition)
            raise

    def forget_leader(self, topic: str, partition: int) -> None:
        """The broker asked was not the leader, or gave no answer."""
        self._leaders.pop((topic, partition), None)

    async def create_topic(self, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> int:
        """Creates a topic; the error code."""
        topic = CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=replication_factor,
            configs=[CreatableTopicConfig(name=key, value=value) for key, value in configs.items()],
        )
        response = await self.ask_any(CREATE_TOPICS_KEY, CreateTopicsRequest(topics=[topic], timeout_ms=REQUEST_TIMEOUT_MS))
        return int(response.topics[0].error_code)

    async def retry_pause(self) -> None:
        await self.heap.sleep(RETRY_MS // 2 + self.rng.randrange(RETRY_MS))

    async def _learn(self, topic: str) -> None:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
        response: MetadataResponse = await self.ask_any(METADATA_KEY, request)
        self._brokers = {broker.node_id: Address(broker.host, broker.port) for broker in response.brokers}
        for found in response.topics:
            for partition in found.partitions:
                if partition.leader_id >= 0:
                    self._leaders[topic, partition.partition_index] = partition.leader_id

    # Connections

    def _open(self, address: Address) -> _Connection:
        connection = self._connections[address] = _Connection()

        def opened(side: Side) -> None:
            if self._connections.get(address) is not connection:
                self._network.close(side)
                return
            side.receiver = self
            connection.side = side
            self._address_of_side[side] = address
            for data in connection.unsent:
                self._network.send(side, data)
            connection.unsent.clear()

        def failed(refused: bool) -> None:
            self._lose(address, connection, "refused" if refused else "no connection")

        self._network.connect(self.name, address.host, address.port, opened=opened, failed=failed)
        return connection

    def received(self, side: Side, data: bytes) -> None:
        connection = self._connections[self._address_of_side[side]]
        for frame in frames_of(data):
            correlation_id = int.from_bytes(frame[:4], "big")
            pending = connection.pending.pop(correlation_id)
            api_key, version = pending.api_key, VERSIONS[pending.api_key]
            _, offset = read_response_header(memoryview(frame), api_key, version)
            response_type: type[Any] = APIS[api_key].response
            response, _ = read_message(response_type, version, memoryview(frame), offset)
            pending.promise.resolve(response)

    def closed(self, side: Side) -> None:
        address = self._address_of_side.pop(side)
        self._lose(address, self._connections[address], "closed")

    def _give_up(self, address: Address, connection: _Connection) -> None:
        """A request has waited too long: Kafka's clients drop the whole connection then."""
        if connection.side is not None:
            self._network.close(connection.side)
            self._address_of_side.pop(connection.side, None)
        self._lose(address, connection, "timed out")

    def _lose(self, address: Address, connection: _Connection, why: str) -> None:
        if self._connections.get(address) is connection:
            del self._connections[address]
        pending = list(connection.pending.values())
        connection.pending.clear()
        for each in pending:
            each.promise.fail(RequestLost(f"{address.host}: {why}"))
