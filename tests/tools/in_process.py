"""Runs our tools inside the test process, for matrices of many calls: a call costs what it does, not the start of an interpreter.

ours, apaches = both_here(cluster, "kafka-consumer-groups", "--list")
"""

from __future__ import annotations

from collections.abc import Callable

from cluster.apache_kafka import ToolResult
from tests.java.tool_server import run_tool
from tests.tools.compare import HasBootstrap, with_bootstrap
from tests.tools.compare import run_here as run_here


def both_here(cluster: HasBootstrap, tool: str, *arguments: str, stdin: str = "") -> tuple[ToolResult, ToolResult]:
    """Runs our tool, then Apache's, with the same arguments on the same cluster."""
    full = with_bootstrap(cluster, tool, arguments)
    return run_here(tool, *full, stdin=stdin), run_tool(tool, *full, stdin=stdin)


def each_on_its_own(
    cluster: HasBootstrap, tool: str, names: tuple[str, str], arguments: Callable[[str], tuple[str, ...]]
) -> tuple[ToolResult, ToolResult]:
    """Runs our tool on the first name, then Apache's on the second: for what changes the thing that it is done to."""
    ours, apaches = (with_bootstrap(cluster, tool, arguments(name)) for name in names)
    return run_here(tool, *ours), run_tool(tool, *apaches)
