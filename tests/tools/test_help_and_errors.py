"""What every tool has in common: help leads with an example, and whatever goes wrong ends in one sentence and Apache's exit code."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.ports import unused_ports
from raftkafka.tools.registry import TOOLS
from raftkafka.tools.run import run_program, run_tool
from tests.tools.compare import run_ours

HELP_EXITS_0 = frozenset({"features", "metadata-quorum", "server-start", "storage"})
"""Of Apache's tools those on argparse4j, but for kafka-cluster and kafka-producer-perf-test; all others end with 1 after their help."""
WITHOUT_CLUSTER = frozenset({"dump-log", "server-start", "server-stop", "storage"})

ASKING = {
    "broker-api-versions": "",
    "cluster": "cluster-id",
    "configs": "--describe --topic x",
    "console-consumer": "--topic x --timeout-ms 700",
    "console-producer": "--topic x",
    "consumer-groups": "--list --timeout 300",
    "consumer-perf-test": "--topic x --num-records 1 --timeout 700",
    "delete-records": "--offset-json-file {offsets}",
    "e2e-latency": "--topic x --num-records 1 --producer-acks 1 --record-size 1",
    "features": "describe",
    "get-offsets": "",
    "leader-election": "--all-topic-partitions --election-type preferred",
    "log-dirs": "--describe",
    "metadata-quorum": "describe --status",
    "producer-perf-test": "--topic x --num-records 1 --record-size 1 --throughput -1",
    "reassign-partitions": "--list",
    "topics": "--list",
}
"""For each tool that asks a cluster the arguments of a simple question."""
BY_LIBRDKAFKA = frozenset({"console-consumer", "console-producer", "consumer-perf-test", "e2e-latency", "producer-perf-test"})
"""These have time-outs of their own."""


def test_every_tool_that_asks_a_cluster_is_tried() -> None:
    assert set(ASKING) | WITHOUT_CLUSTER == set(TOOLS)


@pytest.mark.parametrize("subcommand", TOOLS)
def test_help_leads_with_an_example(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tool(subcommand, ["--help"]) == (0 if subcommand in HELP_EXITS_0 else 1)
    said = capsys.readouterr()
    first, second, *_ = (said.out + said.err).splitlines()
    assert first in ("Example:", "Examples:")
    assert TOOLS[subcommand].script + ".sh" in second


@pytest.mark.parametrize("subcommand", TOOLS)
def test_an_unknown_option_is_one_sentence(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tool(subcommand, ["--no-such-option"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    sentence, *hint = said.err.splitlines()
    assert "no-such-option" in sentence or sentence.startswith("USAGE: ")
    assert not hint or hint == [f"Try {TOOLS[subcommand].script}.sh --help."]


@pytest.mark.parametrize("subcommand", sorted(set(ASKING) - BY_LIBRDKAFKA))
def test_an_unreachable_broker_is_one_sentence(subcommand: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = unused_ports(1)
    code = run_tool(subcommand, _question(subcommand, f"127.0.0.1:{port}", tmp_path))
    said = capsys.readouterr()
    assert f"No broker answers: nobody listens on 127.0.0.1:{port}." in said.out + said.err
    assert code == _exit_code_of_failure(subcommand)


@pytest.mark.parametrize("subcommand", sorted(set(ASKING) - BY_LIBRDKAFKA))
def test_a_host_that_does_not_exist_is_told_at_once(subcommand: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_tool(subcommand, _question(subcommand, "no-such-host.invalid:9092", tmp_path))
    said = capsys.readouterr()
    assert "the host name no-such-host.invalid cannot be resolved" in said.out + said.err


@pytest.mark.slow
@pytest.mark.parametrize("subcommand", sorted(BY_LIBRDKAFKA - {"e2e-latency"}))  # It waits a minute, as Apache's.
def test_an_unreachable_broker_ends_a_client_without_a_traceback(subcommand: str, tmp_path: Path) -> None:
    (port,) = unused_ports(1)
    try:
        done = run_ours(TOOLS[subcommand].script, *_question(subcommand, f"127.0.0.1:{port}", tmp_path), stdin="a\n")
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"{subcommand} did not end: {error.stdout!r} {error.stderr!r}")
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("subcommand", sorted(set(ASKING) - BY_LIBRDKAFKA))
@pytest.mark.parametrize("address", ["localhost", "localhost:99999"])
def test_an_address_that_is_none_is_one_sentence(subcommand: str, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_tool(subcommand, _question(subcommand, address, tmp_path))
    said = capsys.readouterr()
    assert address in said.err + said.out or "host1:9091" in said.err
    assert code == _exit_code_of_failure(subcommand)


@pytest.mark.parametrize("subcommand", sorted(ASKING))
def test_a_settings_file_that_does_not_exist_is_named(subcommand: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = _question(subcommand, "127.0.0.1:1", tmp_path)
    (tmp_path / "client.properties").unlink()
    assert run_tool(subcommand, arguments) == _exit_code_of_failure(subcommand)
    said = capsys.readouterr()
    assert "client.properties" in said.err + said.out


def test_output_that_cannot_be_written_is_one_sentence() -> None:
    command = [sys.executable, "-m", "raftkafka.cli.main", "storage", "version-mapping"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "The output cannot be written: no space left on device\n")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m raftkafka.cli.main features --help | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Example:\n", "")


def test_a_bug_is_one_sentence_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: object) -> int:
        raise KeyError("x")

    monkeypatch.setattr("raftkafka.tools.topics.main", broken)
    assert run_program("topics", []) == 1
    assert capsys.readouterr().err == "This is a bug of kafka-topics: KeyError: 'x'. With RAFTKAFKA_TRACEBACK=1 it shows where.\n"
    with pytest.raises(KeyError):
        run_tool("topics", [])


def test_an_interrupt_ends_as_of_any_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("raftkafka.tools.topics.main", interrupted)
    assert run_tool("topics", []) == 130


def test_a_protected_listener_is_not_spoken_to_in_clear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "client.properties"
    path.write_text("security.protocol=SASL_SSL\n")
    assert run_tool("get-offsets", ["--bootstrap-server", "127.0.0.1:1", "--command-config", str(path)]) == 1
    assert "security.protocol=SASL_SSL is not supported" in capsys.readouterr().err


def _exit_code_of_failure(subcommand: str) -> int:
    """Apache's kafka-consumer-groups ends with 0 whatever went wrong after its options were read."""
    return 0 if subcommand == "consumer-groups" else 1


def _question(subcommand: str, address: str, directory: Path) -> list[str]:
    """The arguments of a question with short time-outs."""
    settings = directory / "client.properties"
    settings.write_text("default.api.timeout.ms=300\nrequest.timeout.ms=300\ndelivery.timeout.ms=700\nmax.block.ms=700\n")
    offsets = directory / "offsets.json"
    offsets.write_text('{"partitions": [{"topic": "x", "partition": 0, "offset": 1}]}')
    own = shlex.split(ASKING[subcommand].format(offsets=offsets))
    where = ["--bootstrap-server", address, "--command-config", str(settings)]
    return [*own, *where] if subcommand == "cluster" else [*where, *own]
