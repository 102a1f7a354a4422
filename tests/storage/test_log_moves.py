"""Moves of logs between directories, against a list of values, through crashes in the middle of any operation of the disk."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs
import pytest

from raftkafka.base.disk import FileWrite, Persist
from raftkafka.base.errors import ApiError, DiskError
from raftkafka.base.ids import DirectoryId, NodeId, TopicPartition
from raftkafka.base.observed import Observed
from raftkafka.simulation.disk import SimDisk
from raftkafka.storage.log_manager import LogManager, LogManagerSettings
from raftkafka.storage.meta_properties import MetaProperties, write_meta_properties
from raftkafka.storage.partition_log import PartitionLog
from raftkafka.storage.record_batch import batches, decode_records
from tests.storage.log_world import KEY, SMALL, produced

PLACE = TopicPartition("events", 0)
CONFIG = attrs.evolve(SMALL, file_delete_delay_ms=50)


class Crash(Exception):
    """The machine ends here."""


class CrashingDisk(SimDisk):
    """Ends the machine before one of its next operations that change something."""

    def __init__(self) -> None:
        super().__init__()
        self.operations_left: int | None = None

    def _count(self) -> None:
        if self.operations_left is not None:
            self.operations_left -= 1
            if self.operations_left < 0:
                self.operations_left = None
                raise Crash

    def take_space(self, path: str, size_bytes: int) -> None:
        self._count()
        super().take_space(path, size_bytes)

    def rename(self, path: str, new_path: str) -> None:
        self._count()
        super().rename(path, new_path)

    def delete(self, path: str) -> None:
        self._count()
        super().delete(path)

    def persist(self, persist: Persist) -> None:
        self._count()
        super().persist(persist)


class World:
    """A log in one of two directories, and the values that it should have."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.disk = CrashingDisk()
        for number, path in enumerate("ab"):
            meta = MetaProperties(node_id=NodeId(1), directory_id=DirectoryId(bytes([number]) * 15 + b"x"), cluster_id="c")
            write_meta_properties(self.disk, path, meta)
        self.disk.persist(Persist(0, writes=(FileWrite("a/x", b""),)))
        self.now_ms = 0
        self.epoch = 0
        self.values: list[bytes] = []
        self.unsure: list[bytes] = []
        self.moved = 0
        self.next_value = 0
        self.manager = LogManager(disk=self.disk, log_dirs=["a", "b"])
        self.start()

    @property
    def log(self) -> PartitionLog:
        log = self.manager.get(KEY)
        assert log is not None
        return log

    @property
    def where(self) -> str:
        return self.log.directory[0]

    def start(self) -> None:
        self.manager = LogManager(disk=self.disk, log_dirs=["a", "b"], settings=LogManagerSettings(default_config=CONFIG))
        self.manager.load(0)
        self.settle()
        self.manager.create(KEY, "events", CONFIG, self.now_ms, is_new=not self.values)

    def settle(self) -> None:
        for output in self.manager.drain():
            if isinstance(output, Persist):
                self.disk.persist(output)
                self.manager.persisted(output.token)
            elif isinstance(output, Observed):
                self.moved += output.kind == "log-moved"

    def append(self) -> None:
        value = b"%d" % self.next_value
        self.next_value += 1
        self.unsure = [*self.values, value]
        self.log.append_as_leader(bytearray(produced(value)), leader_epoch=self.epoch, wall_ms=1000)
        self.values = self.unsure

    def truncate(self) -> None:
        """As a follower of another leader: the next records are of its epoch."""
        offset = self.rng.randint(max(0, len(self.values) - 6), len(self.values))
        self.unsure = self.values[:offset]
        self.log.truncate_to(offset)
        self.values = self.unsure
        self.epoch += 1

    def move(self) -> None:
        self.manager.move(PLACE, self.rng.choice("ab"))

    def tick(self) -> None:
        self.now_ms += self.rng.choice((1, 1, 1, 40))
        self.manager.tick(self.now_ms, self.now_ms)
        if self.rng.random() < 0.7:
            self.settle()

    def step(self, *, truncates: bool = True) -> None:
        change = self.truncate if truncates else self.append
        self.rng.choice((self.append, self.append, self.append, change, self.move, self.tick, self.tick, self.tick))()

    def found(self) -> list[bytes]:
        found: list[bytes] = []
        offset = 0
        while offset < self.log.log_end_offset:
            read = self.log.read(offset, max_bytes=1 << 20)
            for buffer in read.records:
                found += [record.value or b"" for position, _ in batches(buffer) for record in decode_records(buffer, position)]
            offset = read.next_offset
        return found

    def directories(self) -> list[str]:
        return [path for path in "ab" if self.disk.exists(f"{path}/events-0")]


def copied_until_it_is_in_place(world: World) -> None:
    for _ in range(200):
        world.now_ms += 1
        world.manager.tick(world.now_ms, world.now_ms)
        world.settle()


@pytest.mark.parametrize("part", range(4))
def test_log_that_moves_loses_nothing_when_the_process_is_killed_in_the_middle(part: int) -> None:
    moved = 0
    for seed in range(part * 10, part * 10 + 10):
        world = World(seed)
        for _ in range(6):
            for _ in range(world.rng.randint(1, 25)):
                world.step()
            world.unsure = world.values
            world.disk.operations_left = world.rng.randint(0, 30)
            try:
                for _ in range(60):
                    world.step()
            except Crash:
                pass
            world.disk.operations_left = None
            world.disk.kill()
            world.start()
            assert world.log.offline_reason is None, seed
            shorter, longer = sorted((world.values, world.unsure), key=len)  # a truncation takes away one segment after the other
            found = world.found()
            assert longer[: len(found)] == found and len(found) >= len(shorter), seed
            world.values = found
            copied_until_it_is_in_place(world)
            assert world.directories() == [world.where], seed
        moved += world.moved
    assert moved > 15


@pytest.mark.parametrize("part", range(4))
def test_log_that_moves_keeps_what_was_stable_when_the_power_fails_in_the_middle(part: int) -> None:
    moved = 0
    for seed in range(part * 10, part * 10 + 10):
        world = World(1000 + seed)
        for _ in range(6):
            for _ in range(world.rng.randint(1, 25)):
                world.step(truncates=False)
            world.disk.operations_left = world.rng.randint(0, 30)
            stable = world.log.recovery_point
            try:
                for _ in range(60):
                    world.step(truncates=False)
                    stable = max(stable, world.log.recovery_point)  # what was stable once stays so, wherever the log is now
            except Crash:
                pass
            world.disk.operations_left = None
            known = max(world.values, world.unsure, key=len)
            world.disk.crash(world.rng)
            world.start()
            assert world.log.offline_reason is None, seed
            found = world.found()
            assert found == known[: len(found)], seed
            assert len(found) >= stable, seed
            world.values = world.unsure = found
            copied_until_it_is_in_place(world)
            assert world.directories() == [world.where], seed
        moved += world.moved
    assert moved > 15


def test_copy_follows_a_log_that_is_truncated_and_goes_on_in_another_epoch() -> None:
    world = World(1)
    for _ in range(40):
        world.append()
    target = "b" if world.where == "a" else "a"
    world.manager.move(PLACE, target)
    world.manager.tick(1, 1)  # all is copied
    world.log.truncate_to(30)
    world.values = world.values[:30]
    world.epoch = 1
    for _ in range(10):
        world.append()
    copied_until_it_is_in_place(world)
    assert (world.where, world.found()) == (target, world.values)
    assert world.log.epochs.entries == [(0, 0), (1, 30)]


def test_log_start_inside_a_batch_moves_along() -> None:
    world = World(2)
    world.log.append_as_leader(bytearray(produced(*[b"%d" % number for number in range(10)])), leader_epoch=0, wall_ms=1000)
    world.log.advance_log_start(4)
    world.manager.move(PLACE, "b" if world.where == "a" else "a")
    copied_until_it_is_in_place(world)
    assert world.moved == 1
    assert (world.log.log_start_offset, world.log.log_end_offset) == (4, 10)


def test_producers_are_known_after_a_move() -> None:
    world = World(3)
    batch = produced(b"once", producer_id=7, producer_epoch=0, base_sequence=0)
    world.log.append_as_leader(bytearray(batch), leader_epoch=0, wall_ms=1000)
    world.manager.move(PLACE, "b" if world.where == "a" else "a")
    copied_until_it_is_in_place(world)
    assert world.moved == 1
    assert world.log.append_as_leader(bytearray(batch), leader_epoch=0, wall_ms=1000).duplicate


@pytest.mark.parametrize("failing", ["source", "target"])
def test_move_ends_when_one_of_its_directories_fails(failing: str) -> None:
    world = World(4)
    for _ in range(20):
        world.append()
    source, target = ("a", "b") if world.where == "a" else ("b", "a")
    world.manager.move(PLACE, target)
    world.disk.failing = (source if failing == "source" else target,)
    with_errors: Sequence[type[Exception]] = (ApiError, DiskError)
    for _ in range(20):
        world.now_ms += 1
        try:
            world.manager.tick(world.now_ms, world.now_ms)
        except tuple(with_errors):
            pytest.fail("a tick never raises")
        for output in world.manager.drain():
            if isinstance(output, Persist):
                try:
                    world.disk.persist(output)
                    world.manager.persisted(output.token)
                except DiskError as error:
                    world.manager.persist_failed(output.token, error)
    assert not list(world.manager.moves)
    assert world.where == source
    assert (world.log.offline_reason is None) == (failing == "target")
    assert world.manager.failure is None
