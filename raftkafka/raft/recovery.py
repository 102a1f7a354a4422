"""Reading the segments of the log back: what is whole, in order and not superseded; what is torn; and what must not be missing.

The rule that tells a crash from damage: every frame names the offset below which the log was stable when it was written. If something is
missing or broken at an offset, and a later whole frame says that this offset had been stable, it was lost after it had been answered for.
Otherwise it is the tail that a crash may leave, and everything from there on is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.raft.frames import decode_frame, next_frame_position
from raftkafka.raft.messages import Entry, EntryKind


@attrs.frozen(kw_only=True)
class SegmentFile:
    path: str
    sequence: int
    base_offset: int


@attrs.define(eq=False, kw_only=True)
class RecoveredLog:
    """The entries from the log's start on, and the segments with the end offset of what counts in each."""

    start_offset: int
    start_epoch: int
    entries: list[Entry] = attrs.Factory(list)
    segments: list[tuple[SegmentFile, int]] = attrs.Factory(list)
    cut_bytes: int = 0
    broken: _Broken | None = None

    @property
    def end_offset(self) -> int:
        return self.start_offset + len(self.entries)

    @property
    def last_epoch(self) -> int:
        return self.entries[-1].epoch if self.entries else self.start_epoch


@attrs.define(eq=False, kw_only=True)
class _Broken:
    """The log is not whole at `offset`; `stable_offset` is the furthest that a later frame says to have been stable."""

    offset: int
    where: str
    stable_offset: int = -1


def recover_log(disk: Disk, files: Sequence[SegmentFile], *, start_offset: int, start_epoch: int) -> RecoveredLog:
    """Reads the segments in their order; raises `CorruptRecord` when what had been stable is missing."""
    log = RecoveredLog(start_offset=start_offset, start_epoch=start_epoch)
    for file in files:
        data = _read_segment(disk, file)
        _begin_segment(log, file)
        end_offset, position = _read_frames(log, file, data)
        if position < len(data):
            _note_broken(log, end_offset, f"{file.path} at byte {position}")
            _look_behind(log, data, position)
            log.cut_bytes += len(data) - position
        log.segments.append((file, min(end_offset, log.end_offset)))
    broken = log.broken
    if broken is not None and broken.stable_offset > broken.offset:
        raise CorruptRecord(
            f"{broken.where}: offset {broken.offset} is damaged or missing, but the log had been stable to {broken.stable_offset}"
        )
    return log


def _read_segment(disk: Disk, file: SegmentFile) -> bytes:
    handle = disk.open(file.path)
    try:
        return handle.read(0, handle.size_bytes)
    finally:
        handle.close()


def _begin_segment(log: RecoveredLog, file: SegmentFile) -> None:
    """A segment supersedes what the ones before it hold from its base offset on, a break included."""
    if log.broken is not None and file.base_offset <= log.broken.offset:
        log.broken = None
    log.segments = [(earlier, min(end_offset, file.base_offset)) for earlier, end_offset in log.segments]
    if file.base_offset < log.end_offset:
        del log.entries[max(0, file.base_offset - log.start_offset) :]
    if file.base_offset > log.end_offset:
        _note_broken(log, log.end_offset, f"before {file.path}")


def _read_frames(log: RecoveredLog, file: SegmentFile, data: bytes) -> tuple[int, int]:
    """Takes the frames of a segment up to the first that is not whole or not in order: the offset and the position of that one."""
    position, offset = 0, file.base_offset
    while (frame := decode_frame(data, position)) is not None:
        (stable_offset, base_offset, epoch, kind, records), next_position = frame
        if base_offset != offset:
            break
        if log.broken is not None:
            log.broken.stable_offset = max(log.broken.stable_offset, stable_offset)
        else:
            _take_batch(log, base_offset, epoch, kind, records)
        position, offset = next_position, offset + len(records)
    return offset, position


def _take_batch(log: RecoveredLog, base_offset: int, epoch: int, kind: int, records: list[Any]) -> None:
    last = len(records) - 1
    for i, record in enumerate(records):
        if base_offset + i >= log.start_offset:
            log.entries.append(Entry(base_offset + i, epoch, EntryKind(kind), record, i == last))


def _note_broken(log: RecoveredLog, offset: int, where: str) -> None:
    if log.broken is None:
        log.broken = _Broken(offset=offset, where=where)


def _look_behind(log: RecoveredLog, data: bytes, position: int) -> None:
    """Looks for whole frames behind a broken one, and for what they say had been stable."""
    assert log.broken is not None
    while (found := next_frame_position(data, position)) is not None:
        frame = decode_frame(data, found)
        assert frame is not None
        (stable_offset, *_), position = frame
        log.broken.stable_offset = max(log.broken.stable_offset, stable_offset)
