"""A client of a whole cluster for tools: one connection to each broker that is asked, retries where Kafka's own admin client retries.

    async with open_cluster("localhost:9092", client_id="topics") as cluster:
        response = await cluster.ask_controller(CreateTopicsRequest(...))

Invariants
- A request is sent again only when it certainly did not arrive, when it only reads, or when the answer says that it was not carried out.
- Everything ends within `timeout_s`, also the search for a first broker.
- An answer given by `ask_leaders` for a partition is that of its leader.

Sources: Kafka's admin client as its documentation describes it (default.api.timeout.ms, request.timeout.ms, retry.backoff.ms); KIP-699.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import trio

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import TopicPartition
from raftkafka.client.bootstrap import parse_bootstrap
from raftkafka.client.cluster_failures import GROUP_COORDINATOR as GROUP_COORDINATOR
from raftkafka.client.cluster_failures import TRANSACTION_COORDINATOR as TRANSACTION_COORDINATOR
from raftkafka.client.cluster_failures import CoordinatorRefused as CoordinatorRefused
from raftkafka.client.cluster_failures import PartitionsUnavailable as PartitionsUnavailable
from raftkafka.client.cluster_failures import Unreachable as Unreachable
from raftkafka.client.cluster_failures import Unsupported as Unsupported
from raftkafka.client.connection import BrokerConnection, RequestFailed, UnknownHost, api_of, connect
from raftkafka.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from raftkafka.protocol.messages.find_coordinator import FindCoordinatorRequest
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker
from raftkafka.protocol.registry import APIS

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_REQUEST_TIMEOUT_S = 30.0
BACKOFF_S = 0.1
UNKNOWN_TOPIC_GRACE_S = 2.0
"""How long a topic may be unknown to the brokers before it is taken for missing: a new one reaches them one by one."""

_METADATA_KEY = 3
_BROKERS, _CONTROLLERS = 1, 2
"""Types of endpoints in DescribeCluster."""

_READS = ("ApiVersions", "Describe", "Fetch", "Find", "List", "Metadata", "OffsetFetch", "OffsetForLeaderEpoch", "ConsumerGroupDescribe")
_CONTROLLER_MOVED = frozenset({ErrorCode.NOT_CONTROLLER, ErrorCode.BROKER_NOT_AVAILABLE})
_COORDINATOR_MOVED = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE})
_LEADER_MOVED = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
    }
)

_PATIENCE_S = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: UNKNOWN_TOPIC_GRACE_S,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: 0.0,
    ErrorCode.INVALID_TOPIC_EXCEPTION: 0.0,
}
"""How long a partition is waited for, by the reason why it has no leader; for any other reason as long as the client waits."""


class ClusterClient:
    """The brokers of a cluster; made by `open_cluster`."""

    def __init__(
        self,
        bootstrap: Sequence[tuple[str, int]],
        *,
        client_id: str,
        timeout_s: float,
        request_timeout_s: float,
        on_unreachable: Callable[[str], None] | None = None,
    ) -> None:
        self._bootstrap = list(bootstrap)
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._request_timeout_s = request_timeout_s
        self._on_unreachable = on_unreachable
        self._stack = contextlib.AsyncExitStack()
        self._connections: dict[tuple[str, int], BrokerConnection] = {}
        self._addresses: dict[int, tuple[str, int]] = {}
        self._versions: Mapping[int, tuple[int, int]] = {}

    # --- what the cluster is

    def serves(self, api_key: int) -> bool:
        """Whether the broker that answered first serves an API in a version that is known here."""
        low, high = self._versions.get(api_key, (0, -1))
        api = APIS[api_key]
        return max(low, api.min_version) <= min(high, api.max_version)

    def versions(self) -> Mapping[int, tuple[int, int]]:
        """The APIs of the broker that answered first, with their first and last versions."""
        return self._versions

    async def metadata(self, topics: Sequence[str] | None = None, include_authorized: bool = False) -> MetadataResponse:
        """The brokers and the topics of these names, all when it is None; no topic is created by asking."""
        request = MetadataRequest(
            topics=None if topics is None else [MetadataRequestTopic(name=name) for name in topics],
            allow_auto_topic_creation=False,
            include_topic_authorized_operations=include_authorized,
        )
        response: MetadataResponse = await self.ask(request)
        self._addresses = {broker.node_id: (broker.host, broker.port) for broker in response.brokers}
        return response

    async def brokers(self) -> list[MetadataResponseBroker]:
        """The brokers that are alive, in the order of their ids; the controllers, where a controller was connected to (KIP-919)."""
        if self._speaks_to_brokers:
            return sorted((await self.metadata([])).brokers, key=lambda broker: broker.node_id)
        nodes = sorted((await self.cluster()).brokers, key=lambda node: node.broker_id)
        self._addresses = {node.broker_id: (node.host, node.port) for node in nodes}
        return [MetadataResponseBroker(node_id=node.broker_id, host=node.host, port=node.port, rack=node.rack) for node in nodes]

    async def cluster(self) -> DescribeClusterResponse:
        """The id of the cluster, its controller and its brokers; its controllers, where a controller was connected to."""
        request = DescribeClusterRequest(endpoint_type=_BROKERS if self._speaks_to_brokers else _CONTROLLERS)
        response: DescribeClusterResponse = await self.ask(request)
        return response

    @property
    def _speaks_to_brokers(self) -> bool:
        return _METADATA_KEY in self._versions

    # --- asking

    async def ask(
        self,
        message: object,
        broker_id: int | None = None,
        timeout_s: float | None = None,
        *,
        max_version: int | None = None,
        once: bool = False,
    ) -> Any:
        """The answer of that broker, of any when it is None, in no higher version than `max_version`.

        `Unsupported` when it lacks the API, `RequestFailed` when no answer came in time, with `once` also when the first attempt failed.
        """
        api = api_of(message)
        deadline = trio.current_time() + (self._timeout_s if timeout_s is None else timeout_s)
        while True:
            connection = await self._connection(broker_id, deadline, once=once)
            low, high = connection.offered(api)
            version = min(high, api.max_version if max_version is None else max_version)
            if version < max(low, api.min_version):
                raise Unsupported(api.name)
            remaining_s = deadline - trio.current_time()
            try:
                return await connection.request(message, version=version, timeout_s=max(0.001, min(self._request_timeout_s, remaining_s)))
            except RequestFailed as error:
                self._forget(connection)
                if once or not (error.definite or api.name.startswith(_READS)) or remaining_s <= BACKOFF_S:
                    raise
                await trio.sleep(BACKOFF_S)

    async def ask_controller(self, message: object, timeout_s: float | None = None) -> Any:
        """The answer of the active controller, through any broker; asked again while there is none."""
        return await self._ask_while(lambda: self.ask(message, timeout_s=timeout_s), _CONTROLLER_MOVED, timeout_s)

    async def ask_coordinator(
        self,
        group: str,
        message: object,
        timeout_s: float | None = None,
        *,
        key_type: int = GROUP_COORDINATOR,
        max_version: int | None = None,
    ) -> Any:
        """The answer of the coordinator of a group (or transactional id); found again and asked again while it moves or loads."""

        deadline = trio.current_time() + (self._timeout_s if timeout_s is None else timeout_s)

        async def ask_once() -> Any:
            while True:
                coordinator = await self._coordinator(group, key_type, timeout_s)
                try:
                    return await self.ask(message, coordinator, timeout_s, max_version=max_version, once=True)
                except RequestFailed as error:
                    # A coordinator that is gone: another will be found.
                    again = error.definite or api_of(message).name.startswith(_READS)
                    if not again or trio.current_time() + BACKOFF_S >= deadline:
                        raise
                    await trio.sleep(BACKOFF_S)

        return await self._ask_while(ask_once, _COORDINATOR_MOVED, timeout_s)

    async def ask_leaders(
        self,
        partitions: Sequence[TopicPartition],
        build: Callable[[Sequence[TopicPartition]], object],
        timeout_s: float | None = None,
    ) -> list[tuple[Sequence[TopicPartition], Any]]:
        """What the leaders answer: each answer with the partitions that it is final for. `build` makes the request for one leader's.

        `PartitionsUnavailable` when a partition does not exist, or has no leader until the time is over. The response is searched for error
        codes as most are made: `topics`, each with `partitions`, each with `partition_index` and `error_code`.
        """
        started = trio.current_time()
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        answers: list[tuple[Sequence[TopicPartition], Any]] = []
        left = list(dict.fromkeys(partitions))
        while left:
            by_leader, missing = await self._leaders(left)
            left = []
            for leader_id, its_partitions in by_leader.items():
                request = build(its_partitions)
                try:
                    response = await self.ask(request, leader_id, timeout_s, once=True)
                except RequestFailed as error:
                    if not (error.definite or api_of(request).name.startswith(_READS)):
                        raise
                    # A leader that is gone: the metadata will name another.
                    missing.update(dict.fromkeys(its_partitions, ErrorCode.LEADER_NOT_AVAILABLE))
                    continue
                moved = _partitions_with(response, _LEADER_MOVED)
                missing.update({each: moved[each] for each in its_partitions if each in moved})
                final = [each for each in its_partitions if each not in moved]
                if final:
                    answers.append((final, response))
            elapsed_s = trio.current_time() - started
            for partition, code in missing.items():
                if elapsed_s + BACKOFF_S < min(limit_s, _PATIENCE_S.get(code, limit_s)):
                    left.append(partition)
            if missing and not left:
                raise PartitionsUnavailable(missing, answers)
            if left:
                await trio.sleep(BACKOFF_S)
        return answers

    # --- how

    async def open(self) -> None:
        """Connects to the first broker of the bootstrap list that answers."""
        await self._connection(None, trio.current_time() + self._timeout_s)

    async def close(self) -> None:
        """Closes all connections."""
        await self._stack.aclose()

    async def _ask_while(self, once: Callable[[], Any], again: frozenset[ErrorCode], timeout_s: float | None) -> Any:
        deadline = trio.current_time() + (self._timeout_s if timeout_s is None else timeout_s)
        while True:
            response = await once()
            if not any(code in again for code in _codes(response)) or trio.current_time() + BACKOFF_S >= deadline:
                return response
            await trio.sleep(BACKOFF_S)

    async def _coordinator(self, key: str, key_type: int, timeout_s: float | None) -> int:
        request = FindCoordinatorRequest(key=key, key_type=key_type, coordinator_keys=[key])
        response = await self._ask_while(lambda: self.ask(request, timeout_s=timeout_s), _COORDINATOR_MOVED, timeout_s)
        found = response.coordinators[0] if response.coordinators else response
        if found.error_code != ErrorCode.NONE:
            raise CoordinatorRefused(key, key_type, found.error_code, found.error_message)
        self._addresses[found.node_id] = (found.host, found.port)
        node_id: int = found.node_id
        return node_id

    async def _leaders(
        self, partitions: Sequence[TopicPartition]
    ) -> tuple[dict[int, list[TopicPartition]], dict[TopicPartition, ErrorCode]]:
        """The partitions by their leaders, in the order of the leaders' ids, and those that have none now."""
        metadata = await self.metadata(list(dict.fromkeys(partition.topic for partition in partitions)))
        leaders: dict[TopicPartition, tuple[int, int]] = {
            TopicPartition(topic.name or "", each.partition_index): (each.leader_id, each.error_code)
            for topic in metadata.topics
            for each in topic.partitions
        }
        of_topic = {topic.name: ErrorCode(topic.error_code) for topic in metadata.topics}
        by_leader: dict[int, list[TopicPartition]] = {}
        missing: dict[TopicPartition, ErrorCode] = {}
        for partition in partitions:
            leader_id, code = leaders.get(partition, (-1, 0))
            if leader_id in self._addresses:
                by_leader.setdefault(leader_id, []).append(partition)
            elif partition in leaders:
                missing[partition] = ErrorCode(code) if code else ErrorCode.LEADER_NOT_AVAILABLE
            else:
                missing[partition] = of_topic.get(partition.topic, ErrorCode.NONE) or ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return dict(sorted(by_leader.items())), missing

    async def _connection(self, broker_id: int | None, deadline: float, *, once: bool = False) -> BrokerConnection:
        """A connection to that broker, or to any; tries until the deadline, unless no host of the bootstrap list exists, or only `once`."""
        warned = False
        while True:
            reasons: list[RequestFailed] = []
            for address in await self._candidates(broker_id):
                if address in self._connections:
                    return self._connections[address]
                try:
                    return await self._connect(address, max(0.001, deadline - trio.current_time()))
                except RequestFailed as error:
                    reasons.append(error)
            hopeless = bool(reasons) and not self._versions and all(isinstance(reason, UnknownHost) for reason in reasons)
            if hopeless or once or trio.current_time() + BACKOFF_S >= deadline:
                raise Unreachable(
                    f"No broker answers: {reasons[-1] if reasons else f'there is no broker {broker_id}'}".removesuffix("?").rstrip(".")
                    + "."
                )
            if reasons and not warned and self._on_unreachable is not None:
                self._on_unreachable(str(reasons[-1]))
                warned = True
            await trio.sleep(BACKOFF_S)

    async def _candidates(self, broker_id: int | None) -> list[tuple[str, int]]:
        if broker_id is None:
            return [*self._connections, *(address for address in self._known() if address not in self._connections)]
        if broker_id not in self._addresses:
            await self.brokers()
        return [self._addresses[broker_id]] if broker_id in self._addresses else []

    def _known(self) -> list[tuple[str, int]]:
        return list(dict.fromkeys([*self._bootstrap, *self._addresses.values()]))

    async def _connect(self, address: tuple[str, int], within_s: float) -> BrokerConnection:
        host, port = address
        limit_s = min(self._request_timeout_s, within_s)
        context = connect(host, port, client_id=self._client_id, timeout_s=limit_s)
        connection = await self._stack.enter_async_context(context)
        self._connections[address] = connection
        if not self._versions:
            self._versions = connection.broker_versions
        return connection

    def _forget(self, connection: BrokerConnection) -> None:
        self._connections = {address: each for address, each in self._connections.items() if each is not connection}


@contextlib.asynccontextmanager
async def open_cluster(
    bootstrap: str,
    *,
    client_id: str = "raftkafka",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    request_timeout_s: float = DEFAULT_REQUEST_TIMEOUT_S,
    on_unreachable: Callable[[str], None] | None = None,
) -> AsyncIterator[ClusterClient]:
    """A client of the cluster that `bootstrap` (`host:port,host:port`) names.

    `ValueError` when that is no such list, `Unreachable` when nobody answers; `on_unreachable` is told why it takes long.
    """
    client = ClusterClient(
        parse_bootstrap(bootstrap),
        client_id=client_id,
        timeout_s=timeout_s,
        request_timeout_s=request_timeout_s,
        on_unreachable=on_unreachable,
    )
    try:
        await client.open()
        yield client
    finally:
        await client.close()


def _codes(response: Any) -> list[int]:
    """The error codes at the top of a response and of the entries of its lists."""
    codes = [getattr(response, "error_code", 0)]
    for name in dir(type(response)):
        entries = None if name.startswith("_") else getattr(response, name)
        if isinstance(entries, list):
            codes.extend(getattr(entry, "error_code", 0) for entry in entries)
    return codes


def _partitions_with(response: Any, codes: frozenset[ErrorCode]) -> dict[TopicPartition, ErrorCode]:
    """The partitions of a response whose error is one of these."""
    return {
        TopicPartition(topic.name, partition.partition_index): ErrorCode(partition.error_code)
        for topic in getattr(response, "topics", ())
        for partition in topic.partitions
        if partition.error_code in codes
    }
