"""The simulated disk: what survives a kill, what survives a power failure."""

from __future__ import annotations

import random

import pytest

from raftkafka.base.disk import Disk, FileWrite, Persist
from raftkafka.base.errors import DiskError
from raftkafka.simulation.disk import SimDisk


def make_disk() -> SimDisk:
    disk = SimDisk()
    disk.make_dir("data/t-0")
    disk.persist(Persist(0))
    return disk


def test_is_a_disk() -> None:
    disk: Disk = SimDisk()
    assert disk.list_dir("nowhere") == []


def test_kill_loses_nothing_but_closes_files() -> None:
    disk = make_disk()
    file = disk.open("data/t-0/log", create=True)
    file.append([b"ab", memoryview(b"cd")])
    disk.kill()
    with pytest.raises(DiskError):
        file.read(0, 1)
    assert disk.open("data/t-0/log").read(1, 10) == b"bcd"


@pytest.mark.parametrize("seed", range(30))
def test_crash_keeps_a_stable_prefix(seed: int) -> None:
    disk = make_disk()
    file = disk.open("data/t-0/log", create=True)
    file.append([b"stable"])
    disk.persist(Persist(1, syncs=("data/t-0/log",)))
    file.append([b"unstable"])
    disk.crash(random.Random(seed))
    data = disk.read_file("data/t-0/log")
    assert data.startswith(b"stable")
    assert len(data) <= len(b"stableunstable")
    assert b"stableunstable".startswith(data.rstrip(b"\0"))


@pytest.mark.parametrize("seed", range(30))
def test_unstable_truncation_may_be_undone(seed: int) -> None:
    disk = make_disk()
    file = disk.open("data/t-0/log", create=True)
    file.append([b"abcdef"])
    disk.persist(Persist(1, syncs=("data/t-0/log",)))
    file.truncate(2)
    file.append([b"X"])
    disk.crash(random.Random(seed))
    assert disk.read_file("data/t-0/log") in (b"abcdef", b"ab", b"abX", b"ab\0")


@pytest.mark.parametrize("seed", range(30))
def test_replaced_file_is_old_or_new(seed: int) -> None:
    disk = make_disk()
    disk.persist(Persist(1, writes=(FileWrite("data/meta", b"old"),)))
    disk.replace_file("data/meta", b"new!")
    disk.crash(random.Random(seed))
    assert disk.read_file("data/meta") in (b"old", b"new!")


@pytest.mark.parametrize("seed", range(30))
def test_directory_changes_survive_in_order(seed: int) -> None:
    disk = make_disk()
    for name in ("a", "b", "c"):
        disk.open(f"data/{name}", create=True)
    disk.rename("data/c", "data/d")
    disk.delete("data/a")
    disk.crash(random.Random(seed))
    assert disk.list_dir("data") in (
        ["t-0"],
        ["a", "t-0"],
        ["a", "b", "t-0"],
        ["a", "b", "c", "t-0"],
        ["a", "b", "d", "t-0"],
        ["b", "d", "t-0"],
    )


def test_same_seed_leaves_the_same_disk() -> None:
    def run() -> bytes:
        disk = make_disk()
        disk.open("data/t-0/log", create=True).append([bytes(range(200))])
        disk.persist(Persist(1))
        disk.crash(random.Random(7))
        return disk.read_file("data/t-0/log")

    assert run() == run()


def test_full_disk_is_a_disk_error() -> None:
    disk = SimDisk(capacity_bytes=3)
    file = disk.open("f", create=True)
    file.append([b"abc"])
    with pytest.raises(DiskError):
        file.append([b"d"])
