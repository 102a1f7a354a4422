"""An inbound connection as the node sees it: who it is, and the responses that are owed to it in order.

Invariants
- Responses leave in the order of their requests, whichever completes first: a slot is reserved when the request arrives.
- A request without a response (Produce with acks=0) reserves no slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from raftkafka.base.disk import Buffer


class ResponseSlot:
    """The place of one response in its connection's order; `buffers` is None until it is known."""

    __slots__ = ("buffers", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.buffers: Sequence[Buffer] | None = None

    def complete(self, buffers: Sequence[Buffer]) -> None:
        """Fills the slot and moves every response that is now in turn to the connection's output."""
        assert self.buffers is None, "a response was completed twice"
        self.buffers = buffers
        self.connection.move_ready()


class Connection:
    """One inbound connection. The shell reads `out` on `Flush` and clears it; `handle` belongs to the shell."""

    __slots__ = (
        "client_host",
        "client_software",
        "closed",
        "handle",
        "is_follower",
        "listener",
        "muted",
        "out",
        "peer",
        "slots",
        "touched",
    )

    def __init__(self, *, listener: str, peer: str, handle: object = None) -> None:
        self.listener = listener
        self.peer = peer
        self.client_host = f"/{peer.rpartition(':')[0]}"
        """As Kafka's tools show it: `/127.0.0.1`."""
        self.handle = handle
        self.out: list[Buffer] = []
        self.slots: deque[ResponseSlot] = deque()
        self.client_software: tuple[str, str] = ("unknown", "unknown")
        self.closed = False
        self.touched = False
        self.muted = False
        """Whether the shell is to read nothing more from it, for now (`broker.muted`)."""
        self.is_follower = False
        """Whether another broker fetches on it: no quota holds for that."""

    def reserve(self) -> ResponseSlot:
        """A slot behind all that are waiting."""
        slot = ResponseSlot(self)
        self.slots.append(slot)
        return slot

    def move_ready(self) -> None:
        """Moves the completed head of the waiting responses to `out`."""
        slots = self.slots
        while slots and slots[0].buffers is not None:
            buffers = slots.popleft().buffers
            assert buffers is not None
            if not self.closed:
                self.out.extend(buffers)
