"""In-memory histories, until jepsen_like.history is there."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs


class OpType(enum.Enum):
    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@attrs.frozen(kw_only=True)
class Op:
    index: int
    time_ns: int
    type: OpType
    process: int | str
    f: str
    value: Any
    error: str | None = None


@attrs.frozen(kw_only=True)
class History:
    options: Mapping[str, Any]
    operations: tuple[Op, ...]


class HistoryRecorder:
    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._operations: list[Op] = []

    def invoke(self, *, time_ns: int, process: int | str, f: str, value: Any) -> int:
        return self._add(time_ns, OpType.INVOKE, process, f, value, None)

    def complete(self, index: int, *, time_ns: int, type: OpType, value: Any, error: str | None = None) -> None:
        invoked = self._operations[index]
        self._add(time_ns, type, invoked.process, invoked.f, value, error)

    def info(self, *, time_ns: int, process: int | str, f: str, value: Any) -> None:
        self._add(time_ns, OpType.INFO, process, f, value, None)

    def history(self) -> History:
        return History(options=self._options, operations=tuple(self._operations))

    def _add(self, time_ns: int, type: OpType, process: int | str, f: str, value: Any, error: str | None) -> int:
        index = len(self._operations)
        self._operations.append(Op(index=index, time_ns=time_ns, type=type, process=process, f=f, value=value, error=error))
        return index
