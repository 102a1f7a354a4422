"""What one client knows of the cluster: brokers, leaders with their epochs, topic ids. It is learned from Metadata and from leader hints.

Invariant: of a topic (by its id), a leader of an older epoch never replaces one of a newer epoch (KIP-320).
Sources: KIP-320 (leader epochs), KIP-516 (topic ids), KIP-951 (leader hints).
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import ZERO_ID
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic
from raftkafka.simulation.client import METADATA_KEY, Address, RequestLost, SimClient
from raftkafka.simulation.events import Promise

Slot = tuple[str, int]
"""A topic's name and a partition."""


def key_of(slot: Slot) -> str:
    """What a history calls a partition."""
    return f"{slot[0]}-{slot[1]}"


@attrs.frozen
class Leader:
    """Where a partition's leader is, as far as is known."""

    node_id: int
    epoch: int
    address: Address


@attrs.define
class _Partition:
    leader_id: int
    epoch: int
    suspect: bool = False


class KnownCluster:
    """The metadata of one client. One request for it is in flight at a time; whoever wants to learn meanwhile waits for that one."""

    def __init__(self, client: SimClient, topics: Iterable[str]) -> None:
        self.topics = list(topics)
        """What is asked for."""
        self._client = client
        self._brokers: dict[int, Address] = {}
        self._topic_ids: dict[str, bytes] = {}
        self._partitions: dict[Slot, _Partition] = {}
        self._counts: dict[str, int] = {}
        self._waiting: list[Promise[None]] = []

    def leader(self, slot: Slot) -> Leader | None:
        """The leader to ask now; none when it is not known or the last one known was wrong."""
        known = self._partitions.get(slot)
        if known is None or known.suspect:
            return None
        address = self._brokers.get(known.leader_id)
        return Leader(known.leader_id, known.epoch, address) if address is not None else None

    def topic_id(self, topic: str) -> bytes:
        return self._topic_ids.get(topic, ZERO_ID)

    def partition_count(self, topic: str) -> int:
        """As the last metadata said; 0 of an unknown topic."""
        return self._counts.get(topic, 0)

    def address(self, node_id: int) -> Address | None:
        return self._brokers.get(node_id)

    def suspect(self, slot: Slot) -> None:
        """The broker asked did not lead, or gave no answer: the leader must be learned again."""
        known = self._partitions.get(slot)
        if known is not None:
            known.suspect = True

    def hint(self, slot: Slot, leader: tuple[int, int] | None, endpoints: Iterable[tuple[int, Address]]) -> None:
        """A response named a (leader id, leader epoch), and perhaps where brokers are."""
        self._brokers.update(endpoints)
        if leader is not None and leader[0] >= 0:
            known = self._partitions.get(slot)
            if known is None or leader[1] > known.epoch:
                self._partitions[slot] = _Partition(leader[0], leader[1])

    async def find_leader(self, slot: Slot) -> Leader | None:
        """The leader, learned if need be; none, after a pause, when it could not be learned now."""
        leader = self.leader(slot)
        if leader is None:
            await self.learn()
            leader = self.leader(slot)
            if leader is None:
                await self._client.retry_pause()
        return leader

    async def learn(self) -> None:
        """Asks some broker, and takes what it says as far as it is news."""
        promise: Promise[None] = Promise()
        self._waiting.append(promise)
        if len(self._waiting) == 1:
            self._client.heap.spawn(self._ask())
        await promise

    async def _ask(self) -> None:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic) for topic in self.topics], allow_auto_topic_creation=False)
        try:
            response: MetadataResponse = await self._client.ask_any(METADATA_KEY, request)
        except RequestLost:
            pass
        else:
            self._take(response)
        waiting, self._waiting = self._waiting, []
        for promise in waiting:
            promise.resolve(None)

    def _take(self, response: MetadataResponse) -> None:
        for broker in response.brokers:
            self._brokers[broker.node_id] = Address(broker.host, broker.port)
        for topic in response.topics:
            if topic.name is not None and topic.error_code == ErrorCode.NONE:
                self._take_topic(topic.name, topic)

    def _take_topic(self, name: str, topic: MetadataResponseTopic) -> None:
        is_another = self._topic_ids.get(name, topic.topic_id) != topic.topic_id
        self._topic_ids[name] = topic.topic_id
        self._counts[name] = len(topic.partitions)
        for partition in topic.partitions:
            slot = (name, partition.partition_index)
            known = self._partitions.get(slot)
            if partition.leader_id >= 0 and (known is None or is_another or partition.leader_epoch >= known.epoch):
                self._partitions[slot] = _Partition(partition.leader_id, partition.leader_epoch)
