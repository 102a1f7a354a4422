"""What must hold of a group's committed offsets, judged by the history: each partition's is a register that is written and read.

A read may not tell what was overwritten before it began: the value of a commit W is stale when another commit began after the end of W and
was complete before the read. A commit that was read is complete, even if its client has not been told.

Hazard: the group reads again what it has worked on, or skips what it has not (rules C2 and T11).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import attrs

from jepsen_like.history import History, Op, OpType

NEVER = 1 << 62


@attrs.define(eq=False, kw_only=True)
class _Write:
    """`end` is when it was known to be complete; `NEVER` when it was not, `certain` when it was read or answered."""

    offset: int
    begin: int
    end: int = NEVER


@attrs.frozen(kw_only=True)
class _Read:
    offset: int
    begin: int
    end: int


def stale_offsets(history: History) -> list[str]:
    """Each read of a committed offset that is older than it may be."""
    writes, reads = _by_partition(history.operations)
    return [problem for key in sorted(reads) for problem in _stale(key, writes.get(key, []), reads[key])]


def _stale(key: str, writes: list[_Write], reads: list[_Read]) -> Iterator[str]:
    for read in sorted(reads, key=lambda each: each.begin):
        candidates = [write for write in writes if write.offset == read.offset and write.begin < read.end]
        newest_complete = max((write.begin for write in writes if write.end < read.begin), default=-1)
        if candidates and all(write.end < newest_complete for write in candidates):
            newer = max((write for write in writes if write.end < read.begin), key=lambda each: each.begin)
            yield f"{key}: offset {read.offset} was read as committed after {newer.offset} had taken its place (operation {read.end})"
        for write in candidates:
            if write.begin == max(each.begin for each in candidates):
                write.end = min(write.end, read.end)


def _by_partition(operations: Iterable[Op]) -> tuple[dict[str, list[_Write]], dict[str, list[_Read]]]:
    """Commits that may have happened, and reads that were answered. Times are the indexes of the operations, which are in order."""
    writes: dict[str, list[_Write]] = defaultdict(list)
    reads: dict[str, list[_Read]] = defaultdict(list)
    begun: dict[int | str, Op] = {}
    for op in operations:
        if op.f not in ("commit", "committed"):
            continue
        if op.type is OpType.INVOKE:
            begun[op.process] = op
            continue
        began = begun.pop(op.process, None)
        if began is None or op.type is OpType.FAIL:
            continue
        for key, offset in op.value.items():
            if op.f == "committed":
                reads[key].append(_Read(offset=offset, begin=began.index, end=op.index))
            else:
                writes[key].append(_Write(offset=offset, begin=began.index, end=op.index if op.type is OpType.OK else NEVER))
    for began in begun.values():
        for key, offset in began.value.items():
            writes[key].append(_Write(offset=offset, begin=began.index))
    return writes, reads
