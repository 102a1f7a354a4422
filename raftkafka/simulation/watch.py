"""Who watches a world: told what happens as values, for traces and pictures.

Invariant: a watcher changes nothing and draws nothing from chance; the digest of a run is the same with one and without.
"""

from __future__ import annotations

from typing import Protocol

from raftkafka.base.observed import Observed
from raftkafka.broker.node_port import NodePort


class Watcher(Protocol):
    """Called at the moment it happens (`EventHeap.now_us`). Where there is none, a run costs no more."""

    def line(self, who: str, text: str) -> None:
        """A line of the trace that is not an `Observed`: of a machine, a client, a fault, the world."""

    def observed(self, who: str, what: Observed) -> None:
        """A node said something."""

    def sent(self, connection: int, source: str, target: str, data: bytes | None) -> None:
        """Frames (None: the end of the connection) are on their way."""

    def arrived(self, connection: int, source: str, target: str, data: bytes) -> None:
        """Frames reach a process: the very object that was sent. What is lost arrives never."""

    def settled(self, who: str, node: NodePort) -> None:
        """A node has done one thing; its state may have changed."""
