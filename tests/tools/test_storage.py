"""kafka-storage, ours beside Apache's, on directories in a temporary folder; and directories that one has formatted shown by the other."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.java.apache_kafka import requires_java
from tests.java.tool_server import run_tool
from tests.tools.compare import assert_same, run_ours

pytestmark = [pytest.mark.cluster, pytest.mark.java, requires_java]

TOOL = "kafka-storage"
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"


def properties(directory: Path, *, directories: int = 2, node_id: int = 5) -> str:
    """A properties file for one combined node."""
    names = ",".join(str(directory / f"data{number}") for number in range(directories))
    directory.mkdir(exist_ok=True)
    path = directory / "server.properties"
    path.write_text(
        f"process.roles=broker,controller\nnode.id={node_id}\nlisteners=PLAINTEXT://127.0.0.1:19592,CONTROLLER://127.0.0.1:19593\n"
        f"controller.listener.names=CONTROLLER\ncontroller.quorum.voters={node_id}@127.0.0.1:19593\nlog.dirs={names}\n"
    )
    return str(path)


@pytest.mark.parametrize("directories", [1, 2])
def test_what_ours_formats_apaches_accepts(tmp_path: Path, directories: int) -> None:
    path = properties(tmp_path, directories=directories)
    assert_same(run_ours(TOOL, "info", "-c", path), run_tool(TOOL, "info", "-c", path))
    formatted = run_ours(TOOL, "format", "-c", path, "-t", CLUSTER_ID)
    assert formatted.exit_code == 0
    assert f"Formatting metadata directory {tmp_path}/data0 with metadata.version 4.3-IV0.\n" in formatted.stdout
    for arguments in (("info", "-c", path), ("format", "-c", path, "-t", CLUSTER_ID, "-g")):
        assert_same(run_ours(TOOL, *arguments), run_tool(TOOL, *arguments), stderr="all")
    again = ("format", "-c", path, "-t", CLUSTER_ID)
    ours, apaches = run_ours(TOOL, *again), run_tool(TOOL, *again)
    assert_same(ours, apaches, stderr="ignore")
    assert "is already formatted. Use --ignore-formatted to ignore this directory and format the others." in ours.stderr


def test_what_apaches_formats_ours_accepts(tmp_path: Path) -> None:
    path = properties(tmp_path)
    assert run_tool(TOOL, "format", "-c", path, "-t", CLUSTER_ID).exit_code == 0
    assert_same(run_ours(TOOL, "info", "-c", path), run_tool(TOOL, "info", "-c", path), stderr="all")
    ours, apaches = (run(TOOL, "format", "-c", path, "-t", "another", "-g") for run in (run_ours, run_tool))
    assert_same(ours, apaches)


@pytest.mark.parametrize(
    "arguments",
    [
        "version-mapping",
        "version-mapping --release-version 3.7",
        "feature-dependencies --feature share.version=1",
        "version-mapping -r 1.0",
    ],
)
def test_feature_levels_are_looked_up_alike(arguments: str) -> None:
    assert_same(run_ours(TOOL, *shlex.split(arguments)), run_tool(TOOL, *shlex.split(arguments)))


def test_random_uuids_are_ids() -> None:
    first, second = (run_ours(TOOL, "random-uuid").stdout.strip() for _ in range(2))
    assert first != second
    assert len(first) == len(second) == 22


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "kafka-storage: error: too few arguments"),
        ("info", "kafka-storage: error: argument --config/-c is required"),
        ("format -c x", "kafka-storage: error: argument --cluster-id/-t is required"),
        ("format -t x", "kafka-storage: error: argument --config/-c is required"),
        (
            "burn",
            "kafka-storage: error: invalid choice: 'burn' "
            "(choose from 'info', 'format', 'version-mapping', 'feature-dependencies', 'random-uuid')",
        ),
    ],
)
def test_wrong_usage_is_told_in_apaches_words(arguments: str, sentence: str) -> None:
    done = run_ours(TOOL, *shlex.split(arguments))
    assert (done.exit_code, done.stderr.splitlines()[0]) == (1, sentence)


ONE, TWO = "3Db5QLSqSZieL3rJBUUegA", "JEXY6aqzQY-32P5TStzaFg"


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--standalone",
        "--no-initial-controllers",
        f"--initial-controllers 5@127.0.0.1:19593:{ONE},6@[::1]:1:{TWO}",
        f"-I 6@h:1:{TWO}",
    ],
)
@pytest.mark.parametrize("kind", ["dynamic", "static", "broker"])
def test_first_voters_are_formatted_as_by_apache(tmp_path: Path, kind: str, options: str) -> None:
    """Apache's prints its bootstrap records first, and the directories in an order of its own."""
    done = {}
    for name, run in (("ours", run_ours), ("apaches", run_tool)):
        path = properties(tmp_path / name)
        text = Path(path).read_text()
        if kind != "static":
            text = text.replace("controller.quorum.voters=5@", "controller.quorum.bootstrap.servers=")
        if kind == "broker":
            text = text.replace("=broker,controller", "=broker").replace(",CONTROLLER://127.0.0.1:19593", "")
        Path(path).write_text(text)
        result = run(TOOL, "format", "-c", path, "-t", CLUSTER_ID, *shlex.split(options))
        printed = (result.stdout + result.stderr).replace(str(tmp_path / name), "D").splitlines()
        done[name] = (result.exit_code, sorted(line for line in printed if line and not line.startswith("Bootstrap metadata:")))
        if result.exit_code == 0:
            # What the one has formatted the other shows alike: also the directory id that --initial-controllers gave it.
            assert_same(run_ours(TOOL, "info", "-c", path), run_tool(TOOL, "info", "-c", path), stderr="all")
            assert (ONE in (tmp_path / name / "data0" / "meta.properties").read_text()) == (ONE in options)
    assert done["ours"] == done["apaches"]


@pytest.mark.parametrize(
    "voters",
    [
        "",
        "x",
        "1@h",
        "1@h:1",
        f"1@h:x:{ONE}",
        f"1@h:70000:{ONE}",
        "1@h:1:x",
        f"1@[::1:1:{ONE}",
        f"1@[::1]1:{ONE}",
        f"1@h:1:{ONE},1@h:2:{TWO}",
    ],
)
def test_bad_initial_controllers_are_told_in_apaches_words(tmp_path: Path, voters: str) -> None:
    path = properties(tmp_path)
    Path(path).write_text(Path(path).read_text().replace("controller.quorum.voters=5@", "controller.quorum.bootstrap.servers="))
    arguments = ("format", "-c", path, "-t", CLUSTER_ID, "--initial-controllers", voters)
    ours, apaches = run_ours(TOOL, *arguments), run_tool(TOOL, *arguments)
    assert (ours.exit_code, apaches.exit_code) == (1, 1)
    assert ours.stderr.strip().splitlines()[-1] in apaches.stderr
    assert not (tmp_path / "data0").exists()


@pytest.mark.parametrize("option", ["--feature group.version=1", "--add-scram x", "--release-version 3.9"])
def test_what_our_clusters_cannot_do_is_refused(tmp_path: Path, option: str) -> None:
    done = run_ours(TOOL, "format", "-c", properties(tmp_path), "-t", CLUSTER_ID, *shlex.split(option))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{option.split()[0]} ")
    assert not (tmp_path / "data0").exists()
