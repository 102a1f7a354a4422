"""The numbers of the perf tools: percentiles, sampling, dates, payloads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raftkafka.tools.consumer_perf import date_format
from raftkafka.tools.errors import ToolError, UsageError
from raftkafka.tools.producer_perf.command_line import make_parser, read_command_line
from raftkafka.tools.producer_perf.stats import MAX_SAMPLES, Stats

TOTAL = re.compile(
    r"\d+ records sent, \d+\.\d{6} records/sec \(\d+\.\d\d MB/sec\), \d+\.\d\d ms avg latency, \d+\.\d\d ms max latency,"
    r" \d+ ms 50th, \d+ ms 95th, \d+ ms 99th, \d+ ms 99.9th\.\n"
)
WORKLOAD = ("--bootstrap-server", "localhost:9092", "--topic", "t", "--num-records", "10", "--throughput", "-1")


def workload(*arguments: str) -> object:
    return read_command_line(make_parser(), [*WORKLOAD, *arguments])


def test_the_summary_is_apaches_line(capsys: pytest.CaptureFixture[str]) -> None:
    stats = Stats(expected_records=100, interval_ms=None)
    stats.add(list(range(60)), 600)
    stats.add(list(range(60, 100)), 400)
    stats.print_total()
    out = capsys.readouterr().out
    assert TOTAL.fullmatch(out)
    assert out.endswith("49.50 ms avg latency, 99.00 ms max latency, 50 ms 50th, 95 ms 95th, 99 ms 99th, 99 ms 99.9th.\n")


def test_long_runs_are_sampled_evenly() -> None:
    stats = Stats(expected_records=4 * MAX_SAMPLES, interval_ms=None)
    for start in range(0, 1000, 7):
        stats.add(list(range(start, start + 7)), 7)
    assert stats._samples == list(range(0, stats.count, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--record-size", "0"), "--record-size should be greater than zero."),
        (("--record-size", "5", "--warmup-records", "10"), "must be strictly fewer than the number of records in the test"),
        (("--record-size", "5", "--transaction-duration-ms", "0"), "--transaction-duration-ms should be greater than zero."),
        ((), "one of the arguments --record-size --payload-file --payload-monotonic is required"),
        (("--record-size", "x"), "could not convert 'x' to Long"),
        (
            ("--record-size", "5", "--producer-props", "a=b", "--command-property", "c=d"),
            "--command-property and --producer-props cannot be specified together.",
        ),
    ],
)
def test_wrong_usage_is_refused_in_apaches_words(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        workload(*arguments)


def test_properties_are_pairs() -> None:
    with pytest.raises(ToolError, match=r"^Invalid property: nonsense$"):
        workload("--record-size", "5", "--producer-props", "acks=1", "nonsense")


def test_payloads_of_a_file_are_divided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "payloads"
    path.write_text("a,b,,c,,")
    assert workload("--payload-file", str(path), "--payload-delimiter", ",").payloads == (b"a", b"b", b"", b"c")  # type: ignore[attr-defined]
    assert capsys.readouterr().out == f"Reading payloads from: {path}\nNumber of records read: 4\n"
    with pytest.raises(ToolError, match=r"^File does not exist or empty file provided.$"):
        workload("--payload-file", str(tmp_path / "none"))


def test_dates_are_shown_by_javas_patterns() -> None:
    seconds = 1_700_000_000.123
    assert re.fullmatch(r"2023-11-1[45] \d\d:\d\d:20:123", date_format("yyyy-MM-dd HH:mm:ss:SSS")(seconds))
    assert date_format("yy/MMM 'at' ss''")(seconds) == "23/Nov at 20'"
    with pytest.raises(ToolError, match=r"^Illegal pattern character 'q'$"):
        date_format("qq")
