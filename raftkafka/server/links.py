"""Outbound links: connections to other nodes that the node opens by name (`control/2`, `fetch/2`).

Invariants
- Each `OpenLink` is answered once: by `link_opened`, and at its end `link_closed`; or by `link_closed` alone. After `CloseLink` by neither.
- A link that does not read is closed once `max_unsent_bytes_per_link` wait for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import trio

from raftkafka.base.errors import DecodeError, PeerError
from raftkafka.broker.effects import LinkId, OpenLink, SendOnLink
from raftkafka.server.driver import NodeDriver
from raftkafka.server.faults import Faults, link_address
from raftkafka.server.log import ServerLog
from raftkafka.server.settings import ServerSettings
from raftkafka.server.stream import BufferPool, FrameStream

IP_BIND_ADDRESS_NO_PORT = 24
UNACKNOWLEDGED_TIMEOUT_MS = 5_000
"""A link whose bytes the other machine does not acknowledge for so long is given up and dialed anew. After a failure of the network of one
minute TCP by itself would wait up to another minute with its next attempt."""
"""Of Linux; Python does not name it."""


class Link:
    """One link, from `OpenLink` on; the `FrameSink` that gives its frames to the node."""

    def __init__(self, *, driver: NodeDriver, link_id: LinkId) -> None:
        self.link_id = link_id
        self.now_ms = driver.now_ms
        self.stream: FrameStream | None = None
        self.opening = trio.CancelScope()
        self.abandoned = False
        """The node has asked for `CloseLink`."""
        self._driver = driver

    @property
    def peer_id(self) -> int:
        """The node at the other end, by the link's name; -1 when the name has none."""
        _, _, number = self.link_id.partition("/")
        return int(number) if number.isdecimal() else -1

    def frame(self, frame: memoryview, now_ms: int) -> bool:
        if not self.abandoned:
            try:
                self._driver.node.link_frame(self.link_id, frame, now_ms)
            except (DecodeError, PeerError):
                raise
            except BaseException:
                self._driver.failed = True
                raise
        return True

    def turn_ended(self, now_ms: int) -> None:
        self._driver.settle(now_ms)

    def must_pause(self) -> bool:
        return False


class Links:
    """All outbound links of a node."""

    def __init__(
        self,
        *,
        driver: NodeDriver,
        settings: ServerSettings,
        pool: BufferPool,
        nursery: trio.Nursery,
        log: ServerLog,
        node_id: int,
        faults: Faults,
    ) -> None:
        self.links: dict[LinkId, Link] = {}
        self._driver = driver
        self._settings = settings
        self._pool = pool
        self._nursery = nursery
        self._log = log
        self._node_id = node_id
        self._faults = faults

    def open(self, effect: OpenLink) -> None:
        assert effect.link_id not in self.links, f"link {effect.link_id} is opened twice"
        link = Link(driver=self._driver, link_id=effect.link_id)
        self.links[effect.link_id] = link
        self._nursery.start_soon(self._run, link, effect.host, effect.port)

    def send(self, effect: SendOnLink) -> None:
        link = self.links.get(effect.link_id)
        if link is None or link.stream is None:
            return
        link.stream.send(effect.buffers)
        if link.stream.unsent_bytes > self._settings.max_unsent_bytes_per_link:
            link.stream.close("the node at the other end does not read")

    def close(self, link_id: LinkId) -> None:
        link = self.links.pop(link_id, None)
        if link is not None:
            link.abandoned = True
            link.opening.cancel()
            if link.stream is not None:
                link.stream.close("no longer needed")

    def streams(self) -> Iterator[tuple[FrameStream, int]]:
        """The open streams, each with the node at its other end."""
        for link in self.links.values():
            if link.stream is not None:
                yield link.stream, link.peer_id

    async def _run(self, link: Link, host: str, port: int) -> None:
        refused = await self._connect(link, host, port)
        stream = link.stream
        if stream is not None and not link.abandoned:
            self._driver.tell(lambda now_ms: self._driver.node.link_opened(link.link_id, now_ms))
            await stream.run(link)
            if stream.hostile:
                self._log.peer_trouble("link-closed", link=link.link_id, reason=stream.close_reason)
        if not link.abandoned:
            del self.links[link.link_id]
            self._driver.tell(lambda now_ms: self._driver.node.link_closed(link.link_id, refused=refused, now_ms=now_ms))

    async def _connect(self, link: Link, host: str, port: int) -> bool:
        """Connects and sets `link.stream`; or leaves it None and returns whether nobody listens there."""
        sock: socket.socket | None = None
        try:
            with link.opening, trio.move_on_after(self._settings.connect_timeout_ms / 1000):
                await self._faults.reachable(link.peer_id)
                sock = await _connect(host, port, source=link_address(self._node_id))
        except OSError as error:
            return error.errno == errno.ECONNREFUSED
        if sock is not None and link.abandoned:
            sock.close()
        elif sock is not None:
            link.stream = FrameStream(
                sock,
                pool=self._pool,
                nursery=self._nursery,
                max_frame_bytes=self._settings.max_frame_bytes,
                now_ms=self._driver.now_ms(),
            )
            self._faults.delay(link.stream, link.peer_id)
        return False


async def _connect(host: str, port: int, *, source: str | None) -> socket.socket:
    """A connected socket, to the first address of the host that takes it. Raises `OSError` of the last one tried."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, target in found[:-1]:
        with contextlib.suppress(OSError):
            return await _connect_address(socket.socket(family, kind, protocol), target, source=source)
    family, kind, protocol, _, target = found[-1]
    return await _connect_address(socket.socket(family, kind, protocol), target, source=source)


async def _connect_address(sock: socket.socket, target: tuple[object, ...], *, source: str | None) -> socket.socket:
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_TIMEOUT_MS)
        if source is not None and str(target[0]).startswith("127."):
            _bind_source(sock, source)
        try:
            sock.connect(target)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_source(sock: socket.socket, source: str) -> None:
    """Some systems have no loopback addresses but 127.0.0.1: then cuts do not know whose the link is, and nothing else changes."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)  # the port is chosen by connect, which knows what is free
    try:
        sock.bind((source, 0))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
