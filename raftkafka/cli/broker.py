"""`raftkafka broker CONFIG.properties [--override key=value]...`: runs one node until it is told to stop.

Invariant: nothing is imported here that a broker does not need, and nothing before it is needed.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

USAGE = """\
Usage: raftkafka broker CONFIG.properties [--override KEY=VALUE]...

  Runs a node with the settings of a server.properties file (examples: configs/).
  KAFKA_... variables win over the file (KAFKA_NUM_PARTITIONS=3), and --override wins over both.
  Its data directory must have been formatted: raftkafka storage format --config CONFIG.properties
  SIGTERM stops it cleanly; its log goes to stderr.
"""


class UsageError(Exception):
    """The command line is wrong; the text says how."""


def run_broker_command(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code (0 a clean stop, 1 a failure, 2 wrong usage)."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    try:
        path, overrides = parse_arguments(arguments)
    except UsageError as error:
        print(f"{USAGE}\nError: {error}", file=sys.stderr)
        return 2
    gc.disable()  # Importing makes no cycles worth a collection; the server tunes the collector once it stands.
    from raftkafka.broker.config_loader import ConfigError, load_config

    try:
        config = load_config(path, overrides=overrides, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    from raftkafka.server.main import run_broker

    gc.enable()
    return run_broker(config)


def parse_arguments(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The path of the properties file and the overrides."""
    paths: list[str] = []
    overrides: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option == "--override":
            chosen = value if equals else next(rest, "")
            if not chosen:
                raise UsageError("--override needs KEY=VALUE after it.")
            overrides.append(chosen)
        elif argument.startswith("-"):
            raise UsageError(f"there is no option {option}.")
        else:
            paths.append(argument)
    if len(paths) != 1:
        raise UsageError("name one properties file." if not paths else f"name one properties file, not {len(paths)}.")
    return paths[0], overrides
