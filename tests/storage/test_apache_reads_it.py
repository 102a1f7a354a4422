"""Apache Kafka's kafka-dump-log reads the files that we write: batches in every compression, the indexes, producer snapshots."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raftkafka.storage.config import LogConfig
from raftkafka.storage.record_batch import Record
from tests.java.apache_kafka import requires_java, run_tool
from tests.tools.segments import TIME, write_log

pytestmark = [pytest.mark.java, requires_java]


def plain_records(index: int) -> list[Record]:
    """Two records of a batch that are alike."""
    return [Record(0, TIME + index, b"key%d" % index, b"value%d" % index, [("header", b"x")]) for _ in range(2)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partition's directory with several segments, left by a clean stop."""
    config = LogConfig(segment_bytes=6000, index_interval_bytes=300)
    return write_log(tmp_path_factory.mktemp("data"), config=config, batch_count=100, marker_every=20, records=plain_records)


def dump(directory: Path, suffixes: tuple[str, ...], *options: str) -> dict[str, list[str]]:
    """What the tool prints of all files with these suffixes, by suffix."""
    files = sorted(str(path) for path in directory.iterdir() if path.suffix in suffixes)
    result = run_tool("kafka-dump-log", *options, "--files", ",".join(files))
    assert result.exit_code == 0, result.stderr
    printed: dict[str, list[str]] = {suffix: [] for suffix in suffixes}
    current = printed[suffixes[0]]
    for line in result.lines:
        if line.startswith("Dumping "):
            current = printed[Path(line.removeprefix("Dumping ").strip()).suffix]
        else:
            current.append(line)
    return printed


@pytest.fixture(scope="module")
def dumped(directory: Path) -> dict[str, list[str]]:
    return dump(directory, (".log", ".index", ".timeindex", ".txnindex", ".snapshot"), "--deep-iteration", "--print-data-log")


def test_batches_and_records(dumped: dict[str, list[str]]) -> None:
    lines = dumped[".log"]
    headers = [line for line in lines if line.startswith("baseOffset:")]
    assert len(headers) == 105
    assert all(line.endswith("isvalid: true") for line in headers)
    payloads = [line.rpartition("payload: ")[2] for line in lines if "payload:" in line]
    assert payloads == [f"value{index}" for index in range(100) for _ in range(2)]
    assert sum("endTxnMarker: ABORT coordinatorEpoch: 0" in line for line in lines) == 5
    offsets = [int(match[1]) for line in lines if (match := re.match(r"\| offset: (\d+)", line))]
    assert offsets == list(range(205))


def test_indexes_match_their_segments(dumped: dict[str, list[str]]) -> None:
    assert len(dumped[".index"]) > 20
    assert all(line.startswith("offset: ") or line.endswith("is empty.") for line in dumped[".index"])
    assert all(line.startswith("timestamp: ") for line in dumped[".timeindex"])


def test_indexes_pass_the_sanity_check(directory: Path) -> None:
    for lines in dump(directory, (".index", ".timeindex"), "--index-sanity-check").values():
        assert len(lines) == len(list(directory.glob("*.log")))
        assert all(line.endswith(("passed sanity check.", "is empty.")) for line in lines)


def test_aborted_transactions(dumped: dict[str, list[str]]) -> None:
    expected = [(41 * index, 41 * index + 40) for index in range(5)]
    assert [(int(line.split()[5]), int(line.split()[7])) for line in dumped[".txnindex"]] == expected


def test_producer_snapshots(dumped: dict[str, list[str]]) -> None:
    last = dumped[".snapshot"][-1]
    assert last.startswith("producerId: 9 producerEpoch: 1 coordinatorEpoch: 0 currentTxnFirstOffset: OptionalLong.empty")
    assert "lastSequence: 199 lastOffset: 203" in last
