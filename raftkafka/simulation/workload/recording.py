"""The history of a run, as its clients write it: process numbers, unique values, operations with their virtual times.

Invariants
- A process has one operation at a time; after one whose outcome is not known its number is never used again (`next_process`).
- No value is written twice, in the whole run.
- Each operation's end is a line of the trace; an empty poll is not worth one.

Source: reference/history-checker.md, 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from jepsen_like.history import History, HistoryRecorder, OpType
from raftkafka.base.errors import ErrorCode
from raftkafka.simulation.events import EventHeap
from raftkafka.simulation.trace import Trace
from raftkafka.simulation.workload.known_cluster import Slot, key_of

NS_PER_US = 1_000
NEMESIS = "nemesis"


@attrs.frozen(kw_only=True)
class SentBatch:
    """A batch as its producer meant it. `stream` is the producer's incarnation: within one, batches of a slot keep their order."""

    slot: Slot
    values: Sequence[int]
    stream: int
    keeps_order: bool


class Recording:
    """Shared by all clients of a run."""

    def __init__(self, heap: EventHeap, trace: Trace, options: Mapping[str, Any]) -> None:
        self.heap = heap
        self.options = options
        self.problems: list[str] = []
        """What a client saw that no broker may show, and that the history cannot say."""
        self.sent: list[SentBatch] = []
        self.acknowledged_count = 0
        self.last_acknowledged_us: dict[Slot, int] = {}
        """When the newest acknowledged batch of each partition was begun."""
        self.committed: dict[Slot, int] = {}
        """What the group committed last."""
        self.deleted: dict[Slot, int] = {}
        """Before this offset records of a partition may be gone: somebody has asked for it, or retention has taken them."""
        self.deletion_told: Callable[[Slot, int], None] | None = None
        """Called when somebody begins to ask for a deletion."""
        self.newest_generation = -1
        """The group's newest generation whose assignments a member has been given."""
        self.values_of_bytes: dict[bytes, Sequence[int]] = {}
        """The values of each batch that was sent, by its bytes from the attributes on: what a consumer fetches needs no decoding."""
        self.told: Callable[[str, Any], None] | None = None
        """Called with f and value of every operation that succeeds; it may raise `Violation`."""
        self.end_told: Callable[[Slot, int, int, Mapping[int, int]], None] | None = None
        self.ends_known: Callable[[Slot], Mapping[int, int]] | None = None
        """Called when a leader has said where a partition ends: the partition, the leader's epoch, the end."""
        self.commit_told: Callable[[int, int, str], None] | None = None
        """Called when a commit has succeeded: its generation, the newest one that had begun when it was sent, what it was."""
        self._trace = trace
        self._recorder = HistoryRecorder(options)
        self._begun: dict[int, str] = {}
        self._next_process = 0
        self._next_value = 0
        self._next_stream = 0

    def next_process(self) -> int:
        """A process number that nobody had."""
        self._next_process += 1
        return self._next_process

    def next_stream(self) -> int:
        """A number for one incarnation of a producer."""
        self._next_stream += 1
        return self._next_stream

    def next_values(self, count: int) -> range:
        """Values that nobody wrote."""
        start = self._next_value
        self._next_value += count
        return range(start, self._next_value)

    def acknowledged(self, slot: Slot, *, begun_us: int) -> None:
        """A batch was acknowledged."""
        self.acknowledged_count += 1
        self.last_acknowledged_us[slot] = max(begun_us, self.last_acknowledged_us.get(slot, 0))

    # Operations

    def invoke(self, process: int, f: str, value: Any) -> int:
        """An operation begins; its number."""
        index = self._recorder.invoke(time_ns=self.heap.now_us * NS_PER_US, process=process, f=f, value=value)
        self._begun[index] = f
        return index

    def complete(self, index: int, outcome: OpType, value: Any, *, who: str, text: str = "", error: str | None = None) -> None:
        """An operation ends. `text` says for the trace what it was about; without one there is no line."""
        self._recorder.complete(index, time_ns=self.heap.now_us * NS_PER_US, type=outcome, value=value, error=error)
        f = self._begun.pop(index)
        if text:
            self._trace.line(who, f"{f} {text} {outcome.value}{f' {error}' if error else ''}")
        if self.told is not None and outcome is OpType.OK:
            self.told(f, value)

    def deletion_begins(self, slot: Slot, offset: int) -> None:
        """From now on records before the offset may be gone."""
        self.deleted[slot] = max(offset, self.deleted.get(slot, 0))
        if self.deletion_told is not None:
            self.deletion_told(slot, offset)

    def expired(self, slot: Slot, offset: int) -> None:
        """Retention has taken the records before an offset away, which nobody asked for and the history must know."""
        if offset > self.deleted.get(slot, 0):
            self.deleted[slot] = offset
            value = {key_of(slot): offset}
            index = self.invoke(self.next_process(), "delete", value)
            self.complete(index, OpType.INFO, value, who="world", text=f"{key_of(slot)} before {offset} by retention")

    def instant(self, process: int, f: str, value: Any, *, who: str, text: str) -> None:
        """An operation that takes no time and succeeds."""
        self.complete(self.invoke(process, f, value), OpType.OK, value, who=who, text=text)

    def nemesis(self, fault: str, value: Mapping[str, Any]) -> None:
        """A fault begins or ends."""
        self._recorder.info(time_ns=self.heap.now_us * NS_PER_US, process=NEMESIS, f=fault, value=dict(value))

    def note(self, who: str, text: str) -> None:
        """A line of the trace alone."""
        self._trace.line(who, text)

    def problem(self, text: str) -> None:
        """Something wrong that belongs to no operation."""
        self.problems.append(text)

    def history(self) -> History:
        return self._recorder.history()


def error_name(code: int) -> str:
    """The name of an error code, as histories say it."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"ERROR_{code}"


def slots_text(slots: Sequence[Slot]) -> str:
    """Partitions for a line of the trace."""
    return " ".join(map(key_of, slots)) or "nothing"
