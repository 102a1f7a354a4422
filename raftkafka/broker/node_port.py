"""What a shell asks of the node that it runs: events in, effects out. `broker.node.BrokerNode` is one; tests use smaller ones.

The contract of both shells
- Every call is made from one thread, none from within another; after a group of events the shell calls `settle` once and carries out
  what it returns, in order, before the next event.
- `connection_closed` comes exactly once for each `connection_opened`, whoever closed it, and no frame of that connection comes after it.
- An `OpenLink` is answered by `link_opened` or `link_closed`; `link_closed` comes at most once for it, and never after the node has asked
  for `CloseLink`.
- Each `Persist` is answered by exactly one `persisted` or `persist_failed`, in any order between different tokens.
- After `Halt` nothing of the node leaves the machine any more.
- `frame_received` and `link_frame` raise `DecodeError` or `PeerError` when the peer's bytes are nonsense: the shell closes that connection.
  Any other exception is a bug, and the process stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from raftkafka.base.errors import DiskError
from raftkafka.broker.connection import Connection
from raftkafka.broker.effects import LinkId, NodeEffect


class NodePort(Protocol):
    """The node as a shell sees it. `now_ms` never goes back and starts near the wall clock, which is `now_ms + wall_offset_ms`."""

    wall_offset_ms: int

    @property
    def stopped(self) -> bool:
        """After `begin_shutdown`: all is handed over and the process may end."""

    def start(self, now_ms: int, wall_ms: int) -> None: ...

    def connection_opened(self, conn: Connection) -> None: ...

    def frame_received(self, conn: Connection, frame: memoryview, now_ms: int) -> None:
        """One whole frame without its length; writable, and reused by the shell after the call."""

    def connection_closed(self, conn: Connection, now_ms: int) -> None: ...

    def link_opened(self, link_id: LinkId, now_ms: int) -> None: ...

    def link_frame(self, link_id: LinkId, frame: memoryview, now_ms: int) -> None: ...

    def link_closed(self, link_id: LinkId, *, refused: bool, now_ms: int) -> None:
        """`refused`: nobody listens there, so the process is certainly gone."""

    def persisted(self, token: int, now_ms: int) -> None: ...

    def persist_failed(self, token: int, error: DiskError, now_ms: int) -> None: ...

    def tick(self, now_ms: int) -> None: ...

    def next_deadline_ms(self) -> int: ...

    def settle(self, now_ms: int) -> Sequence[NodeEffect]: ...

    def begin_shutdown(self, now_ms: int) -> None: ...
