"""kafka-server-stop: asks the nodes that run on this machine under this user to stop, all or those that are named.

Only processes whose command line is that of a node of ours are signalled: `raftkafka broker ...`, `kafka-server-start ...`.

Sources: kafka-server-stop.sh of Apache Kafka 4.3.1: SIGTERM, `--process-role` and `--node-id`, "No kafka server to stop".
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

from raftkafka.tools.errors import ToolError
from raftkafka.tools.options import OptionParser, value

PARSER = OptionParser(
    script="kafka-server-stop",
    summary="Stops the nodes that run on this machine under this user, cleanly (SIGTERM): all, or those that are named.",
    examples=("kafka-server-stop.sh", "kafka-server-stop.sh --node-id 1"),
    options=(
        value("node-id", "Only the node of this id.", argument="id"),
        value("process-role", "Only the nodes that have exactly these roles.", argument="controller|broker"),
    ),
    help_when_empty=False,
)
_NODE_COMMAND = re.compile(r"(?:raftkafka\.cli\.main|/raftkafka) (?:broker|(?:kafka-)?server-start) (?P<arguments>.+)$")


@attrs.frozen(kw_only=True)
class RunningNode:
    """A process that runs a node; what its properties file does not say, or what cannot be read, is empty."""

    pid: int
    node_id: str
    roles: str


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; 1 when there is nothing to stop."""
    options = PARSER.parse(arguments)
    node_id, roles = options.text("node-id"), options.text("process-role")
    chosen = [
        node
        for node in running_nodes()
        if (node_id is None or node.node_id == node_id) and (roles is None or _same_roles(node.roles, roles))
    ]
    if not chosen:
        wished = "" if node_id is None and roles is None else " with the given node id or process role"
        raise ToolError(f"No kafka server to stop{wished}")
    for node in chosen:
        os.kill(node.pid, signal.SIGTERM)
    return 0


def running_nodes() -> list[RunningNode]:
    """The nodes that run under this user."""
    listed = subprocess.run(["ps", "-ww", "-U", str(os.getuid()), "-o", "pid=,args="], capture_output=True, text=True, check=False).stdout
    nodes = []
    for line in listed.splitlines():
        pid, _, command = line.strip().partition(" ")
        found = _NODE_COMMAND.search(command)
        if found is not None and int(pid) != os.getpid():
            nodes.append(_described(int(pid), found["arguments"].split()))
    return nodes


def _described(pid: int, arguments: Sequence[str]) -> RunningNode:
    from raftkafka.broker.properties import PropertiesError, parse_properties

    settings: dict[str, str] = {}
    pending = list(reversed(arguments))
    while pending:
        argument = pending.pop()
        if argument == "--override" and pending:
            argument = f"--override={pending.pop()}"
        if argument.startswith("--override="):
            key, _, text = argument.removeprefix("--override=").partition("=")
            settings[key] = text
        elif not argument.startswith("-"):
            try:
                path = Path(f"/proc/{pid}/cwd", argument)
                found = parse_properties(path.read_text(), source=argument)
            except (OSError, UnicodeDecodeError, PropertiesError):
                continue
            settings = {entry.key: entry.value for entry in found} | settings
    return RunningNode(pid=pid, node_id=settings.get("node.id", settings.get("broker.id", "")), roles=settings.get("process.roles", ""))


def _same_roles(has: str, wished: str) -> bool:
    return {each.strip() for each in has.split(",")} == {each.strip() for each in wished.split(",")}
