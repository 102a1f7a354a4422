"""What the shell needs to know: where to listen, and how much one peer, and all together, may take."""

from __future__ import annotations

import attrs

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class ListenerAddress:
    """Where a listener binds. Port 0 takes any free one (tests)."""

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}://{self.host}:{self.port}"


@attrs.frozen(kw_only=True)
class ServerSettings:
    """Limits of the shell; the property of Kafka that sets one is named where there is one."""

    listeners: tuple[ListenerAddress, ...]
    max_frame_bytes: int = 100 * MIB
    """`socket.request.max.bytes`"""
    in_flight_bytes: int | None = None
    """`queued.max.request.bytes` (KIP-72): what frames that arrive in pieces may claim together; None for no bound"""
    max_connections: int = 10_000
    """What the process can bear; the node may let in fewer (`max.connections`, `max.connections.per.ip`)"""
    idle_ms: int = 600_000
    """`connections.max.idle.ms`; a reader that takes no byte of what waits for it is idle too"""
    frame_deadline_ms: int = 30_000
    """A frame must arrive within this time and one second for each `frame_bytes_per_second`: no slow loris"""
    frame_bytes_per_second: int = 64 * KIB
    receive_buffer_bytes: int = -1
    """`socket.receive.buffer.bytes`; -1 leaves it to the kernel, which tunes it to the connection"""
    send_buffer_bytes: int = -1
    """`socket.send.buffer.bytes`"""
    backlog: int = 128
    """`socket.listen.backlog.size`"""
    connect_timeout_ms: int = 2_000
    """`controller.quorum.request.timeout.ms`: how long a link to another node may take to open"""
    pause_above_bytes: int = MIB
    """A connection with more than this unsent is not read from"""
    max_unanswered_requests: int = 1_000
    """A connection with this many requests without their answer is not read from"""
    max_unsent_bytes: int = 1024 * MIB
    """Of all connections together; above it the connection with the most is closed"""
    max_unsent_bytes_per_link: int = 256 * MIB
    """A link to a node that does not read is closed above this"""
    shutdown_timeout_ms: int = 60_000
    """How long a clean stop may take"""
