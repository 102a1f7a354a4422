"""A TCP connection that carries frames: a 4-byte length and as many bytes, in both directions.

Reading. Bytes are received into one buffer that all streams share, and frames are handed on in place: a stream whose frames arrive
whole owns no memory. What is left of a frame when the bytes end goes to a buffer of the stream's own (`_Backlog`), which grows with the
bytes that arrive, not with the length that the peer claims, and goes back to a pool when it is empty.

Writing. `send` tries one non-blocking `sendmsg`; only what the socket does not take is kept, and a writer task takes over.

Invariants
- Nothing awaits between receiving bytes into the shared buffer and having handed on or moved away all of them.
- With a limit on bytes in flight (KIP-72), a frame that arrives in pieces is received on only once it is admitted; an admitted frame is
  never held back, so that those who wait cannot wait for each other.
- One turn of a stream handles at most `MAX_FRAMES_PER_TURN` frames or one receive, so that no peer hogs the loop.
- `close` may be called at any time, by anybody, more than once; `run` then returns soon.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import trio

from raftkafka.base.disk import Buffer
from raftkafka.base.errors import DecodeError, PeerError

SHARED_BYTES = 128 * 1024
MAX_FRAMES_PER_TURN = 64
MAX_BUFFERS_PER_SEND = 1024
"""IOV_MAX of Linux."""

_BACKLOG_BYTES = 64 * 1024
_POOLED_BUFFERS = 8
_POOLED_BYTES = 4 * 1024 * 1024
_LENGTH = struct.Struct(">i")
LENGTH_BYTES = 4


class FrameSink(Protocol):
    """Where the frames of a stream go."""

    def now_ms(self) -> int: ...

    def frame(self, frame: memoryview, now_ms: int) -> bool:
        """Takes one frame, valid during the call; false ends this turn (enough output waits). Raises `DecodeError`, `PeerError`."""

    def turn_ended(self, now_ms: int) -> None:
        """All frames of this turn are given: settle."""

    def must_pause(self) -> bool:
        """Whether to read on only after `FrameStream.resume`."""


class BufferPool:
    """The shared receive buffer, and a few spare ones for frames that arrive in pieces. `limit_bytes` bounds what those frames claim
    together, but for the one that goes beyond it; None for no bound.
    """

    def __init__(self, *, limit_bytes: int | None = None) -> None:
        self.shared = memoryview(bytearray(SHARED_BYTES))
        self.limit_bytes = limit_bytes
        self._spare: list[memoryview] = []
        self._claimed_bytes = 0
        self._freed = trio.Event()

    def claim(self, size_bytes: int) -> bool:
        """Admits a frame of this size, or says that it must wait until others are done."""
        if self.limit_bytes is not None and self._claimed_bytes >= self.limit_bytes:
            return False
        self._claimed_bytes += size_bytes
        return True

    def unclaim(self, size_bytes: int) -> None:
        """An admitted frame is done, or its connection is."""
        self._claimed_bytes -= size_bytes
        self.wake()

    def wake(self) -> None:
        """Lets those who wait look again."""
        self._freed.set()
        self._freed = trio.Event()

    async def freed(self) -> None:
        """Waits until there may be room."""
        await self._freed.wait()

    def take(self, at_least: int) -> memoryview:
        if self._spare and len(self._spare[-1]) >= at_least:
            return self._spare.pop()
        return memoryview(bytearray(max(_BACKLOG_BYTES, at_least)))

    def give_back(self, buffer: memoryview) -> None:
        if len(buffer) <= _POOLED_BYTES:
            self._spare.append(buffer)
            self._spare.sort(key=len)
            del self._spare[:-_POOLED_BUFFERS]


class _Backlog:
    """Bytes `[start, end)` of `buffer` that are received and not handed on."""

    __slots__ = ("buffer", "claimed_bytes", "end", "start")

    def __init__(self, buffer: memoryview, received: memoryview) -> None:
        self.buffer = buffer
        self.start = 0
        self.end = len(received)
        self.claimed_bytes = 0
        buffer[: self.end] = received

    def room(self, frame_bytes: int) -> memoryview:
        """Where to receive the rest of a frame of this size (with its length); small frames may bring others along."""
        if self.start:
            kept = self.end - self.start
            self.buffer[:kept] = self.buffer[self.start : self.end]
            self.start, self.end = 0, kept
        if self.end == len(self.buffer):
            larger = memoryview(bytearray(min(4 * self.end, max(frame_bytes, _BACKLOG_BYTES))))
            larger[: self.end] = self.buffer
            self.buffer = larger
        limit = len(self.buffer) if frame_bytes <= _BACKLOG_BYTES else frame_bytes
        return self.buffer[self.end : limit]


class FrameStream:
    """One connected, non-blocking socket. `close_reason` says why it ended, in words for the log."""

    __slots__ = (
        "_backlog",
        "_late",
        "_max_frame_bytes",
        "_nursery",
        "_pool",
        "_resumed",
        "_socket",
        "_unsent",
        "_writer_done",
        "active_ms",
        "close_reason",
        "closed",
        "deaf",
        "delay_s",
        "frame_bytes",
        "frame_since_ms",
        "hostile",
        "mute",
        "unsent_bytes",
    )

    def __init__(self, sock: socket.socket, *, pool: BufferPool, nursery: trio.Nursery, max_frame_bytes: int, now_ms: int) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._pool = pool
        self._nursery = nursery
        self._max_frame_bytes = max_frame_bytes
        self._backlog: _Backlog | None = None
        self._unsent: deque[Buffer] = deque()
        self._resumed: trio.Event | None = None
        self._writer_done = trio.Event()
        self._late: deque[tuple[float, tuple[Buffer, ...]]] = deque()
        self.unsent_bytes = 0
        self.active_ms = now_ms
        """When bytes last arrived."""
        self.frame_since_ms = 0
        """When the frame began that has not arrived whole; 0 when none."""
        self.frame_bytes = 0
        """The size of that frame, with its length, as the peer claims."""
        self.closed = False
        self.close_reason = ""
        self.hostile = False
        """Whether the peer broke the protocol."""
        self.mute = self.deaf = False
        """A network fault on purpose (`server.faults`): what is sent is dropped; what arrives is dropped."""
        self.delay_s = 0.0
        """Another one: what is sent leaves so much later."""

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Sends at once what the socket takes and keeps the rest, in order. The buffers must not change afterwards."""
        if self.closed or self.mute:
            return
        if self.delay_s or self._late:
            self._send_late(buffers)
        else:
            self._send_now(buffers)

    def _send_late(self, buffers: Sequence[Buffer]) -> None:
        self._late.append((trio.current_time() + self.delay_s, tuple(buffers)))
        if len(self._late) == 1:
            self._nursery.start_soon(self._write_late)

    async def _write_late(self) -> None:
        """The task that sends what is late: runs while there is any. What is late when the stream is cut or closed is lost."""
        while self._late and not self.closed:
            due, buffers = self._late[0]
            await trio.sleep_until(due)
            if not (self.closed or self.mute):
                self._send_now(buffers)
            self._late.popleft()
        self._late.clear()

    def _send_now(self, buffers: Sequence[Buffer]) -> None:
        if self._unsent:
            self._unsent.extend(buffers)
            self.unsent_bytes += sum(map(len, buffers))
            return
        try:
            if len(buffers) == 1:
                size_bytes = len(buffers[0])
                sent = self._socket.send(buffers[0])
            else:
                size_bytes = sum(map(len, buffers))
                sent = self._socket.sendmsg(buffers[:MAX_BUFFERS_PER_SEND])
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.close(f"cannot send: {_words(error)}")
            return
        if sent != size_bytes:
            self._unsent.extend(buffers)
            self.unsent_bytes = size_bytes
            self._drop_sent(sent)
            self._writer_done = trio.Event()
            self._nursery.start_soon(self._write_rest)

    def close(self, reason: str) -> None:
        """Closes the socket; `run` returns."""
        if self.closed:
            return
        self.closed = True
        self.close_reason = reason
        self._unsent.clear()
        self.unsent_bytes = 0
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()
        self._pool.wake()
        self.resume()

    def resume(self) -> None:
        """Output has left, or answers were found: reading goes on if `must_pause` now says so."""
        if self._resumed is not None:
            self._resumed.set()

    async def written(self) -> None:
        """Waits until nothing is unsent."""
        if self._unsent:
            await self._writer_done.wait()

    @property
    def paused(self) -> bool:
        return self._resumed is not None

    async def run(self, sink: FrameSink) -> None:
        """Reads and hands on frames until the stream is closed by either side; `close_reason` says why it ended."""
        try:
            while True:
                backlog = self._backlog
                if backlog is not None and self._pool.limit_bytes is not None:
                    await self._admitted(backlog)
                    if self.closed:
                        return
                more = self._receive_shared(sink) if backlog is None else self._receive_backlog(backlog, sink)
                if sink.must_pause():
                    await self._pause(sink)
                if self.closed:
                    return
                if more:
                    await trio.lowlevel.checkpoint()
                else:
                    await self._readable()
        finally:
            self.close("the server stops")
            self._release_backlog()

    async def _admitted(self, backlog: _Backlog) -> None:
        """Waits until the frame that the backlog begins with may be received; the time does not count against the peer."""
        if backlog.claimed_bytes or self._whole_frame_waits(backlog) or self.frame_bytes == LENGTH_BYTES:
            return
        while not self.closed and not self._pool.claim(self.frame_bytes):
            self.frame_since_ms = 0
            await self._pool.freed()
        if not self.closed:
            backlog.claimed_bytes = self.frame_bytes

    def _unclaim(self, backlog: _Backlog) -> None:
        if backlog.claimed_bytes:
            self._pool.unclaim(backlog.claimed_bytes)
            backlog.claimed_bytes = 0

    async def _pause(self, sink: FrameSink) -> None:
        while sink.must_pause() and not self.closed:
            self._resumed = trio.Event()
            await self._resumed.wait()
        self._resumed = None

    async def _readable(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._socket)
        except trio.ClosedResourceError:
            pass  # by `close`, from another task
        except OSError as error:
            self.close(_words(error))

    def _receive_shared(self, sink: FrameSink) -> bool:
        """One receive into the shared buffer and a turn over it; whether there may be more to do at once."""
        shared = self._pool.shared
        end = self._receive(shared)
        start = self._turn(shared, 0, end, sink)
        if start == end or self.closed:
            return end == SHARED_BYTES
        rest = shared[start:end]
        self._backlog = _Backlog(self._pool.take(len(rest)), rest)
        return end == SHARED_BYTES or self._whole_frame_waits(self._backlog)

    def _receive_backlog(self, backlog: _Backlog, sink: FrameSink) -> bool:
        """Hands on what is whole in the backlog, else receives more of the frame; whether there may be more to do at once."""
        full = False
        if not self._whole_frame_waits(backlog):
            if self.closed:
                return False
            if not self.frame_since_ms:
                self.frame_since_ms = sink.now_ms()
            room = backlog.room(self.frame_bytes)
            count = self._receive(room)
            backlog.end += count
            full = count == len(room)
            if backlog.end - backlog.start < self.frame_bytes:
                self.active_ms = sink.now_ms() if count else self.active_ms
                return full
        backlog.start = self._turn(backlog.buffer, backlog.start, backlog.end, sink)
        self._unclaim(backlog)
        if backlog.start == backlog.end:
            self._release_backlog()
            return full
        return full or self._whole_frame_waits(backlog)

    def _receive(self, room: memoryview) -> int:
        """How many bytes came; 0 when there are none now, or when the stream is closed by that."""
        try:
            count = self._socket.recv_into(room)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.close(_words(error))
            return 0
        if count == 0:
            self.close("closed by the peer in the middle of a frame" if self._backlog else "closed by the peer")
        return count

    def _turn(self, view: memoryview, start: int, end: int, sink: FrameSink) -> int:
        """Hands on whole frames of `view[start:end]`; returns where it stopped."""
        if start == end:
            return end
        now_ms = sink.now_ms()
        self.active_ms = now_ms
        self.frame_since_ms = 0
        if self.deaf:
            return end
        unpack, max_frame_bytes = _LENGTH.unpack_from, self._max_frame_bytes
        left = MAX_FRAMES_PER_TURN
        try:
            while left and end - start >= LENGTH_BYTES:
                (size_bytes,) = unpack(view, start)
                if not 0 <= size_bytes <= max_frame_bytes:
                    raise _bad_length(size_bytes, max_frame_bytes)
                frame_end = start + LENGTH_BYTES + size_bytes
                if frame_end > end:
                    break
                left = left - 1 if sink.frame(view[start + LENGTH_BYTES : frame_end], now_ms) else 0
                start = frame_end
        except (DecodeError, PeerError) as error:
            sink.turn_ended(now_ms)  # what is owed for the frames before is still sent
            self._close_hostile(error)
            return start
        sink.turn_ended(now_ms)
        return start

    def _whole_frame_waits(self, backlog: _Backlog) -> bool:
        """Whether the backlog begins with a whole frame. Sets `frame_bytes`; closes the stream when the length is nonsense."""
        received = backlog.end - backlog.start
        self.frame_bytes = LENGTH_BYTES
        if received >= LENGTH_BYTES:
            (size_bytes,) = _LENGTH.unpack_from(backlog.buffer, backlog.start)
            if not 0 <= size_bytes <= self._max_frame_bytes:
                self._close_hostile(_bad_length(size_bytes, self._max_frame_bytes))
                return False
            self.frame_bytes += size_bytes
        return received >= self.frame_bytes

    def _close_hostile(self, error: DecodeError | PeerError) -> None:
        self.hostile = True
        self.close(str(error))

    async def _write_rest(self) -> None:
        """The writer task: runs while the socket does not take all at once."""
        try:
            while self._unsent:
                await trio.lowlevel.wait_writable(self._socket)
                self._write_some()
                self.resume()
        except trio.ClosedResourceError:
            pass  # by `close`, from another task
        except OSError as error:
            self.close(f"cannot send: {_words(error)}")
        finally:
            self._writer_done.set()

    def _write_some(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._drop_sent(self._socket.sendmsg(list(islice(self._unsent, MAX_BUFFERS_PER_SEND))))

    def _drop_sent(self, sent: int) -> None:
        """Forgets the first `sent` bytes of what waits."""
        self.unsent_bytes -= sent
        unsent = self._unsent
        while sent:
            size_bytes = len(unsent[0])
            if sent < size_bytes:
                unsent[0] = memoryview(unsent[0])[sent:]
                return
            sent -= size_bytes
            unsent.popleft()
        while unsent and not len(unsent[0]):
            unsent.popleft()

    def _release_backlog(self) -> None:
        if self._backlog is not None:
            self._unclaim(self._backlog)
            self._pool.give_back(self._backlog.buffer)
            self._backlog = None


def _bad_length(size_bytes: int, max_frame_bytes: int) -> PeerError:
    if size_bytes < 0:
        return PeerError(f"a frame claims a length of {size_bytes} bytes")
    return PeerError(f"a frame claims {size_bytes} bytes, more than the {max_frame_bytes} of socket.request.max.bytes")


def _words(error: OSError) -> str:
    return error.strerror or str(error)
