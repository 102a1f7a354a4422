"""Apache Kafka's own command-line tools for tests: `cluster.apache_kafka`, where what cannot be had skips the test with the reason.

requires_java                               the mark for every test that needs them
run_tool("kafka-topics", "--bootstrap-server", ..., "--list")
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cluster import apache_kafka
from cluster.apache_kafka import KAFKA_VERSION as KAFKA_VERSION
from cluster.apache_kafka import TOOL_TIMEOUT_S, KafkaUnavailable, ToolResult, missing_reason

requires_java = pytest.mark.skipif(missing_reason() is not None, reason=missing_reason() or "")


def kafka_home() -> Path:
    """The directory with `lib/`; skips the calling test when it cannot be had."""
    try:
        return apache_kafka.kafka_home()
    except KafkaUnavailable as error:
        pytest.skip(str(error))


def java_command(tool: str, *arguments: str) -> list[str]:
    """The whole command that runs a tool."""
    kafka_home()
    return apache_kafka.java_command(tool, *arguments)


def run_tool(tool: str, *arguments: str, stdin: str = "", timeout_s: float = TOOL_TIMEOUT_S) -> ToolResult:
    """Runs a tool to its end; `subprocess.TimeoutExpired`, with what it printed, when it does not come to one."""
    kafka_home()
    return apache_kafka.run_tool(tool, *arguments, stdin=stdin, timeout_s=timeout_s)


def start_tool(tool: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts a tool that runs beside the test; the caller ends it."""
    kafka_home()
    return apache_kafka.start_tool(tool, *arguments)
