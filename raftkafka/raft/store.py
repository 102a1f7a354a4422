"""Raft's files: the vote, the snapshot, and the log in segments. They are append-only, and recovery believes only what it can check.

In one directory:
- `initial-voters`: the first set of voters of the cluster, when the node was formatted with one; written before the first start only.
- `vote`: epoch and vote, replaced as a whole.
- `snapshot`: end offset, epoch, the first segment that counts, and the owner's bytes; replaced as a whole.
- `log-<sequence>-<base offset>`: a segment; its frames hold one batch each. A segment says what the log is *from its base offset on*:
  cutting the log off at an offset is beginning a segment there, so nothing is ever overwritten or shortened, and a crash cannot mix old and
  new.

Invariants
- Segments count in the order of their sequence numbers. Those before the snapshot's first segment do not count, even if deleting them was
  undone by a crash; they are deleted once the snapshot is stable.
- Every frame says up to which offset the log was stable when it was written. A damaged or missing frame below what a later frame says to
  be stable is a loss of what was answered for: `CorruptRecord`. Any other damage is the torn tail of a crash, and is cut off.
- What was read at the start is made stable before anything is answered: a killed process may have left it in the page cache.

Sources: "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018) on telling a crash from damage; Raft paper,
figure 2 (persistent state).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from raftkafka.base.disk import Buffer, Disk, DiskFile, FileWrite
from raftkafka.base.errors import CorruptRecord
from raftkafka.base.ids import NodeId
from raftkafka.raft.effects import Snapshot
from raftkafka.raft.frames import decode_frame, encode_frame
from raftkafka.raft.messages import Entry
from raftkafka.raft.recovery import SegmentFile, recover_log
from raftkafka.raft.voters import VoterSet, decode_voters, encode_voters

VERSION = 1
INITIAL_VOTERS_FILE = "initial-voters"


def encode_initial_voters(voters: VoterSet) -> bytes:
    """The contents of `initial-voters`. An empty set: this node begins without a vote, and is told by others who votes."""
    return b"".join(encode_frame([VERSION, encode_voters(voters)]))


@attrs.frozen(kw_only=True)
class Loaded:
    """What stable storage held. `cut_bytes`: what was not whole behind the end of the log (the torn tail)."""

    epoch: int
    voted_for: NodeId | None
    snapshot: Snapshot | None
    entries: tuple[Entry, ...]
    cut_bytes: int
    initial_voters: VoterSet | None = None
    """What the node was formatted with; None: the properties name the voters."""


@attrs.define(eq=False, kw_only=True)
class _Segment:
    sequence: int
    path: str
    end_offset: int
    file: DiskFile | None = None


class RaftStore:
    """Writes at once, and collects what must be made stable; `begin_persist` and `complete_persist` frame one `Persist` at a time."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self._segments: list[_Segment] = []
        self._next_sequence = 1
        self._end_offset = 0
        self._stable_end_offset = 0
        self.stable_vote: tuple[int, NodeId | None] = (0, None)
        """The epoch and the vote on stable storage."""
        self._written_vote: tuple[int, NodeId | None] = (0, None)
        self._begun_vote: tuple[int, NodeId | None] = (0, None)
        self._pending_writes: dict[str, FileWrite] = {}
        self._pending_syncs: dict[str, None] = {}
        self._pending_deletes: list[str] = []
        self._begun_end_offset = 0
        self._begun_deletes: list[str] = []
        self.written = 0
        """Counts writes: what must be stable is named by the count at its time."""
        self.stable = 0
        """The writes up to this count are stable."""
        self._begun = 0

    # -- start

    def load(self) -> Loaded:
        """Reads everything, cuts off a torn tail; `CorruptRecord` when something is gone that had been stable."""
        self._disk.make_dir(self._directory)
        names = self._disk.list_dir(self._directory)
        epoch, voted_for = self._load_vote() if "vote" in names else (0, None)
        self.stable_vote = self._begun_vote = (epoch, voted_for)
        snapshot, first_sequence = self._load_snapshot() if "snapshot" in names else (None, 0)
        start_offset, start_epoch = (snapshot.end_offset, snapshot.epoch) if snapshot is not None else (0, 0)
        files = sorted((_segment_file(self._directory, name) for name in names if name.startswith("log-")), key=lambda file: file.sequence)
        self._next_sequence = max([first_sequence, *(file.sequence for file in files)], default=0) + 1
        counted = [file for file in files if file.sequence >= first_sequence]
        self._pending_deletes = [file.path for file in files if file.sequence < first_sequence]
        recovered = recover_log(self._disk, counted, start_offset=start_offset, start_epoch=start_epoch)
        self._segments = [_Segment(sequence=file.sequence, path=file.path, end_offset=end) for file, end in recovered.segments]
        self._end_offset = start_offset + len(recovered.entries)
        self._stable_end_offset = start_offset
        self._pending_syncs = {segment.path: None for segment in self._segments}
        last_epoch = recovered.entries[-1].epoch if recovered.entries else start_epoch
        if last_epoch > epoch:
            epoch, voted_for = last_epoch, None
        self.write_vote(epoch, voted_for)
        return Loaded(
            epoch=epoch,
            voted_for=voted_for,
            snapshot=snapshot,
            entries=tuple(recovered.entries),
            cut_bytes=recovered.cut_bytes,
            initial_voters=self._load_initial_voters() if INITIAL_VOTERS_FILE in names else None,
        )

    def _load_initial_voters(self) -> VoterSet:
        path = f"{self._directory}/{INITIAL_VOTERS_FILE}"
        _, encoded = _whole_frame(path, self._disk.read_file(path))
        return decode_voters(encoded)

    def _load_vote(self) -> tuple[int, NodeId | None]:
        path = f"{self._directory}/vote"
        _, epoch, voted_for = _whole_frame(path, self._disk.read_file(path))
        return epoch, None if voted_for is None else NodeId(voted_for)

    def _load_snapshot(self) -> tuple[Snapshot, int]:
        path = f"{self._directory}/snapshot"
        _, end_offset, epoch, first_sequence, data, *later = _whole_frame(path, self._disk.read_file(path))
        return Snapshot(end_offset=end_offset, epoch=epoch, data=data, voters=later[0] if later else b""), first_sequence

    # -- writes

    def write_vote(self, epoch: int, voted_for: NodeId | None) -> None:
        self._written_vote = (epoch, voted_for)
        self._replace("vote", [VERSION, epoch, voted_for])

    def write_entries(self, start_offset: int, entries: Sequence[Entry]) -> None:
        """The log ends at `start_offset` and these entries, whole batches, follow."""
        if start_offset != self._end_offset or not self._segments or self._segments[-1].file is None:
            self._begin_segment(start_offset)
        segment = self._segments[-1]
        assert segment.file is not None
        buffers: list[Buffer] = []
        batch: list[Entry] = []
        for entry in entries:
            batch.append(entry)
            if entry.ends_batch:
                first = batch[0]
                records = [member.data for member in batch]
                buffers += encode_frame([self._stable_end_offset, first.offset, first.epoch, int(first.kind), records])
                batch.clear()
        assert not batch, "a batch is written as a whole"
        segment.file.append(buffers)
        self._end_offset = segment.end_offset = start_offset + len(entries)
        self._pending_syncs[segment.path] = None
        self.written += 1

    def _begin_segment(self, base_offset: int) -> None:
        for segment in self._segments:
            segment.end_offset = min(segment.end_offset, base_offset)
        self._stable_end_offset = min(self._stable_end_offset, base_offset)
        self._begun_end_offset = min(self._begun_end_offset, base_offset)
        self._close_last_segment()
        path = f"{self._directory}/log-{self._next_sequence:010}-{base_offset:020}"
        file = self._disk.open(path, create=True)
        self._segments.append(_Segment(sequence=self._next_sequence, path=path, end_offset=base_offset, file=file))
        self._next_sequence += 1

    def _close_last_segment(self) -> None:
        if self._segments and (file := self._segments[-1].file) is not None:
            file.close()
            self._segments[-1].file = None

    def write_snapshot(self, snapshot: Snapshot, *, reset: bool) -> None:
        """The snapshot takes the place of the segments that hold nothing above it; with `reset`, of all of them."""
        self._close_last_segment()
        gone = [segment for segment in self._segments if reset or segment.end_offset <= snapshot.end_offset]
        self._segments = [segment for segment in self._segments if not (reset or segment.end_offset <= snapshot.end_offset)]
        first_sequence = self._segments[0].sequence if self._segments else self._next_sequence
        self._replace("snapshot", [VERSION, snapshot.end_offset, snapshot.epoch, first_sequence, snapshot.data, snapshot.voters])
        for segment in gone:
            self._pending_syncs.pop(segment.path, None)
            self._pending_deletes.append(segment.path)
        if reset:
            self._end_offset = snapshot.end_offset
            self._stable_end_offset = min(self._stable_end_offset, snapshot.end_offset)
            self._begun_end_offset = min(self._begun_end_offset, snapshot.end_offset)

    def _replace(self, name: str, value: Any) -> None:
        path = f"{self._directory}/{name}"
        self._pending_writes[name] = FileWrite(path, b"".join(encode_frame(value)))
        self.written += 1

    # -- stability

    @property
    def stable_end_offset(self) -> int:
        """The log below this offset is on stable storage."""
        return self._stable_end_offset

    def begin_persist(self) -> tuple[tuple[FileWrite, ...], tuple[str, ...]]:
        """What a `Persist` must name now, to make everything written so far stable."""
        writes, syncs = tuple(self._pending_writes.values()), tuple(self._pending_syncs)
        self._begun, self._begun_end_offset, self._begun_deletes = self.written, self._end_offset, self._pending_deletes
        self._begun_vote = self._written_vote
        self._pending_writes, self._pending_syncs, self._pending_deletes = {}, {}, []
        return writes, syncs

    def complete_persist(self) -> None:
        """The `Persist` begun last is done."""
        self.stable, self.stable_vote = self._begun, self._begun_vote
        self._stable_end_offset = max(self._stable_end_offset, self._begun_end_offset)
        for path in self._begun_deletes:
            self._disk.delete(path)
        self._begun_deletes = []


def _whole_frame(path: str, data: bytes) -> Any:
    frame = decode_frame(data, 0)
    if frame is None:
        raise CorruptRecord(f"{path}: the checksum does not match")
    return frame[0]


def _segment_file(directory: str, name: str) -> SegmentFile:
    _, sequence, base_offset = name.split("-")
    return SegmentFile(path=f"{directory}/{name}", sequence=int(sequence), base_offset=int(base_offset))
