"""The real disk: the contract of `base.disk`, descriptors that come and go, and what `persist` makes stable."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from raftkafka.base.disk import Disk, FileWrite, Persist
from raftkafka.base.errors import DiskError
from raftkafka.server import disk as disk_module
from raftkafka.server.disk import REPLACING_SUFFIX, PosixDisk


@pytest.fixture
def disk(tmp_path: Path) -> PosixDisk:
    return PosixDisk(str(tmp_path))


def test_files_behave_like_bytearrays_when_descriptors_are_few(tmp_path: Path) -> None:
    rng = random.Random(3)
    disk = PosixDisk(str(tmp_path), max_open_files=3)
    files = [disk.open(f"file{number}", create=True) for number in range(8)]
    model = [bytearray() for _ in files]
    for _ in range(2000):
        index = rng.randrange(len(files))
        file, expected = files[index], model[index]
        if rng.random() < 0.6:
            buffers = [rng.randbytes(rng.randrange(20)) for _ in range(rng.choice((1, 2, 5, 2000)))]
            file.append([memoryview(buffer) for buffer in buffers])
            expected += b"".join(buffers)
        elif rng.random() < 0.2:
            size_bytes = rng.randint(0, len(expected))
            file.truncate(size_bytes)
            del expected[size_bytes:]
        else:
            position, length = rng.randint(0, len(expected) + 5), rng.randrange(50)
            assert file.read(position, length) == expected[position : position + length]
        assert file.size_bytes == len(expected)
    assert len(os.listdir("/proc/self/fd")) < 100


def test_append_finishes_a_short_write(disk: PosixDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    real_pwritev, real_pwrite = os.pwritev, os.pwrite
    monkeypatch.setattr(disk_module.os, "pwritev", lambda fd, buffers, at: real_pwritev(fd, [memoryview(buffers[0])[:3]], at))
    monkeypatch.setattr(disk_module.os, "pwrite", lambda fd, buffer, at: real_pwrite(fd, memoryview(buffer)[:5], at))
    file = disk.open("file", create=True)
    file.append([b"abcdefgh", b"ijklmnopqrstuvwxyz"])
    file.append([b"0123456789"])
    assert file.read(0, 100) == b"abcdefghijklmnopqrstuvwxyz0123456789"


def test_open_files_follow_a_rename_of_themselves_and_of_their_directory(tmp_path: Path) -> None:
    disk = PosixDisk(str(tmp_path), max_open_files=1)
    disk.make_dir("data/topic-0")
    first, second = disk.open("data/topic-0/a", create=True), disk.open("data/topic-0/b", create=True)
    disk.rename("data/topic-0/a", "data/topic-0/c")
    disk.rename("data/topic-0", "data/topic-0.gone-delete")
    first.append([b"1"])
    second.append([b"2"])
    assert (first.path, second.path) == ("data/topic-0.gone-delete/c", "data/topic-0.gone-delete/b")
    assert disk.read_file("data/topic-0.gone-delete/c") == b"1"
    second.close()
    first.close()


def test_what_is_missing_is_a_disk_error_or_nothing_as_the_port_says(disk: PosixDisk) -> None:
    with pytest.raises(DiskError, match="missing"):
        disk.open("missing")
    with pytest.raises(DiskError):
        disk.read_file("missing")
    with pytest.raises(DiskError):
        disk.rename("missing", "other")
    disk.delete("missing")
    assert disk.list_dir("missing") == []
    assert not disk.exists("missing")


def test_directories_are_made_listed_and_deleted(disk: PosixDisk) -> None:
    disk.make_dir("a/b/c")
    disk.make_dir("a/b/c")
    disk.replace_file("a/b/z", b"1")
    assert disk.list_dir("a/b") == ["c", "z"]
    disk.delete("a")
    assert not disk.exists("a")


def test_a_replaced_file_never_shows_its_temporary(disk: PosixDisk, tmp_path: Path) -> None:
    disk.replace_file("vote", b"old")
    (tmp_path / f"vote{REPLACING_SUFFIX}").write_bytes(b"left by a crash")
    assert disk.list_dir("") == ["vote"]
    disk.persist(Persist(1, writes=(FileWrite("vote", b"new"),)))
    assert disk.read_file("vote") == b"new"


def test_persist_syncs_the_file_and_every_new_directory_entry_above_it_once(disk: PosixDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        disk_module.os, "fdatasync", lambda fd: synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), disk.root))
    )
    disk.make_dir("a/b")
    disk.open("a/b/log", create=True).append([b"x"])
    disk.persist(Persist(1, syncs=("a/b/log",)))
    assert synced == ["a/b/log", "a/b", "a", "."]
    synced.clear()
    disk.persist(Persist(2, syncs=("a/b/log",)))
    assert synced == ["a/b/log"]
    synced.clear()
    disk.delete("a/b/log")
    disk.persist(Persist(3, syncs=("a/b/log",)))
    assert synced == ["a/b"]


def test_a_failed_sync_is_a_disk_error(disk: PosixDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.open("log", create=True)

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk_module.os, "fdatasync", fail)
    with pytest.raises(DiskError, match=r"log: Input/output error"):
        disk.persist(Persist(1, syncs=("log",)))


def test_it_is_a_disk(disk: PosixDisk) -> None:
    port: Disk = disk
    assert not port.exists("nothing")


def test_directory_that_fails_on_purpose_refuses_everything_and_the_others_nothing(disk: PosixDisk) -> None:
    for name in ("bad", "good"):
        disk.make_dir(name)
    bad, good = disk.open("bad/file", create=True), disk.open("good/file", create=True)
    bad.append([b"before"])
    disk.fail(["bad"])
    for refused in (
        lambda: bad.append([b"x"]),
        lambda: bad.read(0, 1),
        lambda: disk.open("bad/file"),
        lambda: disk.list_dir("bad"),
        lambda: disk.replace_file("bad/small", b""),
        lambda: disk.rename("good/file", "bad/file"),
        lambda: disk.persist(Persist(1, syncs=("bad/file",))),
        lambda: disk.space("bad"),
    ):
        with pytest.raises(DiskError, match="on purpose"):
            refused()
    assert not disk.exists("bad/file")
    good.append([b"y"])
    total_bytes, usable_bytes = disk.space("good")
    assert total_bytes >= usable_bytes > 0
    disk.fail([])
    assert bad.read(0, 6) == b"before"
