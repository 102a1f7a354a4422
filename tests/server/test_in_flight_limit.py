"""`queued.max.request.bytes` (KIP-72): large frames wait for each other instead of filling the memory, and all of them arrive."""

from __future__ import annotations

from pathlib import Path

import trio

from .harness import Client, framed, served

FRAME = b"e" + b"x" * 1_500_000
HALF = len(FRAME) // 2


async def begin(client: Client) -> None:
    await client.stream.send_all(framed(FRAME)[:HALF])
    await trio.sleep(0.05)


async def test_a_frame_beyond_the_limit_waits_until_another_is_done(tmp_path: Path) -> None:
    async with served(tmp_path, in_flight_bytes=1_000_000) as server:
        first, second = await server.connect(), await server.connect()
        await begin(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.send, FRAME)
            with trio.move_on_after(0.3):
                await second.receive()
                raise AssertionError("the second frame was received although the first holds all the room")
            await first.stream.send_all(framed(FRAME)[HALF:])
            assert await first.receive() == FRAME
            assert await second.receive() == FRAME


async def test_room_comes_back_when_a_connection_ends_in_the_middle_of_its_frame(tmp_path: Path) -> None:
    async with served(tmp_path, in_flight_bytes=1_000_000) as server:
        first, second = await server.connect(), await server.connect()
        await begin(first)
        await first.stream.aclose()
        assert await second.ask(FRAME) == FRAME


async def test_small_requests_go_on_while_large_ones_wait(tmp_path: Path) -> None:
    async with served(tmp_path, in_flight_bytes=1_000_000) as server:
        large, small = await server.connect(), await server.connect()
        await begin(large)
        assert await small.ask(b"e") == b"e"
