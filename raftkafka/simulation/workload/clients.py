"""All clients of a run: made from settings and chance, started, and stopped one kind after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftkafka.base.errors import ErrorCode
from raftkafka.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from raftkafka.simulation.client import CREATE_TOPICS_KEY, FETCH_KEY, PRODUCE_KEY, RequestLost, SimClient
from raftkafka.simulation.workload.admin import Admin
from raftkafka.simulation.workload.consumer import Consumer, FinalReader
from raftkafka.simulation.workload.deleter import Deleter
from raftkafka.simulation.workload.directory_mover import DirectoryMover
from raftkafka.simulation.workload.group_member import COOPERATIVE, RANGE, GroupMember
from raftkafka.simulation.workload.known_cluster import Slot, key_of
from raftkafka.simulation.workload.limiter import Limiter
from raftkafka.simulation.workload.producer import Producer
from raftkafka.simulation.workload.reassigner import Reassigner
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.workload.scaler import Scaler
from raftkafka.simulation.workload.settings import WorkloadSettings, draw_producer_style, draw_style
from raftkafka.simulation.workload.skew import Skew
from raftkafka.simulation.workload.table import TABLE_TOPIC
from raftkafka.simulation.workload.table_clients import TableClients
from raftkafka.simulation.world import World

GROUP = "readers"
TOPIC_NAMES = ("records", "orders", "events", "payments")
GROUP_PARTITIONS = 2
"""Of the topic of groups, as `simulation.cluster` sets it."""
CREATE_TIMEOUT_MS = 3_000
MS_PER_SECOND = 1_000

PRODUCE_VERSIONS = (8, 9, 11, 13)
FETCH_VERSIONS = (11, 12, 12, 16, 17)


class Clients:
    """The clients of one world. `recording` is what they saw."""

    def __init__(self, world: World, settings: WorkloadSettings) -> None:
        self.settings = settings
        self._world = world
        self._rng = world.rng("workload")
        self._style = draw_style(self._rng, settings)
        self._protocol = self._rng.choice((RANGE, COOPERATIVE))
        self.recording = Recording(world.heap, world.trace, self._style.options)
        self.topics = TOPIC_NAMES[: settings.topics]
        self.slots: Sequence[Slot] = [(topic, partition) for topic in self.topics for partition in range(settings.partitions)]
        self.producers: list[Producer] = []
        self.consumers: list[Consumer] = []
        self.members: list[GroupMember] = []
        self.admin: Admin | None = None
        self.deleter: Deleter | None = None
        self.reassigner: Reassigner | None = None
        self.mover: DirectoryMover | None = None
        self.limiter: Limiter | None = None
        self.scaler: Scaler | None = None
        self.skew = self._make_skew() if settings.skew else None
        self.table = TableClients(world, settings, self.recording) if settings.table_writers else None

    # The phases of a run

    async def create_topics(self) -> None:
        """Until every topic of the workload exists."""
        client = self._world.add_client()
        for topic in self.topics:
            while not await self._create_topic(client, topic):
                await client.retry_pause()
        while self.table is not None and not await self._create_topic(
            client, TABLE_TOPIC, partitions=self.settings.table_partitions, configs=self.table.configs
        ):
            await client.retry_pause()

    def start(self) -> None:
        """All clients begin."""
        heap = self._world.heap
        self.producers = [self._make_producer() for _ in range(self.settings.producers)]
        self.consumers = [self._make_consumer() for _ in range(self.settings.consumers)]
        self.members = [self._make_member(number) for number in range(self.settings.group_members)]
        for producer in self.producers:
            producer.start()
        for consumer in self.consumers:
            heap.spawn(consumer.run())
        for member in self.members:
            heap.spawn(member.run())
        if self.settings.admin_interval_ms:
            self.admin = Admin(
                client=self._world.add_client(),
                recording=self.recording,
                interval_ms=self.settings.admin_interval_ms,
                replication_factor=self._replication_factor(),
            )
            heap.spawn(self.admin.run())
        if self.settings.delete_interval_ms:
            self.deleter = Deleter(
                client=self._world.add_client(),
                recording=self.recording,
                slots=self.slots,
                interval_ms=self.settings.delete_interval_ms,
            )
            heap.spawn(self.deleter.run())
        if self.settings.reassign_interval_ms:
            self.reassigner = self._make_reassigner()
            self._world.trace.listeners.append(self.reassigner.heard)
            heap.spawn(self.reassigner.run())
        if self.settings.move_log_interval_ms:
            client = self._world.add_client()
            self.mover = DirectoryMover(client=client, recording=self.recording, interval_ms=self.settings.move_log_interval_ms)
            heap.spawn(self.mover.run())
        if self.settings.limit_interval_ms:
            client = self._world.add_client()
            self.limiter = Limiter(client=client, recording=self.recording, interval_ms=self.settings.limit_interval_ms)
            heap.spawn(self.limiter.run())
        if self.settings.scale_interval_ms:
            self.scaler = Scaler(
                world=self._world,
                client=self._world.add_client(),
                recording=self.recording,
                interval_ms=self.settings.scale_interval_ms,
                min_members=self._world.settings.node_count,
                death_share=self.settings.death_share,
            )
            heap.spawn(self.scaler.run())
        if self.table is not None:
            self.table.start()

    def stop_reassigning(self) -> None:
        """What was asked for must finish now, limits are lifted, and the same partitions stay hot."""
        if self.skew is not None:
            self.skew.hold()
        if self.limiter is not None:
            self.limiter.running = False
        if self.reassigner is not None:
            self.reassigner.running = False
        if self.scaler is not None:
            self.scaler.running = False

    def stop_writing(self) -> None:
        """Producers and the administrator finish what they have begun."""
        for producer in self.producers:
            producer.running = False
        for other in (self.admin, self.deleter, self.mover):
            if other is not None:
                other.running = False
        if self.table is not None:
            self.table.stop_writing()

    def stop_reading(self) -> None:
        if self.table is not None:
            self.table.stop_reading()
        for consumer in self.consumers:
            consumer.running = False
        for member in self.members:
            member.running = False

    def final_reader(self) -> FinalReader:
        return FinalReader(client=self._world.add_client(), recording=self.recording, slots=self.slots)

    def _crowded(self, partitions: int) -> list[CreatableReplicaAssignment]:
        """All on the first few brokers, as before others came; empty: where the cluster likes."""
        brokers, factor = self.settings.crowded_brokers, self._replication_factor()
        return [
            CreatableReplicaAssignment(
                partition_index=partition, broker_ids=[1 + (partition + place) % brokers for place in range(min(factor, brokers))]
            )
            for partition in range(partitions if brokers else 0)
        ]

    # What a run waits for

    def acknowledged_since(self, since_us: int) -> bool:
        """Whether every partition has acknowledged a batch that was begun after this moment."""
        latest = self.recording.last_acknowledged_us
        return all(latest.get(slot, -1) > since_us for slot in self.slots)

    def stuck_since(self, since_us: int) -> list[str]:
        """Which partitions have not acknowledged a batch that was begun after this moment, and whether the group is not settled."""
        latest = self.recording.last_acknowledged_us
        slots = [*self.slots, *(self.table.slots if self.table is not None else ())]
        found = [f"{key_of(slot)} acknowledged no batch" for slot in slots if latest.get(slot, -1) <= since_us]
        if not self.group_is_stable():
            held = [sorted(map(key_of, member.assigned)) for member in self.members]
            found.append(f"the group's partitions are not each with one member: {held}")
        if self.scaler is not None and not self.scaler.finished:
            found.append(f"the operator is not done: {self.scaler.doing}")
        return found

    def writing_finished(self) -> bool:
        others = [each for each in (self.admin, self.deleter, self.reassigner, self.mover, self.limiter) if each is not None]
        if self.table is not None and not self.table.writing_finished:
            return False
        return all(producer.finished for producer in self.producers) and all(other.finished for other in others)

    def group_is_stable(self) -> bool:
        """Whether each partition is read by exactly one member, as the members see it."""
        held = [slot for member in self.members for slot in member.assigned]
        return not self.members or sorted(held) == sorted(self.slots)

    def group_committed(self, next_offsets: Mapping[Slot, int], first_offsets: Mapping[str, int]) -> bool:
        """Whether the group has committed everything up to these offsets that is still there: below the first ones nobody can read."""
        done = self.recording.committed
        return not self.members or all(
            max(done.get(slot, 0), first_offsets.get(key_of(slot), 0)) >= offset for slot, offset in next_offsets.items()
        )

    # Making

    def _client(self) -> SimClient:
        client = self._world.add_client()
        client.versions[PRODUCE_KEY] = client.rng.choice(PRODUCE_VERSIONS)
        client.versions[FETCH_KEY] = client.rng.choice(FETCH_VERSIONS)
        return client

    def _make_producer(self) -> Producer:
        client, settings = self._client(), self.settings
        style = draw_producer_style(self._rng, settings, self._style)
        lanes = 1 if style.max_in_flight == 1 else 4
        per_lane_ms = MS_PER_SECOND * settings.producers * lanes // max(1, settings.batches_per_second)
        return Producer(
            client=client,
            recording=self.recording,
            settings=settings,
            style=style,
            slots=self.slots,
            lanes=lanes,
            interval_ms=max(1, per_lane_ms),
            skew=self.skew,
        )

    def _make_skew(self) -> Skew:
        settings, world = self.settings, self._world
        return Skew(heap=world.heap, slots=self.slots, exponent=settings.skew, shift_ms=settings.skew_shift_ms, chance=world.rng)

    def _make_consumer(self) -> Consumer:
        return Consumer(client=self._client(), recording=self.recording, settings=self.settings, slots=self.slots)

    def _make_member(self, number: int) -> GroupMember:
        is_static = self._rng.random() < self.settings.static_share
        return GroupMember(
            client=self._client(),
            recording=self.recording,
            settings=self.settings,
            group=GROUP,
            topics=self.topics,
            protocol=self._protocol,
            instance_id=f"instance-{number}" if is_static else None,
        )

    def _make_reassigner(self) -> Reassigner:
        return Reassigner(
            client=self._world.add_client(),
            recording=self.recording,
            slots=self.slots,
            group_partitions=GROUP_PARTITIONS if self.settings.group_members else 0,
            node_ids=range(1, len(self._world.machines) + 1),
            min_replicas=self.settings.min_insync_replicas,
            interval_ms=self.settings.reassign_interval_ms,
        )

    def _replication_factor(self) -> int:
        return min(self.settings.replication_factor, len(self._world.machines))

    async def _create_topic(
        self, client: SimClient, name: str, *, partitions: int | None = None, configs: Sequence[CreatableTopicConfig] = ()
    ) -> bool:
        count = self.settings.partitions if partitions is None else partitions
        assignments = self._crowded(count)
        topic = CreatableTopic(
            name=name,
            num_partitions=-1 if assignments else count,
            replication_factor=-1 if assignments else self._replication_factor(),
            assignments=assignments,
            configs=list(configs) or [CreatableTopicConfig(name="min.insync.replicas", value=str(self.settings.min_insync_replicas))],
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=CREATE_TIMEOUT_MS)
        try:
            response = await client.ask_any(CREATE_TOPICS_KEY, request)
        except RequestLost:
            return False
        code = response.topics[0].error_code
        self.recording.note(client.name, f"create topic {name}: {ErrorCode(code).name}")
        return code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
