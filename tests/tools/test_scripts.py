"""The scripts in `bin/`, and a node's life by them: format, start in the background, ask, stop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.ports import unused_ports
from raftkafka.tools.registry import SCRIPTS
from raftkafka.tools.scripts import write_scripts
from tests.cluster.real_cluster import eventually
from tests.tools.test_storage import CLUSTER_ID

PROGRAM = Path(sys.executable).parent / "raftkafka"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scripts as the set-up writes it."""
    directory = tmp_path_factory.mktemp("set-up") / "bin"
    write_scripts(directory, PROGRAM)
    return directory


def run(script: Path, *arguments: str, cwd: Path | None = None, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, timeout=60, cwd=cwd, env=os.environ | (environ or {}))


def test_every_tool_has_its_script_with_and_without_sh(scripts: Path) -> None:
    assert {path.name for path in scripts.iterdir()} == {f"{name}{ending}" for name in SCRIPTS for ending in ("", ".sh")}


def test_only_what_we_wrote_is_removed(tmp_path: Path) -> None:
    write_scripts(tmp_path, PROGRAM)
    (tmp_path / "kafka-topics.sh").rename(tmp_path / "kafka-old.sh")
    (tmp_path / "kafka-mirror-maker.sh").write_text("#!/bin/sh\n")
    write_scripts(tmp_path, PROGRAM)
    assert not (tmp_path / "kafka-old.sh").exists()
    assert (tmp_path / "kafka-mirror-maker.sh").exists()


def test_a_script_runs_from_anywhere_and_by_a_link(scripts: Path, tmp_path: Path) -> None:
    """Names in the working directory that shadow a module are of no consequence."""
    (tmp_path / "trio.py").write_text("raise ImportError")
    link = tmp_path / "topics"
    link.symlink_to(scripts / "kafka-topics.sh")
    for script in (scripts / "kafka-topics", link):
        done = run(script, "--version", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "4.3.1\n"), done


def test_a_tool_starts_fast(scripts: Path) -> None:
    """Most of the time is the interpreter's: a tool imports nothing that it does not need."""
    code = (
        "import sys; from raftkafka.cli.main import main\ntry: main(['kafka-topics', '--version'])\nexcept SystemExit: print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"click", "rich", "confluent_kafka", "structlog", "asyncio", "raftkafka.broker.node", "raftkafka.server"} & set(loaded)


def test_help_of_the_program_names_the_tools() -> None:
    done = subprocess.run([sys.executable, "-m", "raftkafka.cli.main", "--help"], capture_output=True, text=True)
    assert all(f"\n  {subcommand} " in done.stdout for subcommand in SCRIPTS.values())


def test_the_page_on_the_tools_names_each_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "tools.md").read_text()
    rows = dict(re.findall(r"^\| `(kafka-[a-z0-9-]+)` \| `raftkafka ([a-z0-9-]+)` \|", text, re.MULTILINE))
    assert rows == dict(SCRIPTS)
    named = set(re.findall(r"\bkafka-[a-z0-9-]*[a-z0-9](?=\.sh)", text))
    assert named <= set(SCRIPTS)


@pytest.mark.cluster
def test_the_life_of_a_node(scripts: Path, tmp_path: Path) -> None:
    port, controller_port = unused_ports(2)
    properties = tmp_path / "server.properties"
    properties.write_text(
        f"process.roles=broker,controller\nnode.id=4711\nlisteners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n"
        f"controller.listener.names=CONTROLLER\ncontroller.quorum.voters=4711@127.0.0.1:{controller_port}\nlog.dirs={tmp_path}/data\n"
    )
    unformatted = run(scripts / "kafka-server-start.sh", str(properties))
    assert unformatted.returncode == 1
    assert "is not formatted" in unformatted.stderr
    assert "Traceback" not in unformatted.stderr
    assert run(scripts / "kafka-storage.sh", "format", "-c", str(properties), "-t", CLUSTER_ID).returncode == 0
    environ = {"LOG_DIR": str(tmp_path / "logs")}
    started = run(
        scripts / "kafka-server-start.sh", "-daemon", "server.properties", "--override", "num.partitions=4", cwd=tmp_path, environ=environ
    )
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    output = tmp_path / "logs" / "kafkaServer.out"
    try:
        where = ("--bootstrap-server", f"127.0.0.1:{port}")
        created = run(scripts / "kafka-topics.sh", *where, "--create", "--topic", "born")
        assert created.stdout == "Created topic born.\n", (created, output.read_text())
        described = run(scripts / "kafka-topics", *where, "--describe", "--topic", "born")
        assert "PartitionCount: 4\tReplicationFactor: 1\t" in described.stdout
    finally:
        stopped = run(scripts / "kafka-server-stop.sh", "--node-id", "4711")
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (0, "", "")
    eventually(lambda: run(scripts / "kafka-server-stop.sh", "--node-id", "4711").returncode == 1, what="the node has stopped")
    foreground = subprocess.Popen([str(scripts / "kafka-server-start"), str(properties)], stderr=subprocess.DEVNULL)
    try:
        assert run(scripts / "kafka-topics", *where, "--list").stdout == "born\n"
        assert run(scripts / "kafka-server-stop", "--node-id", "4711").returncode == 0
        assert foreground.wait(timeout=20) == 0
    finally:
        foreground.kill()
        foreground.wait()
    again = run(scripts / "kafka-server-stop", "--node-id", "4711")
    assert again.stderr == "No kafka server to stop with the given node id or process role\n"


def test_only_processes_that_run_a_node_are_stopped() -> None:
    """A process that only has a node's name among its arguments is none."""
    from raftkafka.tools.server_stop import running_nodes

    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)", "kafka.Kafka", "raftkafka", "broker", "x"])
    try:
        time.sleep(0.1)
        assert bystander.pid not in {node.pid for node in running_nodes()}
    finally:
        bystander.kill()
        bystander.wait()
