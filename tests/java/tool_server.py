"""Apache Kafka's tools in one JVM that stays: a call costs some 0.2 s instead of the 2 to 4 s of a JVM's start.

run_tool("kafka-topics", "--bootstrap-server", ..., "--list")     as `apache_kafka.run_tool`

For tools that come to an end by themselves; one that is to be interrupted is started with `apache_kafka.start_tool`.
"""

from __future__ import annotations

import atexit
import json
import subprocess
from pathlib import Path

import attrs

from cluster import apache_kafka
from cluster.apache_kafka import TOOL_TIMEOUT_S, TOOLS, ToolResult
from tests.java.apache_kafka import kafka_home

_SOURCE = Path(__file__).with_name("ToolServer.java")
_FLAGS = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


@attrs.define(eq=False)
class ToolServer:
    """The JVM and its two pipes."""

    process: subprocess.Popen[str]

    def run(self, tool: str, *arguments: str, stdin: str = "", timeout_s: float = TOOL_TIMEOUT_S) -> ToolResult:
        """Runs a tool to its end; `TimeoutError`, with what it printed, when it does not come to one."""
        assert self.process.stdin is not None and self.process.stdout is not None
        request = {"class": TOOLS[tool], "arguments": list(arguments), "stdin": stdin, "timeout_s": int(timeout_s)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            # A tool that ends its JVM itself, as argparse4j does for wrong usage, has ended this one: it gets its own.
            self.process.wait()
            return apache_kafka.run_tool(tool, *arguments, stdin=stdin, timeout_s=timeout_s)
        answer = json.loads(line)
        if answer["exit_code"] < 0:
            raise TimeoutError(f"{tool} {' '.join(arguments)} did not end within {timeout_s} s: {answer['stdout']}{answer['stderr']}")
        return ToolResult(exit_code=answer["exit_code"], stdout=answer["stdout"], stderr=answer["stderr"])


_server: ToolServer | None = None


def run_tool(tool: str, *arguments: str, stdin: str = "", timeout_s: float = TOOL_TIMEOUT_S) -> ToolResult:
    """Runs a tool to its end in the one JVM of this test run, which is started by the first call."""
    global _server
    if _server is None or _server.process.poll() is not None:
        _server = ToolServer(_start())
        atexit.register(_server.process.kill)
    return _server.run(tool, *arguments, stdin=stdin, timeout_s=timeout_s)


def _start() -> subprocess.Popen[str]:
    home = kafka_home()
    logging = f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}"
    command = ["java", *_FLAGS, logging, "-cp", f"{home / 'lib'}/*", str(_SOURCE)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
