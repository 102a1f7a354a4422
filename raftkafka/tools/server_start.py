"""kafka-server-start: runs a node, in the foreground or, with -daemon, in the background.

Sources: kafka-server-start.sh of Apache Kafka 4.3.1: `[-daemon] server.properties [--override property=value]*`, LOG_DIR and
`kafkaServer.out` for the output of a node in the background.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from raftkafka.tools.errors import UsageError

USAGE = "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*"
_EXAMPLE = "Example:\n  kafka-server-start.sh config/server.properties --override num.partitions=3\n"


def main(arguments: Sequence[str]) -> int:
    """Runs the tool; in the foreground it returns when the node has stopped."""
    if any(argument in ("--help", "-h") for argument in arguments):
        print(f"{_EXAMPLE}\n{USAGE}")
        return 0
    daemon = bool(arguments) and arguments[0] in ("-daemon", "--daemon")
    path, overrides = parse_arguments(arguments[1:] if daemon else arguments)
    if daemon:
        _start_in_background(path, overrides)
        return 0
    from raftkafka.broker.config_loader import ConfigError, load_config

    try:
        config = load_config(path, overrides=overrides, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    from raftkafka.server.main import run_broker

    return run_broker(config)


def parse_arguments(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The path of the properties file and the overrides."""
    if not arguments or arguments[0].startswith("-"):
        raise UsageError(USAGE, hint=False)
    overrides: list[str] = []
    rest = list(reversed(arguments[1:]))
    while rest:
        option, _, attached = rest.pop().partition("=")
        if option != "--override" or not (attached or rest):
            raise UsageError(USAGE, hint=False)
        overrides.append(attached or rest.pop())
    return arguments[0], overrides


def _start_in_background(path: str, overrides: Sequence[str]) -> None:
    log_dir = Path(os.environ.get("LOG_DIR") or "logs")
    log_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "raftkafka.cli.main", "broker", path, *(f"--override={each}" for each in overrides)]
    with (log_dir / "kafkaServer.out").open("ab") as output:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
