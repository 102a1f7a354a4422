"""The files of a cleaned segment, and how they take the place of the segments that they were made from.

    .cleaned   being written; worth nothing after a crash
    .swap      complete and stable; the next start finishes what was begun

Invariants
- The `.log.swap` file is the last to get its name and the last to lose it: while it is there the old segments may be gone, and its own
  index files are complete, each under one of its two names. Without it the old segments are complete.
- The cleaned files were stable before they are called `.swap`.

Sources: Kafka's `LocalLog.replaceSegments`; Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), for the order of renames.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkafka.base.disk import Disk
from raftkafka.base.errors import CorruptRecord
from raftkafka.storage.record_batch import validate
from raftkafka.storage.segment import INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, LogSegment

CLEANED_SUFFIX = ".cleaned"
SWAP_SUFFIX = ".swap"
LOG_LAST = (INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, LOG_SUFFIX)


def new_cleaned_segment(disk: Disk, directory: str, base_offset: int) -> LogSegment:
    """An empty segment to write to; what an earlier attempt left is removed."""
    segment = LogSegment(disk, directory, base_offset, CLEANED_SUFFIX)
    segment.delete()
    segment.create_file()
    return segment


def finish_cleaned_segment(segment: LogSegment) -> tuple[str, ...]:
    """Writes what is missing and closes the files; all of them must be stable before `swap_in`."""
    segment.write_indexes(closing=True)
    segment.transaction_index.create()
    segment.close()
    return segment.paths


def swap_in(disk: Disk, directory: str, old: Sequence[LogSegment], *, atomically: bool = True) -> LogSegment:
    """Puts the cleaned segment in the place of the old ones; returns it as it is from now on."""
    base_offset, next_offset = old[0].base_offset, old[-1].next_offset
    stem = _stem(directory, base_offset)
    from_suffix = SWAP_SUFFIX if atomically else CLEANED_SUFFIX
    if atomically:
        for suffix in LOG_LAST:
            disk.rename(stem + suffix + CLEANED_SUFFIX, stem + suffix + SWAP_SUFFIX)
    old[0].close()  # its files are replaced by those of the same names
    for segment in old[1:]:
        segment.delete()
    for suffix in LOG_LAST:
        disk.rename(stem + suffix + from_suffix, stem + suffix)
    cleaned = LogSegment(disk, directory, base_offset)
    cleaned.load_sealed(next_offset)
    return cleaned


def finish_swaps(disk: Disk, directory: str) -> list[int]:
    """At start: completes swaps that a crash has interrupted, removes what is worth nothing. The base offsets of the segments completed.

    `CorruptRecord` when a file that was stable is damaged.
    """
    names = disk.list_dir(directory)
    swapped = sorted(int(name.split(".")[0]) for name in names if name.endswith(LOG_SUFFIX + SWAP_SUFFIX))
    for name in names:
        is_swap = name.endswith(SWAP_SUFFIX)
        if name.endswith(CLEANED_SUFFIX) or (is_swap and int(name.split(".")[0]) not in swapped):
            disk.delete(f"{directory}/{name}")
    for base_offset in swapped:
        _finish_swap(disk, directory, base_offset)
    return swapped


def _finish_swap(disk: Disk, directory: str, base_offset: int) -> None:
    next_offset = _next_offset(disk, directory, base_offset)
    for name in disk.list_dir(directory):
        stem, dot, suffix = name.rpartition(".")
        if dot + suffix == LOG_SUFFIX and stem.isdigit() and base_offset < int(stem) < next_offset:
            LogSegment(disk, directory, int(stem)).delete()
    stem = _stem(directory, base_offset)
    for suffix in LOG_LAST:
        if disk.exists(stem + suffix + SWAP_SUFFIX):
            disk.rename(stem + suffix + SWAP_SUFFIX, stem + suffix)


def _next_offset(disk: Disk, directory: str, base_offset: int) -> int:
    """Where the complete segment ends."""
    segment = LogSegment(disk, directory, base_offset, SWAP_SUFFIX)
    segment.size_bytes = segment.file_size_bytes()
    last = None
    end = 0
    for position, header in segment.walk():
        last, end = (position, header), position + header.size_bytes
    if last is None or end != segment.size_bytes:
        raise CorruptRecord(f"{segment.log_path}: the batches end at {end}, the file at {segment.size_bytes}")
    validate(segment.read_batch(*last))
    segment.close()
    return last[1].next_offset


def _stem(directory: str, base_offset: int) -> str:
    return f"{directory}/{base_offset:020d}"
