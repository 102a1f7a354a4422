"""What the node asks of its shell. The shell carries the effects out in the order given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType

import attrs

from raftkafka.base.disk import Buffer, Persist
from raftkafka.base.observed import Observed
from raftkafka.broker.connection import Connection

LinkId = NewType("LinkId", str)
"""An outbound connection, named by what it is for: `control/2` (to the controller listener of node 2) or `fetch/2`."""


@attrs.frozen
class Flush:
    """Send `connection.out` and clear it."""

    connection: Connection


@attrs.frozen
class CloseConnection:
    connection: Connection
    reason: str


@attrs.frozen
class OpenLink:
    """Connect; answered by `link_opened` or `link_closed`. A link that is open or being opened is never opened again."""

    link_id: LinkId
    host: str
    port: int


@attrs.frozen
class SendOnLink:
    """Send a whole frame (with its length) on an open link; dropped when it has closed meanwhile."""

    link_id: LinkId
    buffers: Sequence[Buffer]


@attrs.frozen
class CloseLink:
    link_id: LinkId


@attrs.frozen
class Halt:
    """The node can no longer go on safely (its metadata log failed, a broken invariant): stop the process with this reason."""

    reason: str


NodeEffect = Flush | CloseConnection | OpenLink | SendOnLink | CloseLink | Persist | Observed | Halt
