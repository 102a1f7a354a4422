"""docs/notes.md, the commands of the user's notes, run from top to bottom on a fresh node: with our tools, and with Apache's.

`python -m tests.tools.test_notes` prints the page with what Apache's tools print, marked, where the page says something else: for whoever
writes it.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from cluster import apache_kafka
from cluster.ports import unused_ports
from tests.cluster.real_cluster import eventually
from tests.java.apache_kafka import kafka_home
from tests.java.tool_server import run_tool
from tests.tools.compare import run_ours, significant_lines
from tests.tools.notes_page import HOST, NotedCommand, NotedFile, matches, read_page

pytestmark = [pytest.mark.cluster, pytest.mark.java, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "notes.md"
NOTES = Path(__file__).parents[3] / "shared" / "seed" / "kafka-notes-ko.txt"
CLIENT_PORT, CONTROLLER_PORT = ":9092", ":19092"
TIMEOUT_S = 60
NODE_TOOLS = ("kafka-storage", "kafka-server-start")
"""These prepare and run the node that all others are tried on: Apache's would run another."""
OUR_TOOL = (sys.executable, "-m", "raftkafka.cli.main")
FILE_OPTION = re.compile(r"-file$|^--files$")


@attrs.define(eq=False, kw_only=True)
class Terminal:
    """A directory with the page's files, its node, and the tools of one of the two."""

    directory: Path
    apaches: bool
    ports: tuple[int, int]
    node: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    def write(self, file: NotedFile) -> None:
        text = file.text
        if file.name.endswith(".properties"):
            text = text.replace(CONTROLLER_PORT, f":{self.ports[1]}").replace(CLIENT_PORT, f":{self.ports[0]}")
            text = text.replace("=data\n", f"={self.directory}/data\n")
        (self.directory / file.name).write_text(text)

    def run(self, command: NotedCommand) -> list[str]:
        """Runs a command, interrupted where the page says so; the lines that it prints, with the names of the page."""
        arguments = self._arguments(command)
        if command.tool == "kafka-server-start":
            return self._start_node(arguments)
        if command.interrupted:
            stdout, stderr = self._run_and_interrupt(command, arguments)
        elif self.apaches and command.tool not in NODE_TOOLS:
            done = run_tool(command.tool, *arguments, stdin=command.stdin)
            stdout, stderr = done.stdout, done.stderr
        else:
            done = run_ours(command.tool, *arguments, stdin=command.stdin)
            stdout, stderr = done.stdout, done.stderr
        assert "Traceback" not in stderr, stderr
        # The producer's prompts, where it prints them, are on the page in front of what is typed.
        lines = [line.lstrip(">") for line in stdout.splitlines()] if command.tool == "kafka-console-producer" else stdout.splitlines()
        return [self._as_on_page(line) for line in (*(each for each in lines if each or not command.typed), *significant_lines(stderr))]

    def _arguments(self, command: NotedCommand) -> list[str]:
        arguments = [argument.replace(HOST, self.address) for argument in command.arguments]
        for place, argument in enumerate(arguments[:-1]):
            if FILE_OPTION.search(argument) or argument == "--config":
                file = self.directory / arguments[place + 1]
                if file.exists():
                    arguments[place + 1] = str(file)
        if command.tool == "kafka-server-start":
            arguments[0] = str(self.directory / arguments[0])
        return arguments

    def _as_on_page(self, line: str) -> str:
        return line.replace(self.address, HOST).replace(f"{self.directory}/", "")

    def _start_node(self, arguments: list[str]) -> list[str]:
        log = self.directory / "node.log"
        with log.open("wb") as output:
            self.node = subprocess.Popen([*OUR_TOOL, "kafka-server-start", *arguments], stdout=output, stderr=output)
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

        def answers() -> bool:
            try:
                return bool(admin.list_topics(timeout=1).brokers)
            except Exception:
                return False

        eventually(answers, timeout_s=TIMEOUT_S, what=f"the node answers ({log})")
        return log.read_text().splitlines()

    def _run_and_interrupt(self, command: NotedCommand, arguments: list[str]) -> tuple[str, str]:
        """Waits for what the page shows above ^C, or for the group to be joined where that is nothing, and interrupts."""
        if self.apaches:
            process = apache_kafka.start_tool(command.tool, *arguments)
        else:
            process = subprocess.Popen(
                [*OUR_TOOL, command.tool, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        lines: list[str] = []
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            wanted = len(command.printed)
            eventually(lambda: len(lines) >= wanted, timeout_s=TIMEOUT_S, what=f"line {command.line_number} prints {wanted} lines: {lines}")
            group = arguments[arguments.index("--group") + 1] if "--group" in arguments else None
            if group is not None:
                eventually(lambda: self._is_joined(group), timeout_s=TIMEOUT_S, what=f"the group {group} has a member")
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=TIMEOUT_S)
            reader.join(timeout=TIMEOUT_S)
            assert process.stderr is not None
            return "".join(lines), process.stderr.read()
        finally:
            process.kill()

    def _is_joined(self, group: str) -> bool:
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        described = admin.describe_consumer_groups([group])[group].result(timeout=10)
        return bool(described.state == ConsumerGroupState.STABLE)

    def close(self) -> None:
        if self.node is not None:
            self.node.kill()
            self.node.wait()


def terminal(directory: Path, *, apaches: bool) -> Terminal:
    client_port, controller_port = unused_ports(2)
    return Terminal(directory=directory, apaches=apaches, ports=(client_port, controller_port))


@pytest.fixture(params=["ours", "apaches"])
def at_terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    apaches = request.param == "apaches"
    if apaches:
        kafka_home()
    opened = terminal(tmp_path, apaches=apaches)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.usefixtures("interruptible")
def test_every_command_of_the_page_prints_what_the_page_says(at_terminal: Terminal) -> None:
    for step in read_page(PAGE):
        if isinstance(step, NotedFile):
            at_terminal.write(step)
            continue
        printed = at_terminal.run(step)
        expected = [*step.printed, *(step.printed_after_interrupt or ())]
        assert matches(expected, printed), (
            f"{PAGE.name}:{step.line_number}: {step.text}\n--- expected\n" + "\n".join(expected) + "\n--- printed\n" + "\n".join(printed)
        )


@pytest.mark.skipif(not NOTES.exists(), reason="the notes are not beside this checkout")
def test_every_transcript_of_the_notes_is_on_the_page() -> None:
    noted = re.findall(r"^\[bin\] \./(kafka-.*)$", NOTES.read_text(encoding="utf-8"), re.MULTILINE)
    page = PAGE.read_text(encoding="utf-8").replace("__consumer_offsets", "__consumer.offsets")
    assert len(noted) > 20
    assert [line for line in noted if f"./{line.strip()}" not in page] == []


def page_with_outputs(directory: Path) -> str:
    """The page, with what Apache's tools print below each command of which it says something else."""
    opened = terminal(directory, apaches=True)
    added: dict[int, list[str]] = {}
    try:
        for step in read_page(PAGE):
            if isinstance(step, NotedFile):
                opened.write(step)
                continue
            printed = opened.run(step)
            expected = [*step.printed, *(step.printed_after_interrupt or ())]
            if not matches(expected, printed):
                added[step.line_number] = printed
    finally:
        opened.close()
    lines = []
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), start=1):
        lines.append(line)
        lines += [f"!{each}" for each in added.get(number, ())]
    return "\n".join(lines)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print(page_with_outputs(Path(scratch)))
