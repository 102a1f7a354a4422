"""Runs a tool of ours and Apache's tool of the same name on one cluster, and compares what a script would read of them.

    ours, apaches = both(cluster, "kafka-topics", "--describe", "--topic", "orders")
    assert_same(ours, apaches)

`--bootstrap-server` is added where the tool wants it. What must differ is made equal before comparing: times, the stack traces and the
connection warnings that only Java prints, the help that Apache prints below a usage error, and whatever `normalise` replaces.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Protocol
from unittest import mock

from cluster.apache_kafka import ToolResult
from raftkafka.tools import run
from raftkafka.tools.registry import SCRIPTS
from tests.java.tool_server import run_tool

TIMEOUT_S = 60

_WITHOUT_BOOTSTRAP = frozenset({"kafka-dump-log", "kafka-storage", "kafka-server-start", "kafka-server-stop"})
_ASK_A_CLUSTER = frozenset(
    {
        "kafka-broker-api-versions",
        "kafka-cluster",
        "kafka-configs",
        "kafka-consumer-groups",
        "kafka-delete-records",
        "kafka-features",
        "kafka-get-offsets",
        "kafka-leader-election",
        "kafka-log-dirs",
        "kafka-metadata-quorum",
        "kafka-reassign-partitions",
        "kafka-storage",
        "kafka-topics",
    }
)
_BOOTSTRAP_LAST = frozenset({"kafka-cluster"})
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[,.:]\d{3}")
_ONLY_JAVA = re.compile(
    r"^(\tat |\t\.\.\. \d+ more|Caused by: |\[TIME\] (WARN|INFO) |\[TIME\] ERROR \[\w+ clientId=|SLF4J"
    r"|The consumer rebalance protocol \(KIP-848\))"
)
_ARGPARSE_ERROR = re.compile(r"^kafka-[a-z-]+:\s+error:.*", re.MULTILINE | re.DOTALL)
_UNCAUGHT = re.compile(r'^Exception in thread "main" (?:[\w.$]+: )?')
_STACK_TRACE = re.compile(r"^(?:java|org|joptsimple|kafka)\.[\w.$]*(?:Exception|Error)\b[^\n]*\n(?=\tat )", re.MULTILINE)
_OUR_HINT = re.compile(r"^Try [a-z0-9-]+\.sh --help\.$")

Normalise = Callable[[str], str]


class HasBootstrap(Protocol):
    """A cluster, ours or Apache's."""

    @property
    def bootstrap(self) -> str: ...


def run_ours(tool: str, *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> ToolResult:
    """Runs our tool of that name, as a process if it does more than ask a cluster."""
    assert tool in SCRIPTS, f"there is no tool {tool}"
    if tool in _ASK_A_CLUSTER and environ is None:
        return run_here(tool, *arguments, stdin=stdin)
    command = [sys.executable, "-m", "raftkafka.cli.main", tool, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environ)
    return ToolResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def run_here(tool: str, *arguments: str, stdin: str = "") -> ToolResult:
    """Runs our tool in this process: a process of its own costs some 0.3 s. A bug is raised here."""
    stdout, stderr = io.BytesIO(), io.BytesIO()
    with (
        contextlib.redirect_stdout(io.TextIOWrapper(stdout, encoding="utf-8", write_through=True)),
        contextlib.redirect_stderr(io.TextIOWrapper(stderr, encoding="utf-8", write_through=True)),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
    ):
        exit_code = run.run_tool(SCRIPTS[tool], list(arguments))
        return ToolResult(exit_code=exit_code, stdout=stdout.getvalue().decode(), stderr=stderr.getvalue().decode())


def ours_only(cluster: HasBootstrap, tool: str, *arguments: str, stdin: str = "") -> ToolResult:
    """Runs our tool on a cluster."""
    return run_ours(tool, *with_bootstrap(cluster, tool, arguments), stdin=stdin)


def both(cluster: HasBootstrap, tool: str, *arguments: str, stdin: str = "") -> tuple[ToolResult, ToolResult]:
    """Runs our tool, then Apache's, with the same arguments on the same cluster."""
    full = with_bootstrap(cluster, tool, arguments)
    return run_ours(tool, *full, stdin=stdin), run_tool(tool, *full, stdin=stdin)


def with_bootstrap(cluster: HasBootstrap, tool: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments with the cluster's address, where the tool wants it, unless it is there already."""
    if tool in _WITHOUT_BOOTSTRAP or any(argument.startswith("--bootstrap-") for argument in arguments):
        return arguments
    address = ("--bootstrap-server", cluster.bootstrap)
    return (*arguments, *address) if tool in _BOOTSTRAP_LAST else (*address, *arguments)


def assert_same(ours: ToolResult, apaches: ToolResult, *, normalise: Normalise = lambda text: text, stderr: str = "first") -> None:
    """The same exit code and stdout; of stderr the first line ("first"), all lines ("all") or nothing ("ignore") is compared."""
    shown = f"--- ours: {ours}\n--- Apache's: {apaches}"
    assert ours.exit_code == apaches.exit_code, shown
    assert normalise(without_times(ours.stdout)) == normalise(without_times(apaches.stdout)), shown
    our_lines, their_lines = ([normalise(line) for line in significant_lines(each.stderr)] for each in (ours, apaches))
    if stderr == "first":
        our_lines, their_lines = our_lines[:1], their_lines[:1]
    if stderr != "ignore":
        assert our_lines == their_lines, shown
    assert "Traceback" not in ours.stderr, shown


def without_times(text: str) -> str:
    """The text with every time of a log line replaced."""
    return _TIME.sub("TIME", text)


def significant_lines(stderr: str) -> list[str]:
    """The lines of stderr that say what went wrong."""
    all_lines = _STACK_TRACE.sub("", without_times(stderr)).splitlines()
    lines = [line for line in all_lines if line.strip() and not _ONLY_JAVA.match(line) and not _OUR_HINT.match(line)]
    wrapped = _ARGPARSE_ERROR.search("\n".join(lines))
    if wrapped is not None:
        # Apache's tools wrap and justify such a sentence.
        return [re.sub(r"\s+", " ", wrapped[0]).replace(" -- ", " --")]
    return [_UNCAUGHT.sub("", line) for line in lines]


def sorted_lines(text: str) -> str:
    """A `normalise` for what Apache's tools print in the order of a hash table."""
    return "\n".join(sorted(text.splitlines()))


def replacing(*names: str, by: str = "NAME") -> Normalise:
    """A `normalise` that makes names equal: those of what one implementation changes, and the other changes beside it."""
    pattern = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
    return lambda text: pattern.sub(by, text)
