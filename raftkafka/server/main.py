"""One broker process: from a checked configuration to an exit code.

Exit codes: 0 after a clean stop, 1 when the node could not start or had to stop. What was to be expected (a port in use, a damaged log)
is one sentence on stderr; a bug is a traceback.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence

import attrs
import trio

from raftkafka.base.errors import CorruptRecord, DecodeError, DiskError
from raftkafka.broker.config import BrokerConfig
from raftkafka.broker.formatting import FormatError, UnreadableDirectory, directories_of, required_identity
from raftkafka.broker.node import BrokerNode
from raftkafka.server.disk import PosixDisk
from raftkafka.server.driver import NodeHalted
from raftkafka.server.listeners import ListenError
from raftkafka.server.log import ServerLog
from raftkafka.server.server import ShutdownTimedOut, run_server
from raftkafka.server.settings import ListenerAddress, ServerSettings
from raftkafka.storage.log_placement import ALL_CORDONED

LOCK_FILE = ".lock"
FAULTS_FILE = "faults.json"
LOG_FORMAT_VARIABLE = "RAFTKAFKA_LOG_FORMAT"
"""`json` for lines that programs read."""

RESERVED_DESCRIPTORS = 256
"""What connections leave free for files that are not counted: libraries, threads that sync, the log."""


class DirectoryInUse(Exception):
    """Another process has the lock of a log directory."""


EXPECTED = (FormatError, DirectoryInUse, ListenError, NodeHalted, ShutdownTimedOut, DiskError, CorruptRecord, DecodeError)
"""What may end a process without being a bug."""


def run_broker(config: BrokerConfig) -> int:
    """Runs the node until it has stopped; returns the exit code."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the server listens to it: it would end the process
    log = ServerLog(node_id=config.node_id, log_format="json" if os.environ.get(LOG_FORMAT_VARIABLE) == "json" else "console")
    for notice in config.notices:
        log.info("configuration", notice=notice)
    try:
        _run(config, log)
    except EXPECTED as error:
        return _give_up(log, [error])
    except BaseExceptionGroup as group:
        bugs = group.split(EXPECTED)[1]
        if bugs is not None:
            traceback.print_exception(bugs)
        return _give_up(log, _leaves(group))
    log.info("stopped")
    return 0


def server_settings(config: BrokerConfig, *, max_descriptors: int) -> ServerSettings:
    """The shell's part of the configuration. Kafka's default buffer sizes are left to the kernel, which tunes them better."""
    return ServerSettings(
        listeners=tuple(ListenerAddress(name=each.name, host=each.host, port=each.port) for each in config.listeners),
        max_frame_bytes=config.socket_request_max_bytes,
        in_flight_bytes=config.queued_max_request_bytes if config.queued_max_request_bytes > 0 else None,
        max_connections=max_descriptors // 2,
        idle_ms=config.connections_max_idle_ms,
        backlog=config.socket_listen_backlog_size,
        connect_timeout_ms=config.controller_quorum_request_timeout_ms,
        receive_buffer_bytes=config.socket_receive_buffer_bytes if "socket.receive.buffer.bytes" in config.static else -1,
        send_buffer_bytes=config.socket_send_buffer_bytes if "socket.send.buffer.bytes" in config.static else -1,
    )


def with_absolute_directories(config: BrokerConfig) -> BrokerConfig:
    """With the names of its directories as DescribeLogDirs tells them, whatever the process's own directory is."""
    return attrs.evolve(
        config,
        log_dirs=tuple(map(os.path.abspath, config.log_dirs)),
        metadata_log_dir=os.path.abspath(config.metadata_log_dir),
        cordoned_log_dirs=tuple(path if path == ALL_CORDONED else os.path.abspath(path) for path in config.cordoned_log_dirs),
    )


def _run(config: BrokerConfig, log: ServerLog) -> None:
    config = with_absolute_directories(config)
    identity, failed = required_identity(config)
    for path, reason in failed.items():
        log.error("log-directory-failed", path=path, reason=reason)
    max_descriptors = _raise_descriptor_limit()
    with locked([path for path in directories_of(config) if path not in failed]) as refused:
        if config.metadata_log_dir in refused or set(config.log_dirs) <= {*failed, *refused}:
            raise UnreadableDirectory("; ".join(f"{path} cannot be locked: {reason}" for path, reason in refused.items()))
        disk = PosixDisk("", max_open_files=max_descriptors // 2 - RESERVED_DESCRIPTORS)
        disk.fail(list(refused))
        node = BrokerNode(config=config, disk=disk, rng=random.SystemRandom(), meta=identity, request_timer=time.thread_time_ns)
        log.levels = node.parts.services.log_levels

        async def serve() -> None:
            await run_server(
                node=node,
                node_id=config.node_id,
                disk=disk,
                settings=server_settings(config, max_descriptors=max_descriptors),
                log=log,
                admit=node.parts.services.connections.admit,
                faults_path=os.path.join(config.metadata_log_dir, FAULTS_FILE),
                fail_directories=lambda paths: disk.fail([*refused, *paths]),
                listening=lambda addresses: log.info("listening", addresses=",".join(map(str, addresses))),
            )

        trio.run(serve)


@contextlib.contextmanager
def locked(directories: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Holds the lock of every log directory: two processes in one directory would destroy it.

    Gives those that cannot be written to, as when their file system has become read-only, with the reasons; they are not to be used.
    """
    refused: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for directory in directories:
            try:
                descriptor = os.open(os.path.join(directory, LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                refused[directory] = error.strerror or str(error)
                continue
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DirectoryInUse(f"another process uses {directory}. Stop it first, or choose other log.dirs.") from None
        yield refused


def _raise_descriptor_limit() -> int:
    """Takes all file descriptors that the system allows this process; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(1024, min(soft, 1 << 20))


def _give_up(log: ServerLog, errors: list[BaseException]) -> int:
    for error in errors:
        log.error("cannot-go-on", kind=type(error).__name__, reason=str(error))
        sys.stderr.write(f"raftkafka: {error}\n")
    return 1


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
