"""Inbound connections: accepting them within limits, and one task for each that reads it.

Invariants
- A connection is counted from the moment it is accepted until its task ends.
- The node learns of a connection only once it is within the limits, and learns of its end exactly once.
- No peer can make this module allocate for a claim: memory follows the bytes that arrived and the answers that are owed.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Protocol

import trio

from raftkafka.base.errors import DecodeError, PeerError
from raftkafka.broker.connection import Connection
from raftkafka.broker.connection_limits import ADMITTED, Admission
from raftkafka.server.driver import NodeDriver
from raftkafka.server.faults import Faults, node_at
from raftkafka.server.log import ServerLog
from raftkafka.server.settings import ListenerAddress, ServerSettings
from raftkafka.server.stream import BufferPool, FrameStream

SWEEP_SECONDS = 1.0
ACCEPTS_PER_TURN = 32
MAX_CLOSING_LATER = 100
"""So many refused connections are kept open for a while; more are closed at once."""
OUT_OF_DESCRIPTORS_PAUSE_SECONDS = 0.1


class Admit(Protocol):
    """Whether one more connection is let in, as the node says (`broker.connection_limits`)."""

    def __call__(self, address: str, *, listener: str, open_count: int, open_from_address: int, now_ms: int) -> Admission: ...


class ListenError(Exception):
    """A listener cannot be opened; the message says which, why, and what to do."""


class InboundConnection:
    """A connection and its stream; the `FrameSink` that gives frames to the node."""

    __slots__ = (
        "_counted",
        "_driver",
        "_max_unanswered",
        "_pause_above_bytes",
        "_unsent_now",
        "connection",
        "now_ms",
        "remote_host",
        "stream",
    )

    def __init__(
        self, *, driver: NodeDriver, connection: Connection, stream: FrameStream, settings: ServerSettings, remote_host: str
    ) -> None:
        self.connection = connection
        self.stream = stream
        self.remote_host = remote_host
        self.now_ms = driver.now_ms
        self._driver = driver
        self._pause_above_bytes = settings.pause_above_bytes
        self._max_unanswered = settings.max_unanswered_requests
        self._counted = 0
        self._unsent_now = 0

    def frame(self, frame: memoryview, now_ms: int) -> bool:
        connection = self.connection
        try:
            self._driver.node.frame_received(connection, frame, now_ms)
        except (DecodeError, PeerError):
            raise
        except BaseException:
            self._driver.failed = True
            raise
        out = connection.out
        if len(out) != self._counted:
            self._unsent_now += sum(map(len, out[self._counted :]))
            self._counted = len(out)
            return self._unsent_now < self._pause_above_bytes and not connection.muted
        return len(connection.slots) < self._max_unanswered and not connection.muted

    def turn_ended(self, now_ms: int) -> None:
        self._counted = self._unsent_now = 0
        self._driver.settle(now_ms)

    def must_pause(self) -> bool:
        connection = self.connection
        return connection.muted or self.stream.unsent_bytes > self._pause_above_bytes or len(connection.slots) >= self._max_unanswered


class Listeners:
    """All listeners of a broker and the connections that came through them."""

    def __init__(
        self,
        *,
        driver: NodeDriver,
        settings: ServerSettings,
        pool: BufferPool,
        nursery: trio.Nursery,
        log: ServerLog,
        faults: Faults,
        admit: Admit | None = None,
    ) -> None:
        self.connections: dict[InboundConnection, None] = {}
        self._driver = driver
        self._settings = settings
        self._pool = pool
        self._nursery = nursery
        self._log = log
        self._faults = faults
        self._node_admits = admit
        self._per_host: dict[str, int] = {}
        self._closing_later = 0
        self._sockets: list[socket.socket] = []

    def bind(self) -> tuple[ListenerAddress, ...]:
        """Opens all listeners, without accepting yet; returns the addresses with the ports really taken. Raises `ListenError`."""
        bound = []
        for address in self._settings.listeners:
            sock = _listen(address, self._settings.backlog)
            self._sockets.append(sock)
            bound.append(ListenerAddress(name=address.name, host=address.host, port=sock.getsockname()[1]))
        return tuple(bound)

    def start_accepting(self) -> None:
        for sock, address in zip(self._sockets, self._settings.listeners, strict=True):
            self._nursery.start_soon(self._accept, sock, address.name)
        self._nursery.start_soon(self._sweep)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def streams(self) -> Iterator[tuple[FrameStream, int]]:
        """The open streams, each with the node at its other end (-1 for a client)."""
        for inbound in self.connections:
            yield inbound.stream, node_at(inbound.remote_host)

    async def flush(self) -> None:
        """Waits until every connection has taken what waits for it."""
        for inbound in list(self.connections):
            await inbound.stream.written()

    async def _accept(self, listener: socket.socket, name: str) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            for _ in range(ACCEPTS_PER_TURN):
                try:
                    sock, remote = listener.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                        self._log.peer_trouble("accept-failed", listener=name, reason=error.strerror)
                        await trio.sleep(OUT_OF_DESCRIPTORS_PAUSE_SECONDS)
                    break
                pause_ms = self._admit(sock, name, str(remote[0]), int(remote[1]))
                if pause_ms:
                    await trio.sleep(pause_ms / 1_000)

    def _admit(self, sock: socket.socket, listener: str, host: str, port: int) -> int:
        """Lets a connection in, or closes it; returns how long no other is to be accepted, in ms."""
        admission = self._admission(listener, host)
        if admission.refusal:
            self._log.peer_trouble("connection-refused", listener=listener, peer=f"{host}:{port}", reason=admission.refusal)
            if admission.close_after_ms and self._closing_later < MAX_CLOSING_LATER:
                self._nursery.start_soon(self._close_later, sock, admission.close_after_ms)
            else:
                sock.close()
            return admission.pause_ms
        self._per_host[host] = self._per_host.get(host, 0) + 1
        _tune(sock, self._settings)
        stream = FrameStream(
            sock,
            pool=self._pool,
            nursery=self._nursery,
            max_frame_bytes=self._settings.max_frame_bytes,
            now_ms=self._driver.now_ms(),
        )
        self._faults.delay(stream, node_at(host))
        connection = Connection(listener=listener, peer=f"{host}:{port}", handle=stream)
        inbound = InboundConnection(driver=self._driver, connection=connection, stream=stream, settings=self._settings, remote_host=host)
        self.connections[inbound] = None
        self._nursery.start_soon(self._run, inbound)
        return admission.pause_ms

    def _admission(self, listener: str, host: str) -> Admission:
        """Whether one more connection from this host is let in: by what this process can bear, and then by the node."""
        if len(self.connections) >= self._settings.max_connections:
            return Admission(f"the process can have {self._settings.max_connections} connections, by its file descriptors")
        if self._faults.cuts.touches(node_at(host)):
            return Admission("the network is cut")
        if self._node_admits is None:
            return ADMITTED
        return self._node_admits(
            host,
            listener=listener,
            open_count=len(self.connections),
            open_from_address=self._per_host.get(host, 0),
            now_ms=self._driver.now_ms(),
        )

    async def _close_later(self, sock: socket.socket, after_ms: int) -> None:
        """Closes a refused connection when its address may come again: who is refused at once comes back at once."""
        self._closing_later += 1
        try:
            await trio.sleep(after_ms / 1_000)
        finally:
            self._closing_later -= 1
            sock.close()

    async def _run(self, inbound: InboundConnection) -> None:
        connection, stream = inbound.connection, inbound.stream
        self._driver.tell(lambda now_ms: self._driver.node.connection_opened(connection))
        try:
            await stream.run(inbound)
        finally:
            connection.closed = True
            self._forget(inbound)
        if stream.hostile:
            self._log.peer_trouble("connection-closed", listener=connection.listener, peer=connection.peer, reason=stream.close_reason)
        self._driver.tell(lambda now_ms: self._driver.node.connection_closed(connection, now_ms))

    def _forget(self, inbound: InboundConnection) -> None:
        del self.connections[inbound]
        host = inbound.remote_host
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]

    async def _sweep(self) -> None:
        """Closes what idles too long, frames that do not end, and the worst hoarder of unsent bytes."""
        while True:
            await trio.sleep(SWEEP_SECONDS)
            now_ms = self._driver.now_ms()
            total_unsent_bytes = 0
            for inbound in list(self.connections):
                stream = inbound.stream
                total_unsent_bytes += stream.unsent_bytes
                reason = self._overdue(stream, now_ms)
                if reason:
                    self._log.peer_trouble("connection-closed", peer=inbound.connection.peer, reason=reason)
                    stream.close(reason)
            if total_unsent_bytes > self._settings.max_unsent_bytes:
                worst = max(self.connections, key=lambda inbound: inbound.stream.unsent_bytes)
                reason = f"does not read: {worst.stream.unsent_bytes} bytes wait for it"
                self._log.peer_trouble("connection-closed", peer=worst.connection.peer, reason=reason)
                worst.stream.close(reason)

    def _overdue(self, stream: FrameStream, now_ms: int) -> str:
        settings = self._settings
        if now_ms - stream.active_ms > settings.idle_ms:
            return f"idle for connections.max.idle.ms ({settings.idle_ms})"
        if stream.frame_since_ms and not stream.paused:
            allowed_ms = settings.frame_deadline_ms + 1000 * stream.frame_bytes // settings.frame_bytes_per_second
            if now_ms - stream.frame_since_ms > allowed_ms:
                return f"a frame did not arrive whole within {allowed_ms} ms"
        return ""


def _tune(sock: socket.socket, settings: ServerSettings) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if settings.receive_buffer_bytes > 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer_bytes)
    if settings.send_buffer_bytes > 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)


def _listen(address: ListenerAddress, backlog: int) -> socket.socket:
    where = f"listener {address.name} on {address.host or '0.0.0.0'}:{address.port}"
    try:
        found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(f"{where}: the host name is unknown ({error.strerror}); correct `listeners`") from error
    family, kind, protocol, _, target = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ListenError(f"{where}: {_bind_advice(error)}") from error
    return sock


def _bind_advice(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is in use; stop the process that has it (`ss -ltnp` names it) or choose another port in `listeners`"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; correct the host in `listeners`"
        case errno.EACCES:
            return "the port needs privileges; choose one above 1023 in `listeners`"
        case _:
            return error.strerror or str(error)
