"""A broker process that cannot start says why in one sentence, and exits with 1."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import pytest

from raftkafka.base.ids import ZERO_ID, id_to_text
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.config_loader import config_from_properties
from raftkafka.broker.formatting import format_directories
from raftkafka.server.main import LOCK_FILE, DirectoryInUse, locked, run_broker, server_settings

CLUSTER_ID = id_to_text(ZERO_ID)


def one_node(directory: Path, *, port: int = 9092, **properties: str) -> BrokerConfig:
    return config_from_properties(
        {
            "node.id": "1",
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:0",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": "1@127.0.0.1:19092",
            "log.dirs": str(directory / "data"),
            **properties,
        }
    )


def test_an_unformatted_directory_is_refused_with_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_broker(one_node(tmp_path)) == 1
    assert "raftkafka storage format" in capsys.readouterr().err


def test_a_directory_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = one_node(tmp_path)
    format_directories(config, CLUSTER_ID)
    descriptor = os.open(tmp_path / "data" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert run_broker(config) == 1
    finally:
        os.close(descriptor)
    assert "another process uses" in capsys.readouterr().err


def test_a_port_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = one_node(tmp_path, port=port)
        format_directories(config, CLUSTER_ID)
        assert run_broker(config) == 1
    assert f"127.0.0.1:{port}: the port is in use" in capsys.readouterr().err


def test_buffer_sizes_are_the_kernels_unless_set(tmp_path: Path) -> None:
    assert server_settings(one_node(tmp_path), max_descriptors=2048).receive_buffer_bytes == -1
    chosen = one_node(tmp_path, **{"socket.receive.buffer.bytes": "65536"})
    assert server_settings(chosen, max_descriptors=2048).receive_buffer_bytes == 65536


def test_connections_leave_descriptors_for_files(tmp_path: Path) -> None:
    assert server_settings(one_node(tmp_path), max_descriptors=2048).max_connections == 1024


def test_directory_that_cannot_be_locked_is_named_and_the_others_are_held(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "bad" / LOCK_FILE).mkdir()  # as little to be opened for writing as any file of a read-only file system
    paths = [str(tmp_path / name) for name in ("good", "bad")]
    with locked(paths) as refused:
        assert list(refused) == [paths[1]]
        with pytest.raises(DirectoryInUse), locked(paths):
            pass
    with locked(paths[:1]) as refused:
        assert not refused
