"""What Raft's files give back after a crash: everything that was stable, and otherwise a prefix of what was written."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.base.disk import Persist
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import NodeId
from raftkafka.raft.effects import Snapshot
from raftkafka.raft.log import RaftLog
from raftkafka.raft.messages import Entry, EntryKind
from raftkafka.raft.store import RaftStore
from raftkafka.simulation.disk import SimDisk


def batch(base_offset: int, epoch: int, count: int = 1) -> list[Entry]:
    return [Entry(base_offset + i, epoch, EntryKind.DATA, f"{base_offset + i}@{epoch}".encode(), i == count - 1) for i in range(count)]


def persist(disk: SimDisk, store: RaftStore) -> None:
    writes, syncs = store.begin_persist()
    disk.persist(Persist(1, writes, syncs))
    store.complete_persist()


def opened(disk: SimDisk) -> RaftStore:
    store = RaftStore(disk, "raft")
    store.load()
    persist(disk, store)
    return store


def segment_path(disk: SimDisk) -> str:
    return "raft/" + next(name for name in disk.list_dir("raft") if name.startswith("log-"))


@pytest.mark.parametrize("seed", range(150))
def test_after_any_crash_the_log_is_what_was_stable_or_a_prefix_of_what_was_written(seed: int) -> None:
    """Random appends, cuts, snapshots, persists and crashes, beside a model of what must and what may be there."""
    rng = random.Random(seed)
    disk = SimDisk()
    store, log, epoch = opened(disk), RaftLog(), 1
    stable: list[Entry] = []
    for _ in range(60):
        match rng.choice(("append", "append", "append", "cut", "snapshot", "reset", "persist", "persist", "kill", "crash")):
            case "append":
                entries = batch(log.end_offset, epoch, rng.randint(1, 3))
                log.append(entries)
                store.write_entries(entries[0].offset, entries)
            case "cut" if log.end_offset > log.start_offset:
                ends = [log.start_offset] + [e.offset + 1 for e in log.entries(log.start_offset, log.end_offset) if e.ends_batch]
                start = rng.choice(ends)
                epoch += 1
                log.truncate(start)
                del stable[max(0, start - log.start_offset) :]
                entries = batch(start, epoch)
                log.append(entries)
                store.write_entries(start, entries)
            case "snapshot" if log.end_offset > log.start_offset:
                ends = [e.offset + 1 for e in log.entries(log.start_offset, log.end_offset) if e.ends_batch]
                end = rng.choice(ends)
                stable = stable[end - log.start_offset :]
                log.trim(end)
                store.write_snapshot(Snapshot(end_offset=end, epoch=log.start_epoch, data=b"state"), reset=False)
                persist(disk, store)
                stable = list(log.entries(log.start_offset, log.end_offset))
            case "reset":
                log.reset(log.end_offset + rng.randint(0, 5), epoch)
                store.write_snapshot(Snapshot(end_offset=log.start_offset, epoch=epoch, data=b"state"), reset=True)
                persist(disk, store)
                stable = []
            case "persist":
                persist(disk, store)
                stable = list(log.entries(log.start_offset, log.end_offset))
            case "kill":
                disk.kill()
                loaded = RaftStore(disk, "raft").load()
                assert list(loaded.entries) == list(log.entries(log.start_offset, log.end_offset))
                store = opened(disk)
                stable = list(loaded.entries)
            case "crash":
                disk.crash(rng)
                loaded = RaftStore(disk, "raft").load()
                survived = list(loaded.entries)
                assert survived[: len(stable)] == stable
                assert (loaded.snapshot.end_offset if loaded.snapshot else 0) == log.start_offset
                log = RaftLog(start_offset=log.start_offset, start_epoch=log.start_epoch, entries=survived)
                store = opened(disk)
                stable = survived
            case _:
                pass


def test_a_vote_is_read_back() -> None:
    disk = SimDisk()
    store = opened(disk)
    store.write_vote(7, NodeId(2))
    persist(disk, store)
    disk.crash(random.Random(0))
    loaded = RaftStore(disk, "raft").load()
    assert (loaded.epoch, loaded.voted_for) == (7, 2)


def test_an_epoch_that_only_the_log_knows_is_taken_over_without_a_vote() -> None:
    """The log can be ahead of the vote file when power fails between the two; nothing had been answered in that epoch."""
    disk = SimDisk()
    store = opened(disk)
    store.write_vote(3, NodeId(1))
    persist(disk, store)
    store.write_entries(0, batch(0, 5))
    loaded = RaftStore(disk, "raft").load()
    assert (loaded.epoch, loaded.voted_for) == (5, None)


def test_a_damaged_vote_is_reported() -> None:
    disk = SimDisk()
    opened(disk)
    disk.flip_bit("raft/vote", 18)
    with pytest.raises(CorruptRecord, match="raft/vote"):
        RaftStore(disk, "raft").load()


@given(st.data())
def test_a_flipped_bit_below_what_was_stable_is_reported(data: st.DataObject) -> None:
    """Whatever bit flips in a frame that a later one knows to have been stable: the log does not open, or it opens whole."""
    disk = SimDisk()
    store = opened(disk)
    for offset in range(4):
        store.write_entries(offset, batch(offset, 1))
        persist(disk, store)
    disk.kill()
    path = segment_path(disk)
    last_frame = disk.read_file(path).rfind(b"RKf1")
    disk.flip_bit(path, data.draw(st.integers(0, last_frame - 1)), data.draw(st.integers(0, 7)))
    with pytest.raises(CorruptRecord):
        RaftStore(disk, "raft").load()


def test_frames_behind_a_gap_that_had_never_been_stable_are_a_torn_tail() -> None:
    """A disk may have written a later page and not the earlier one."""
    disk = SimDisk()
    store = opened(disk)
    for offset in range(3):
        store.write_entries(offset, batch(offset, 1))
    disk.kill()
    disk.flip_bit(segment_path(disk), 40)
    loaded = RaftStore(disk, "raft").load()
    assert len(loaded.entries) == 1
    assert loaded.cut_bytes > 0


def test_old_segments_are_deleted_only_when_the_snapshot_is_stable() -> None:
    disk = SimDisk()
    store = opened(disk)
    store.write_entries(0, batch(0, 1))
    persist(disk, store)
    store.write_snapshot(Snapshot(end_offset=1, epoch=1, data=b"state"), reset=False)
    writes, syncs = store.begin_persist()
    assert any(name.startswith("log-") for name in disk.list_dir("raft"))
    disk.persist(Persist(1, writes, syncs))
    store.complete_persist()
    assert disk.list_dir("raft") == ["snapshot", "vote"]
