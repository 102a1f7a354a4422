"""An administrator that moves replicas: reassignments of the workload's partitions and of the group's, cancels, throttles, elections.

What was asked for must have come about at the end (`check`), and a reassignment must not be stuck (`liveness`). Each target has at least as
many replicas as an acknowledgement needs, so that nothing is lost by what is asked for; throttles are lifted at the end.

Invariant: a partition ends with the last target that was granted, or with one whose request has no known outcome. After a cancel nobody
here can tell where it ends, until the next target is granted; after one without a known outcome never again. The same holds after a move
that a controller began by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raftkafka.base.errors import ErrorCode
from raftkafka.base.observed import Observed
from raftkafka.metadata.configs import ResourceType
from raftkafka.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.protocol.messages.elect_leaders import ElectLeadersRequest
from raftkafka.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from raftkafka.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from raftkafka.replication.throttle import FOLLOWER_RATE, FOLLOWER_REPLICAS, LEADER_RATE, LEADER_REPLICAS
from raftkafka.simulation.client import (
    ALTER_PARTITION_REASSIGNMENTS_KEY,
    ELECT_LEADERS_KEY,
    INCREMENTAL_ALTER_CONFIGS_KEY,
    METADATA_KEY,
    RequestLost,
    SimClient,
)
from raftkafka.simulation.workload.known_cluster import Slot, key_of
from raftkafka.simulation.workload.recording import Recording, error_name

TIMEOUT_MS = 3_000
TIMEOUTS_MS = (20, TIMEOUT_MS)
"""How long the controller waits until all brokers know of a move: now and then the next one comes before some of them do."""
SET, DELETE = 0, 1
RATES = ("20000", "200000", None)
"""Bytes in a second; none takes the rate away."""
GROUPS_TOPIC = "__consumer_offsets"
EXPECTED_REFUSALS = frozenset(
    {
        ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,  # a broker is not registered yet, or a cancel would be an unclean election
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,  # of the group's topic, which is created when it is first used
    }
)

Replicas = frozenset[int]


class Reassigner:
    """Does one operation after the other until `running` is false."""

    def __init__(
        self,
        *,
        client: SimClient,
        recording: Recording,
        slots: Sequence[Slot],
        group_partitions: int,
        node_ids: Sequence[int],
        min_replicas: int,
        interval_ms: int,
    ) -> None:
        self.running = True
        self.finished = False
        self._client = client
        self._recording = recording
        self._slots = slots
        self._group_slots = [(GROUPS_TOPIC, partition) for partition in range(group_partitions)]
        self._node_ids = node_ids
        self._min_replicas = min_replicas
        self._interval_ms = interval_ms
        self._granted: dict[Slot, Replicas] = {}
        """The last target that was granted, if there was no cancel since."""
        self._late: dict[Slot, dict[Replicas, None]] = {}
        """Targets whose requests have no known outcome: they may be granted at any time."""
        self._late_cancels: dict[Slot, None] = {}
        self._moved_us: dict[Slot, int] = {}
        """When a controller last moved a replica of a partition by itself."""

    async def run(self) -> None:
        rng = self._client.rng
        while self.running:
            await self._client.heap.sleep(1 + rng.randrange(2 * self._interval_ms))
            if not self.running:
                break
            await rng.choice((self.reassign, self.reassign, self.reassign, self.reassign, self.cancel, self.elect, self.throttle))()
        for node_id in self._node_ids:
            while not await self._set_rate(node_id, None):
                await self._client.retry_pause()
        self.finished = True

    # Operations

    async def reassign(self) -> None:
        """Some partitions get other replicas, more, fewer, or another order."""
        rng = self._client.rng
        targets: dict[Slot, list[int] | None] = {}
        for slot in self._some_slots():
            count = rng.randint(self._min_replicas, min(len(self._node_ids), self._min_replicas + 2))
            targets[slot] = rng.sample(self._node_ids, count)
        await self._alter("reassign", targets)

    async def cancel(self) -> None:
        await self._alter("cancel reassignment of", dict.fromkeys(self._some_slots()))

    async def elect(self) -> None:
        """Preferred leaders everywhere."""
        try:
            response = await self._client.ask_any(
                ELECT_LEADERS_KEY, ElectLeadersRequest(election_type=0, topic_partitions=None, timeout_ms=TIMEOUT_MS)
            )
        except RequestLost:
            return
        count = sum(len(topic.partition_result) for topic in response.replica_election_results)
        self._recording.note(self._client.name, f"elect preferred leaders: {count} partitions {error_name(response.error_code)}")

    async def throttle(self) -> None:
        """One broker gets a rate for replicas that are not in sync, or loses it; all topics of the workload are throttled from then on."""
        rng = self._client.rng
        await self._set_rate(rng.choice(self._node_ids), rng.choice(RATES))

    async def _set_rate(self, node_id: int, rate: str | None) -> bool:
        """Whether the broker certainly has this rate now. All must be lifted at the end: one may be below what the producers write."""
        resources = throttle_resources(node_id, rate, list(dict.fromkeys(topic for topic, _ in self._slots)))
        try:
            response = await self._client.ask_any(INCREMENTAL_ALTER_CONFIGS_KEY, IncrementalAlterConfigsRequest(resources=resources))
        except RequestLost:
            return False
        codes = [each.error_code for each in response.responses]
        text = " ".join(map(error_name, codes))
        self._recording.note(
            self._client.name, f"{f'throttle broker {node_id} to {rate}' if rate else f'lift the throttle of broker {node_id}'}: {text}"
        )
        return not any(codes)

    def _some_slots(self) -> list[Slot]:
        rng = self._client.rng
        if self._group_slots and rng.random() < 0.2:
            return [rng.choice(self._group_slots)]
        return rng.sample(list(self._slots), rng.randint(1, min(3, len(self._slots))))

    async def _alter(self, what: str, targets: dict[Slot, list[int] | None]) -> None:
        by_topic: dict[str, list[ReassignablePartition]] = {}
        for (topic, partition), replicas in targets.items():
            by_topic.setdefault(topic, []).append(ReassignablePartition(partition_index=partition, replicas=replicas))
        topics = [ReassignableTopic(name=topic, partitions=partitions) for topic, partitions in by_topic.items()]
        request = AlterPartitionReassignmentsRequest(timeout_ms=self._client.rng.choice(TIMEOUTS_MS), topics=topics)
        text = ", ".join(key_of(slot) + (f" to {replicas}" if replicas else "") for slot, replicas in targets.items())
        begun_us = self._client.heap.now_us
        try:
            response = await self._client.ask_any(ALTER_PARTITION_REASSIGNMENTS_KEY, request)
        except RequestLost as lost:
            self._recording.note(self._client.name, f"{what} {text}: no answer")
            if lost.sent:
                self._unsure(targets)
            return
        codes = self._codes(response)
        self._recording.note(
            self._client.name, f"{what} {text}: {' '.join(map(error_name, codes.values())) or error_name(response.error_code)}"
        )
        if response.error_code:
            self._unsure(targets)  # REQUEST_TIMED_OUT, or the controller was deposed
            return
        for slot, replicas in targets.items():
            self._answered(slot, replicas, codes[slot], begun_us)

    def _codes(self, response: Any) -> dict[Slot, int]:
        return {(topic.name, each.partition_index): each.error_code for topic in response.responses for each in topic.partitions}

    def _unsure(self, targets: dict[Slot, list[int] | None]) -> None:
        for slot, replicas in targets.items():
            if replicas is None:
                self._granted.pop(slot, None)
                self._late_cancels[slot] = None
            else:
                self._late.setdefault(slot, {})[frozenset(replicas)] = None

    def heard(self, who: str, what: Observed) -> None:
        """A controller moves replicas by itself, too: where they are then nobody has asked for."""
        if what.kind == "replica-moving":
            topic, _, partition = str(what.fields["partition"]).rpartition("-")
            slot = topic, int(partition)
            self._granted.pop(slot, None)
            self._moved_us[slot] = self._client.heap.now_us

    def _answered(self, slot: Slot, replicas: list[int] | None, code: int, begun_us: int) -> None:
        if code and code not in EXPECTED_REFUSALS:
            self._recording.problem(f"{self._client.name}: reassignment of {key_of(slot)} was refused with {error_name(code)}")
        if replicas is None and code in (ErrorCode.NONE, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS):
            # Forwarded again after its controller was deposed, a cancel that was done is refused the second time.
            self._granted.pop(slot, None)
        elif self._moved_us.get(slot, -1) >= begun_us:
            self._granted.pop(slot, None)  # nobody here can tell which was decided first
        elif replicas is not None and code == ErrorCode.NONE and slot not in self._late_cancels:
            self._granted[slot] = frozenset(replicas)

    # At the end

    async def check(self) -> None:
        """Asks where the partitions are, and complains where that is not what was asked for."""
        topics = dict.fromkeys(topic for topic, _ in self._granted)
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic) for topic in topics], allow_auto_topic_creation=False)
        while topics:
            try:
                response = await self._client.ask_any(METADATA_KEY, request)
            except RequestLost:
                await self._client.retry_pause()
                continue
            found = {
                (topic.name, each.partition_index): frozenset(each.replica_nodes) for topic in response.topics for each in topic.partitions
            }
            for slot, granted in self._granted.items():
                possible = [granted, *self._late.get(slot, {})]
                if found.get(slot) not in possible:
                    wanted = " or ".join(str(sorted(each)) for each in possible)
                    self._recording.problem(f"{key_of(slot)} is on {sorted(found.get(slot, ()))}, and was reassigned to {wanted}")
            return


def throttle_resources(node_id: int, rate: str | None, topics: Sequence[str]) -> list[AlterConfigsResource]:
    """What gives a broker a rate for replicas of these topics that are not in sync, or takes the rate away."""
    operation = SET if rate else DELETE
    rates = [AlterableConfig(name=name, config_operation=operation, value=rate) for name in (LEADER_RATE, FOLLOWER_RATE)]
    replicas = [AlterableConfig(name=name, config_operation=SET, value="*") for name in (LEADER_REPLICAS, FOLLOWER_REPLICAS)]
    return [
        AlterConfigsResource(resource_type=ResourceType.BROKER, resource_name=str(node_id), configs=rates),
        *(AlterConfigsResource(resource_type=ResourceType.TOPIC, resource_name=topic, configs=replicas) for topic in topics),
    ]
