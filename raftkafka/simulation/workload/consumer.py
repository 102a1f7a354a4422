"""A consumer without a group: it follows partitions that it chose, and now and then chooses others, seeks, or crashes and starts again.

In the history its positions begin anew where it seeks: an `assign` of nothing comes before the `assign` of the partitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jepsen_like.history import OpType
from raftkafka.simulation.client import SimClient
from raftkafka.simulation.workload.fetcher import EARLIEST, LATEST, Fetcher, Position
from raftkafka.simulation.workload.known_cluster import KnownCluster, Slot, key_of
from raftkafka.simulation.workload.recording import Recording, slots_text
from raftkafka.simulation.workload.settings import WorkloadSettings

POLL_TIMEOUT_MS = 1_000


Records = Mapping[str, list[list[int]]]
"""(offset, value) pairs by key."""


async def record_poll(recording: Recording, fetcher: Fetcher, process: int, *, who: str, timeout_ms: int = POLL_TIMEOUT_MS) -> Records:
    """One poll as an operation; what it gave."""
    index = recording.invoke(process, "poll", [["poll"]])
    records = await fetcher.poll(timeout_ms)
    text = ", ".join(f"{key} {found[0][0]}..{found[-1][0]}" for key, found in records.items())
    recording.complete(index, OpType.OK, [["poll", records]], who=who, text=text)
    return records


class Consumer:
    """Polls until `running` is false."""

    def __init__(self, *, client: SimClient, recording: Recording, settings: WorkloadSettings, slots: Sequence[Slot]) -> None:
        self.running = True
        self._client = client
        self._recording = recording
        self._settings = settings
        self._slots = slots
        self._process = recording.next_process()
        known = KnownCluster(client, dict.fromkeys(topic for topic, _ in slots))
        rng = client.rng
        self._fetcher = Fetcher(
            client=client,
            known=known,
            recording=recording,
            sends_last_epoch=rng.random() < 0.3,
            uses_sessions=rng.random() < 0.5,
        )

    async def run(self) -> None:
        rng, settings = self._client.rng, self._settings
        self._assign([Position(slot=slot, offset=EARLIEST) for slot in self._slots])
        while self.running:
            await record_poll(self._recording, self._fetcher, self._process, who=self._client.name)
            roll = rng.random()
            if roll < settings.crash_share:
                self._crash()
            elif roll < settings.crash_share + settings.move_share:
                self._move()
            await self._client.heap.sleep(1 + rng.randrange(2 * settings.poll_pause_ms))
        self._fetcher.assign(())

    def _move(self) -> None:
        """Other partitions, or other positions in the same ones."""
        rng = self._client.rng
        old = self._fetcher.positions
        slots = [slot for slot in self._slots if rng.random() < 0.7] or list(self._slots)
        if rng.random() < 0.5:
            self._assign([old.get(slot) or Position(slot=slot, offset=EARLIEST) for slot in slots])
            return
        self._assign(())
        self._assign([self._moved(old.get(slot), slot) for slot in slots])

    def _moved(self, old: Position | None, slot: Slot) -> Position:
        rng = self._client.rng
        choices = [EARLIEST, LATEST]
        if old is not None and old.consumed > 0:
            choices += [old.consumed, rng.randrange(old.consumed), max(0, old.consumed - 10)]
        return Position(slot=slot, offset=rng.choice(choices))

    def _crash(self) -> None:
        """The process ends; another one goes on from where this one was, as one does that keeps its positions itself."""
        name = self._client.name
        self._recording.instant(self._process, "crash", None, who=name, text=f"process {self._process}")
        positions = [
            Position(slot=old.slot, offset=old.consumed, epoch=old.epoch) if old.consumed >= 0 else Position(slot=old.slot, offset=EARLIEST)
            for old in self._fetcher.positions.values()
        ]
        self._fetcher.restart()
        self._client.crash()
        self._process = self._recording.next_process()
        self._assign(positions)

    def _assign(self, positions: Sequence[Position]) -> None:
        self._fetcher.assign(positions)
        slots = [position.slot for position in positions]
        keys = [key_of(slot) for slot in slots]
        self._recording.instant(self._process, "assign", keys, who=self._client.name, text=slots_text(slots))


class FinalReader:
    """Reads every partition from its beginning to where it ends when `run` begins, for the verdict."""

    def __init__(self, *, client: SimClient, recording: Recording, slots: Sequence[Slot]) -> None:
        self._client = client
        self._recording = recording
        self._slots = slots
        self._known = KnownCluster(client, dict.fromkeys(topic for topic, _ in slots))
        self.logs: dict[Slot, list[tuple[int, int]]] = {slot: [] for slot in slots}
        """Each partition, (offset, value) by (offset, value)."""

    async def run(self) -> None:
        recording, client = self._recording, self._client
        ends = Fetcher(client=client, known=self._known, recording=recording)
        ends.assign([Position(slot=slot, offset=LATEST) for slot in self._slots])
        while any(position.offset < 0 for position in ends.positions.values()):
            await ends.poll(50)
        end_offsets = {position.slot: position.offset for position in ends.positions.values()}
        ends.assign(())
        process = recording.next_process()
        fetcher = Fetcher(client=client, known=self._known, recording=recording)
        fetcher.assign([Position(slot=slot, offset=EARLIEST) for slot in self._slots])
        keys = [key_of(slot) for slot in self._slots]
        recording.instant(process, "assign", keys, who=client.name, text=slots_text(self._slots))
        while fetcher.has_records or any(position.offset < end_offsets[position.slot] for position in fetcher.positions.values()):
            self._keep(await record_poll(recording, fetcher, process, who=client.name))
        fetcher.assign(())

    def _keep(self, records: Records) -> None:
        for slot, log in self.logs.items():
            log += [(offset, value) for offset, value in records.get(key_of(slot), ())]
