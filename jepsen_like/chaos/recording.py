"""The history of a run as it is written: every operation as it begins and as it ends, by many threads, with one clock.

Invariants
- Lines are in the order of their times: taking the time and writing the line are one step.
- The file is a whole history only after `close`; until then it has no last line, and a reader says so.
- `progress` is what the live line shows; it is read by another thread, and a figure in it may be a moment old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from jepsen_like.history import HistoryWriter, Op, OpType


@attrs.define(eq=False)
class Progress:
    """Running figures. Sends are counted one by one, not in operations."""

    acknowledged: int = 0
    failed: int = 0
    unknown: int = 0
    read: int = 0
    last_acknowledged_s: float = 0.0
    longest_gap_s: float = 0.0

    def gap_s(self, now_s: float) -> float:
        """The longest time without an acknowledgement so far, the one that lasts included."""
        return max(self.longest_gap_s, now_s - self.last_acknowledged_s)


class Recording:
    """Writes `path`; the clock starts now."""

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.progress = Progress()
        self._file = path.open("w", encoding="utf-8")
        self._writer = HistoryWriter(self._file, options)
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False
        self._start_ns = time.monotonic_ns()

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return (time.monotonic_ns() - self._start_ns) / 1e9

    def invoke(self, process: int, f: str, value: Any) -> None:
        """An operation begins."""
        self._add(OpType.INVOKE, process, f, value, None)

    def complete(self, kind: OpType, process: int, f: str, value: Any, error: str | None = None) -> None:
        """An operation of this process ends."""
        now_s = self._add(kind, process, f, value, error)
        if f == "send":
            self._count_sends(kind, len(value), now_s)
        elif f == "poll" and kind is OpType.OK:
            self.progress.read += sum(map(len, value[0][1].values()))

    def nemesis(self, fault: str, value: Mapping[str, Any]) -> None:
        """A fault begins or ends."""
        self._add(OpType.INFO, "nemesis", fault, value, None)

    def close(self) -> None:
        """Writes the last line. What comes later, from a thread that is late, is not recorded."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writer.close()
                self._file.close()

    def _add(self, kind: OpType, process: int | str, f: str, value: Any, error: str | None) -> float:
        with self._lock:
            now_ns = time.monotonic_ns() - self._start_ns
            if not self._closed:
                self._writer.write(Op(index=self._count, time_ns=now_ns, type=kind, process=process, f=f, value=value, error=error))
                self._count += 1
            return now_ns / 1e9

    def _count_sends(self, kind: OpType, count: int, now_s: float) -> None:
        progress = self.progress
        if kind is OpType.OK:
            with self._lock:
                progress.acknowledged += count
                progress.longest_gap_s = max(progress.longest_gap_s, now_s - progress.last_acknowledged_s)
                progress.last_acknowledged_s = now_s
        elif kind is OpType.FAIL:
            progress.failed += count
        else:
            progress.unknown += count
