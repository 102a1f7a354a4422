"""Reads a page of commands and what they print, and runs it: a block of `console` is one command after the other, as at a terminal.

    $ kafka-console-producer.sh --bootstrap-server my-kafka:9092 --topic hello.kafka
    >hello                     what is typed at the producer's prompt; the input ends with the block or with ^C
    $ kafka-console-consumer.sh --bootstrap-server my-kafka:9092 --topic hello.kafka --from-beginning
    hello
    ^C                         the command is interrupted when it has printed what is above
    Processed a total of 1 messages

In the output `...` stands for any lines, and `<something>` for anything without a blank. Standard output is expected before standard
error. A block of `json NAME` or `properties NAME` is a file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

HOST = "my-kafka:9092"
INTERRUPT = "^C"
ANY_LINES = "..."
_FENCE = re.compile(r"^```(\w+) ?(\S*)$")
_PLACEHOLDER = re.compile(r"<[a-z ]+>")


@attrs.frozen(kw_only=True)
class NotedFile:
    """A file that later commands read."""

    name: str
    text: str


@attrs.define(kw_only=True)
class NotedCommand:
    """A command with what is typed to it and what it prints before and after it is interrupted."""

    line_number: int
    text: str
    typed: list[str] = attrs.field(factory=list)
    printed: list[str] = attrs.field(factory=list)
    printed_after_interrupt: list[str] | None = None

    @property
    def tool(self) -> str:
        """The name of Apache's script, without its path and suffix."""
        return shlex.split(self.text)[0].rpartition("/")[2].removesuffix(".sh")

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.text)[1:]

    @property
    def interrupted(self) -> bool:
        return self.printed_after_interrupt is not None

    @property
    def stdin(self) -> str:
        return "".join(f"{line}\n" for line in self.typed)


def read_page(path: Path) -> Iterator[NotedCommand | NotedFile]:
    """The files and commands of a page, in its order."""
    kind = name = ""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if not kind and fence is not None:
            kind, name, block = fence[1], fence[2], []
        elif kind and line == "```":
            if kind == "console":
                yield from _commands(block)
            elif name:
                yield NotedFile(name=name, text="".join(f"{text}\n" for _, text in block))
            kind = ""
        elif kind:
            block.append((number, line))
    assert not kind, f"{path}: a block is not closed"


def _commands(block: Sequence[tuple[int, str]]) -> Iterator[NotedCommand]:
    command: NotedCommand | None = None
    for number, line in block:
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = NotedCommand(line_number=number, text=line[2:])
            continue
        assert command is not None, f"line {number}: there is no command above"
        if line.lstrip(">") == INTERRUPT:
            if not line.startswith(">"):
                command.printed_after_interrupt = []
        elif line.startswith(">"):
            command.typed.append(line[1:])
        elif command.printed_after_interrupt is not None:
            command.printed_after_interrupt.append(line)
        else:
            command.printed.append(line)
    if command is not None:
        yield command


def matches(expected: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether the lines are what the page says."""
    if not expected:
        return not printed
    if expected[0] == ANY_LINES:
        return any(matches(expected[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and _line_matches(expected[0], printed[0]) and matches(expected[1:], printed[1:])


def _line_matches(expected: str, printed: str) -> bool:
    pattern = r"\S+".join(re.escape(part) for part in _PLACEHOLDER.split(expected.rstrip()))
    return re.fullmatch(pattern, printed.rstrip()) is not None
