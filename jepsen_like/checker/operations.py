"""A history as the checks want it: each operation once, with its beginning, its end, what it wrote and what it read.

Invariants
- Nothing is guessed: an operation that did not end is `info`, with no known offsets and no end.
- A value has one writer in its key. A history in which it has two cannot be judged: `HistoryError`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import attrs

from jepsen_like.history import NEMESIS, History, HistoryError, Op, OpType, Process

NEVER_NS = sys.maxsize


@attrs.define(eq=False)
class Completion:
    """An operation of a client. `index` is that of its last line; one that never ended has that of its first and `end_ns` NEVER_NS."""

    index: int
    invoke_index: int
    invoke_ns: int
    end_ns: int
    type: OpType
    process: Process
    f: str
    value: Any
    sends: list[tuple[str, int | None, int]]
    """(key, offset if known, value)"""
    reads: dict[str, list[Any]]
    """By key, the [offset, value] in the order in which they came."""
    rebalanced: frozenset[str]
    """Keys that changed hands while it lasted: their order within it says nothing."""

    @property
    def known(self) -> bool:
        """It may have happened."""
        return self.type is not OpType.FAIL

    @property
    def ok(self) -> bool:
        return self.type is OpType.OK

    @property
    def operations(self) -> tuple[int, ...]:
        """The indexes of its lines."""
        return (self.invoke_index,) if self.index == self.invoke_index else (self.invoke_index, self.index)


def completions_of(history: History) -> list[Completion]:
    """All operations of clients, in the order of their ends; those that never ended last."""
    begun: dict[Process, Op] = {}
    done: list[Completion] = []
    for op in history.operations:
        if op.process == NEMESIS:
            continue
        if op.type is OpType.INVOKE:
            if op.process in begun:
                raise HistoryError(
                    f"operation {op.index}: process {op.process} begins one while its operation {begun[op.process].index} lasts"
                )
            begun[op.process] = op
            continue
        invoked = begun.pop(op.process, None)
        if invoked is None or invoked.f != op.f:
            raise HistoryError(f"operation {op.index}: process {op.process} ends a {op.f} that it did not begin")
        done.append(_completion(invoked, op))
    for invoked in begun.values():
        done.append(_completion(invoked, None))
    return done


def _completion(invoked: Op, ended: Op | None) -> Completion:
    value = invoked.value if ended is None or ended.value is None else ended.value
    sends: list[tuple[str, int | None, int]] = []
    reads: dict[str, list[Any]] = {}
    rebalanced: frozenset[str] = frozenset()
    f = invoked.f
    if f in ("send", "poll", "txn"):
        for micro in value or ():
            kind = micro[0]
            if kind == "send":
                result = micro[2]
                sends.append((micro[1], None, result) if isinstance(result, int) else (micro[1], result[0], result[1]))
            elif kind == "poll":
                if len(micro) > 1:
                    for key, records in micro[1].items():
                        if key in reads:
                            reads[key] = [*reads[key], *records]
                        elif records:
                            reads[key] = records
            else:
                rebalanced |= frozenset(micro[1])
    return Completion(
        invoked.index if ended is None else ended.index,
        invoked.index,
        invoked.time_ns,
        NEVER_NS if ended is None else ended.time_ns,
        OpType.INFO if ended is None else ended.type,
        invoked.process,
        f,
        value,
        sends,
        reads,
        rebalanced,
    )


@attrs.define(eq=False)
class Observed:
    """The indexes over all operations of a history."""

    options: Mapping[str, Any]
    completions: list[Completion]
    writer_of: dict[str, dict[int, Completion]]
    ok_read: dict[str, dict[int, Completion]]
    """By key and value, the first ok operation that read it."""
    committed: dict[str, dict[int, int | None]]
    """By key, the values that must have been committed, with their offset if the writer knows it."""
    deletions: dict[str, list[tuple[int, int]]] = attrs.field(factory=dict)
    """By key, (operation, offset) of each deletion that may have happened: from its begin on records before the offset may be gone."""

    def deleted_before(self, key: str, *, operation: float = math.inf) -> int:
        """The offset before which records of a key may be gone, by deletions that began before an operation."""
        return max((offset for begun, offset in self.deletions.get(key, ()) if begun < operation), default=0)

    def option(self, name: str) -> bool:
        """Whether an option of the history is on."""
        return bool(self.options.get(name, False))

    @property
    def acks_all(self) -> bool:
        """Whether an acknowledgement promises that all in-sync replicas have it."""
        return str(self.options.get("acks", "all")) in ("all", "-1")


def observe(history: History) -> Observed:
    """Reads a history once, for all checks."""
    completions = completions_of(history)
    writer_of: dict[str, dict[int, Completion]] = {}
    ok_read: dict[str, dict[int, Completion]] = {}
    for each in completions:
        for key, _, value in each.sends:
            writers = writer_of.setdefault(key, {})
            if value in writers:
                first = writers[value].invoke_index
                raise HistoryError(f"value {value} of {key} is sent by operations {first} and {each.invoke_index}; values must be unique")
            writers[value] = each
        if each.ok:
            for key, records in each.reads.items():
                seen = ok_read.setdefault(key, {})
                for record in records:
                    value = record[1]
                    if value not in seen:
                        seen[value] = each
    observed = Observed(options=history.options, completions=completions, writer_of=writer_of, ok_read=ok_read, committed={})
    for each in completions:
        if each.f == "delete" and each.known:
            for key, offset in (each.value or {}).items():
                observed.deletions.setdefault(key, []).append((each.invoke_index, offset))
    _find_committed(observed)
    return observed


def _find_committed(observed: Observed) -> None:
    """mustHaveCommitted. A transaction is whole: one value of it read means all. Plain sends of one operation are not: each counts alone,
    and one whose offset is known was acknowledged although another of its operation was not."""
    transactions = observed.option("transactions")
    for each in observed.completions:
        if not each.sends or each.type is OpType.FAIL:
            continue
        whole = each.ok
        atomic = transactions or each.f == "txn"
        if not whole and atomic:
            whole = any(value in observed.ok_read.get(key, ()) for key, _, value in each.sends)
        for key, offset, value in each.sends:
            if whole or (not atomic and (offset is not None or value in observed.ok_read.get(key, ()))):
                observed.committed.setdefault(key, {})[value] = offset
