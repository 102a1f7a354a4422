"""The network between processes that do not know of it, with plain sockets; this process is node 1 here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from jepsen_like.chaos.peers import node_behind
from jepsen_like.chaos.proxy import Proxies

SHORT_S = 0.15


@pytest.fixture
def wire() -> Iterator[tuple[Proxies, socket.socket, socket.socket]]:
    """Proxies, and the two ends of a connection from node 1 to node 2 through one of them."""
    proxies = Proxies(pids=lambda: {1: os.getpid()})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = proxies.add(node_id=2, target_port=listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)) as one:
            two, _ = listener.accept()
            with two:
                one.settimeout(5)
                two.settimeout(5)
                yield proxies, one, two
    proxies.close()


def silent(sock: socket.socket) -> bool:
    """Whether nothing comes for a while."""
    sock.settimeout(SHORT_S)
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(5)


def test_bytes_and_the_end_pass_both_ways(wire: tuple[Proxies, socket.socket, socket.socket]) -> None:
    _, one, two = wire
    one.sendall(b"there" * 100_000)
    received = b""
    while len(received) < 500_000:
        received += two.recv(1 << 16)
    two.sendall(b"back")
    assert one.recv(10) == b"back"
    two.close()
    assert one.recv(10) == b""


def test_a_one_way_cut_holds_bytes_back_until_it_ends_and_the_other_way_stays_open(
    wire: tuple[Proxies, socket.socket, socket.socket],
) -> None:
    proxies, one, two = wire
    proxies.shape(cuts={(1, 2)}, delays_ms={})
    one.sendall(b"held")
    assert silent(two)
    two.sendall(b"open")
    assert one.recv(10) == b"open"
    proxies.shape(cuts=(), delays_ms={})
    assert two.recv(10) == b"held"


def test_a_cut_of_other_nodes_changes_nothing(wire: tuple[Proxies, socket.socket, socket.socket]) -> None:
    proxies, one, two = wire
    proxies.shape(cuts={(1, 3), (3, 2)}, delays_ms={})
    one.sendall(b"passes")
    assert two.recv(10) == b"passes"


def test_a_delay_makes_bytes_late(wire: tuple[Proxies, socket.socket, socket.socket]) -> None:
    proxies, one, two = wire
    proxies.shape(cuts=(), delays_ms={(1, 2): 100})
    began = time.monotonic()
    one.sendall(b"late")
    assert two.recv(10) == b"late"
    assert time.monotonic() - began >= 0.1
    two.sendall(b"soon")
    assert one.recv(10) == b"soon"
    assert time.monotonic() - began < 0.2


def test_a_new_connection_reaches_nobody_while_the_way_is_cut() -> None:
    proxies = Proxies(pids=lambda: {1: os.getpid()})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = proxies.add(node_id=2, target_port=listener.getsockname()[1])
        proxies.shape(cuts={(1, 2)}, delays_ms={})
        with socket.create_connection(("127.0.0.1", port)):
            listener.settimeout(SHORT_S)
            with pytest.raises(TimeoutError):
                listener.accept()
            proxies.shape(cuts=(), delays_ms={})
            listener.settimeout(5)
            listener.accept()[0].close()
    proxies.close()


def test_the_node_behind_a_connection_is_found_by_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        program = f"import socket, sys; s = socket.create_connection(('127.0.0.1', {port})); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as other:
            accepted, (_, peer_port) = listener.accept()
            pids = {1: os.getpid(), 2: other.pid}
            assert node_behind(peer_port=peer_port, local_port=port, pids=pids) == 2
            assert node_behind(peer_port=peer_port, local_port=port, pids={1: os.getpid()}) is None
            accepted.close()
            other.communicate()
