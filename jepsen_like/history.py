"""What clients of a log saw: operations as they began and as they ended, in memory and as JSON lines.

    {"format": "raftkafka-history/1", "options": {"acks": "all", "subscribe": false, "transactions": false}}
    {"index": 0, "time": 1000000, "type": "invoke", "process": 1, "f": "send", "value": [["send", "records-0", 7]], "error": null}
    {"index": 1, "time": 3000000, "type": "ok", "process": 1, "f": "send", "value": [["send", "records-0", [0, 7]]], "error": null}
    {"end": 2}

Invariants
- Operations are in the order of their times; a process has at most one that has begun and not ended.
- ok: it happened. fail: it did not. info: nobody knows, and an operation that never ends is the same.
- The last line says how many operations there are: a file without it is not a whole history, and is refused.

Source: reference/history-checker.md, 4.2 and 4.3.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import attrs

FORMAT = "raftkafka-history/1"
NEMESIS = "nemesis"
"""The process that breaks things."""

Process = int | str


class OpType(enum.Enum):
    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@attrs.frozen(kw_only=True)
class Op:
    """A line of a history."""

    index: int
    time_ns: int
    type: OpType
    process: Process
    f: str
    value: Any
    error: str | None = None


@attrs.frozen(kw_only=True)
class History:
    options: Mapping[str, Any]
    operations: tuple[Op, ...]


class HistoryError(Exception):
    """A history that cannot be used; the text says why, and in which line."""


class HistoryWriter:
    """Writes operations to a text file as they come. `close` writes the last line and leaves the file open."""

    def __init__(self, file: TextIO, options: Mapping[str, Any]) -> None:
        self._file = file
        self._count = 0
        self._line({"format": FORMAT, "options": dict(options)})

    def write(self, op: Op) -> None:
        """The next operation."""
        self._line(op_as_json(op))
        self._count += 1

    def close(self) -> None:
        """No more operations."""
        self._line({"end": self._count})
        self._file.flush()

    def _line(self, value: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(value, separators=(", ", ": ")) + "\n")


class HistoryRecorder:
    """Collects a history in memory, numbering the operations itself."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._operations: list[Op] = []

    def invoke(self, *, time_ns: int, process: Process, f: str, value: Any) -> int:
        """An operation begins; its index, for `complete`."""
        return self._add(time_ns, OpType.INVOKE, process, f, value, None)

    def complete(self, index: int, *, time_ns: int, type: OpType, value: Any, error: str | None = None) -> None:
        """The operation that began as `index` ends."""
        invoked = self._operations[index]
        self._add(time_ns, type, invoked.process, invoked.f, value, error)

    def info(self, *, time_ns: int, process: Process, f: str, value: Any) -> None:
        """Something that is no operation of a client, such as a fault."""
        self._add(time_ns, OpType.INFO, process, f, value, None)

    def history(self) -> History:
        """All that was recorded so far."""
        return History(options=self._options, operations=tuple(self._operations))

    def _add(self, time_ns: int, type: OpType, process: Process, f: str, value: Any, error: str | None) -> int:
        index = len(self._operations)
        self._operations.append(Op(index=index, time_ns=time_ns, type=type, process=process, f=f, value=value, error=error))
        return index


def op_as_json(op: Op) -> dict[str, Any]:
    """An operation as the object of its line."""
    return {
        "index": op.index,
        "time": op.time_ns,
        "type": op.type.value,
        "process": op.process,
        "f": op.f,
        "value": op.value,
        "error": op.error,
    }


def read_history(path: Path | str) -> History:
    """The history in a file; `HistoryError` when it is missing, not a history, garbled or not whole."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise HistoryError(f"{path}: {reason}") from None
    try:
        return _history_of(lines)
    except _Garbled as error:
        raise HistoryError(f"{path}, line {error.line}: {error.text}") from None


class _Garbled(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def _history_of(lines: list[str]) -> History:
    if not lines:
        raise _Garbled(1, "the file is empty")
    header = _object(1, lines[0])
    if header.get("format") != FORMAT:
        raise _Garbled(1, f'the first line of a history is {{"format": "{FORMAT}", "options": ...}}')
    options = header.get("options", {})
    if not isinstance(options, dict):
        raise _Garbled(1, "options must be an object")
    operations: list[Op] = []
    for number, text in enumerate(lines[1:], start=2):
        line = _object(number, text)
        if "end" in line:
            if line["end"] != len(operations):
                raise _Garbled(number, f"the end says {line['end']} operations, but there are {len(operations)}")
            if number != len(lines):
                raise _Garbled(number + 1, "there is something after the end")
            return History(options=options, operations=tuple(operations))
        operations.append(_operation(number, line, operations[-1] if operations else None))
    raise _Garbled(len(lines), f"the history is truncated: after {len(operations)} operations there is no line that says so")


def _object(number: int, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _Garbled(number, f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise _Garbled(number, "not a JSON object")
    return value


_TYPES = {type.value: type for type in OpType}


def _operation(number: int, line: dict[str, Any], before: Op | None) -> Op:
    try:
        op = Op(
            index=line["index"],
            time_ns=line["time"],
            type=_TYPES[line["type"]],
            process=line["process"],
            f=line["f"],
            value=line["value"],
            error=line.get("error"),
        )
    except KeyError as error:
        raise _Garbled(number, f"{error} is missing, or not a type of operation") from None
    except TypeError:
        raise _Garbled(number, "the type of an operation is a text") from None
    if type(op.index) is not int or op.index != (before.index + 1 if before else 0):
        raise _Garbled(number, f"index {op.index} does not follow {before.index if before else 'the start'}")
    if type(op.time_ns) is not int or (before is not None and op.time_ns < before.time_ns):
        raise _Garbled(number, f"time {op.time_ns} is not a number of nanoseconds at or after that of the line before")
    if not isinstance(op.f, str) or not (type(op.process) is int or op.process == NEMESIS):
        raise _Garbled(number, 'f must be a text, and process a number or "nemesis"')
    if op.process != NEMESIS and not _is_value(op):
        raise _Garbled(number, f"not the value of a {op.f}: {json.dumps(op.value)[:200]}")
    return op


def _is_value(op: Op) -> bool:
    """Whether the value has the shape that its operation demands; other operations may have any."""
    value = op.value
    match op.f:
        case "send" | "poll" | "txn":
            if value is None:
                return op.type is not OpType.OK
            return isinstance(value, list) and all(_is_micro_op(each, invoked=op.type is OpType.INVOKE) for each in value)
        case "assign" | "subscribe":
            return isinstance(value, list) and all(isinstance(key, str) for key in value)
        case "commit" | "committed":
            return value is None or (isinstance(value, dict) and all(_is_offset(offset) for offset in value.values()))
        case _:
            return True


def _is_micro_op(value: Any, *, invoked: bool) -> bool:
    match value:
        case ["send", str(), result]:
            if isinstance(result, list):
                return not invoked and len(result) == 2 and _is_offset(result[0]) and type(result[1]) is int
            return type(result) is int
        case ["poll"]:
            return True
        case ["poll", dict(read)]:
            return all(isinstance(records, list) and all(map(_is_record, records)) for records in read.values())
        case ["rebalance", list()]:
            return True
        case _:
            return False


def _is_record(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and type(value[0]) is int and value[0] >= 0 and type(value[1]) is int


def _is_offset(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)
