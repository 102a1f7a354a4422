"""The Trio shell: one node, its listeners, its links, its disk.

    nursery ─┬─ timer                    ticks the node at its deadlines
             ├─ signals                  SIGTERM, SIGINT: stop; SIGUSR1: network cuts
             ├─ acceptor  per listener
             ├─ sweeper                  closes the idle, the slow and the greedy
             ├─ connection per client    reads, steps the node, settles, sends
             ├─ link       per node      the same, outbound
             ├─ writer     while a socket does not take all at once
             └─ persist    while a thread makes something stable

Any exception in any of them ends all: the process stops rather than go on wrong.
"""

from __future__ import annotations

import gc
import itertools
import signal
from collections.abc import Callable, Sequence

import trio

from raftkafka.base.disk import Disk
from raftkafka.broker.node_port import NodePort
from raftkafka.server.clock import NodeClock
from raftkafka.server.driver import NodeDriver
from raftkafka.server.faults import Faults
from raftkafka.server.links import Links
from raftkafka.server.listeners import Admit, Listeners
from raftkafka.server.log import ServerLog
from raftkafka.server.settings import ListenerAddress, ServerSettings
from raftkafka.server.stream import BufferPool

LAST_FLUSH_SECONDS = 1.0

GC_THRESHOLDS = (20_000, 50, 100)
"""Young objects die by reference count here; a collection finds cycles only, so it may be rare."""


class ShutdownTimedOut(Exception):
    """A clean stop did not end in time."""


async def run_server(
    *,
    node: NodePort,
    node_id: int,
    disk: Disk,
    settings: ServerSettings,
    log: ServerLog,
    faults_path: str | None = None,
    fail_directories: Callable[[Sequence[str]], None] = lambda directories: None,
    signals: bool = True,
    admit: Admit | None = None,
    listening: Callable[[tuple[ListenerAddress, ...]], None] = lambda addresses: None,
) -> None:
    """Runs the node until it has stopped cleanly. Raises, in an exception group, `ListenError`, `NodeHalted`, `ShutdownTimedOut`, what
    `node.start` raises, or a bug. `listening` is told the addresses once connections are accepted."""
    async with trio.open_nursery() as nursery:
        driver = NodeDriver(node=node, disk=disk, clock=NodeClock(), nursery=nursery, observe=log.observed)
        pool = BufferPool(limit_bytes=settings.in_flight_bytes)
        faults = Faults(path=faults_path, log=log, fail_directories=fail_directories)
        listeners = Listeners(driver=driver, settings=settings, pool=pool, nursery=nursery, log=log, faults=faults, admit=admit)
        links = Links(driver=driver, settings=settings, pool=pool, nursery=nursery, log=log, node_id=node_id, faults=faults)
        driver.links = links

        def reload_faults() -> None:
            faults.load()
            faults.apply(itertools.chain(listeners.streams(), links.streams()))

        try:
            addresses = listeners.bind()
            faults.load()
            driver.start()
            _tune_garbage_collector()
            nursery.start_soon(driver.run_timer)
            if signals:
                await nursery.start(_obey_signals, driver, reload_faults, log)
                reload_faults()  # a change that came before the signal was listened to was not heard of
            listeners.start_accepting()
            listening(addresses)
            await driver.stopping.wait()
            await _clean_stop(driver, settings)
            with trio.move_on_after(LAST_FLUSH_SECONDS):
                await listeners.flush()
        finally:
            listeners.close()
        nursery.cancel_scope.cancel()


async def _obey_signals(
    driver: NodeDriver, reload_faults: Callable[[], None], log: ServerLog, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    stopping = False
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGUSR1:
                reload_faults()
            elif stopping:
                raise ShutdownTimedOut("a second signal ended the clean stop")
            else:
                stopping = True
                log.info("stopping", signal=signal.Signals(number).name)
                driver.begin_shutdown()


async def _clean_stop(driver: NodeDriver, settings: ServerSettings) -> None:
    with trio.move_on_after(settings.shutdown_timeout_ms / 1000) as scope:
        await driver.stopped.wait()
    if scope.cancelled_caught:
        raise ShutdownTimedOut(f"the clean stop did not end within {settings.shutdown_timeout_ms} ms")


def _tune_garbage_collector() -> None:
    """What exists after the start stays: it is never looked at again. (A collection before it would cost more than it could free.)"""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
