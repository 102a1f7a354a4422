"""The program from the outside: usage, exit codes, and messages on stderr."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftkafka.cli.broker import UsageError, parse_arguments
from raftkafka.cli.commands import commands
from raftkafka.tools.run import run_tool
from tests.house.test_broker_config import GOOD


def properties_file(directory: Path, **extra: str) -> Path:
    path = directory / "server.properties"
    settings = GOOD | {"log.dirs": str(directory / "data")} | extra
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return path


def raftkafka(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "raftkafka.cli.main", *arguments], capture_output=True, text=True)


def test_broker_arguments() -> None:
    assert parse_arguments(["--override", "a=1", "x.properties", "--override=b=2"]) == ("x.properties", ["a=1", "b=2"])


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--wrong", "a"], ["a", "--override"]])
def test_wrong_broker_arguments_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_arguments(arguments)


def test_usage_error_exits_2_and_missing_file_exits_1() -> None:
    assert raftkafka("broker").returncode == 2
    missing = raftkafka("broker", "/no/such/file")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is no such file" in missing.stderr


def test_cluster_has_two_uses() -> None:
    """kafka-cluster's commands, and those that start and break a cluster on this machine."""
    tool = raftkafka("cluster", "cluster-id")
    assert (tool.returncode, tool.stderr.splitlines()[0]) == (
        1,
        "kafka-cluster: error: one of the arguments --bootstrap-server/-b --bootstrap-controller/-C is required",
    )
    assert raftkafka("cluster", "no-such-command").returncode == 2
    assert raftkafka("kafka-cluster", "no-such-command").returncode == 1


def test_format_then_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(properties_file(tmp_path))
    assert run_tool("storage", ["info", "-c", path]) == 1
    assert run_tool("storage", ["format", "-c", path, "-t", "abc"]) == 0
    capsys.readouterr()
    assert run_tool("storage", ["info", "-c", path]) == 0
    assert "cluster.id=abc" in capsys.readouterr().out


def test_standalone_is_refused_where_the_voters_are_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tool("storage", ["format", "-c", str(properties_file(tmp_path)), "-t", "abc", "--standalone"]) == 1
    assert "You cannot specify controller.quorum.voters" in capsys.readouterr().err


def test_config_check_tells_good_from_bad(tmp_path: Path) -> None:
    good = CliRunner().invoke(commands, ["config", "check", str(properties_file(tmp_path))])
    assert (good.exit_code, good.output.endswith("good.\n")) == (0, True)
    bad = CliRunner().invoke(commands, ["config", "check", str(properties_file(tmp_path, **{"num.partitons": "3"}))])
    assert bad.exit_code == 1
    assert "Did you mean num.partitions?" in bad.output


def test_wrong_node_list_is_a_usage_error() -> None:
    result = CliRunner().invoke(commands, ["cluster", "partition", "--from", "x"])
    assert result.exit_code == 2
    assert "is not a list of node ids" in result.output
