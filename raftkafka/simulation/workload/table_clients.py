"""The clients of a compacted topic: its writers, a reader that reads it again and again, and who looks at every replica in the end."""

from __future__ import annotations

from raftkafka.protocol.messages.create_topics import CreatableTopicConfig
from raftkafka.simulation.spectator import running_nodes
from raftkafka.simulation.workload.known_cluster import Slot
from raftkafka.simulation.workload.recording import Recording
from raftkafka.simulation.workload.settings import WorkloadSettings
from raftkafka.simulation.workload.table import TABLE_TOPIC, Table
from raftkafka.simulation.workload.table_reader import TableReader
from raftkafka.simulation.workload.table_writer import TableWriter
from raftkafka.simulation.world import World
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import batches, decode_records

READ_BYTES = 1 << 20
READ_PAUSE_MS = 400


class TableClients:
    """Of one run."""

    def __init__(self, world: World, settings: WorkloadSettings, recording: Recording) -> None:
        self.slots: list[Slot] = [(TABLE_TOPIC, partition) for partition in range(settings.table_partitions)]
        self.configs = [
            CreatableTopicConfig(name="cleanup.policy", value="compact"),
            CreatableTopicConfig(name="min.insync.replicas", value=str(settings.min_insync_replicas)),
        ]
        self._world = world
        self._settings = settings
        self._recording = recording
        self._table = Table(recording)
        self._writers: list[TableWriter] = []
        self._reader: TableReader | None = None

    def start(self) -> None:
        """They begin."""
        heap = self._world.heap
        self._writers = [
            TableWriter(
                client=self._world.add_client(),
                recording=self._recording,
                settings=self._settings,
                table=self._table,
                slots=self.slots,
                name=f"w{number}",
            )
            for number in range(self._settings.table_writers)
        ]
        self._reader = self._new_reader()
        for writer in self._writers:
            heap.spawn(writer.run())
        heap.spawn(self._reader.run())

    def stop_writing(self) -> None:
        for writer in self._writers:
            writer.running = False

    def stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.running = False

    @property
    def writing_finished(self) -> bool:
        return all(writer.finished for writer in self._writers)

    async def read_back(self) -> None:
        """When nobody writes any more: reads all as a client does."""
        await self._new_reader().read_all()

    @property
    def replicas_are_level(self) -> bool:
        """Whether all replicas end at the same offsets."""
        ends: dict[int, set[int]] = {}
        for _, log in self._logs():
            ends.setdefault(log.partition, set()).add(log.log_end_offset)
        return all(len(each) == 1 for each in ends.values())

    def check_replicas(self) -> None:
        """Reads the log of every replica, as its broker would when it led. Raises `Violation`."""
        now_us = self._world.heap.now_us
        for name, log in self._logs():
            slot = (TABLE_TOPIC, log.partition)
            found: dict[str, int] = {}
            offset = log.log_start_offset
            while offset < log.log_end_offset:
                read = log.read(offset, max_bytes=READ_BYTES)
                for buffer in read.records:
                    for position, _ in batches(buffer):
                        for record in decode_records(buffer, position):
                            found[(record.key or b"").decode()] = self._table.seen(slot, record, name)
                offset = read.next_offset
            self._table.judge(slot, found, since_us=now_us, now_us=now_us, who=name)

    def _logs(self) -> list[tuple[str, PartitionLog]]:
        return [
            (name, partition.log)
            for name, node in running_nodes(self._world)
            for partition in node.parts.replicas.hosted.values()
            if partition.topic == TABLE_TOPIC
        ]

    def _new_reader(self) -> TableReader:
        return TableReader(
            client=self._world.add_client(),
            recording=self._recording,
            table=self._table,
            slots=self.slots,
            patience_ms=self._settings.table_patience_ms,
            pause_ms=READ_PAUSE_MS,
        )
