"""Chaos on real processes, from the start of a cluster to the verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jepsen_like.checker import check
from jepsen_like.history import OpType, read_history
from tests.java.apache_kafka import kafka_home, requires_java

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

TIMEOUT_S = 400


def command(directory: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "raftkafka.cli.main", "chaos", "--output", str(directory / "reports"), *arguments]


def environment(directory: Path) -> dict[str, str]:
    """The data of the nodes is under the test's directory too, so that their processes can be told from those of other runs."""
    (directory / "data").mkdir()
    return os.environ | {"TMPDIR": str(directory / "data")}


def chaos(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(directory, *arguments), capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(directory), check=False
    )


def report_folder(directory: Path) -> Path:
    (folder,) = (directory / "reports").iterdir()
    return folder


def nodes_of(directory: Path) -> list[str]:
    """The command lines of the nodes that this test's run has started, as far as they live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{directory / 'data'}/" in line:
                found.append(line)
    return found


def test_a_minute_of_kill_pause_and_partition_leaves_a_valid_history(tmp_path: Path) -> None:
    done = chaos(tmp_path, "--time", "60", "--faults", "kill,pause,partition", "--seed", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = report_folder(tmp_path)
    history = read_history(folder / "history.jsonl")
    rows = {row.fault: row for row in check(history).availability}
    assert {"kill", "pause", "partition"} <= set(rows)
    assert rows["whole run"].acknowledged > 2_000
    assert sum(len(op.value[0][1]) for op in history.operations if op.f == "poll" and op.type is OpType.OK) > 100
    assert {path.name for path in folder.iterdir()} >= {"report.html", "report.txt", "faults.txt", "history.jsonl", "node1.log"}
    assert nodes_of(tmp_path) == []


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_run_with_a_report_and_no_process(tmp_path: Path) -> None:
    wished = command(tmp_path, "--time", "120", "--faults", "pause")
    with subprocess.Popen(wished, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(tmp_path)) as run:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not list(tmp_path.glob("reports/*/history.jsonl")):
            time.sleep(0.2)
        time.sleep(8)  # into the first fault
        assert len(nodes_of(tmp_path)) == 3
        run.send_signal(signal.SIGINT)
        text, _ = run.communicate(timeout=TIMEOUT_S)
    assert run.returncode == 0, text
    assert "Interrupted after" in text
    assert (report_folder(tmp_path) / "report.html").exists()
    assert nodes_of(tmp_path) == []


def test_an_unknown_fault_exits_2_before_anything_is_started(tmp_path: Path) -> None:
    done = chaos(tmp_path, "--faults", "kil")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean kill?" in done.stderr
    assert not (tmp_path / "reports").exists()


def test_an_unknown_rule_exits_2(tmp_path: Path) -> None:
    done = chaos(tmp_path, "--break", "truncate-by-epok")
    assert done.returncode == 2
    assert "Did you mean truncate-by-epoch?" in done.stderr


@pytest.mark.java
@requires_java
def test_apache_kafka_is_judged_in_the_same_way(tmp_path: Path) -> None:
    kafka_home()
    done = chaos(tmp_path, "--system", "kafka", "--time", "30", "--faults", "isolate,kill", "--seed", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row.fault: row for row in check(read_history(report_folder(tmp_path) / "history.jsonl")).availability}
    assert "isolate" in rows
    assert rows["whole run"].acknowledged > 200


@pytest.mark.parametrize(
    ("rule", "faults", "time_s", "kinds"),
    [
        ("acks-all-waits-for-the-high-watermark", "isolate-leader", 25, {"lost-write"}),
        ("serve-consumers-below-high-watermark", "isolate-leader", 25, {"inconsistent-offsets", "nonmonotonic-poll", "duplicate"}),
        ("deduplicate-by-producer-sequence", "one-way", 30, {"duplicate"}),
    ],
)
def test_without_a_rule_the_verdict_turns_red(rule: str, faults: str, time_s: int, kinds: set[str], tmp_path: Path) -> None:
    """What processes make of a seed is theirs: on a busy machine a run may miss the moment, so there are three at most."""
    for seed in (1, 2, 3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        done = chaos(folder, "--break", rule, "--faults", faults, "--time", str(time_s), "--seed", str(seed))
        assert done.returncode in (0, 1), done.stdout + done.stderr
        if done.returncode == 1:
            break
    assert done.returncode == 1, done.stdout + done.stderr
    assert kinds & {anomaly.kind for anomaly in check(read_history(report_folder(folder) / "history.jsonl")).anomalies}
