"""Writes `bin/`: each tool under Apache's name, with and without `.sh`, so that a line of the documentation can be pasted.

    python -m raftkafka.tools.scripts bin .venv/bin/raftkafka

Nothing puts `bin/` on a PATH, so Apache's own tools are never shadowed by default. A file there that no tool has any more is removed
if it was written by this module.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from raftkafka.tools.registry import SCRIPTS

_MARK = "# Written by raftkafka's set-up."


def write_scripts(directory: Path, program: Path) -> None:
    """Writes the scripts; `program` is the path of the program `raftkafka`."""
    directory.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(program.absolute(), directory.absolute())
    wanted = {f"{script}{ending}" for script in SCRIPTS for ending in ("", ".sh")}
    for path in directory.iterdir():
        if path.name not in wanted and path.is_file() and _MARK in path.read_text(errors="replace"):
            path.unlink()
    for name in sorted(wanted):
        path = directory / name
        text = (
            f"#!/bin/sh\n{_MARK} Apache Kafka's {name}, in Python.\n"
            'self=$(readlink -f "$0" 2>/dev/null) || self=$0\n'
            f'exec "$(dirname "$self")/{relative}" {name.removesuffix(".sh")} "$@"\n'
        )
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o755)


if __name__ == "__main__":
    write_scripts(Path(sys.argv[1]), Path(sys.argv[2]))
