"""A server around a `FakeNode`, and a plain client, for the tests of the shell."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import trio

from raftkafka.server.disk import PosixDisk
from raftkafka.server.listeners import Admit
from raftkafka.server.log import ServerLog
from raftkafka.server.server import run_server
from raftkafka.server.settings import ListenerAddress, ServerSettings

from .fake_node import FakeNode


class RecordingLog(ServerLog):
    """Keeps the warnings instead of writing them."""

    def __init__(self) -> None:
        super().__init__(node_id=1)
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self._logger = self

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    warning = error = info

    def reasons(self) -> list[str]:
        return [str(fields.get("reason")) for _, fields in self.lines]


@attrs.define(eq=False)
class Served:
    """A running server."""

    node: FakeNode
    log: RecordingLog
    port: int
    directory: Path
    disk: PosixDisk

    async def connect(self) -> Client:
        return Client(await trio.open_tcp_stream("127.0.0.1", self.port))


@contextlib.asynccontextmanager
async def served(directory: Path, *, node: FakeNode | None = None, admit: Admit | None = None, **settings: Any) -> AsyncIterator[Served]:
    """Runs a server for the body of the `async with`. What ends the server early is raised."""
    node = node or FakeNode()
    log = RecordingLog()
    disk = PosixDisk(str(directory))
    address = ListenerAddress(name="PLAINTEXT", host="127.0.0.1", port=0)
    bound: list[ListenerAddress] = []
    ready = trio.Event()

    def listening(addresses: tuple[ListenerAddress, ...]) -> None:
        bound.extend(addresses)
        ready.set()

    async def run() -> None:
        await run_server(
            node=node,
            node_id=1,
            disk=disk,
            settings=ServerSettings(listeners=(address,), **settings),
            log=log,
            admit=admit,
            faults_path=str(directory / "faults.json"),
            listening=listening,
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await ready.wait()
        yield Served(node, log, bound[0].port, directory, disk)
        nursery.cancel_scope.cancel()


class Client:
    """Sends and receives frames."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = bytearray()

    async def send(self, payload: bytes) -> None:
        await self.stream.send_all(framed(payload))

    async def receive(self) -> bytes:
        """The payload of the next frame; fails after a while, and with `EndOfChannel` when the server has closed."""
        with trio.fail_after(5):
            (size_bytes,) = struct.unpack(">i", await self._exactly(4))
            return await self._exactly(size_bytes)

    async def ask(self, payload: bytes) -> bytes:
        await self.send(payload)
        return await self.receive()

    async def closed_by_server(self) -> bool:
        """Waits for the end of the connection; bytes that still come are dropped."""
        try:
            with trio.fail_after(5):
                while await self.stream.receive_some():
                    pass
        except trio.BrokenResourceError:
            pass
        return True

    async def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            chunk = await self.stream.receive_some(1 << 20)
            if not chunk:
                raise trio.EndOfChannel
            self._received += chunk
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


async def eventually(condition: Any) -> None:
    """Waits until a condition holds, for a short while at most."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)
