"""Faults on purpose and without root: `make partition` writes a file and sends SIGUSR1, the broker obeys.

The file holds `{"cut_to": [node ids], "cut_from": [node ids]}`: frames to those nodes are dropped, frames from those nodes are dropped.
It may also hold `"delay_to_ms": {"node id": milliseconds}`: frames to those nodes leave so much later, in order; nothing of them is lost.
As when packets are lost, connections stay open and go silent, and new ones time out; a connection that was cut is closed when the cut
ends, since bytes of it are missing. Clients are never cut.

And it may hold `"failing_directories": ["/path"]`: nothing in these log directories can be read or written any more.

A link leaves from a loopback address that is its node's own (127.1.0.<node id>): so an inbound connection tells which node it is from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import trio

from raftkafka.server.log import ServerLog
from raftkafka.server.stream import FrameStream


@attrs.frozen(kw_only=True)
class Cuts:
    """The nodes that this one does not reach (`cut_to`), those that do not reach this one (`cut_from`), and those it reaches late; the
    directories that fail."""

    cut_to: frozenset[int] = frozenset()
    cut_from: frozenset[int] = frozenset()
    delay_to_ms: Mapping[int, int] = attrs.field(factory=dict)
    failing_directories: tuple[str, ...] = ()

    def touches(self, node_id: int) -> bool:
        return node_id in self.cut_to or node_id in self.cut_from


class Faults:
    """The cuts in force, as the file said when it was last read."""

    def __init__(self, *, path: str | None, log: ServerLog, fail_directories: Callable[[Sequence[str]], None]) -> None:
        self.cuts = Cuts()
        self._fail_directories = fail_directories
        self._changed = trio.Event()
        self._path = path
        self._log = log

    def load(self) -> None:
        """Reads the file. One that is missing cuts nothing; one that is damaged changes nothing."""
        if self._path is None:
            return
        try:
            cuts = _read(self._path)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            self._log.error("faults-not-read", path=self._path, reason=str(error))
            return
        if cuts != self.cuts:
            self.cuts = cuts
            self._changed.set()
            self._changed = trio.Event()
            late = {str(node_id): delay_ms for node_id, delay_ms in sorted(cuts.delay_to_ms.items())}
            self._log.warning("network-cut", cut_to=sorted(cuts.cut_to), cut_from=sorted(cuts.cut_from), delay_to_ms=late)
            if cuts.failing_directories:
                self._log.warning("directories-fail-on-purpose", paths=list(cuts.failing_directories))
            self._fail_directories(cuts.failing_directories)

    async def reachable(self, node_id: int) -> None:
        """Waits until no cut touches this node."""
        while self.cuts.touches(node_id):
            await self._changed.wait()

    def apply(self, streams: Iterable[tuple[FrameStream, int]]) -> None:
        """Cuts and restores these streams; with each comes the node at its other end."""
        for stream, node_id in list(streams):
            was_cut = stream.mute or stream.deaf
            stream.mute = node_id in self.cuts.cut_to
            stream.deaf = node_id in self.cuts.cut_from
            self.delay(stream, node_id)
            if was_cut and not (stream.mute or stream.deaf):
                stream.close("the network cut ended")

    def delay(self, stream: FrameStream, node_id: int) -> None:
        """What is sent on this stream, which leads to that node, leaves as late as the file says."""
        stream.delay_s = self.cuts.delay_to_ms.get(node_id, 0) / 1000


def link_address(node_id: int) -> str | None:
    """The loopback address that a node's links leave from."""
    return f"127.1.{node_id >> 8}.{node_id & 255}" if 0 <= node_id < 65536 else None


def node_at(host: str) -> int:
    """The node whose links leave from this address; -1 for any other address."""
    parts = host.split(".")
    if len(parts) != 4 or parts[:2] != ["127", "1"]:
        return -1
    return int(parts[2]) * 256 + int(parts[3])


def _read(path: str) -> Cuts:
    try:
        with open(path, "rb") as file:
            wanted = json.load(file)
    except FileNotFoundError:
        return Cuts()
    return Cuts(
        cut_to=frozenset(map(int, wanted.get("cut_to", ()))),
        cut_from=frozenset(map(int, wanted.get("cut_from", ()))),
        delay_to_ms={int(node_id): max(0, int(delay_ms)) for node_id, delay_ms in wanted.get("delay_to_ms", {}).items()},
        failing_directories=tuple(map(str, wanted.get("failing_directories", ()))),
    )
