"""A network between processes that do not know of it: a TCP proxy in front of each listener, which can hold back and delay what passes.

    proxies = Proxies(pids=lambda: {1: 4711, 2: 4712})
    port = proxies.add(node_id=2, target_port=9093)      others reach node 2's 9093 through this port
    proxies.shape(cuts={(1, 2)}, delays_ms={(2, 1): 50}) from node 1 to node 2 nothing passes; the way back takes 50 ms longer
    proxies.close()

Invariants
- Which node has connected is found out by the kernel's tables (`peers`). A connection of a node that is not known passes always.
- Bytes that are held back are not lost: when the cut ends they go on, in order, as TCP would send them again. The end of a connection is
  held back as they are.
- The event loop runs in a thread of its own; what it reads of cuts and delays is replaced as a whole, never changed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping

import attrs
import trio

from jepsen_like.chaos.peers import node_behind

HOST = "127.0.0.1"
Pair = tuple[int, int]
"""From a node to a node."""

_CHUNK_BYTES = 64 * 1024
_CHUNKS_UNDER_WAY = 256
_BACKLOG = 128


@attrs.frozen(kw_only=True)
class Shape:
    """What the network does now."""

    cuts: frozenset[Pair] = frozenset()
    delays_ms: Mapping[Pair, int] = attrs.field(factory=dict)


class Proxies:
    """All proxies of one cluster, on one event loop in a thread."""

    def __init__(self, *, pids: Callable[[], Mapping[int, int]]) -> None:
        self._pids = pids
        self._shape = Shape()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve,), name="proxies", daemon=True)
        self._thread.start()
        self._ready.wait()

    def add(self, *, node_id: int, target_port: int) -> int:
        """Starts a proxy in front of a port of this node, and returns the port of the proxy."""
        return trio.from_thread.run(self._add, node_id, target_port, trio_token=self._token)

    def shape(self, *, cuts: Iterable[Pair], delays_ms: Mapping[Pair, int]) -> None:
        """What the network does from now on: pairs (from, to) that nothing passes between, and added latencies."""
        shape = Shape(cuts=frozenset(cuts), delays_ms=dict(delays_ms))
        trio.from_thread.run_sync(self._set, shape, trio_token=self._token)

    def close(self) -> None:
        """Closes every connection and ends the thread."""
        if self._thread.is_alive():
            trio.from_thread.run_sync(self._nursery.cancel_scope.cancel, trio_token=self._token)
            self._thread.join()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._changed = trio.Event()
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(trio.sleep, math.inf)
            self._ready.set()

    def _set(self, shape: Shape) -> None:
        self._shape = shape
        self._changed.set()
        self._changed = trio.Event()

    async def _add(self, node_id: int, target_port: int) -> int:
        (listener,) = await trio.open_tcp_listeners(0, host=HOST, backlog=_BACKLOG)
        port: int = listener.socket.getsockname()[1]

        async def connected(stream: trio.SocketStream) -> None:
            peer_port = stream.socket.getpeername()[1]
            from_id = node_behind(peer_port=peer_port, local_port=port, pids=self._pids())
            await self._carry(stream, target_port, there=(from_id or -1, node_id))

        self._nursery.start_soon(trio.serve_listeners, connected, [listener])
        return port

    async def _carry(self, client: trio.SocketStream, target_port: int, *, there: Pair) -> None:
        """One connection: both directions until either side ends it."""
        back = (there[1], there[0])
        async with client:
            await self._open(there)
            try:
                server = await trio.open_tcp_stream(HOST, target_port)
            except OSError:
                return
            async with server, trio.open_nursery() as nursery:

                async def pump(source: trio.SocketStream, target: trio.SocketStream, pair: Pair) -> None:
                    await self._pump(source, target, pair)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(pump, client, server, there)
                nursery.start_soon(pump, server, client, back)

    async def _pump(self, source: trio.SocketStream, target: trio.SocketStream, pair: Pair) -> None:
        """Carries bytes one way; returns at the end of the stream, once all before it has been carried."""
        put, take = trio.open_memory_channel[tuple[float, bytes]](_CHUNKS_UNDER_WAY)

        async def receive() -> None:
            async with put:
                data = b"-"
                while data:
                    try:
                        data = bytes(await source.receive_some(_CHUNK_BYTES))
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        data = b""
                    delay_s = self._shape.delays_ms.get(pair, 0) / 1000
                    await put.send((trio.current_time() + delay_s, data))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            async for due, data in take:
                await trio.sleep_until(due)
                await self._open(pair)
                try:
                    await target.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    nursery.cancel_scope.cancel()
                    return

    async def _open(self, pair: Pair) -> None:
        """Waits while this way is cut."""
        while pair in self._shape.cuts:
            await self._changed.wait()
