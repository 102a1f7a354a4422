"""A process that stands in for a broker in tests of processes: it holds its port, obeys SIGTERM, and writes what SIGUSR1 shows it."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path


def main() -> None:
    properties = Path(sys.argv[-1])
    settings = dict(line.split("=", 1) for line in properties.read_text().splitlines() if "=" in line and not line.startswith("#"))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(settings["listeners"].split(",")[0].rpartition(":")[2])))
    listener.listen()
    faults = Path(settings["log.dirs"]) / "faults.json"

    def show_faults(*_: object) -> None:
        seen = json.loads(faults.read_text()) if faults.exists() else {}
        (properties.parent / "seen.tmp").write_text(json.dumps(seen))
        (properties.parent / "seen.tmp").rename(properties.parent / "seen.json")

    signal.signal(signal.SIGUSR1, show_faults)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("standing in", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
