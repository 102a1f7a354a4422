"""Peers that are broken, slow or malicious: they lose their connection, and nobody else notices."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
import trio

from raftkafka.broker.connection_limits import Admission
from raftkafka.server import listeners

from .harness import Client, eventually, served


@pytest.fixture(autouse=True)
def quick_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "SWEEP_SECONDS", 0.02)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (struct.pack(">i", -1), "length of -1"),
        (struct.pack(">i", 2**31 - 1), "socket.request.max.bytes"),
        (b"GET / HTTP/1.1\r\n\r\n", "socket.request.max.bytes"),
        (struct.pack(">i", 4) + b"nope", "nonsense"),
    ],
)
async def test_nonsense_closes_that_connection_with_a_line_and_no_other(tmp_path: Path, sent: bytes, reason: str) -> None:
    async with served(tmp_path) as server:
        good, bad = await server.connect(), await server.connect()
        await good.ask(b"e")
        await bad.stream.send_all(sent)
        assert await bad.closed_by_server()
        assert await good.ask(b"e") == b"e"
        await eventually(lambda: server.node.calls.count("closed") == 1)
        assert any(reason in line for line in server.log.reasons())


async def test_answers_owed_before_the_nonsense_are_still_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        client = await server.connect()
        await client.stream.send_all(struct.pack(">i", 1) + b"e" + struct.pack(">i", -5))
        assert await client.receive() == b"e"
        assert await client.closed_by_server()


async def test_random_bytes_never_stop_the_server(tmp_path: Path) -> None:
    rng = random.Random(7)
    async with served(tmp_path, max_frame_bytes=1000) as server:
        for _ in range(50):
            client = await server.connect()
            payload = bytes(rng.choice((0, 0, 1, 255, rng.randrange(256))) for _ in range(rng.randrange(200)))
            await client.stream.send_all(payload.replace(b"b", b"e").replace(b"h", b"e").replace(b"p", b"e").replace(b"g", b"e"))
            await client.stream.aclose()
        assert await (await server.connect()).ask(b"e") == b"e"
        await eventually(lambda: server.node.calls.count("closed") == 50)


async def test_a_claimed_length_allocates_nothing_before_the_bytes_arrive(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        clients = [await server.connect() for _ in range(50)]
        for client in clients:
            await client.stream.send_all(struct.pack(">i", 100_000_000) + b"e")
        assert await (await server.connect()).ask(b"e") == b"e"
        backlogs = [connection.handle._backlog for connection in server.node.connections if connection.handle._backlog]  # type: ignore[attr-defined]
        assert len(backlogs) == 50
        assert sum(len(backlog.buffer) for backlog in backlogs) < 5_000_000


async def test_a_frame_that_drips_in_is_cut_off(tmp_path: Path) -> None:
    async with served(tmp_path, frame_deadline_ms=150) as server:
        client = await server.connect()

        async def drip(client: Client) -> None:
            await client.stream.send_all(struct.pack(">i", 1000))
            try:
                while True:
                    await client.stream.send_all(b"e")
                    await trio.sleep(0.01)
            except trio.BrokenResourceError:
                pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, client)
            assert await client.closed_by_server()
        assert any("did not arrive whole" in line for line in server.log.reasons())


async def test_a_reader_that_never_reads_is_closed_when_memory_runs_short(tmp_path: Path) -> None:
    async with served(tmp_path, max_unsent_bytes=20_000_000) as server:
        greedy, modest = await server.connect(), await server.connect()
        await greedy.send(b"g" + struct.pack(">i", 80_000_000))
        await eventually(lambda: any("does not read" in line for line in server.log.reasons()))
        assert await modest.ask(b"e") == b"e"


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path, idle_ms=50) as server:
        client = await server.connect()
        assert await client.closed_by_server()


async def test_connections_above_the_limits_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path, max_connections=2) as server:
        first, second = await server.connect(), await server.connect()
        await first.ask(b"e")
        await second.ask(b"e")
        third = await server.connect()
        assert await third.closed_by_server()
        await first.stream.aclose()
        await eventually(lambda: "closed" in server.node.calls)
        assert await (await server.connect()).ask(b"e") == b"e"


async def test_a_connection_that_the_node_refuses_is_closed_when_it_may_come_again(tmp_path: Path) -> None:
    def admit(address: str, *, listener: str, open_count: int, open_from_address: int, now_ms: int) -> Admission:
        assert (address, listener) == ("127.0.0.1", "PLAINTEXT")
        return Admission("too fast", close_after_ms=200) if open_from_address else Admission()

    async with served(tmp_path, admit=admit) as server:
        first = await server.connect()
        assert await first.ask(b"e") == b"e"
        begun = trio.current_time()
        second = await server.connect()
        assert await second.closed_by_server() and trio.current_time() - begun >= 0.15
        assert "too fast" in server.log.reasons()
        assert await first.ask(b"e") == b"e"


async def test_a_client_that_floods_does_not_starve_another(tmp_path: Path) -> None:
    async with served(tmp_path) as server, trio.open_nursery() as nursery:
        flood, other = await server.connect(), await server.connect()
        chunk = (struct.pack(">i", 10) + b"swallowed!") * 10_000

        async def keep_flooding() -> None:
            while True:
                await flood.stream.send_all(chunk)

        nursery.start_soon(keep_flooding)
        await trio.sleep(0.05)
        start = trio.current_time()
        for _ in range(20):
            await other.ask(b"e")
        assert trio.current_time() - start < 2
        nursery.cancel_scope.cancel()
