"""A Kafka client in a world: connections, requests with deadlines, and what it knows of the cluster.

It speaks the bytes of the protocol, as any client does, and behaves as Kafka's clients do: one connection to a broker, several requests
in flight on it, and a connection that is given up with all its requests when one of them waits too long.

Invariant: a request ends in its response, or in `RequestLost`, after which nobody can say whether the broker acted on it, unless it
certainly was not sent (`RequestLost.sent` is false).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from raftkafka.protocol.fetch_codec import FetchRequestData, decode_fetch_response, encode_fetch_request
from raftkafka.protocol.framing import encode_request, read_message, read_response_header
from raftkafka.protocol.registry import APIS
from raftkafka.simulation.events import US_PER_MS, Event, EventHeap, Promise
from raftkafka.simulation.network import Network, Side, frames_of

PRODUCE_KEY, FETCH_KEY, LIST_OFFSETS_KEY, METADATA_KEY = 0, 1, 2, 3
OFFSET_COMMIT_KEY, OFFSET_FETCH_KEY, FIND_COORDINATOR_KEY = 8, 9, 10
JOIN_GROUP_KEY, HEARTBEAT_KEY, LEAVE_GROUP_KEY, SYNC_GROUP_KEY = 11, 12, 13, 14
CREATE_TOPICS_KEY, DELETE_TOPICS_KEY, DELETE_RECORDS_KEY, INIT_PRODUCER_ID_KEY, OFFSET_FOR_LEADER_EPOCH_KEY = 19, 20, 21, 22, 23
DESCRIBE_CONFIGS_KEY, CREATE_PARTITIONS_KEY, DELETE_GROUPS_KEY, INCREMENTAL_ALTER_CONFIGS_KEY = 32, 37, 42, 44
ELECT_LEADERS_KEY, ALTER_PARTITION_REASSIGNMENTS_KEY = 43, 45
ALTER_REPLICA_LOG_DIRS_KEY, DESCRIBE_LOG_DIRS_KEY = 34, 35
DESCRIBE_CLIENT_QUOTAS_KEY, ALTER_CLIENT_QUOTAS_KEY = 48, 49
LIST_PARTITION_REASSIGNMENTS_KEY, DESCRIBE_QUORUM_KEY, UNREGISTER_BROKER_KEY = 46, 55, 64
ADD_RAFT_VOTER_KEY, REMOVE_RAFT_VOTER_KEY = 80, 81

VERSIONS: Mapping[int, int] = {
    PRODUCE_KEY: 11,
    FETCH_KEY: 12,
    LIST_OFFSETS_KEY: 8,
    METADATA_KEY: 12,
    OFFSET_COMMIT_KEY: 9,
    OFFSET_FETCH_KEY: 8,
    FIND_COORDINATOR_KEY: 4,
    JOIN_GROUP_KEY: 9,
    HEARTBEAT_KEY: 4,
    LEAVE_GROUP_KEY: 5,
    SYNC_GROUP_KEY: 5,
    CREATE_TOPICS_KEY: 7,
    DELETE_TOPICS_KEY: 6,
    DELETE_RECORDS_KEY: 2,
    INIT_PRODUCER_ID_KEY: 4,
    OFFSET_FOR_LEADER_EPOCH_KEY: 4,
    DESCRIBE_CONFIGS_KEY: 4,
    CREATE_PARTITIONS_KEY: 3,
    DELETE_GROUPS_KEY: 2,
    INCREMENTAL_ALTER_CONFIGS_KEY: 1,
    ELECT_LEADERS_KEY: 2,
    ALTER_PARTITION_REASSIGNMENTS_KEY: 1,
    ALTER_REPLICA_LOG_DIRS_KEY: 2,
    DESCRIBE_LOG_DIRS_KEY: 4,
    DESCRIBE_CLIENT_QUOTAS_KEY: 1,
    ALTER_CLIENT_QUOTAS_KEY: 1,
    LIST_PARTITION_REASSIGNMENTS_KEY: 0,
    DESCRIBE_QUORUM_KEY: 2,
    UNREGISTER_BROKER_KEY: 0,
    ADD_RAFT_VOTER_KEY: 1,
    REMOVE_RAFT_VOTER_KEY: 0,
}
"""The version spoken of each API; a client may have others for some."""

REQUEST_TIMEOUT_MS = 3_000
RETRY_MS = 50


class RequestLost(Exception):
    """No answer: the connection failed or the deadline passed. `sent` is false when the request certainly never left the client."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


@attrs.frozen
class Address:
    host: str
    port: int


@attrs.define(eq=False)
class _Pending:
    api_key: int
    version: int
    promise: Promise[Any]
    deadline: Event


class _Connection:
    """One connection of a client, being opened or open."""

    def __init__(self) -> None:
        self.side: Side | None = None
        self.unsent: list[bytes] = []
        self.pending: dict[int, _Pending] = {}


class SimClient:
    """A client process on a machine of its own."""

    def __init__(self, *, name: str, heap: EventHeap, network: Network, bootstrap: Sequence[Address], rng: random.Random) -> None:
        self.name = name
        self.heap = heap
        self.rng = rng
        self.versions: dict[int, int] = dict(VERSIONS)
        self.bootstrap = bootstrap
        self._network = network
        self._connections: dict[Address, _Connection] = {}
        self._address_of_side: dict[Side, Address] = {}
        self._next_correlation_id = 1
        network.add_machine(name, self)

    # A machine that nobody connects to

    def powered(self) -> bool:
        return True

    def accept(self, side: Side, port: int) -> bool:
        return False

    # Requests

    def request(self, address: Address, api_key: int, message: object, *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> Promise[Any]:
        """Sends a request to one broker, after all that were sent to it before; the promise of its response, or of `RequestLost`."""
        connection = self._connections.get(address) or self._open(address)
        correlation_id = self._next_correlation_id
        self._next_correlation_id += 1
        version = self.versions[api_key]
        if isinstance(message, FetchRequestData):
            data = encode_fetch_request(version, correlation_id, self.name, message)
        else:
            data = encode_request(api_key, version, correlation_id, self.name, message)
        promise: Promise[Any] = Promise()
        deadline = self.heap.after(timeout_ms * US_PER_MS, lambda: self._give_up(address, connection))
        connection.pending[correlation_id] = _Pending(api_key, version, promise, deadline)
        if connection.side is None:
            connection.unsent.append(data)
        else:
            self._network.send(connection.side, data)
        return promise

    async def ask(self, address: Address, api_key: int, message: object, *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> Any:
        """The response to one request to one broker; raises `RequestLost`."""
        return await self.request(address, api_key, message, timeout_ms=timeout_ms)

    async def ask_any(self, api_key: int, message: object) -> Any:
        """The response of some broker."""
        return await self.request(self.rng.choice(self.bootstrap), api_key, message)

    async def retry_pause(self) -> None:
        await self.heap.sleep(RETRY_MS // 2 + self.rng.randrange(RETRY_MS))

    def crash(self) -> None:
        """The process ends: its connections close, and its requests are lost."""
        for address, connection in list(self._connections.items()):
            self._close(address, connection, "the client crashed")

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
        address = self._address_of_side[side]
        connection = self._connections[address]
        for frame in frames_of(data):
            if self._connections.get(address) is not connection:
                return  # what came of the answer before this one closed the connection
            pending = connection.pending.pop(int.from_bytes(frame[:4], "big"))
            view = memoryview(frame)
            _, offset = read_response_header(view, pending.api_key, pending.version)
            response: Any
            if pending.api_key == FETCH_KEY:
                response = decode_fetch_response(view, offset, pending.version)
            else:
                response_type: type[Any] = APIS[pending.api_key].response
                response, _ = read_message(response_type, pending.version, view, offset)
            pending.deadline.cancel()
            pending.promise.resolve(response)

    def closed(self, side: Side) -> None:
        address = self._address_of_side.pop(side)
        self._lose(address, self._connections[address], "closed")

    def _give_up(self, address: Address, connection: _Connection) -> None:
        """A request has waited too long: Kafka's clients drop the whole connection then."""
        self._close(address, connection, "timed out")

    def _close(self, address: Address, connection: _Connection, why: str) -> None:
        if connection.side is not None:
            self._network.close(connection.side)
            self._address_of_side.pop(connection.side, None)
        self._lose(address, connection, why)

    def _lose(self, address: Address, connection: _Connection, why: str) -> None:
        if self._connections.get(address) is connection:
            del self._connections[address]
        pending = list(connection.pending.values())
        connection.pending.clear()
        for each in pending:
            each.deadline.cancel()
            each.promise.fail(RequestLost(f"{address.host}: {why}", sent=connection.side is not None))
