"""A controller whose brokers report loads: traffic is given for each partition, and its leader tells it in its heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.base.ids import PartitionKey
from raftkafka.base.observed import Observed
from raftkafka.controller.load_balance import PartitionLoad
from raftkafka.controller.settings import BalanceSettings
from raftkafka.metadata.control_messages import PartitionTraffic
from raftkafka.protocol.messages.balance_cluster import BalanceClusterRequest, BalanceClusterResponse
from tests.controller.world import World

HEARTBEAT_MS = 500
MB = 1_000_000.0

Traffic = Callable[[int], float]
"""Bytes per second that come in, by the time since the world began in milliseconds."""


class BalanceWorld(World):
    """`traffic` holds what is written to each partition; half of it is read again. Time passes in steps of a heartbeat."""

    def __init__(self, *, brokers: int = 3, balance: Mapping[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(balance=BalanceSettings(**(balance or {})), **settings)
        self.traffic: dict[PartitionKey, Traffic] = {}
        self.begun_ms = self.now_ms
        self.observed: list[Observed] = []
        self.silent: set[int] = set()
        self.copy_ms: int | None = None
        """How long a new replica takes to catch up; None: for ever."""
        self._copied_ms: dict[PartitionKey, int] = {}
        self.join(*range(1, brokers + 1))

    def write(self, topic: str, partition: int, bytes_per_second: float | Traffic) -> None:
        """From now on so much is written to a partition."""
        rate = bytes_per_second
        self.traffic[self.key(topic, partition)] = rate if callable(rate) else lambda _: rate

    def pass_time(self, ms: int) -> list[Observed]:
        """Heartbeats and ticks for so long; what the controller said about balance meanwhile."""
        before = len(self.observed)
        for _ in range(ms // HEARTBEAT_MS):
            for _ in range(5):
                self.now_ms += HEARTBEAT_MS // 5
                self.controller.tick(self.now_ms)
                self.commit()
                self.apply_everywhere()
            for node_id, broker in list(self.image.brokers.items()):
                if node_id not in self.silent:
                    self.heartbeat(node_id, **({} if broker.fenced else self.report(node_id)))
            self._copy()
        said = self.controller.drain()
        self.observed += said
        return self.observed[before:]

    def report(self, node_id: int) -> dict[str, Any]:
        """What a broker says of the last half second in a heartbeat."""
        traffic = []
        for key, rate in self.traffic.items():
            partition = self.image.partition(key)
            if partition is not None and partition.leader == node_id:
                counted = round(rate(self.now_ms - self.begun_ms) * HEARTBEAT_MS / 1_000)
                if not counted:
                    continue
                traffic.append(
                    PartitionTraffic(
                        topic_id=key.topic_id,
                        partition=key.partition,
                        leader_epoch=partition.leader_epoch,
                        led_ms=HEARTBEAT_MS,
                        bytes_in=counted,
                        bytes_out=counted // 2,
                        requests=counted // 16_384,
                        size=10 * counted,
                    )
                )
        return {"interval_ms": HEARTBEAT_MS, "traffic": tuple(traffic)}

    def moves(self, said: list[Observed]) -> list[Observed]:
        """The moves of leadership among these lines."""
        return [line for line in said if line.kind == "leader-moved"]

    def loads(self) -> dict[int, float]:
        """What each active broker carries by the real traffic now."""
        loads = {int(node_id): 0.0 for node_id, broker in self.image.brokers.items() if broker.is_active}
        for key, rate in self.traffic.items():
            partition = self.image.partition(key)
            assert partition is not None
            bytes_in = rate(self.now_ms - self.begun_ms)
            load = PartitionLoad(bytes_in=bytes_in, bytes_out=bytes_in / 2, requests=bytes_in / 16_384)
            for replica in partition.replicas:
                if replica in loads:
                    loads[replica] += load.of_leader(len(partition.replicas)) if replica == partition.leader else load.of_follower
        return loads

    def excess(self) -> float:
        """The load of the hottest broker over the mean."""
        loads = self.loads()
        return max(loads.values()) * len(loads) / sum(loads.values())

    def balance(self, *, execute: bool = False) -> BalanceClusterResponse:
        """What `raftkafka balance` is told."""
        response: BalanceClusterResponse = self.ask(BalanceClusterRequest(execute=execute, timeout_ms=1_000))
        return response

    def join_isr(self, topic: str, partition: int, isr: Iterable[int]) -> None:
        """The leader of a partition proposes an ISR, which is granted."""
        now = self.partition(topic, partition)
        epochs = {"leader_epoch": now.leader_epoch, "partition_epoch": now.partition_epoch}
        result = self.propose_isr(topic, list(isr), sender=now.leader, partition=partition, **epochs)
        assert result.error in (ErrorCode.NONE, ErrorCode.NEW_LEADER_ELECTED, ErrorCode.FENCED_LEADER_EPOCH)

    def _copy(self) -> None:
        """New replicas catch up, and their leaders propose them."""
        for topic in self.image.topics.by_id.values():
            for index, partition in topic.partitions.items():
                key = PartitionKey(topic.topic_id, index)
                if not partition.adding_replicas or self.copy_ms is None:
                    self._copied_ms.pop(key, None)
                    continue
                self._copied_ms[key] = self._copied_ms.get(key, 0) + HEARTBEAT_MS
                if self._copied_ms[key] >= self.copy_ms:
                    self.join_isr(topic.name, index, dict.fromkeys((*partition.isr, *partition.adding_replicas)))


def wavering(rate: float, phase: int) -> Traffic:
    """A rate that goes up and down by a tenth, every half second at its own time."""
    return lambda now_ms: rate * (1.1 if (now_ms // 500 + 31 * phase) % 5 < 2 else 0.9)
