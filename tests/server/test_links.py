"""Outbound links: opening, refusal, frames, closing, and network cuts on purpose."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest
import trio

from raftkafka.broker.effects import CloseLink, LinkId, NodeEffect, OpenLink, SendOnLink
from raftkafka.server import links
from raftkafka.server.faults import link_address, node_at

from .harness import Client, Served, eventually, framed, served

LINK = LinkId("control/2")


async def test_a_link_opens_carries_frames_both_ways_and_tells_its_end(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        peer = await _open_link(server)
        await _ask_node(server, SendOnLink(LINK, (framed(b"one"), framed(b"two"))))
        assert [await peer.receive(), await peer.receive()] == [b"one", b"two"]
        await peer.send(b"answer")
        await eventually(lambda: server.node.link_frames == [b"answer"])
        await peer.stream.aclose()
        await eventually(lambda: server.node.calls[-1] == "link_closed control/2 refused=False")


async def test_a_link_says_whether_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    async with served(tmp_path) as server:
        await _ask_node(server, OpenLink(LINK, "127.0.0.1", port))
        await eventually(lambda: server.node.calls[-1] == "link_closed control/2 refused=True")


async def test_a_closed_link_says_nothing_more_and_may_be_opened_again(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        first = await _open_link(server)
        await _ask_node(server, CloseLink(LINK))
        assert await first.closed_by_server()
        await _open_link(server)
        assert "link_closed control/2 refused=False" not in server.node.calls


async def test_a_link_that_is_closed_while_it_opens_is_forgotten(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await _ask_node(server, OpenLink(LINK, "127.0.0.1", listener.getsockname()[1]), CloseLink(LINK))
            await trio.sleep(0.05)
        assert not [call for call in server.node.calls if call.startswith("link")]


async def test_a_frame_to_a_link_that_has_closed_is_dropped(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await _ask_node(server, SendOnLink(LINK, (framed(b"lost"),)))


async def test_a_cut_silences_a_link_and_the_end_of_the_cut_closes_it(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        peer = await _open_link(server)
        await _cut(server, cut_to=[2], cut_from=[])
        await _ask_node(server, SendOnLink(LINK, (framed(b"lost"),)))
        await peer.send(b"still heard")
        await eventually(lambda: server.node.link_frames == [b"still heard"])
        await _cut(server, cut_to=[2], cut_from=[2])
        await peer.send(b"not heard")
        await _cut(server, cut_to=[], cut_from=[])
        await eventually(lambda: server.node.calls[-1] == "link_closed control/2 refused=False")
        assert server.node.link_frames == [b"still heard"]
        assert await peer.closed_by_server()


async def test_a_link_to_a_cut_node_does_not_open_before_the_end_of_the_cut(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await _cut(server, cut_to=[2], cut_from=[])
        with trio.move_on_after(0.1) as waiting:
            await _open_link(server)
        assert waiting.cancelled_caught
        await _cut(server, cut_to=[], cut_from=[])
        await eventually(lambda: any(call.startswith("link_") for call in server.node.calls))


async def test_a_node_is_known_by_the_address_of_its_links_and_clients_are_never_cut(tmp_path: Path) -> None:
    assert node_at(str(link_address(300))) == 300
    assert node_at("127.0.0.1") == -1
    async with served(tmp_path) as server:
        client = await server.connect()
        node_two = Client(await trio.open_tcp_stream("127.0.0.1", server.port, local_address=link_address(2)))
        assert await node_two.ask(b"e") == b"e"
        await _cut(server, cut_to=[], cut_from=[2])
        await node_two.send(b"e not heard")
        assert await client.ask(b"e") == b"e"
        assert server.node.frame_count == 2
        await _cut(server, cut_to=[], cut_from=[])
        assert await node_two.closed_by_server()


async def test_a_delay_makes_frames_late_and_keeps_their_order(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await _cut(server, cut_to=[], cut_from=[], delay_to_ms={"2": 80})
        peer = await _open_link(server)
        began = trio.current_time()
        await _ask_node(server, SendOnLink(LINK, (framed(b"one"),)))
        await _cut(server, cut_to=[], cut_from=[])
        await _ask_node(server, SendOnLink(LINK, (framed(b"two"),)))
        assert [await peer.receive(), await peer.receive()] == [b"one", b"two"]
        assert trio.current_time() - began >= 0.08


async def test_answers_to_a_node_can_be_late_too(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await _cut(server, cut_to=[], cut_from=[], delay_to_ms={"2": 80})
        node_two = Client(await trio.open_tcp_stream("127.0.0.1", server.port, local_address=link_address(2)))
        began = trio.current_time()
        for payload in (b"e one", b"e two"):
            await node_two.send(payload)
        assert [await node_two.receive(), await node_two.receive()] == [b"e one", b"e two"]
        assert trio.current_time() - began >= 0.08


async def test_a_damaged_faults_file_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        (tmp_path / "faults.json").write_text("{")
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: any(event == "faults-not-read" for event, _ in server.log.lines))
        assert await (await server.connect()).ask(b"e") == b"e"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such option")
async def test_the_kernel_gives_a_link_up_whose_bytes_nobody_acknowledges() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = await links._connect("127.0.0.1", listener.getsockname()[1], source=None)
        with sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == links.UNACKNOWLEDGED_TIMEOUT_MS


async def _open_link(server: Served) -> Client:
    """Makes the node open a link to a listener of the test; the test's side of it."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await _ask_node(server, OpenLink(LINK, "127.0.0.1", port))
    stream = await listener.accept()
    await listener.aclose()
    await eventually(lambda: "link_opened control/2" in server.node.calls)
    return Client(stream)


async def _ask_node(server: Served, *effects: NodeEffect) -> None:
    """Has the node ask for these effects: they are carried out in the settle after the next frame."""
    client = await server.connect()
    server.node.effects.extend(effects)
    assert await client.ask(b"e") == b"e"
    await client.stream.aclose()
    await eventually(lambda: server.node.calls[-1] == "closed" or "closed" in server.node.calls)


async def _cut(server: Served, *, cut_to: list[int], cut_from: list[int], delay_to_ms: dict[str, int] | None = None) -> None:
    before = len(server.log.lines)
    faults = {"cut_to": cut_to, "cut_from": cut_from, "delay_to_ms": delay_to_ms or {}}
    (server.directory / "faults.json").write_text(json.dumps(faults))
    os.kill(os.getpid(), signal.SIGUSR1)
    await eventually(lambda: any(event == "network-cut" for event, _ in server.log.lines[before:]))
