"""The Trio shell with a fake node: frames in, frames out, time, stability, the end."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import time
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from raftkafka.base.disk import Persist
from raftkafka.base.errors import DiskError
from raftkafka.server import driver as driver_module
from raftkafka.server.disk import PosixDisk
from raftkafka.server.driver import NodeHalted
from raftkafka.server.listeners import ListenError
from raftkafka.server.server import run_server
from raftkafka.server.settings import ListenerAddress, ServerSettings
from raftkafka.server.stream import SHARED_BYTES

from .fake_node import FakeNode
from .harness import RecordingLog, eventually, framed, served


async def test_frames_come_back_whole_however_the_network_cuts_them(tmp_path: Path) -> None:
    rng = random.Random(1)
    sizes = [0, 1, 3, 4, 100, SHARED_BYTES - 5, SHARED_BYTES - 4, SHARED_BYTES, 300_000, *(rng.randrange(5000) for _ in range(300))]
    payloads = [b"e" + rng.randbytes(size) for size in sizes]
    rng.shuffle(payloads)
    async with served(tmp_path) as server, trio.open_nursery() as nursery:
        client = await server.connect()

        async def send_in_pieces() -> None:
            stream = b"".join(map(framed, payloads))
            while stream:
                count = rng.choice((1, 2, 3, 7, 1000, 70_000, 200_000))
                await client.stream.send_all(stream[:count])
                stream = stream[count:]
                if rng.random() < 0.1:
                    await trio.lowlevel.checkpoint()

        nursery.start_soon(send_in_pieces)
        for payload in payloads:
            assert await client.receive() == payload


async def test_answers_that_come_later_keep_the_order_of_their_requests(tmp_path: Path) -> None:
    node = FakeNode()
    async with served(tmp_path, node=node) as server:
        client = await server.connect()
        await client.send(b"later")
        await client.send(b"e1")
        await eventually(lambda: node.frame_count == 2)
        node.on_tick = lambda now_ms: node.release()
        node.deadline_ms = 0
        await client.send(b"swallowed")
        assert [await client.receive(), await client.receive()] == [b"released", b"e1"]


async def test_an_answer_larger_than_the_socket_takes_is_sent_by_the_writer(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        client = await server.connect()
        size_bytes = 30_000_000
        await client.send(b"g" + struct.pack(">i", size_bytes))
        await client.send(b"e after")
        assert len(await client.receive()) == size_bytes
        assert await client.receive() == b"e after"


async def test_reading_stops_while_too_much_waits_unsent(tmp_path: Path) -> None:
    async with served(tmp_path, pause_above_bytes=1_000_000) as server:
        client = await server.connect()
        for _ in range(200):
            await client.send(b"g" + struct.pack(">i", 1_000_000))
        await eventually(lambda: server.node.frame_count)
        await trio.sleep(0.1)
        assert server.node.frame_count < 100
        for _ in range(200):
            assert len(await client.receive()) == 1_000_000


async def test_reading_stops_at_too_many_unanswered_requests_and_goes_on_with_the_answers(tmp_path: Path) -> None:
    node = FakeNode()
    async with served(tmp_path, node=node, max_unanswered_requests=10) as server:
        client = await server.connect()
        for _ in range(15):
            await client.send(b"later")
        await eventually(lambda: node.frame_count == 10)
        node.on_tick = lambda now_ms: node.release()
        node.deadline_ms = 0
        other = await server.connect()
        await other.send(b"swallowed")
        for _ in range(10):
            assert await client.receive() == b"released"
        await eventually(lambda: node.frame_count == 16)


async def test_the_timer_ticks_at_the_deadline_and_is_moved_by_an_earlier_one(tmp_path: Path) -> None:
    node = FakeNode()
    async with served(tmp_path, node=node) as server:
        client = await server.connect()
        await client.ask(b"e")
        base_ms = driver_module.NodeClock().now_ms()
        node.deadline_ms = base_ms + 60_000
        await client.ask(b"e")
        node.deadline_ms = base_ms + 30
        await client.ask(b"e")
        await eventually(lambda: node.ticks)
        assert base_ms + 30 <= node.ticks[0] < base_ms + 500


async def test_a_loop_that_was_held_up_says_how_long(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await trio.sleep(0.05)
        time.sleep(1.7)  # noqa: ASYNC251 - the point is that nothing else runs
        await trio.sleep(0.05)
        (fields,) = [fields for event, fields in server.log.lines if event == "held-up"]
        assert 600 <= fields["late_ms"] < 5_000
        assert fields["cpu_ms"] < 500


async def test_a_deadline_of_long_ago_is_no_hold_up(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        server.node.deadline_ms = 0
        await (await server.connect()).ask(b"e")
        await eventually(lambda: server.node.ticks)
        assert "held-up" not in [event for event, _ in server.log.lines]


async def test_an_effect_behind_a_persist_waits_for_the_disk(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        server.disk.open("log", create=True).append([b"x"])
        client = await server.connect()
        assert await client.ask(b"plog") == b"persisted"


async def test_a_persist_that_fails_is_told_to_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path) as server:

        def fail(persist: Persist) -> None:
            raise DiskError(persist.syncs[0], "the disk is full")

        monkeypatch.setattr(server.disk, "persist", fail)
        client = await server.connect()
        assert await client.ask(b"plog") == b"failed log"


async def test_sigterm_lets_the_node_stop_and_ends_the_server(tmp_path: Path) -> None:
    node = FakeNode()
    with trio.fail_after(5):
        async with served(tmp_path, node=node) as server:
            client = await server.connect()
            await client.ask(b"e")
            os.kill(os.getpid(), signal.SIGTERM)
            assert await client.closed_by_server()
    assert "begin_shutdown" in node.calls


@pytest.mark.parametrize(("payload", "kind"), [(b"halt", NodeHalted), (b"bug", AssertionError)])
async def test_halt_and_bugs_end_the_server(tmp_path: Path, payload: bytes, kind: type[Exception]) -> None:
    async def serve_until_it_ends() -> None:
        async with served(tmp_path) as server:
            await (await server.connect()).send(payload)
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await serve_until_it_ends()
    assert caught.value.subgroup(kind) is not None


async def test_a_port_in_use_is_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = ServerSettings(listeners=(ListenerAddress(name="PLAINTEXT", host="127.0.0.1", port=port),))
        with pytest.raises(BaseExceptionGroup) as caught:
            await run_server(
                node=FakeNode(), node_id=1, disk=PosixDisk(str(tmp_path)), settings=settings, log=RecordingLog(), signals=False
            )
    found = caught.value.exceptions[0]
    assert isinstance(found, ListenError)
    assert str(port) in str(found)
    assert "in use" in str(found)
