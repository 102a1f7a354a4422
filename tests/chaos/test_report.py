"""What is left of a run: the page and the text, from histories written by hand."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jepsen_like.chaos.recording import Recording
from jepsen_like.chaos.report import Report, report_text, write_report
from jepsen_like.checker import check
from jepsen_like.history import History, Op, OpType, read_history

SECOND = 1_000_000_000


def history_of(*operations: tuple[float, OpType, int | str, str, Any]) -> History:
    """Operations as (seconds, type, process, f, value)."""
    return History(
        options={"acks": "all", "subscribe": False, "transactions": False},
        operations=tuple(
            Op(index=index, time_ns=int(time_s * SECOND), type=kind, process=process, f=f, value=value, error=None)
            for index, (time_s, kind, process, f, value) in enumerate(operations)
        ),
    )


def a_send(begin_s: float, end_s: float, value: int) -> list[tuple[float, OpType, int | str, str, Any]]:
    return [
        (begin_s, OpType.INVOKE, 0, "send", [["send", "records-0", value]]),
        (end_s, OpType.OK, 0, "send", [["send", "records-0", [value, value]]]),
    ]


def fault(begin_s: float, end_s: float) -> tuple[tuple[float, OpType, int | str, str, Any], tuple[float, OpType, int | str, str, Any]]:
    begin, end = {"fault": "pause", "nodes": [], "phase": "begin"}, {"fault": "pause", "nodes": [2], "phase": "end", "text": "freeze <2>"}
    return (begin_s, OpType.INFO, "nemesis", "pause", begin), (end_s, OpType.INFO, "nemesis", "pause", end)


class _Links(HTMLParser):
    """What a page would load, and the tags that are open at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        assert tag not in ("script", "link")


def test_the_page_is_whole_loads_nothing_and_escapes_what_comes_from_the_run(tmp_path: Path) -> None:
    begin, end = fault(2.0, 8.0)
    history = history_of(*a_send(0.5, 1.0, 0), begin, *a_send(2.1, 7.0, 1), end, *a_send(9.0, 10.0, 2))
    report = Report(
        wishes={"faults": "pause"},
        version="raftkafka 1",
        settings={"key": "<b>"},
        notes=["a <note>"],
        fault_log=["freeze <2>"],
        crashes=["Node 2 ended"],
        seed=1,
    )
    write_report(tmp_path, report, history, check(history))
    page = (tmp_path / "report.html").read_text()
    links = _Links()
    links.feed(page)
    assert not [load for load in links.loads if not load.startswith("#")]
    assert "<note>" not in page and "a &lt;note&gt;" in page and "freeze &lt;2&gt;" in page
    assert "Node 2 ended" in page and "Node 2 ended" in report_text(report, check(history))
    assert "<svg" in page and "Availability" in page
    assert (tmp_path / "report.txt").read_text() == report_text(report, check(history))


def test_anomalies_are_shown_with_their_operations(tmp_path: Path) -> None:
    history = history_of(
        *a_send(0.5, 1.0, 0),
        *a_send(1.1, 1.5, 1),
        (2.0, OpType.INVOKE, 1, "assign", ["records-0"]),
        (2.0, OpType.OK, 1, "assign", ["records-0"]),
        (2.1, OpType.INVOKE, 1, "poll", [["poll"]]),
        (2.2, OpType.OK, 1, "poll", [["poll", {"records-0": [[1, 1]]}]]),
    )
    verdict = check(history)
    report = Report(wishes={}, version="raftkafka 1", settings={}, notes=[], fault_log=[], crashes=[], seed=1)
    write_report(tmp_path, report, history, verdict)
    assert verdict.outcome.value == "invalid"
    page = (tmp_path / "report.html").read_text()
    assert "lost-write" in page and "process 0  ok send" in page


def test_a_recording_is_a_history_with_its_times_in_order(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "history.jsonl", {"acks": "all"})
    recording.invoke(0, "send", [["send", "records-0", 1]])
    recording.nemesis("pause", {"fault": "pause", "nodes": [1], "phase": "begin"})
    recording.complete(OpType.OK, 0, "send", [["send", "records-0", [0, 1]]])
    recording.close()
    recording.invoke(0, "poll", [["poll"]])
    history = read_history(tmp_path / "history.jsonl")
    assert [op.f for op in history.operations] == ["send", "pause", "send"]
    assert recording.progress.acknowledged == 1
    times = [op.time_ns for op in history.operations]
    assert times == sorted(times)


def test_clients_that_wait_until_the_healing_were_not_served_until_then() -> None:
    begin, end = fault(2.0, 8.0)
    waits = (1.5, OpType.INVOKE, 1, "send", [["send", "records-0", 9]])
    healing = (8.0, OpType.INFO, "nemesis", "heal", {"fault": "heal", "nodes": [], "phase": "begin"})
    history = history_of(*a_send(0.5, 1.0, 0), waits, begin, end, healing)
    rows = {row.fault: row for row in check(history).availability}
    assert (rows["whole run"].seconds, rows["whole run"].longest_gap_s) == (7.5, 7.0)
    assert (rows["pause"].seconds, rows["pause"].share) == (6.0, 0.0)
