"""Builds small histories by hand: each call is an operation that begins and ends, a millisecond each, unless it is begun apart."""

from __future__ import annotations

from typing import Any

from jepsen_like.checker import Verdict, check
from jepsen_like.history import History, HistoryRecorder, OpType

Read = dict[str, list[list[int]]]


class Script:
    def __init__(self, **options: Any) -> None:
        self.recorder = HistoryRecorder({"acks": "all", "subscribe": False, "transactions": False, **options})
        self.now_ns = 0

    def begin(self, process: int, f: str, value: Any) -> int:
        self.now_ns += 1_000_000
        return self.recorder.invoke(time_ns=self.now_ns, process=process, f=f, value=value)

    def end(self, index: int, value: Any, type: OpType = OpType.OK) -> Script:
        self.now_ns += 1_000_000
        self.recorder.complete(index, time_ns=self.now_ns, type=type, value=value)
        return self

    def op(self, process: int, f: str, value: Any, result: Any, type: OpType = OpType.OK) -> Script:
        return self.end(self.begin(process, f, value), result, type)

    def send(self, process: int, *sends: tuple[int | None, int], key: str = "x", type: OpType = OpType.OK) -> Script:
        return self.op(process, "send", [["send", key, v] for _, v in sends], [["send", key, [o, v]] for o, v in sends], type)

    def poll(self, process: int, *records: tuple[int, int], key: str = "x", type: OpType = OpType.OK) -> Script:
        return self.op(process, "poll", [["poll"]], [["poll", {key: [list(record) for record in records]} if records else {}]], type)

    def assign(self, process: int, *keys: str) -> Script:
        return self.op(process, "assign", list(keys), list(keys))

    def nemesis(self, fault: str, phase: str) -> Script:
        self.now_ns += 1_000_000
        self.recorder.info(time_ns=self.now_ns, process="nemesis", f=fault, value={"fault": fault, "nodes": [1], "phase": phase})
        return self

    def history(self) -> History:
        return self.recorder.history()

    def verdict(self) -> Verdict:
        return check(self.history())

    def kinds(self) -> set[str]:
        return {each.kind for each in self.verdict().anomalies}

    def allowed(self) -> set[str]:
        return {each.kind for each in self.verdict().allowed}
